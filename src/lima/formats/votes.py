"""Rows of a file and a map -> the comparisons, answers, verdicts and ratings of a study."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import orjson

from lima.errors import LimaError
from lima.files import text_hash
from lima.formats.imported import ImportedStudy, PublishedRow, asked, pair_key, read_document, read_rows
from lima.formats.mapping import MISSING, Fields, GradeMap, Map, ShownMap, VerdictMap, plain
from lima.records import Comparison, Grade, Item, Key, Label, Origin, Preference, Rater, Shown, Side, Status

KINDS = ("crowd", "author", "judge", "oracle")
SWAPPED: dict[Any, Any] = {"a": "b", "b": "a", "tie": "tie", "ab": "ba", "ba": "ab", None: None}


def read_votes(mapping: Map, files: Sequence[Path]) -> ImportedStudy:
    """The study in files of one shape; with ``later`` in the map, in the first file and its followers.

    Raises:
        LimaError: no such file.
        KeyError, ValueError, TypeError: rows of another shape.
    """
    draft = _Builder(mapping)
    for number, path in enumerate(files):
        followers = mapping.later if number else None
        name = re.fullmatch((followers or mapping).name, path.stem)
        root = read_document(path) if path.suffix == ".json" else None
        rows = read_rows(path, mapping.rows)
        extra = {"file": name[1] if name else path.stem, "defaults": mapping.defaults}
        verdicts = followers.verdicts if followers else mapping.verdicts
        for position, row in enumerate(sorted(_usable(rows, mapping), key=_by_time(mapping))):
            fields = Fields(row, root, extra | {"row": position})
            if not followers:
                draft.add_texts(fields)
            draft.add_verdicts(fields, verdicts)
    return draft.finished()


def _usable(rows: Sequence[PublishedRow], mapping: Map) -> list[PublishedRow]:
    return [row for row in rows if not mapping.needs or row.get(mapping.needs)]


def _by_time(mapping: Map) -> Any:
    """Rows in the order of their times, where a map has them: newer verdicts replace older ones."""
    at = next((verdict.at for verdict in mapping.verdicts if verdict.newest_of), "")
    return (lambda row: time_of(row.get(at)) or "") if at else (lambda row: "")


def time_of(value: Any) -> str | None:
    """A time as the records write it; a table has midnight as a day alone, and other files texts or seconds."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=value.tzinfo or UTC).isoformat()
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC).isoformat()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return datetime.fromtimestamp(value, UTC).isoformat()
    return str(value) if isinstance(value, str) and value else None


