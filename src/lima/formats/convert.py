"""``lima import`` and ``lima export``: every row is converted, or named with the reason why not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast, get_args

import orjson
from pydantic import ValidationError

from lima import console
from lima.commands import command
from lima.errors import InputError, LimaError
from lima.files import encode, is_array, loads, read_jsonl, read_objects, replacing, sibling, write_jsonl
from lima.formats import conversations
from lima.formats.exports import export_rows
from lima.formats.imported import ImportedStudy, answers_of, prompts_of
from lima.formats.mapping import read_map
from lima.formats.rows import NOTHING, WEIGHTS, Conversation, Row, UnusableRow, to_example
from lima.formats.settings import AnswerFormat, ExportSettings, FormatName, ImportSettings, StudyFormat
from lima.formats.studies import narrowed, read_study, write_study
from lima.records import Example, Meta, Reject


@dataclass(frozen=True)
class Format:
    """The two pure functions of a format, and the fields that they know."""

    read: Callable[[Row], Conversation]
    write: Callable[[Example], dict[str, Any]]
    fields: Collection[str]
    turns: str = ""
    """The field of the turns, where they are objects."""
    turn_fields: Collection[str] = ()

    def left_out(self, row: Row) -> Iterator[str]:
        """The names of the row's other fields that hold something."""
        yield from (key for key in row if key not in self.fields and row[key] not in NOTHING)
        for turn in row[self.turns] if self.turns else ():
            yield from (
                f"{self.turns}.{key}"
                for key in turn
                if key not in self.turn_fields and turn[key] not in NOTHING
            )


FORMATS: dict[FormatName, Format] = {
    "lima": Format(conversations.read_lima, conversations.write_lima, ("conversations", "source")),
    "openai": Format(
        conversations.read_openai,
        conversations.write_openai,
        ("messages", "system"),
        "messages",
        ("role", "content", *WEIGHTS),
    ),
    "sharegpt": Format(
        conversations.read_sharegpt,
        conversations.write_sharegpt,
        ("conversations", "system"),
        "conversations",
        ("from", "value", *WEIGHTS),
    ),
    "alpaca": Format(
        conversations.read_alpaca,
        conversations.write_alpaca,
        ("instruction", "input", "output", "system", "history"),
    ),
}
OPENAI_ROLES = frozenset(("system", "developer", "user", "assistant", "tool", "function"))


def chat_format(row: Row) -> FormatName | None:
    """The format of a row that holds a whole conversation, where its turns say so; None for any other row."""
    texts = row.get("conversations")
    if isinstance(texts, list) and texts and all(isinstance(text, str) for text in texts):
        return "lima"
    if keys_of := _keys_of(texts):
        return "sharegpt" if {"from", "value"} <= keys_of else None
    turns = row.get("messages") or []
    if {"role", "content"} <= _keys_of(turns) and all(turn.get("role") in OPENAI_ROLES for turn in turns):
        return "openai"
    return None


def _keys_of(turns: Any) -> set[str]:
    """The keys of a list of objects; none of anything else."""
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        return set()
    return set().union(*turns)


PROVENANCE = ("id", "source", "meta")


@dataclass
class Conversion:
    """What became of the rows of a file."""

    kept: int = 0
    rejects: list[Reject] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    """Fields of the rows kept that an Example has no place for, and how often they held something."""


class _Settings(Protocol):
    """What both directions have in common."""

    @property
    def out(self) -> Path: ...
    @property
    def strict(self) -> bool: ...
    @property
    def dry_run(self) -> bool: ...


def import_file(settings: ImportSettings) -> Conversion | ImportedStudy:
    """Write the Examples of another tool's file, or the study of published judgments, to ``settings.out``.

    Ids of Examples are the row's own where it has one (a text, not used before), else ``format/name/row`` with
    rows counted from 0, so that the same file gives the same ids.
    """
    if settings.format in get_args(StudyFormat):
        return _import_study(settings)
    if settings.format in get_args(AnswerFormat):
        return _import_answers(settings)
    _keep_input(_one_file(settings), settings.out)
    outcome = Conversion()
    lines = (encode(example) for example in read_examples(settings, outcome))
    _write(settings, _one_file(settings), lines, outcome)
    if not settings.dry_run:
        console.done(_written(settings.out, outcome), next_command=command("inspect", settings.out))
    return outcome


def export_file(settings: ExportSettings) -> Conversion:
    """Write the Examples, answers or judgments of a file or study in another tool's format to ``settings.out``."""
    _keep_input(settings.file, settings.out)
    if settings.format not in FORMATS:
        return _export_by_map(settings)
    outcome = Conversion()
    rows = _export_rows(settings, outcome)
    array = settings.out.suffix == ".json"
    chunks = _as_array(rows) if array else (orjson.dumps(row) + b"\n" for row in rows)
    _write(settings, settings.file, chunks, outcome)
    if not settings.dry_run:
        console.done(_written(settings.out, outcome))
    return outcome


