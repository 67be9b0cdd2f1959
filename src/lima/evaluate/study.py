"""The study folder that people and judges work on: what lies where, and how rows get into it.

Raters and their software read ``protocol.yaml``, ``comparisons.jsonl`` and ``items.jsonl``. Files named in
`KEY_FILES` say which system wrote what: the report alone opens them.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import JsonValue

from lima.commands import command
from lima.errors import LimaError
from lima.evaluate.lineage import Lineage
from lima.evaluate.protocol import Protocol, read_protocol
from lima.files import read_json, read_jsonl, sha256, text_hash, write_jsonl
from lima.records import Comparison, Grade, Item, Key, Preference, Rater, Record

KEY_FILES = frozenset({"key.jsonl", "systems.json", "rejects.jsonl", "compare.run.json"})
"""Files that hold names of systems. No rater, judge or web page may see them."""

PILOT = "pilot"
"""The folder, in that of the study, of answers that do not count."""

Row = TypeVar("Row", Preference, Grade, Rater)
AnyRecord = TypeVar("AnyRecord", bound=Record)


class System(Record):
    """One compared system (``systems.json``)."""

    name: str
    answers: str
    """The file that the answers came from."""
    sha256: str
    sampling: dict[str, JsonValue] | None = None
    """Settings of the run that wrote them, as far as they are known."""
    model: str | None = None
    """What answered: a checkpoint folder, a hub id or URL#model."""
    lineage: Lineage | None = None
    """Its training, where a run of ``lima train`` made it."""
    cut_off: int = 0
    """How many of its answers end where the limit of tokens was."""


class Systems(Record):
    """The systems of a study, with the one under test first, and the seed that drew the sides."""

    seed: int
    systems: tuple[System, ...]


@dataclass(frozen=True)
class Study:
    """The files of one study. Make one with ``lima compare``; open it with `open_study`."""

    folder: Path

    @property
    def protocol(self) -> Path:
        """The words and the counts."""
        return self.folder / "protocol.yaml"

    @property
    def comparisons(self) -> Path:
        """Pairs of answers without names."""
        return self.folder / "comparisons.jsonl"

    @property
    def items(self) -> Path:
        """Single answers without names."""
        return self.folder / "items.jsonl"

    @property
    def key(self) -> Path:
        """Which system wrote what."""
        return self.folder / "key.jsonl"

    @property
    def systems(self) -> Path:
        """Names of the systems, their files and sampling parameters."""
        return self.folder / "systems.json"

    @property
    def rejects(self) -> Path:
        """Answers and pairs that were left out, by name."""
        return self.folder / "rejects.jsonl"

    @property
    def preferences(self) -> Path:
        """Verdicts on comparisons."""
        return self.folder / "preferences.jsonl"

    @property
    def grades(self) -> Path:
        """Ratings of items."""
        return self.folder / "grades.jsonl"

    @property
    def sample(self) -> Path:
        """Which texts were drawn for people, and with which probabilities."""
        return self.folder / "sample.jsonl"

    @property
    def raters(self) -> Path:
        """Who rated."""
        return self.folder / "raters.jsonl"

    def read_protocol(self) -> Protocol:
        """The words that raters read."""
        return read_protocol(self.protocol)

    def read_comparisons(self) -> list[Comparison]:
        """All pairs, in the order of their ids."""
        return existing_rows(self.comparisons, Comparison)

    def read_items(self) -> list[Item]:
        """All single answers, in the order of their ids."""
        return existing_rows(self.items, Item)

    def read_key(self) -> dict[str, Key]:
        """The key by id: for the report, and for raters that are no person and no model (an oracle)."""
        return {row.id: row for row in read_jsonl(self.key, Key)}

    def read_systems(self) -> Systems:
        """The systems behind the answers: for the report."""
        return Systems.model_validate(read_json(self.systems))


def open_study(folder: Path) -> Study:
    """The study in ``folder``, or a `LimaError` that says how to make one."""
    study = Study(folder)
    if not study.protocol.is_file():
        raise LimaError(
            f"{folder}: no study here (no protocol.yaml). Make one: {command('compare', 'A.jsonl', 'B.jsonl', '--out', folder)}"
        )
    return study


def answers_of(study: Study, protocol: Protocol) -> Study:
    """Where people's answers go: the study itself, or a folder beside it while the protocol calls it a pilot."""
    return Study(study.folder / PILOT) if protocol.pilot else study


