"""Answers and judgments of ours -> another tool's file, by the ``write`` part of a map."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lima.errors import LimaError
from lima.files import read_json, read_jsonl
from lima.formats.mapping import Map, VerdictMap
from lima.records import Comparison, Completion, Example, Grade, Item, Key, Message, Preference

WINS = {"a": 1.0, "tie": 0.5, "b": 0.0}


@dataclass(frozen=True)
class Exported:
    """A file's content, and what had no place in it."""

    rows: list[dict[str, Any]]
    document: dict[str, Any] | None
    left_out: int


def export_rows(mapping: Map, place: Path, prompts: Path | None) -> Exported:
    """The rows of a study folder, or of a file of answers with its prompts.

    Raises:
        LimaError: no such study or file, or a map that does not say how to write.
    """
    out = mapping.write
    if out is None:
        raise LimaError("this map has no 'write' part, which says how rows are written (docs/formats.md).")
    if out.over == "verdicts":
        found = list(_verdicts(mapping, place))
    elif place.is_dir():
        found = list(_answers(mapping, place))
    else:
        found = list(_completions(place, prompts))
    kept = [facts for facts in found if facts is not None]
    rows = [_filled(out.row, facts) | _rated(mapping, facts) for facts in kept]
    document = _filled(out.document, {"study": place.stem}) if out.document else None
    return Exported(rows, document, len(found) - len(kept))


Facts = dict[str, Any]
"""What the names in a map stand for."""


def _verdicts(mapping: Map, folder: Path) -> Iterator[Facts | None]:
    """A row a rater, comparison and repeat; None for a verdict that is missing."""
    comparisons = {row.id: row for row in _rows(folder / "comparisons.jsonl", Comparison)}
    keys = {row.id: row for row in _rows(folder / "key.jsonl", Key)}
    if not comparisons or not keys:
        raise LimaError(f"{folder}: no study with comparisons and a key.")
    first = _first_system(folder)
    both = _both_orders(folder)
    for (name, rater, _), orders in _by_place(_rows(folder / "preferences.jsonl", Preference)).items():
        row, key = comparisons[name], keys[name]
        assert key.a is not None, key
        assert key.b is not None, key
        wins = [_win(order) for order in orders]
        missing = None in wins or (rater in both and len(wins) < 2)
        win = None if missing else sum(x for x in wins if x is not None) / len(wins)
        sides = [(row.a, key.a.system), (row.b, key.b.system)]
        if (sides[1][1] == first) == (mapping.tested == "a") and first in (key.a.system, key.b.system):
            sides, win = sides[::-1], None if win is None else 1 - win
        yield {
            **_prompt(row.messages, key.prompt_id, row.tags),
            **dict(zip(("a", "system_a", "b", "system_b"), (*sides[0], *sides[1]), strict=True)),
            "rater": rater.partition(":")[2],
            "verdict": _spelt(mapping.verdicts[0], win),
            "raw": orders[0].raw or "",
        }


def _win(row: Preference) -> float | None:
    if row.label is None:
        return None
    return WINS[row.label] if row.credit is None else row.credit


def _spelt(verdict: VerdictMap, win: float | None) -> Any:
    """A verdict in the file's terms: its number where it is graded, else its word; null for a missing one."""
    if win is None:
        return None
    if verdict.graded:
        return verdict.graded["b"] + win * (verdict.graded["a"] - verdict.graded["b"])
    label = "tie" if win == 0.5 else "a" if win > 0.5 else "b"
    return next(word for word, meant in verdict.choices.items() if meant == label)