@dataclass
class _Builder:
    """A study that grows row by row."""

    mapping: Map
    comparisons: dict[str, Comparison] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)
    keys: dict[str, Key] = field(default_factory=dict)
    preferences: list[Preference] = field(default_factory=list)
    grades: list[Grade] = field(default_factory=list)
    systems: Counter[str] = field(default_factory=Counter)
    newest: dict[tuple[str, str], str] = field(default_factory=dict)
    given: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    turned: bool = False
    """Whether the row at hand shows its comparison with the sides changed."""

    def finished(self) -> ImportedStudy:
        names = sorted({row.rater for row in self.preferences} | {row.rater for row in self.grades})
        raters = [
            Rater(id=name, kind=_kind(name), description=self.mapping.note, settings=self._order(name))
            for name in names
        ]
        return ImportedStudy(
            list(self.comparisons.values()),
            list(self.keys.values()),
            self.preferences,
            raters,
            list(self.systems),
            list(self.items.values()),
            self.grades,
        )

    def _order(self, rater: str) -> dict[str, Any]:
        """Which order policy the map gives a judge: both, where the same rater has verdicts in both."""
        shown = {str(verdict.shown) for verdict in self.mapping.verdicts}
        return {"order": "both"} if {"ab", "ba"} <= shown and rater.startswith("judge:") else {}

    def add_texts(self, row: Fields) -> None:
        """The row's answers, if they are new, and their ratings."""
        mapping = self.mapping
        if mapping.b is None:
            self._add_item(row)
            return
        sides = (mapping.b, mapping.a) if mapping.tested == "b" else (mapping.a, mapping.b)
        for side in sides:
            self.systems[row.text(side.system)] += 1
        first, second = (self._side(row, side) for side in ("a", "b"))
        if first[1] == second[1]:
            raise ValueError(f"both answers of a row are by {first[1]!r}: a system does not meet itself")
        identity, prompt_id = self.place(row)
        known = self.comparisons.get(identity)
        self.turned = known is not None and self._stored(known) == (second, first) != (first, second)
        if known is None:
            self.comparisons[identity] = Comparison(
                id=identity,
                messages=asked(self._prompt(row)),
                a=first[0],
                b=second[0],
                tags=tuple(filter(None, map(row.text, mapping.tags))),
            )
            self.keys[identity] = pair_key(identity, prompt_id, first[1], second[1])
        elif not self.turned and self._stored(known) != (first, second):
            raise ValueError(f"{identity} stands for other answers in another row")

    def _stored(self, known: Comparison) -> tuple[tuple[str, str], tuple[str, str]]:
        """Text and system of both sides."""
        key = self.keys[known.id]
        assert key.a is not None, key
        assert key.b is not None, key
        return (known.a, key.a.system), (known.b, key.b.system)

    def place(self, row: Fields) -> tuple[str, str]:
        """Ids of the row's comparison, or answer, and of its prompt."""
        row.extra = {**row.extra, "hash": text_hash(self._prompt(row), length=12)}
        prompt_id = row.text(self.mapping.prompt_id)
        if self.mapping.id:
            return row.text(self.mapping.id), prompt_id
        sides = ("a", "b") if self.mapping.b else ("a",)
        parts = sorted(part for side in sides for part in self._side(row, side))  # type: ignore[arg-type]
        # Two equal comparisons are one; two equal answers are two samples.
        place = "" if self.mapping.b else f"/{row.value('row')}"
        return f"{prompt_id}/{text_hash(*parts, length=8)}{place}", prompt_id

    def _prompt(self, row: Fields) -> str:
        return row.text(self.mapping.prompt)

    def _side(self, row: Fields, side: Side) -> tuple[str, str]:
        """Text and system."""
        found = self.mapping.a if side == "a" else self.mapping.b
        assert found is not None, side
        return row.text(found.text), row.text(found.system)

    def _add_item(self, row: Fields) -> None:
        (text, system), (identity, prompt_id) = self._side(row, "a"), self.place(row)
        self.systems[system] += 1
        tags = tuple(filter(None, map(row.text, self.mapping.tags)))
        self._note_item(
            Item(id=identity, messages=asked(self._prompt(row)), content=text, tags=tags), system, prompt_id
        )
        for grade in self.mapping.grades:
            for column, part in row.columns(grade.value):
                said = Fields(row.row, row.root, {**row.extra, "column": part or column})
                rater = said.text(grade.rater)
                ids = (f"{rater}/{identity}/{grade.scale}", identity, rater)
                self._add_grade(said, grade, (column, part), ids, {})

    def _note_item(self, item: Item, system: str, prompt_id: str) -> None:
        if item.id not in self.items:
            self.items[item.id] = item
            origin = Origin(system=system, completion_id=f"{system}/{prompt_id}")
            self.keys[item.id] = Key(id=item.id, prompt_id=prompt_id, content=origin)

    def add_verdicts(self, row: Fields, verdicts: Sequence[VerdictMap]) -> None:
        """All verdicts of a row; those of a file that comes later are on comparisons that are known."""
        comparison, _ = self.place(row) if not self.mapping.later else (row.text(self.mapping.id), "")
        if verdicts and comparison not in self.comparisons:
            raise ValueError(f"a verdict on {comparison}, which is not in the first file")
        for verdict in verdicts:
            for column in row.columns(verdict.value):
                self._add_verdict(row, verdict, comparison, column)

    def _add_verdict(
        self, row: Fields, verdict: VerdictMap, comparison: str, column: tuple[str, str]
    ) -> None:
        said = Fields(row.row, row.root, {**row.extra, "column": column[0]})
        rater = said.text(verdict.rater)
        value = said.value(column[0])
        label, credit = _read(verdict, value)
        shown = _shown(verdict, said)
        if self.turned:
            label, shown = SWAPPED[label], SWAPPED[shown]
            credit = None if credit is None else 1 - credit
        number = self.given[rater, comparison, shown or ""]
        self.given[rater, comparison, shown or ""] += 1
        identity = "/".join(filter(None, (rater, comparison, shown, str(number) if number else "")))
        place = said.text(verdict.newest_of) if verdict.newest_of else ""
        before = self.newest.get((rater, place)) if place else None
        self.newest[rater, place] = identity
        words = said.value(verdict.raw.replace("*", column[1])) if verdict.raw else None
        raw = [x for x in (value if label is None else None, words) if x is not None and x is not MISSING]
        facts = {"at": time_of(said.value(verdict.at)) if verdict.at else None, "supersedes": before}
        self.preferences.append(
            Preference(
                id=identity,
                comparison_id=comparison,
                rater=rater,
                shown=shown,
                label=label,
                credit=credit,
                status=_status(label, value),
                raw="\n".join(dict.fromkeys(map(str, raw))) or None,
                **facts,
            )
        )
        for grade in verdict.grades:
            self._grade_beside(said, grade, self.preferences[-1])

    def _grade_beside(self, row: Fields, grade: GradeMap, verdict: Preference) -> None:
        """A rating that was given with a verdict, of one of its two answers."""
        side = SWAPPED[grade.side] if self.turned else grade.side
        comparison, key = self.comparisons[verdict.comparison_id], self.keys[verdict.comparison_id]
        text, origin = (comparison.a, key.a) if side == "a" else (comparison.b, key.b)
        assert origin is not None, key
        item = Item(
            id=f"{comparison.id}/{side}", messages=comparison.messages, content=text, tags=comparison.tags
        )
        self._note_item(item, origin.system, key.prompt_id)
        before = f"{verdict.supersedes}/{side}" if verdict.supersedes else None
        ids = (f"{verdict.id}/{side}", item.id, verdict.rater)
        facts = {"at": verdict.at, "supersedes": before}
        self._add_grade(row, grade, (grade.value, ""), ids, facts)

    def _add_grade(
        self,
        row: Fields,
        grade: GradeMap,
        column: tuple[str, str],
        ids: tuple[str, str, str],
        facts: dict[str, Any],
    ) -> None:
        said = row.value(column[0])
        value = grade.read(said)
        words = row.value(grade.raw.replace("*", column[1])) if grade.raw else said
        self.grades.append(
            Grade(
                id=ids[0],
                item_id=ids[1],
                rater=ids[2],
                scale=grade.scale,
                value=value,
                status="ok" if value is not None else "unparsable",
                raw=None if words is MISSING or words is None else str(words),
                **facts,
            )
        )


