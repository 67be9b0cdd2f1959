"""Comparing and rating as one kind of `lima.annotate.work.AnnotationWork`: its figures, its files, its pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter

from lima.annotate.compare import adjudication, exchange, overview
from lima.annotate.compare.assignment import Assignment
from lima.annotate.compare.raters import rater_figures, usual_seconds
from lima.annotate.compare.remembered import Remembered
from lima.annotate.compare.texts import Texts
from lima.annotate.compare.watch import watched_lines
from lima.annotate.languages import Said
from lima.annotate.work import AnnotationWork, Tile
from lima.commands import command
from lima.evaluate.protocol import Protocol
from lima.records import Record

TITLES = {"pairwise": Said("Comparisons · {group}"), "rate": Said("Ratings · {group}")}


@dataclass(frozen=True)
class CompareWork(AnnotationWork):
    """People compare two answers, or rate one."""

    texts: Texts
    assignment: Assignment
    routers: tuple[APIRouter, ...]
    remembered: Remembered = field(default_factory=Remembered)

    home = "/work"
    invitation = "invitation_compare.html"
    console = "lead_compare.html"
    files = ("preferences.jsonl", "grades.jsonl", "raters.jsonl", "adjudications.jsonl")

    @property
    def groups(self) -> tuple[str, ...]:  # type: ignore[override]
        """Those of the plan."""
        return self.texts.plan.groups

    @property
    def protocol(self) -> Protocol:
        """The study's own."""
        return self.texts.protocol

    def tiles(self) -> list[Tile]:
        """Planned votes by task and group."""
        rows = overview.group_progress(self.assignment.base, self.assignment.clock())
        return [
            Tile(
                Said(TITLES[row.task], group=row.group),
                row.done,
                row.planned,
                Said("{number} on a screen now", number=row.leased),
            )
            for row in rows
        ]

    def invitation_values(self) -> dict[str, Any]:
        """The study's own words."""
        return {"texts": self.texts}

    def console_values(self) -> dict[str, Any]:
        """The plan, what the raters' answers look like, and how far they agree."""
        texts = self.texts
        found = self.remembered.get(self.assignment.base, self._figures)
        asked = len(texts.comparisons.keys() - texts.left_out)
        shown = {"plan": texts.plan, "comparisons": asked, "has_gold": bool(texts.gold)}
        asked_of = texts.comparisons.keys() | texts.items.keys()
        shown["sample"] = [row for row in texts.sample if row.id in asked_of]
        shown |= {"left": sum(tile.planned - tile.done for tile in self.tiles())}
        return shown | found.value | {"figures_age": round(found.age)}

    def _figures(self) -> dict[str, Any]:
        base, texts = self.assignment.base, self.texts
        scales = {scale: texts.words(scale).values for scale in texts.scales}
        figures = rater_figures(base, self.assignment.rules.gold, scales=scales)
        lines, why_not = watched_lines(base, texts)
        return {
            "watched": lines,
            "not_watched": why_not,
            "figures": figures,
            "has_checks": any(one.checks for one in figures.values()),
            "has_competence": any(one.competence for one in figures.values()),
            "usual_seconds": usual_seconds(figures.values()),
            "agreement": overview.agreement(base, texts) if texts.comparisons else [],
        }

    def rows(self, name: str) -> Iterable[Record]:
        """Answers that count, their raters, and the lead's decisions."""
        if name == "adjudications.jsonl":
            return adjudication.decided(self.assignment.base).values()
        found = exchange.export_rows(self.assignment.base)
        return {"preferences": found.preferences, "grades": found.grades, "raters": found.raters}[
            name.removesuffix(".jsonl")
        ]

    def export(self, *, closed: bool) -> str:
        """Answers and decisions go into the study's files."""
        study = self.texts.answers
        study.folder.mkdir(exist_ok=True)  # a pilot's is made by its first export
        written = exchange.export_to(study, self.assignment.base)
        decisions = adjudication.write_decisions(study, self.assignment.base)
        values = {"folder": study.folder.name, "votes": len(written.preferences)}
        values |= {"ratings": len(written.grades), "decisions": decisions}
        if self.protocol.pilot:
            return Said(
                "Wrote into {folder}: {votes} verdicts, {ratings} ratings, {decisions} decisions of yours. "
                "They are a pilot's: no report reads them.",
                **values,
            )
        return Said(
            "Wrote into {folder}: {votes} verdicts, {ratings} ratings, {decisions} decisions of yours. Next: {command}",
            **values,
            command=command("report", self.texts.study.folder),
        )

    def shown(self) -> Iterator[str]:
        """Every text of the study."""
        return self.texts.shown()