def _answers(mapping: Map, folder: Path) -> Iterator[Facts | None]:
    """A row an answer of the study, with its ratings on the scale of the map."""
    items, keys = _rows(folder / "items.jsonl", Item), _rows(folder / "key.jsonl", Key)
    origins = {key.id: key for key in keys if key.content}
    if not items or not origins:
        raise LimaError(f"{folder}: no study with single answers and a key.")
    scale = mapping.grades[0].scale if mapping.grades else None
    grades: dict[str, list[Grade]] = defaultdict(list)
    for grade in _rows(folder / "grades.jsonl", Grade):
        if grade.scale == scale and grade.value is not None:
            grades[grade.item_id].append(grade)
    for item in items:
        key = origins[item.id]
        assert key.content is not None, key
        facts = {
            **_prompt(item.messages, key.prompt_id, item.tags),
            "a": item.content,
            "system_a": key.content.system,
        }
        rated = grades[item.id]
        yield {**facts, "grades": rated} if rated or scale is None else None


def _completions(file: Path, prompts: Path | None) -> Iterator[Facts | None]:
    if prompts is None:
        raise LimaError(f"{file}: a file of answers needs its prompts: --prompts FILE.")
    asked = {row.id: row for row in read_jsonl(prompts, Example)}
    for row in read_jsonl(file, Completion):
        if row.status != "ok":
            yield None
        elif row.prompt_id not in asked:
            raise LimaError(f"{prompts}: no prompt {row.prompt_id!r}, which {row.id!r} answers.")
        else:
            prompt = asked[row.prompt_id]
            facts = _prompt(prompt.prompt, prompt.id, prompt.meta.tags)
            yield {**facts, "a": row.content, "system_a": row.system}


def _prompt(messages: Sequence[Message], prompt_id: str, tags: Sequence[str]) -> Facts:
    spoken = [m.content if len(messages) == 1 else f"{m.role.capitalize()}: {m.content}" for m in messages]
    return {"prompt": "\n\n".join(spoken), "prompt_id": prompt_id, "tag": tags[0] if tags else ""}


def _rated(mapping: Map, facts: Facts) -> dict[str, Any]:
    out = mapping.write.ratings if mapping.write else None
    if out is None:
        return {}
    words = {str(value): word.upper() for word, value in mapping.grades[0].choices.items()}
    entries = {}
    for grade in facts["grades"]:
        own = facts | {
            "rater": grade.rater.partition(":")[2],
            "grade": words.get(str(grade.value), grade.value),
            "raw": grade.raw or "",
        }
        entries[out.key.format_map(own)] = _filled(out.value, own)
    return {out.under: entries}


def _filled(value: Any, facts: Facts) -> Any:
    """A template of JSON with the names replaced; a text that is one name alone takes the value as it is."""
    if isinstance(value, Mapping):
        return {name: _filled(part, facts) for name, part in value.items()}
    if isinstance(value, list):
        return [_filled(part, facts) for part in value]
    if not isinstance(value, str):
        return value
    alone = value[1:-1] if value[:1] == "{" and value[-1:] == "}" else ""
    try:
        return facts[alone] if alone in facts else value.format_map(facts)
    except (KeyError, ValueError, IndexError):
        raise LimaError(
            f"the map writes {value!r}; there are: {', '.join(sorted(set(facts) - {'grades'}))}."
        ) from None


def _by_place(rows: Iterable[Preference]) -> dict[tuple[str, str, int], list[Preference]]:
    """Verdicts that count, by comparison, rater and repeat."""
    every = list(rows)
    gone = {row.supersedes for row in every}
    found: dict[tuple[str, str, int], list[Preference]] = defaultdict(list)
    for row in every:
        if row.id not in gone:
            found[row.comparison_id, row.rater, row.repeat].append(row)
    return found


def _both_orders(folder: Path) -> set[str]:
    """Raters whose verdicts come in both orders."""
    shown: dict[str, set[str | None]] = defaultdict(set)
    for orders in _by_place(_rows(folder / "preferences.jsonl", Preference)).values():
        if len({row.shown for row in orders}) == 2:
            shown[orders[0].rater].add("both")
    return set(shown)


def _first_system(folder: Path) -> str:
    """The system under test."""
    place = folder / "systems.json"
    systems = read_json(place)["systems"] if place.exists() else []
    return str(systems[0]["name"]) if systems else ""


def _rows(path: Path, kind: type[Any]) -> list[Any]:
    return list(read_jsonl(path, kind)) if path.exists() and path.stat().st_size else []
