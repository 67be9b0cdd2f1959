"""Answers of several systems -> a blind study: pairs, single answers, and the key apart (LIMA, section 4.1).

The first system is compared with each other one, pair by pair of prompt and sample. Sides are drawn once
by a seeded hash; ids are hashes, and rows are sorted by them, so that neither id, side nor place tells a
system. What could not be paired is listed by name in ``rejects.jsonl``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lima import console
from lima.commands import command
from lima.errors import LimaError
from lima.evaluate.answers import Answers, read_prompts, read_systems, record_of
from lima.evaluate.lineage import lineage_of
from lima.evaluate.protocol import Protocol, with_own_words
from lima.evaluate.settings import CompareSettings
from lima.evaluate.study import Study, System, Systems, hash_key, hash_texts
from lima.files import read_json, sha256, text_hash, write_json, write_jsonl, write_text
from lima.records import Comparison, Completion, Example, Item, Key, Origin, Reject
from lima.runs import open_run

ID_LENGTH = 12


def compare(settings: CompareSettings) -> Study:
    """Make the study folder of ``lima compare``.

    Raises:
        LimaError: fewer than two systems, a repeated answer, prompts not found or not those of the answers.
    """
    if len(settings.answers) < 2:
        raise LimaError("compare needs two files of answers or more: the system under test, then baselines.")
    prompts, protocol = read_prompts(settings), with_own_words(settings.protocol)
    systems = read_systems(settings)
    draft = draw(systems, prompts, settings.seed)
    study = Study(settings.out)
    if settings.strict and draft.rejects:
        first = draft.rejects[0]
        raise LimaError(
            f"{len(draft.rejects)} answers or pairs would be left out, first {first.id}: {first.reason}. "
            "Without --strict they are listed in rejects.jsonl."
        )
    if not draft.comparisons:
        raise LimaError("no prompt has an answer of the first system and of another one: nothing to compare.")
    if not settings.dry_run:
        _write(study, settings, draft, systems, protocol)
    _show(draft, systems)
    _warn(systems, settings.thinking)
    if settings.dry_run:
        console.note(f"dry run: nothing was written to {settings.out}")
    else:
        console.done(
            [study.comparisons, study.items, study.key, study.protocol],
            f"{command('annotate', study.folder)}   (people), or "
            f"{command('judge', study.folder, '--task', 'pairwise', '--judge', 'URL#MODEL')}   (a model)",
        )
    return study


@dataclass
class Draft:
    """What a study will hold, before it is written."""

    comparisons: list[Comparison] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    key: list[Key] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    pairs: Counter[str] = field(default_factory=Counter)
    """Pairs by baseline."""
    unpaired: Counter[str] = field(default_factory=Counter)
    """Lost pairs by baseline."""


def draw(systems: Sequence[Answers], prompts: Mapping[str, Example], seed: int) -> Draft:
    """Pair the first system with each other one, and draw sides and ids."""
    draft = Draft()
    for system in systems:
        draft.rejects += system.rejects
        for completion in system.rows.values():
            if completion.prompt_id not in prompts:
                draft.rejects.append(_unknown_prompt(completion))
            else:
                _add_item(draft, system.name, completion, prompts[completion.prompt_id], seed)
    for baseline in systems[1:]:
        _add_pairs(draft, systems[0], baseline, prompts, seed)
    answered = {prompt_id for system in systems for prompt_id, _ in system.rows}
    draft.rejects += [
        Reject(id=prompt_id, rule="unanswered", reason="no usable answer of any system")
        for prompt_id in prompts
        if prompt_id not in answered
    ]
    for rows in (draft.comparisons, draft.items, draft.key):
        rows.sort(key=lambda row: row.id)
    draft.rejects.sort(key=lambda row: (row.rule, row.id, row.reason))
    assert len({row.id for row in draft.key}) == len(draft.key), "two rows got the same id"
    return draft


def _add_pairs(
    draft: Draft, first: Answers, second: Answers, prompts: Mapping[str, Example], seed: int
) -> None:
    for pair in sorted({*first.rows, *second.rows}):
        prompt_id, sample = pair
        if prompt_id not in prompts:
            continue
        one, other = first.rows.get(pair), second.rows.get(pair)
        if one is None or other is None:
            draft.unpaired[second.name] += 1
            absent = first.name if one is None else second.name
            present = second.name if one is None else first.name
            reason = f"no usable answer of {absent} beside the one of {present}"
            draft.rejects.append(Reject(id=f"{prompt_id}#{sample}", rule="unpaired", reason=reason))
        else:
            draft.pairs[second.name] += 1
            _add_pair(draft, (first.name, one), (second.name, other), prompts[prompt_id], seed)


def _add_pair(
    draft: Draft, first: tuple[str, Completion], second: tuple[str, Completion], prompt: Example, seed: int
) -> None:
    parts = [part for name, row in (first, second) for part in (name, row.id, row.content)]
    digest = text_hash("pair", str(seed), prompt.id, *parts, length=64)
    if int(digest[ID_LENGTH:], 16) % 2:
        first, second = second, first
    (_, a), (_, b) = first, second
    identity = f"cmp-{digest[:ID_LENGTH]}"
    draft.comparisons.append(
        Comparison(
            id=identity, messages=prompt.prompt, a=a.content, b=b.content, tags=tuple(prompt.meta.tags)
        )
    )
    draft.key.append(Key(id=identity, prompt_id=prompt.id, a=_origin(*first), b=_origin(*second)))


def _add_item(draft: Draft, name: str, row: Completion, prompt: Example, seed: int) -> None:
    digest = text_hash("item", str(seed), prompt.id, name, row.id, row.content, length=ID_LENGTH)
    identity = f"item-{digest}"
    draft.items.append(
        Item(id=identity, messages=prompt.prompt, content=row.content, tags=tuple(prompt.meta.tags))
    )
    draft.key.append(Key(id=identity, prompt_id=prompt.id, content=_origin(name, row)))


def _origin(name: str, row: Completion) -> Origin:
    return Origin(system=name, completion_id=row.id, sample=row.sample)


def _unknown_prompt(row: Completion) -> Reject:
    return Reject(
        id=row.id, rule="no-prompt", reason=f"its prompt {row.prompt_id!r} is not among the prompts"
    )


def _write(
    study: Study, settings: CompareSettings, draft: Draft, systems: Sequence[Answers], words: Protocol
) -> None:
    with open_run(study.folder / "compare.run.json", "compare", settings) as run:
        if run.finished:
            console.note(f"{study.folder}: this study is made already; nothing was changed")
            return
        write_jsonl(study.comparisons, draft.comparisons)
        write_jsonl(study.items, draft.items)
        write_jsonl(study.rejects, draft.rejects)
        write_json(study.systems, _describe(settings, systems).model_dump(mode="json"))
        write_jsonl(study.key, draft.key)
        protocol = words.model_copy(
            update={
                "systems": len(systems),
                "comparisons": len(draft.comparisons),
                "items": len(draft.items),
                "texts": hash_texts(study),
                "key": hash_key(study),
            }
        )
        write_text(study.protocol, protocol.to_yaml())
        run.finish(comparisons=len(draft.comparisons), items=len(draft.items), rejects=len(draft.rejects))


def _describe(settings: CompareSettings, systems: Sequence[Answers]) -> Systems:
    described = []
    for system in systems:
        record = record_of(system.path)
        noted = read_json(record) if record.exists() else {}
        model = next(
            (file["path"] for key, file in noted.get("inputs", {}).items() if key.startswith("system:")), None
        )
        described.append(
            System(
                name=system.name,
                answers=str(system.path),
                sha256=sha256(system.path),
                sampling=noted.get("settings"),
                model=model,
                lineage=lineage_of(model) if model else None,
                cut_off=system.cut_off,
            )
        )
    return Systems(seed=settings.seed, systems=tuple(described))


def _show(draft: Draft, systems: Sequence[Answers]) -> None:
    rows = [
        [system.name, len(system.rows), len(system.rejects), *_pair_cells(draft, system.name, position)]
        for position, system in enumerate(systems)
    ]
    console.table(
        f"{len(draft.comparisons)} comparisons, {len(draft.items)} items, {len(draft.rejects)} rejects",
        ["system", "answers", "not usable", "pairs with the first", "left unpaired"],
        rows,
    )


def _warn(systems: Sequence[Answers], thinking: str) -> None:
    """Name what is odd about answers that count all the same."""
    for system in systems:
        if system.empty:
            console.warn(
                f"{system.name}: {system.empty} of {len(system.rows)} answers are empty, and are judged so"
            )
        if system.cut_off:
            console.warn(
                f"{system.name}: {system.cut_off} of {len(system.rows)} answers are cut off at the limit of tokens, and are judged so"
            )
        if system.thinking:
            done = "taken out" if thinking == "strip" else "judged with the answer, and counted as its length"
            console.warn(
                f"{system.name}: {system.thinking} answers begin with a trace of thought; it is {done} (--thinking)"
            )


def _pair_cells(draft: Draft, name: str, position: int) -> Iterator[str]:
    for count in (draft.pairs, draft.unpaired):
        yield "" if position == 0 else str(count[name])