def _kind(rater: str) -> Any:
    kind = rater.partition(":")[0]
    if kind not in KINDS or not rater.partition(":")[2]:
        raise LimaError(
            f"the map gives the rater {rater!r}; an id begins with {', '.join(f'{k}:' for k in KINDS)}."
        )
    return kind


def _shown(verdict: VerdictMap, row: Fields) -> Shown | None:
    """The order on the screen; None where it is not known."""
    order = verdict.shown
    if isinstance(order, ShownMap):
        said = plain(row.value(order.value))
        if said not in order.choices:
            raise ValueError(f"{order.value} is {said!r}, an order that the map does not name")
        order = order.choices[said]
    return None if order == "unknown" else order


def _status(label: Label | None, value: Any) -> Status:
    if label is not None:
        return "ok"
    return "error" if value is None or value is MISSING else "unparsable"


def _read(verdict: VerdictMap, value: Any) -> tuple[Label | None, float | None]:
    """The label, and the credit of answer a where the verdict is graded."""
    if verdict.scores:
        return _higher(value, "ba" if verdict.shown == "ba" else "ab"), None
    said = plain(value)
    if said in verdict.choices:
        return verdict.choices[said], None
    if verdict.graded and isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            part = (float(value) - verdict.graded["b"]) / (verdict.graded["a"] - verdict.graded["b"])
        except ValueError:
            return None, None
        if 0 <= part <= 1:
            return ("tie" if part == 0.5 else "a" if part > 0.5 else "b"), part
    return None, None


def _higher(value: Any, shown: Shown) -> Label | None:
    """The side with the higher of two scores, which stand in the order shown."""
    try:
        scores = orjson.loads(value) if isinstance(value, str) else value
    except orjson.JSONDecodeError:
        return None
    if not isinstance(scores, list) or len(scores) != 2 or not all(_is_score(score) for score in scores):
        return None
    if scores[0] == scores[1]:
        return "tie"
    better = shown[0] if scores[0] > scores[1] else shown[1]
    return "a" if better == "a" else "b"


def _is_score(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
