"""Dialogues as one kind of `lima.annotate.work.AnnotationWork`: figures, files, pages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter

from lima.annotate.dialogue import progress
from lima.annotate.dialogue.files import NAMES, DialogueRows, export_to, reveal, rows_of
from lima.annotate.dialogue.streams import ReplyStreams
from lima.annotate.languages import Said
from lima.annotate.work import AnnotationWork, Tile
from lima.commands import command
from lima.evaluate.protocol import Protocol
from lima.evaluate.study import Study
from lima.records import Record


@dataclass(frozen=True)
class DialogueWork(AnnotationWork):
    """People hold the same dialogue with every system, blind."""

    study: Study
    streams: ReplyStreams
    names: tuple[str, ...]
    """The systems' names, for the key alone."""
    words: Protocol
    groups: tuple[str, ...]
    routers: tuple[APIRouter, ...]

    home = "/dialogue"
    invitation = "invitation_dialogue.html"
    console = "lead_dialogue.html"
    files = tuple(f"{name}.jsonl" for name in NAMES)

    @property
    def protocol(self) -> Protocol:
        """The study's own, or the words for dialogues."""
        return self.words

    def tiles(self) -> list[Tile]:
        """Dialogues held and choices made, of those planned."""
        plan = self.streams.dialogues.plan
        held, under_way, chosen = progress.progress(self.streams.dialogues.base, plan)
        openings = len(plan.openings) * plan.votes
        return [
            Tile(
                Said("Dialogues"),
                held,
                openings * plan.systems,
                Said("{number} under way", number=under_way),
            ),
            Tile(Said("Choices"), chosen, openings, Said("between {systems} systems", systems=plan.systems)),
        ]

    def console_values(self) -> dict[str, Any]:
        """The plan, and agreement where several people have the same opening."""
        plan, base = self.streams.dialogues.plan, self.streams.dialogues.base
        return {"plan": plan, "agreement": progress.agreement(base, plan) if plan.votes > 1 else []}

    def rows(self, name: str) -> Iterable[Record]:
        """Finished dialogues of raters who count, and what follows from them."""
        found: Iterable[Record] = getattr(self._found(), name.removesuffix(".jsonl"))
        return found

    def export(self, *, closed: bool) -> str:
        """Write the dialogues as a study; once it is ``closed``, also who was who."""
        rows, plan = self._found(), self.streams.dialogues.plan
        export_to(self.study, rows, plan)
        folder = self.study.folder.name
        if closed:
            reveal(self.study, rows, plan, self.names)
            text = "Wrote the dialogues, and key.jsonl says who was who. Next: {command}"
            return Said(text, command=command("report", self.study.folder))
        return Said(
            "Wrote {dialogues} dialogues, {ratings} ratings and {choices} choices into {folder}. "
            "Close the study to write who was who; then: {command}",
            dialogues=len(rows.dialogues),
            ratings=len(rows.grades),
            choices=len(rows.preferences),
            folder=folder,
            command=command("report", self.study.folder),
        )

    def _found(self) -> DialogueRows:
        dialogues = self.streams.dialogues
        return rows_of(dialogues.base, dialogues.plan, self.names)
