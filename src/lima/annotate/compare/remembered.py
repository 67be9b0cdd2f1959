"""KeptFigures that cost seconds on a large study, made again no sooner than need be."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from lima.annotate.database import Database
from lima.annotate.tables import events, raters

SLOW_SECONDS = 0.5
"""KeptFigures that are made quicker than this are always new."""
REST = 20
"""Slow figures are kept for this many times the time that they took, so that they never fill more than a twentieth of it."""


@dataclass(frozen=True)
class KeptFigures:
    """What was made, and how old it is."""

    value: dict[str, Any]
    made_at: float
    cost: float

    @property
    def age(self) -> float:
        """Seconds since they were made."""
        return time.monotonic() - self.made_at


class Remembered:
    """Keeps the last figures. Two pages that ask at once wait for the same."""

    def __init__(self) -> None:
        self._making = threading.Lock()
        self._state: tuple[Hashable, Hashable] | None = None
        self._figures: KeptFigures | None = None

    def get(self, base: Database, make: Callable[[], dict[str, Any]]) -> KeptFigures:
        """The figures: new where a rater's state has changed, or where answers have come and a rest is over."""
        with self._making:
            found, before, state = self._figures, self._state, _state(base)
            if found is not None and before is not None and before[0] == state[0]:
                rests = found.cost > SLOW_SECONDS and found.age < REST * found.cost
                if before == state or rests:
                    return found
            begun = time.monotonic()
            made = make()
            self._figures = KeptFigures(made, time.monotonic(), time.monotonic() - begun)
            self._state = state
            return self._figures


def _state(base: Database) -> tuple[Hashable, Hashable]:
    """Who counts, and the last thing that happened."""
    with base.read() as connection:
        counts = connection.execute(sa.select(raters.c.state, sa.func.count()).group_by(raters.c.state))
        return frozenset(map(tuple, counts)), connection.scalar(sa.select(sa.func.max(events.c.id)))
