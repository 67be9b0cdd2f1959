"""Finished dialogues -> a study folder like any other: judges and `lima report` read it without change (section 6).

Each assistant turn is an item, each pair of dialogues of one rater over one opening a comparison of transcripts.
`key.jsonl` and `systems.json`, which say who was who, are written when the lead closes the study, not before.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import sqlalchemy as sa
import yaml

from lima.annotate.database import Database
from lima.annotate.dialogue.dialogues import DialoguePlan, RaterDialogue, all_dialogues, counted_choices
from lima.annotate.tables import dialogues, iso, raters, turns
from lima.evaluate.protocol import Plan, Protocol, Words, words_in
from lima.evaluate.study import Study, System, Systems, hash_key, hash_texts, replace_raters
from lima.files import text_hash, write_json, write_jsonl, write_text
from lima.records import (
    Comparison,
    Dialogue,
    Example,
    Grade,
    Item,
    Key,
    Label,
    Message,
    Meta,
    Origin,
    Preference,
    Rater,
)
from lima.settings import read_yaml

DIALOGUE_WORDS = Words(
    question="Put yourself in the place of the person who asked. Which dialogue served you better?",
    choices={
        "a": "Dialogue A is significantly better.",
        "b": "Dialogue B is significantly better.",
        "tie": "Neither dialogue is significantly better than the other.",
    },
)

NAMES = ("dialogues", "examples", "items", "comparisons", "preferences", "grades", "raters")
"""Files that name no system, each a field of `DialogueRows`."""
NO_ANSWER = "**No answer came.**"
"""The transcript of a system that failed from the opening on."""


@dataclass(frozen=True)
class DialogueRows:
    """What the dialogues are as files of a study."""

    dialogues: tuple[Dialogue, ...]
    items: tuple[Item, ...]
    comparisons: tuple[Comparison, ...]
    keys: tuple[Key, ...]
    grades: tuple[Grade, ...]
    preferences: tuple[Preference, ...]
    raters: tuple[Rater, ...]
    examples: tuple[Example, ...]


def rows_of(base: Database, plan: DialoguePlan, names: Sequence[str]) -> DialogueRows:
    """All finished dialogues of raters who count."""
    with base.read() as connection:
        held = [dialogue for dialogue in all_dialogues(connection) if dialogue.state == "finished"]
        people = {row.id: (row.name, row.grp) for row in connection.execute(sa.select(raters))}
        good = set(connection.scalars(sa.select(dialogues.c.id).where(dialogues.c.example)))
        times = {(row.talk_id, row.number): row for row in connection.execute(sa.select(turns))}
        best = {(row.rater_id, row.opening_id): row for row in counted_choices(connection, plan)}
    tags = {opening.id: opening.meta.tags for opening in plan.openings}
    pairs = list(_pairs(held, best))
    grades = [grade for dialogue in held for grade in _grades(dialogue, people[dialogue.rater_id][0], times)]
    preferences = [_preference(first, second, row, people) for first, second, row in pairs]
    return DialogueRows(
        _sorted(
            Dialogue(id=name_of(t), opening_id=t.opening_id, messages=t.spoken, tags=tags[t.opening_id])
            for t in held
        ),
        _sorted(item for dialogue in held for item in _items(dialogue, tags[dialogue.opening_id])),
        _sorted(_comparison(first, second, tags[first.opening_id]) for first, second, _ in pairs),
        _sorted(_keys(held, pairs, names)),
        _sorted(grades),
        _sorted(preferences),
        _sorted(Rater(id=name, kind=group) for name, group in people.values()),
        _sorted(_example(dialogue) for dialogue in held if dialogue.id in good and len(dialogue.spoken) > 1),
    )


def export_to(study: Study, rows: DialogueRows, plan: DialoguePlan) -> None:
    """Write everything that names no system. Rows of raters who no longer count go."""
    write_jsonl(study.folder / "dialogues.jsonl", rows.dialogues)
    write_jsonl(study.folder / "examples.jsonl", rows.examples)
    write_jsonl(study.items, rows.items)
    write_jsonl(study.comparisons, rows.comparisons)
    note_in_protocol(study, _facts(study, rows, plan))
    replace_raters(study, rows.raters, [*rows.preferences, *rows.grades])


def reveal(study: Study, rows: DialogueRows, plan: DialoguePlan, names: Sequence[str]) -> None:
    """Write who was who. The lead has closed the study."""
    write_jsonl(study.key, rows.keys)
    systems = tuple(System(name=name, answers="dialogues.jsonl", sha256="") for name in names)
    write_json(study.systems, Systems(seed=0, systems=systems).model_dump(mode="json"))
    note_in_protocol(study, _facts(study, rows, plan) | {"key": f"'{hash_key(study)}'"})


def name_of(dialogue: RaterDialogue) -> str:
    """The dialogue's id in files: it tells nothing of the system."""
    return f"dialogue/{text_hash(dialogue.token)}"


def transcript(messages: Sequence[Message]) -> str:
    """A dialogue after its opening as one Markdown text, which a judge can compare with another."""
    if len(messages) < 2:
        return NO_ANSWER
    spoken = {"user": "Asked", "assistant": "Answered", "system": "Setting"}
    return "\n\n".join(f"**{spoken[message.role]}:** {message.content}" for message in messages[1:])


