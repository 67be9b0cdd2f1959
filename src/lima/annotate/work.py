"""The protocol of what people do at one server: compare and rate, hold dialogues, or review examples.

`lima.annotate.compare`, `lima.annotate.dialogue` and `lima.annotate.review` implement it once each. All else (ways in,
the lead's console, the app) knows this protocol and none of the three.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from typing import Protocol as Interface

import sqlalchemy as sa
from fastapi import APIRouter

from lima.annotate.database import Database
from lima.annotate.settings import AnnotateSettings
from lima.evaluate.protocol import Protocol
from lima.records import Record


@dataclass(frozen=True)
class Tile:
    """One figure of progress on the lead's console."""

    title: str
    done: int
    planned: int
    note: str


class AnnotationWork(Interface):
    """One kind of work on one database."""

    home: str
    """The page where the work of a signed-in person begins."""
    invitation: str
    """Template of the page that an invitation opens."""
    console: str
    """Template of the lead's console."""
    groups: tuple[str, ...]
    """The groups that people are invited to."""
    routers: tuple[APIRouter, ...]
    """The work's own pages, for its people and for the lead."""
    files: tuple[str, ...] = ()
    """Names of the files that the lead can download."""

    @property
    def protocol(self) -> Protocol:
        """The words of the study, and how its people see texts."""
        return Protocol()

    @abstractmethod
    def tiles(self) -> list[Tile]:
        """How far the work is."""

    def invitation_values(self) -> dict[str, Any]:
        """What the template of `invitation` needs."""
        return {}

    def console_values(self) -> dict[str, Any]:
        """What the template of `console` needs beyond the tiles."""
        return {}

    def rows(self, name: str) -> Iterable[Record]:
        """The rows of one of `files`."""
        raise KeyError(name)

    @abstractmethod
    def export(self, *, closed: bool) -> str:
        """Write the study's files and say what was written. Only of a ``closed`` study may they name systems.

        Raises:
            LimaError: a file that was changed by hand cannot be read.
        """

    def shown(self) -> Iterable[str]:
        """Texts that pages will show, worth rendering ahead."""
        return ()

    def withdraw(self, connection: sa.Connection, rater_id: int, now: float) -> None:
        """Take back what an excluded rater did, beyond the places that go back to the others."""
        return

    def left(self, rater_id: int) -> None:
        """A rater's access has ended: what was in hand goes to others."""
        return


class Kind(Interface):
    """The module that plans one kind of work and opens it."""

    def describe(self, settings: AnnotateSettings) -> None:
        """Print what people will be asked.

        Raises:
            LimaError: the files are not there, or nothing would be asked.
        """

    def open_work(
        self, settings: AnnotateSettings, base: Database, clock: Callable[[], float]
    ) -> AnnotationWork:
        """Put the plan into an empty database, or check that it is there; then the work can begin.

        Raises:
            LimaError: as `describe`, or the database belongs to other texts or another plan.
        """
