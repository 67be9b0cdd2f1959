"""What the user has -> the pool to select from, and dev and test questions apart from it.

A table or a recipe goes through `lima curate` first; a file of Examples is taken as it is.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lima import console
from lima.align.settings import AlignSettings, assignments
from lima.curate.pipeline import curate
from lima.curate.reading.message_columns import conversation_of
from lima.curate.reading.nested import unknown_list
from lima.curate.reading.tables import read_table
from lima.curate.settings import CurateSettings
from lima.curate.sources.columns import USUAL, folded_names, messages_in, usual_columns
from lima.curate.sources.named_columns import NamedColumns
from lima.curate.text.personal import KINDS, WORDS, count_personal, redacted
from lima.errors import LimaError
from lima.files import read_jsonl, read_objects, text_hash, write_jsonl
from lima.formats.convert import chat_format
from lima.records import Example, Reject
from lima.runs import is_finished
from lima.settings import read_recipe, typed, validate

AGAIN = ("question-again", "it asks a dev or test question")
NO_ROOM = ("no-room", "its prompt fills all that the model reads at once")


def make_data(settings: AlignSettings, folder: Path, has_room: Callable[[Example], bool]) -> None:
    """Write ``train.jsonl`` (the pool), ``dev.jsonl`` and ``test.jsonl`` into ``folder``, unless they are there.

    ``has_room`` tells whether an example has an answer within what the base reads at once.

    Raises:
        LimaError: columns that are not found, too few rows for dev and test, and what `lima curate` raises.
    """
    source = settings.data
    given = holds_examples(source)
    if not given:
        wanted = curate_settings(settings, folder / "curated")
        source = wanted.out / "train.jsonl"
        if not is_finished(wanted.out / "run.json", "curate", wanted):
            curate(wanted)
    rows = [row for row in read_jsonl(source, Example) if not row.is_prompt]
    rejects: list[Reject] = []
    if given:
        rows, rejects = without_personal(rows, settings.pii)
    _draw(settings, rows, rejects, folder, has_room)


def holds_examples(path: Path) -> bool:
    """Whether the file holds Examples: JSON Lines with ``id``, ``source`` and ``messages``."""
    if path.suffix not in (".jsonl", ".ndjson"):
        return False
    row = next((row for _, row in read_objects(path)), {})
    return row.keys() >= {"id", "source", "messages"}


def curate_settings(settings: AlignSettings, folder: Path) -> CurateSettings:
    """The command that makes the pool of a table, or of a recipe with its raw files."""
    personal = {} if settings.pii == "report" else {"pii": settings.pii}
    if settings.data.suffix in (".yaml", ".yml"):
        assert settings.input is not None
        return CurateSettings.from_recipe(
            str(settings.data), input=settings.input, out=folder, seed=settings.seed, **personal
        )
    path = CurateSettings.find_recipe(["own-data"])
    assert path is not None
    recipe = read_recipe(path)
    own = recipe["sources"]["own"]
    given = assignments(settings.curate, "--curate")
    table = read_table(settings.data, encoding=given.get("encoding"), delimiter=given.get("delimiter"))
    first, rows = _first_and_count((row for _, row in table), settings)
    own |= {"train": rows, "dev": 0, "test": 0}  # every row that the rules keep goes into the pool
    if not given.get("format"):
        own["columns"] |= find_columns(settings.data, first, settings.columns)
    whole = {name: given.pop(name) for name in list(given) if name in CurateSettings.model_fields}
    _merge(own, given)
    _merge(recipe, whole)
    values = typed(CurateSettings, recipe, "lima align --curate")
    fixed = {"recipe": "own-data", "input": settings.data, "out": folder, "seed": settings.seed}
    return validate(CurateSettings, values | personal | fixed, "lima align --curate")


def _first_and_count(
    table: Iterable[Mapping[str, Any]], settings: AlignSettings
) -> tuple[Mapping[str, Any], int]:
    """The first row that is not torn (a torn one has no columns), and the number of all, or of the conversations in them."""
    given = settings.columns.model_dump(exclude_none=True, exclude_defaults=True)
    first: Mapping[str, Any] = {}
    talks = False
    keys: set[object] = set()
    for number, row in enumerate(table):
        if not first and row:
            first, talks = row, holds_conversations(row, settings.data, given)
        keys.add((talks and _conversation(row, settings.data, given)) or number)
    return first, len(keys)


def _conversation(row: Mapping[str, Any], path: Path, given: Mapping[str, Any]) -> str:
    """Which conversation a row belongs to, where it is a message of one."""
    messages = messages_in(dict(row), path, given)
    return conversation_of(messages[0], given) if messages else ""


def find_columns(path: Path, row: Mapping[str, Any], given: NamedColumns) -> dict[str, str]:
    """Which column of a table is what, by one of its rows: as given, else by its usual names; what was assumed is printed."""
    names = folded_names(row)
    chosen = given.model_dump(exclude_none=True, exclude_defaults=True)
    if holds_conversations(row, path, chosen):
        return chosen
    if not names:
        raise LimaError(
            f"{path}: no row has the cells of the header. Name what is between them: --curate delimiter=';'."
        )
    named = {part: name for part, name in chosen.items() if part != "agents"}
    if unknown := [name for name in named.values() if name not in row]:
        raise LimaError(f"{path}: no column {unknown[0]!r}. There are: {', '.join(names.values())}.")
    found = usual_columns(row, given=named)
    if "prompt" not in found and (told := unknown_list(row)):
        raise LimaError(f"{path}: {told}.")
    if missing := [part for part in ("prompt", "answer") if part not in found]:
        flags = " ".join(f"--columns.{part} {_likeliest(part, names)}" for part in missing)
        raise LimaError(
            f"{path}: no column has a usual name of {' or '.join(f'{part}s' for part in missing)}. "
            f"Name it: {flags}. There are: {', '.join(names.values())}. If a row is one message of a conversation: "
            "--columns.conversation NAME --columns.role NAME --columns.text NAME."
        )
    guessed = [f"{part} = {name!r}" for part, name in found.items() if part not in named and part != name]
    if guessed:
        console.note(
            f"columns found by their names: {', '.join(guessed)} (choose others with --columns.NAME)"
        )
    return found


def holds_conversations(row: Mapping[str, Any], path: Path, given: Mapping[str, Any]) -> bool:
    """Whether a row is one message of a conversation, or holds a whole one: the source then finds its columns and says which."""
    return bool(chat_format(row)) or messages_in(dict(row), path, given) is not None


def _likeliest(part: str, names: Mapping[str, str]) -> str:
    """The one column with a usual name among its words, for an error to propose; it is not taken unasked."""
    close = [name for folded, name in names.items() if set(USUAL[part]) & set(folded.split())]
    return shlex.quote(close[0]) if len(close) == 1 else "NAME"


def without_personal(rows: Sequence[Example], how: str) -> tuple[list[Example], list[Reject]]:
    """Examples that did not go through `lima curate`, as it would treat their personal data; and those that it would drop."""
    if how == "report":
        if counts := count_personal(rows):
            found = ", ".join(f"{counts[kind]:,} with {WORDS[kind]}" for kind in KINDS if kind in counts)
            console.warn(
                f"personal data in the {len(rows):,} examples: {found}. A model can learn and repeat them. "
                "--pii redact puts placeholders in their place, --pii drop leaves such examples out."
            )
        return list(rows), []
    kept: list[Example] = []
    rejects: list[Reject] = []
    for row in rows:
        clean, counts = redacted(row)
        if counts and how == "drop":
            rejects.append(Reject(id=clean.id, rule="personal-data", reason="it holds personal data"))
        else:
            kept.append(clean)
    return kept, rejects


def _draw(
    settings: AlignSettings,
    rows: list[Example],
    rejects: list[Reject],
    folder: Path,
    has_room: Callable[[Example], bool],
) -> None:
    """Dev and test questions out of a file of Examples, by a hash of their ids; the rest is the pool.

    What asks the same as a dev or test question, or has no room for an answer, is left out of the pool.
    """
    dev, test = settings.apart(len(rows))
    cut = dev + test
    if len(rows) < cut + 1:
        raise LimaError(
            f"{settings.data}: {len(rows):,} answered examples are too few for {dev} dev and "
            f"{test} test questions. Lower --dev and --test."
        )
    rows.sort(key=lambda row: text_hash(str(settings.seed), "align", row.id))
    asked = [row.model_copy(update={"messages": row.prompt}) for row in rows[dev:cut]]
    held = {_question(row) for row in rows[:cut]}
    pool: list[Example] = []
    for row in rows[cut:]:
        reason = AGAIN if _question(row) in held else None if has_room(row) else NO_ROOM
        if reason is None:
            pool.append(row)
        else:
            rejects.append(Reject(id=row.id, rule=reason[0], reason=reason[1]))
    if not pool:
        raise LimaError(f"{settings.data}: no example is left to tune on; of the last, {rejects[-1].reason}.")
    for name, part in (("dev", rows[:dev]), ("test", asked), ("train", pool)):
        part.sort(key=lambda row: row.id)
        write_jsonl(folder / f"{name}.jsonl", part)
    if rejects:
        rejects.sort(key=lambda reject: reject.id)
        write_jsonl(folder / "rejects.jsonl", rejects)
        console.note(
            f"{len(rejects):,} examples were left out of the pool: {folder / 'rejects.jsonl'} says why"
        )
    console.note(f"{len(pool):,} examples in the pool, {dev} dev and {test} test questions")


def _question(row: Example) -> tuple[tuple[str, str], ...]:
    """What an example asks, whatever its blanks and capitals."""
    return tuple((turn.role, " ".join(turn.content.casefold().split())) for turn in row.prompt)


def _merge(into: dict[str, Any], values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(value, Mapping) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            into[name] = value