def _keep_input(file: Path, out: Path) -> None:
    if out.exists() and file.exists() and out.samefile(file):
        raise LimaError(f"{out}: --out is the input itself, which would be lost. Choose another --out.")


def read_examples(settings: ImportSettings, outcome: Conversion) -> Iterator[Example]:
    """Yield the Examples of a file; rows that cannot be used are added to ``outcome.rejects``."""
    file, format = _one_file(settings), cast(FormatName, settings.format)
    name = settings.name or file.stem
    used: set[str] = set()
    for position, (place, row) in enumerate(_rows(file)):
        identifier = f"{format}/{name}/{position}"
        try:
            conversation = FORMATS[format].read(row)
            own = _own_id(row, used)
            example = to_example(conversation, own or _unused(identifier, used))
        except UnusableRow as error:
            reason = f"{error.reason} ({place})"
            outcome.rejects.append(Reject(id=identifier, rule=error.rule, reason=reason))
            continue
        with_origin = _with_provenance(example, row)
        outcome.left_out.update(
            key
            for key in FORMATS[format].left_out(row)
            if key not in PROVENANCE or (with_origin is example and key != "id")
        )
        used.add(example.id)
        outcome.kept += 1
        yield with_origin


def _import_study(settings: ImportSettings) -> ImportedStudy:
    kind = cast(StudyFormat, settings.format)
    study = narrowed(read_study(kind, settings.files, settings.map), settings.systems, settings.votes)
    missing = sum(row.label is None for row in study.preferences)
    console.note(
        f"{len(study.comparisons)} comparisons of {', '.join(study.systems)}; {len(study.preferences)} verdicts "
        f"of {len(study.raters)} rater{'' if len(study.raters) == 1 else 's'}, {missing} of them missing"
    )
    _warn_of_values(study)
    if settings.strict and missing:
        raise LimaError(f"{settings.files[0]}: {missing} verdicts are missing, and --strict is set.")
    if not settings.dry_run:
        write_study(study, settings.out)
        next_command = (
            f"{command('report', settings.out)}, or to rate it anew: {command('annotate', settings.out)}"
        )
        console.done([settings.out], next_command=next_command)
    return study


def _warn_of_values(study: ImportedStudy) -> None:
    """Name what the map has no label for: a forgotten value that all stands for one side would tilt every figure."""
    unknown = Counter(
        (row.raw or "").partition("\n")[0][:40] for row in study.preferences if row.status == "unparsable"
    )
    if unknown:
        named = ", ".join(f"{value!r} ({count})" for value, count in unknown.most_common(5))
        more = f" and {len(unknown) - 5} others" if len(unknown) > 5 else ""
        console.warn(f"the map has no label for these values, so their verdicts are missing: {named}{more}")


def _import_answers(settings: ImportSettings) -> ImportedStudy:
    """Answers of one system or several, as `lima compare` reads them, and their prompts beside them."""
    study = read_study(cast(AnswerFormat, settings.format), settings.files)
    prompts = sibling(settings.out, f"{settings.out.name}.prompts.jsonl")
    answers = [row for row in answers_of(study) if settings.systems in ((), (row.system,))]
    systems = sorted({row.system for row in answers})
    if len(systems) != 1:
        raise LimaError(
            f"{settings.files[0]}: answers of {', '.join(systems) or 'no such system'}; name one: --systems NAME."
        )
    console.note(f"{len(answers)} answers of {systems[0]}")
    if not settings.dry_run:
        write_jsonl(prompts, prompts_of(study, settings.format))
        write_jsonl(settings.out, answers)
        next_command = command("compare", settings.out, "OTHER.jsonl", "--prompts", prompts, "--out", "STUDY")
        console.done([settings.out, prompts], next_command=next_command)
    return study


def _export_by_map(settings: ExportSettings) -> Conversion:
    """A study's judgments or a file's answers in another tool's shape."""
    if (settings.format == "votes") != (settings.map is not None):
        raise LimaError(
            "--map MAP belongs to lima export votes, and lima export votes needs one (docs/formats.md)."
        )
    mapping = read_map(settings.map or settings.format)
    found = export_rows(mapping, settings.file, settings.prompts)
    outcome = Conversion(kept=len(found.rows))
    if settings.strict and found.left_out:
        raise LimaError(
            f"{settings.file}: {found.left_out} rows have no place in the file, and --strict is set."
        )
    if not found.rows:
        raise LimaError(f"{settings.file}: nothing that {settings.format} has a place for.")
    if found.document is not None:
        chunks = iter([orjson.dumps(found.document | {mapping.rows: found.rows}, option=orjson.OPT_INDENT_2)])
    elif settings.out.suffix == ".json":
        chunks = _as_array(iter(found.rows))
    else:
        chunks = (orjson.dumps(row) + b"\n" for row in found.rows)
    _write(settings, settings.file, chunks, outcome)
    if found.left_out:
        console.note(f"{found.left_out} rows without a usable verdict or answer were left out")
    if not settings.dry_run:
        console.done([settings.out])
    return outcome


