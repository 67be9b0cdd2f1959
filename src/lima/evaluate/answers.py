"""Files of answers and the prompts that they answer, as ``lima generate`` leaves them (or another tool)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lima.errors import InputError, LimaError
from lima.evaluate.settings import CompareSettings
from lima.evaluate.thinking import without_thinking
from lima.files import read_json, read_jsonl, sha256, sibling
from lima.records import Completion, Example, Reject

PairKey = tuple[str, int]
"""Prompt id and sample: what makes two answers a pair."""


@dataclass(frozen=True)
class Answers:
    """The usable answers of one system, and where they come from."""

    name: str
    path: Path
    rows: Mapping[PairKey, Completion]
    rejects: tuple[Reject, ...]
    thinking: int = 0
    """Answers that began with a trace of thought."""

    @property
    def empty(self) -> int:
        """Answers without a word; they stay in the study, for an empty answer is one."""
        return sum(not row.content.strip() for row in self.rows.values())

    @property
    def cut_off(self) -> int:
        """Answers that end where the limit of tokens was."""
        return sum(row.finish_reason == "length" for row in self.rows.values())


def read_systems(settings: CompareSettings) -> list[Answers]:
    """The answers of each file; those that are not ``ok`` are listed in `Answers.rejects`.

    Raises:
        LimaError: names that do not fit the files, or do not differ.
        InputError: a repeated answer.
    """
    names = settings.names or (None,) * len(settings.answers)
    if len(names) != len(settings.answers):
        raise LimaError(f"--names gives {len(names)} names for {len(settings.answers)} files.")
    systems = [
        _read_answers(path, name, settings.thinking)
        for path, name in zip(settings.answers, names, strict=True)
    ]
    found = [system.name for system in systems]
    if len(set(found)) < len(found):
        raise LimaError(
            f"two files hold answers of systems of one name ({', '.join(found)}). "
            "Tell them apart: --names NAME NAME, in the order of the files."
        )
    return systems


def read_prompts(settings: CompareSettings) -> dict[str, Example]:
    """The prompts by id: from ``--prompts``, or from the file that the first answers were made from.

    Raises:
        LimaError: not noted, not there, changed since, or not the same for all files of answers.
    """
    path = settings.prompts or _noted_prompts(settings.answers)
    prompts: dict[str, Example] = {}
    for line, example in enumerate(read_jsonl(path, Example), start=1):
        if example.id in prompts:
            raise InputError(path, line, f"a second prompt with the id {example.id!r}.")
        prompts[example.id] = example
    return prompts


def _noted_prompts(answers: Sequence[Path]) -> Path:
    noted = {path: note for path in answers if (note := _note_of(path))}
    if answers[0] not in noted:
        if not answers[0].exists():
            raise LimaError(f"{answers[0]}: no such file.")
        raise LimaError(
            f"{record_of(answers[0])} does not tell which prompts were answered. Give them: --prompts FILE"
        )
    place, digest = noted[answers[0]]
    for other, (_, theirs) in noted.items():
        if theirs != digest:
            raise LimaError(
                f"{answers[0]} and {other} were made from different prompts. Say which to show: --prompts FILE"
            )
    path = Path(place) if Path(place).exists() else answers[0].parent / place
    if not path.exists():
        raise LimaError(f"{place}: the prompts of {answers[0]} are not there any more. Give --prompts FILE")
    if sha256(path) != digest:
        raise LimaError(f"{path}: changed since {answers[0]} was made from it. Give --prompts FILE")
    return path


def _note_of(answers: Path) -> tuple[str, str] | None:
    record = record_of(answers)
    inputs = read_json(record).get("inputs", {}) if record.exists() else {}
    for name, value in inputs.items():
        if name.startswith("prompts:"):
            return value["path"], value["sha256"]
    return None


def _read_answers(path: Path, name: str | None, thinking: Literal["strip", "show"]) -> Answers:
    rows: dict[PairKey, Completion] = {}
    seen: set[PairKey] = set()
    rejects, found, traces = [], set(), 0
    for line, row in enumerate(read_jsonl(path, Completion), start=1):
        pair = (row.prompt_id, row.sample)
        if pair in seen:
            raise InputError(path, line, f"a second answer to {row.prompt_id!r}, sample {row.sample}.")
        seen.add(pair)
        found.add(row.system)
        if row.status == "ok":
            spoken = without_thinking(row.content)
            traces += spoken != row.content
            rows[pair] = row.model_copy(update={"content": spoken}) if thinking == "strip" else row
        else:
            rejects.append(Reject(id=row.id, rule="status", reason=f"its status is {row.status!r}"))
    if len(found) > 1 and name is None:
        raise LimaError(
            f"{path}: answers of several systems ({', '.join(sorted(found))}). One file a system."
        )
    return Answers(name or found.pop(), path, rows, tuple(rejects), traces)


def record_of(answers: Path) -> Path:
    """Where the run that wrote a file of answers explains itself."""
    return sibling(answers, f"{answers.name}.run.json")