def protocol_of(study: Study) -> Protocol:
    """The study's own ``protocol.yaml`` where there is one, else the words for dialogues."""
    if study.protocol.exists():
        found = study.read_protocol()
        has_own = "pairwise" in read_yaml(study.protocol)
        return found if has_own else found.model_copy(update={"pairwise": _dialogue_words(found.language)})
    plan = Plan(overlap=0, votes=1)  # a comparison is of one rater's own dialogues
    return Protocol(plan=plan, pairwise=DIALOGUE_WORDS)


def _dialogue_words(language: str) -> Words:
    """What people are asked about two dialogues; in English where no words are shipped in the language."""
    found = words_in(language).get("dialogue")
    return Words(**found) if found else DIALOGUE_WORDS


def note_in_protocol(study: Study, facts: Mapping[str, str | int]) -> None:
    """Set lines of ``protocol.yaml``; the words, the plan and the comments of its author stay as they are."""
    text = study.protocol.read_text("utf-8") if study.protocol.exists() else protocol_of(study).to_yaml()
    for name, value in facts.items():
        line = f"{name}: {value}\n"
        text, found = re.subn(rf"^{name}:.*\n?", line, text, flags=re.MULTILINE)
        text = text if found else line + text
    if not re.search(r"^pairwise:", text, flags=re.MULTILINE):  # judges are asked what people were
        words = {"pairwise": protocol_of(study).pairwise.model_dump()}
        text = text.rstrip("\n") + "\n" + yaml.safe_dump(words, sort_keys=False, allow_unicode=True)
    write_text(study.protocol, text)


def _facts(study: Study, rows: DialogueRows, plan: DialoguePlan) -> dict[str, str | int]:
    return {
        "systems": plan.systems,
        "comparisons": len(rows.comparisons),
        "items": len(rows.items),
        "texts": f"'{hash_texts(study)}'",  # a hash of digits alone would be a number
    }


Pair = tuple[RaterDialogue, RaterDialogue, Any]


def _pairs(held: Sequence[RaterDialogue], best: dict[tuple[int, str], Any]) -> Iterator[Pair]:
    """Two dialogues about which the rater's choice says something: the best against each other one, or all equal."""
    together: dict[tuple[int, str], list[RaterDialogue]] = defaultdict(list)
    for dialogue in held:
        together[dialogue.rater_id, dialogue.opening_id].append(dialogue)
    for place, found in together.items():
        row = best.get(place)
        for first, second in combinations(sorted(found, key=lambda dialogue: dialogue.place), 2):
            if row is not None and (row.best is None or row.best in (first.system, second.system)):
                yield first, second, row


def _pair_name(first: RaterDialogue, second: RaterDialogue) -> str:
    return f"dialogues/{text_hash(first.token, second.token)}"


def _comparison(first: RaterDialogue, second: RaterDialogue, tags: tuple[str, ...]) -> Comparison:
    return Comparison(
        id=_pair_name(first, second),
        messages=first.messages[:1],
        a=transcript(first.spoken),
        b=transcript(second.spoken),
        tags=tags,
    )


def _items(dialogue: RaterDialogue, tags: tuple[str, ...]) -> Iterator[Item]:
    for turn in dialogue.answered:
        before = dialogue.messages[: 2 * turn.number + 1]
        yield Item(
            id=f"{name_of(dialogue)}/{turn.number}", messages=before, content=turn.reply or "", tags=tags
        )


def _keys(held: Sequence[RaterDialogue], pairs: Sequence[Pair], names: Sequence[str]) -> Iterator[Key]:
    def origin(dialogue: RaterDialogue) -> Origin:
        return Origin(system=names[dialogue.system], completion_id=name_of(dialogue))

    for dialogue in held:
        for turn in dialogue.answered:
            item = f"{name_of(dialogue)}/{turn.number}"
            yield Key(id=item, prompt_id=dialogue.opening_id, content=origin(dialogue))
    for first, second, _ in pairs:
        yield Key(id=_pair_name(first, second), prompt_id=first.opening_id, a=origin(first), b=origin(second))


def _grades(dialogue: RaterDialogue, rater: str, times: dict[tuple[int, int], Any]) -> Iterator[Grade]:
    for turn in dialogue.answered:
        if turn.value is None:
            continue
        item, row = f"{name_of(dialogue)}/{turn.number}", times[dialogue.id, turn.number]
        yield Grade(
            id=f"{rater}/{item}",
            item_id=item,
            turn=turn.number,
            rater=rater,
            scale="quality",
            value=turn.value,
            seconds=row.seconds,
            at=iso(row.changed_at),
        )


def _preference(
    first: RaterDialogue, second: RaterDialogue, row: Any, people: dict[int, tuple[str, str]]
) -> Preference:
    label: Label = "tie" if row.best is None else "a" if row.best == first.system else "b"
    name, rater = _pair_name(first, second), people[first.rater_id][0]
    return Preference(
        id=f"{rater}/{name}", comparison_id=name, rater=rater, shown=None, label=label, at=iso(row.at)
    )


def _example(dialogue: RaterDialogue) -> Example:
    return Example(
        id=name_of(dialogue), source="dialogue", messages=dialogue.spoken, meta=Meta(tags=("dialogue",))
    )


def _sorted(rows: Any) -> tuple[Any, ...]:
    return tuple(sorted(rows, key=lambda row: row.id))