def _one_file(settings: ImportSettings) -> Path:
    if len(settings.files) != 1:
        raise LimaError(f"lima import {settings.format}: {len(settings.files)} files given, expected one.")
    return settings.files[0]


def _own_id(row: Row, used: set[str]) -> str | None:
    own = row.get("id")
    return own if isinstance(own, str) and own.strip() and own not in used else None


def _unused(identifier: str, used: Collection[str]) -> str:
    """The identifier, unless a row above has it as its own."""
    return identifier if identifier not in used else _unused(f"{identifier}+", used)


def _with_provenance(example: Example, row: Row) -> Example:
    """Take back ``source`` and ``meta`` of a row that `export_file` wrote with ``provenance``."""
    if not isinstance(row.get("meta"), dict) or not isinstance(row.get("source"), str):
        return example
    try:
        meta = Meta.model_validate(row["meta"])
    except ValidationError:
        return example  # another tool's meta, not ours
    return example.model_copy(update={"source": row["source"], "meta": meta})


def _export_rows(settings: ExportSettings, outcome: Conversion) -> Iterator[dict[str, Any]]:
    for example in read_jsonl(settings.file, Example):
        try:
            row = FORMATS[cast(FormatName, settings.format)].write(example)
        except UnusableRow as error:
            outcome.rejects.append(Reject(id=example.id, rule=error.rule, reason=error.reason))
            continue
        if settings.provenance:
            record = example.model_dump(mode="json")
            row |= {key: record[key] for key in ("id", "source", "meta")}
        outcome.kept += 1
        yield row


def _rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Place and value of each object in a JSON Lines file or in one JSON array."""
    found = False
    lines = ((f"line {number}", row) for number, row in read_objects(path))
    for row in _array_rows(path) if is_array(path) else lines:
        found = True
        yield row
    if not found:
        raise LimaError(f"{path}: the file holds no rows. Expected JSON Lines or a JSON array of objects.")


def _array_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        values = loads(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise InputError(path, error.lineno, f"not JSON ({error.msg}).") from None
    for position, value in enumerate(values):
        if not isinstance(value, dict):
            raise LimaError(f"{path}: element {position} is a {type(value).__name__}, expected an object.")
        yield f"element {position}", value


def _as_array(rows: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    yield b"["
    for position, row in enumerate(rows):
        yield (b",\n" if position else b"\n") + orjson.dumps(row)
    yield b"\n]\n"


def _write(settings: _Settings, origin: Path, chunks: Iterator[bytes], outcome: Conversion) -> None:
    """Write all or nothing; then name the rejected rows."""
    if settings.dry_run:
        for _ in chunks:
            pass
        console.note(f"would write {outcome.kept} rows to {settings.out}; {_summary(outcome)}")
        return
    with replacing(settings.out) as stream:
        for chunk in chunks:
            stream.write(chunk)
        if settings.strict and outcome.rejects:
            first = outcome.rejects[0]
            raise LimaError(
                f"{origin}: {len(outcome.rejects)} rows cannot be used, the first is {first.id}: {first.reason}. "
                "Without --strict they are left out and named."
            )
        if not outcome.kept:
            raise LimaError(f"{origin}: no row can be used; {_summary(outcome)}. Is it the right format?")
    rejects = _rejects_path(settings.out)
    if outcome.rejects:
        write_jsonl(rejects, outcome.rejects)
    else:
        rejects.unlink(missing_ok=True)  # of an earlier call
    console.note(f"{outcome.kept} rows; {_summary(outcome)}")
    if outcome.left_out:
        fields = ", ".join(f"{name!r} ({count:,})" for name, count in outcome.left_out.most_common(10))
        console.note(f"left out, for an Example has no place for them: {fields}")


def _rejects_path(out: Path) -> Path:
    return sibling(out, f"{out.name}.rejects.jsonl")


def _written(out: Path, outcome: Conversion) -> list[Path]:
    return [out, *([_rejects_path(out)] if outcome.rejects else [])]


def _summary(outcome: Conversion) -> str:
    if not outcome.rejects:
        return "none rejected"
    first = outcome.rejects[0]
    return f"{len(outcome.rejects)} rejected (the first: {first.id}: {first.reason})"