def existing_rows(path: Path, kind: type[AnyRecord]) -> list[AnyRecord]:
    """All rows of a file of the study that may be absent or empty: raters come and go."""
    return list(read_jsonl(path, kind)) if path.exists() and path.stat().st_size else []


def hash_texts(study: Study) -> str:
    """Hash of all that raters read of the systems' answers."""
    return text_hash(sha256(study.comparisons), sha256(study.items))


def hash_key(study: Study) -> str:
    """Hash of all that says which system wrote what."""
    return text_hash(sha256(study.key), sha256(study.systems))


def check_texts(study: Study, protocol: Protocol) -> None:
    """Refuse a study whose texts were changed after the pairing: ratings would belong to other texts."""
    if protocol.texts and hash_texts(study) != protocol.texts:
        raise LimaError(
            f"{study.folder}: comparisons.jsonl or items.jsonl changed since 'lima compare' made them. "
            "Make a new study with lima compare."
        )


def noting_plan(study: Study, rater: Rater) -> Rater:
    """The rater with the hash of the plan that held at the first of its rows, so that a later change shows itself."""
    calls = rater.settings.get("calls")
    before = [
        row.settings["plan"]
        for row in existing_rows(study.raters, Rater)
        if "plan" in row.settings and (row.id == rater.id or (calls and row.settings.get("calls") == calls))
    ]
    plan = before[0] if before else study.read_protocol().plan.hash
    return rater.model_copy(update={"settings": rater.settings | {"plan": plan}})


def add_preferences(study: Study, rater: Rater, rows: Iterable[Preference]) -> int:
    """Write the verdicts of one rater: idempotent by id, atomic, other raters' rows stay. Returns their number.

    Rows with an id that is there already replace it; the file stays sorted by id.
    """
    found = _own(rater, rows)
    with _writing(study):
        _merge(study.raters, Rater, [rater])
        return _merge(study.preferences, Preference, found)


def add_grades(study: Study, rater: Rater, rows: Iterable[Grade]) -> int:
    """As `add_preferences`, for ratings of single answers."""
    found = _own(rater, rows)
    with _writing(study):
        _merge(study.raters, Rater, [rater])
        return _merge(study.grades, Grade, found)


def replace_rater(
    study: Study, rater: Rater, rows: Iterable[Preference | Grade], *, former: Callable[[Rater], bool]
) -> list[str]:
    """Put ``rows`` in the place of all rows of this rater, and of former selves of it.

    A judge whose logged replies are read again by a newer parser is another rater, but the same replies
    must not count twice: ``former`` tells which raters go. Returns the ids of those.
    """
    found = _own(rater, rows)
    with _writing(study):
        gone = {row.id for row in existing_rows(study.raters, Rater) if former(row) and row.id != rater.id}
        _replace(study, [rater], found, gone)
    return sorted(gone)


def replace_raters(study: Study, raters: Sequence[Rater], rows: Iterable[Preference | Grade]) -> None:
    """Put ``rows`` in the place of all rows of these raters, in one pass over the files."""
    with _writing(study):
        _replace(study, raters, list(rows), set())


def _replace(
    study: Study, raters: Sequence[Rater], rows: Sequence[Preference | Grade], gone: set[str]
) -> None:
    leaving = gone | {rater.id for rater in raters}
    preferences = [row for row in rows if isinstance(row, Preference)]
    grades = [row for row in rows if isinstance(row, Grade)]
    _merge(study.preferences, Preference, preferences, drop=lambda row: row.rater in leaving)
    _merge(study.grades, Grade, grades, drop=lambda row: row.rater in leaving)
    # Last, so that a kill before this line leaves the former raters to be found again.
    _merge(study.raters, Rater, raters, drop=lambda row: row.id in gone)


Rating = TypeVar("Rating", bound=Preference | Grade)


def _own(rater: Rater, rows: Iterable[Rating]) -> list[Rating]:
    found = list(rows)
    strangers = {row.rater for row in found} - {rater.id}
    assert not strangers, f"rows of {strangers} given as rows of {rater.id}"
    return found


def _merge(
    path: Path, kind: type[Row], rows: Iterable[Row], drop: Callable[[Row], bool] = lambda row: False
) -> int:
    before = existing_rows(path, kind)
    new = {row.id: row for row in rows}
    after = sorted(({row.id: row for row in before if not drop(row)} | new).values(), key=lambda row: row.id)
    if after != before:
        write_jsonl(path, after)
    return len(new)


@contextmanager
def _writing(study: Study) -> Iterator[None]:
    """One writer at a time: several judges may work on one study at once."""
    with (study.folder / ".rows.lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
