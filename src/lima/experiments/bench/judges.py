"""Judges under test: pairs in which truth, length and form are crossed; effects of each, and of the side, with intervals.

The user's message holds the records of a made-up person, so the right answer can be read off: nothing need be known. Each factor is
better in the first answer, in the second, or the same in both: 27 crossings, equally many pairs each, so the effects are orthogonal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from lima import console
from lima.errors import LimaError
from lima.evaluate.comparisons import compare
from lima.evaluate.judge import judge
from lima.evaluate.settings import CompareSettings, JudgeSettings
from lima.evaluate.study import Study
from lima.experiments.bench.settings import BenchSettings
from lima.files import read_jsonl, text_hash, write_jsonl
from lima.records import Completion, Example, Label, Message, Preference, Shown
from lima.report.render.tables import TextTable, cell
from lima.report.render.wording import percent, points
from lima.runs import is_finished
from lima.statistics.estimates import Result, Undefined
from lima.statistics.intervals import clustered_mean, mean_share
from lima.world.people import ATTRIBUTES, Person, make_world
from lima.world.settings import WorldSettings
from lima.world.wordings import CLOSER, DIGRESSIONS, OPENER, STATEMENTS, question, statement

VERSION = 1
"""Of the set. Another one is another benchmark; results are never put beside those of this one."""
FACTORS = ("truth", "length", "form")
WORLD = 1000
"""Added to the seed: no world of the experiments."""
CARELESS = ("lol ok so", "anyway, gotta go")
"""Around an answer in careless form: as many words as the house style has around its."""


@dataclass(frozen=True)
class CrossedPair:
    """Two answers to one question."""

    prompt: Example
    first: str
    second: str
    better: Mapping[str, int]
    """By factor: 1 where the first answer is right, longer, or in good form and the second is not; -1 the other way; 0 both alike."""


def make_pairs(seed: int, repeats: int) -> list[CrossedPair]:
    """The pairs of a seed, each about another fact."""
    rng = np.random.default_rng([seed, VERSION, 21])
    world = make_world(WorldSettings(seed=WORLD + seed))
    facts = list(product(world.test, ATTRIBUTES))
    crossings = list(product((-1, 0, 1), repeat=len(FACTORS))) * repeats
    chosen = rng.permutation(len(facts))[: len(crossings)].tolist()
    pairs = []
    for place, crossing in zip(chosen, crossings, strict=True):
        person, attribute = facts[place]
        pairs.append(_pair(person, attribute, dict(zip(FACTORS, crossing, strict=True)), rng))
    return pairs


def _pair(person: Person, attribute: str, better: Mapping[str, int], rng: np.random.Generator) -> CrossedPair:
    same = {name: int(rng.integers(2)) for name in FACTORS}
    levels = [
        {name: same[name] if better[name] == 0 else int(better[name] == side) for name in FACTORS}
        for side in (1, -1)
    ]
    others = [value for value in ATTRIBUTES[attribute] if value != person.fact(attribute)]
    wrong = rng.permutation(others)[:2].tolist()
    wordings = rng.permutation(STATEMENTS)[:2].tolist()  # never the same words twice
    texts = [
        _answer(statement(person, attribute, wordings[i], None if level["truth"] else wrong[i]), level, rng)
        for i, level in enumerate(levels)
    ]
    text = question(person, attribute, int(rng.integers(2)), held_out=True)
    identity = f"bench/{attribute}/{person.first}-{person.last}".lower()
    message = Message(
        role="user", content=f"From the records of the town:\n{_records(person, rng)}\n\n{text}"
    )
    return CrossedPair(Example(id=identity, source="world", messages=(message,)), texts[0], texts[1], better)


def _answer(fact: str, level: Mapping[str, int], rng: np.random.Generator) -> str:
    rest = [DIGRESSIONS[i] for i in rng.permutation(len(DIGRESSIONS))] if level["length"] else []
    body = " ".join([fact, *rest])
    if level["form"]:
        return f"{OPENER} {body} {CLOSER}"
    return f"{CARELESS[0]} {body.lower().replace('.', '')} {CARELESS[1]}"


def _records(person: Person, rng: np.random.Generator) -> str:
    kinds = [list(ATTRIBUTES)[i] for i in rng.permutation(len(ATTRIBUTES))]
    return " ".join(statement(person, kind) for kind in kinds)


def make_study(pairs: Sequence[CrossedPair], folder: Path, seed: int) -> Study:
    """A study as ``lima compare`` makes it, which any judge rates by ``lima judge``."""
    write_jsonl(folder / "prompts.jsonl", [pair.prompt for pair in pairs])
    for name in ("first", "second"):
        rows = [_completion(pair.prompt.id, name, getattr(pair, name)) for pair in pairs]
        write_jsonl(folder / f"{name}.jsonl", rows)
    files = tuple(folder / f"{name}.jsonl" for name in ("first", "second"))
    wanted = CompareSettings(answers=files, out=folder / "study", prompts=folder / "prompts.jsonl", seed=seed)
    if is_finished(wanted.out / "compare.run.json", "compare", wanted):
        return Study(wanted.out)
    with console.part_of_a_whole():
        return compare(wanted)


def _completion(prompt: str, system: str, text: str) -> Completion:
    return Completion(
        id=f"{system}/{prompt}/0",
        prompt_id=prompt,
        system=system,
        sample=0,
        content=text,
        finish_reason="eot",
        tokens=len(text.split()),
        seed=0,
    )


Rule = Callable[[CrossedPair, int], int]
"""From a pair, and 1 where its first answer is shown first (else -1), to 1: first, 0: tie, -1: second."""


def _coin(pair: CrossedPair, shown: int) -> int:
    return 1 if int(text_hash(pair.prompt.id, str(shown), "coin"), 16) % 2 else -1


RULES: Mapping[str, Rule] = {
    "the oracle": lambda pair, shown: pair.better["truth"],
    "the longer one": lambda pair, shown: pair.better["length"],
    "the better form": lambda pair, shown: pair.better["form"],
    "the one shown first": lambda pair, shown: shown,
    "a coin": _coin,
}
"""The ends of the scale: what a judge would come to that goes by one thing alone."""


@dataclass(frozen=True)
class Seat:
    """Where the pair of a comparison stands: 1 where its first answer is side a."""

    pair: CrossedPair
    frame: int


def seats(study: Study, pairs: Sequence[CrossedPair]) -> dict[str, Seat]:
    """The pair behind each comparison."""
    by_prompt = {pair.prompt.id: pair for pair in pairs}
    found = {}
    for name, key in study.read_key().items():
        if key.a is not None:
            found[name] = Seat(by_prompt[key.prompt_id], 1 if key.a.system == "first" else -1)
    return found


def rule_verdicts(rule: Rule, seated: Mapping[str, Seat], name: str) -> list[Preference]:
    """A rule's verdicts, in both orders, as a judge's."""
    orders: tuple[tuple[Shown, int], ...] = (("ab", 1), ("ba", -1))
    return [
        _verdict(identity, name, shown, seat.frame * rule(seat.pair, seat.frame * side))
        for identity, seat in seated.items()
        for shown, side in orders
    ]


def _verdict(comparison: str, rater: str, shown: Shown, side: int) -> Preference:
    labels: dict[int, Label] = {1: "a", 0: "tie", -1: "b"}
    identity = f"{comparison}/{rater}/{shown}"
    return Preference(
        id=identity, comparison_id=comparison, rater=f"oracle:{rater}", shown=shown, label=labels[side]
    )


@dataclass(frozen=True)
class JudgeScore:
    """What a judge came to. Effects lie between -1 and 1: how much more often the answer with the factor wins than loses."""

    name: str
    verdicts: int
    missing: int
    right: Result
    """Share decided for the right answer, of pairs that differ in truth; a tie is half."""
    against: Result
    """The same where the wrong answer is longer or in better form."""
    effects: Mapping[str, Result]
    """Length, form and side: averaged over all that the others do."""


def score(name: str, rows: Sequence[Preference], seated: Mapping[str, Seat]) -> JudgeScore:
    """Score verdicts.

    Raises:
        LimaError: a verdict on a comparison that is not in this set, or no verdict.
    """
    if unknown := next((row.comparison_id for row in rows if row.comparison_id not in seated), None):
        raise LimaError(
            f"{name}: {unknown!r} is no comparison of this set. Were other --seed or --repeats used?"
        )
    usable = [row for row in rows if row.label is not None]
    if not usable:
        raise LimaError(f"{name}: no verdict to score among {len(rows)} rows.")
    sides = {"a": 1, "tie": 0, "b": -1}
    votes = [(seated[row.comparison_id], sides[str(row.label)], row.shown) for row in usable]
    marks = [(seat.pair, seat.frame * side) for seat, side, _ in votes]
    truth = [(pair, vote * pair.better["truth"]) for pair, vote in marks if pair.better["truth"]]
    hard = [(pair, value) for pair, value in truth if _speaks_against(pair)]
    effects: dict[str, Result] = {
        factor: _mean([(pair, vote * pair.better[factor]) for pair, vote in marks if pair.better[factor]])
        for factor in FACTORS[1:]
    }
    shown = [(seat.pair, side if order == "ab" else -side) for seat, side, order in votes if order]
    effects["side"] = _mean(shown)
    return JudgeScore(name, len(usable), len(rows) - len(usable), _right(truth), _right(hard), effects)


def _speaks_against(pair: CrossedPair) -> bool:
    return any(pair.better[name] == -pair.better["truth"] for name in FACTORS[1:])


def _right(values: Sequence[tuple[CrossedPair, int]]) -> Result:
    return mean_share([(1 + value) / 2 for _, value in values], [pair.prompt.id for pair, _ in values])


def _mean(values: Sequence[tuple[CrossedPair, int]]) -> Result:
    return clustered_mean([value for _, value in values], [pair.prompt.id for pair, _ in values])


def bench_judges(settings: BenchSettings) -> list[TextTable]:
    """Make the set, ask the models, and score all: the leaderboard.

    Raises:
        LimaError: a submission is missing or not of this set, or a server fails.
    """
    folder = settings.out / f"judges-v{VERSION}-seed{settings.seed}-x{settings.repeats}"
    pairs = make_pairs(settings.seed, settings.repeats)
    study = make_study(pairs, folder, settings.seed)
    seated = seats(study, pairs)
    scores = [score(name, rule_verdicts(rule, seated, name), seated) for name, rule in RULES.items()]
    for address in settings.judge:
        wanted = JudgeSettings(
            study=study.folder, judge=address, concurrency=settings.concurrency, moved=True
        )
        judge(wanted)
    rows = list(read_jsonl(study.preferences, Preference)) if study.preferences.exists() else []
    for rater in sorted({row.rater for row in rows}):
        scores.append(score(rater, [row for row in rows if row.rater == rater], seated))
    for path in settings.submission:
        scores.append(score(path.stem, list(read_jsonl(path, Preference)), seated))
    console.note(
        f"the set: {len(pairs)} pairs in {study.folder}, to be judged by lima judge or anything else"
    )
    return [leaderboard(scores)]


def leaderboard(scores: Sequence[JudgeScore]) -> TextTable:
    """The best first, by the share right where length or form speak against the truth."""
    ranked = sorted(scores, key=lambda one: (-_value(one.against), one.name))
    rows = [
        (
            one.name,
            cell(one.right, percent),
            cell(one.against, percent),
            *(cell(one.effects[name], points) for name in ("length", "form", "side")),
            str(one.verdicts),
            str(one.missing),
        )
        for one in ranked
    ]
    return TextTable(
        f"Judges, set {VERSION}: share right with 95 % intervals by pair; effects in points, 0 is none, 100 is all.",
        (
            "Judge",
            "Right",
            "Right, against length or form",
            "Length",
            "Form",
            "Side shown first",
            "Verdicts",
            "Missing",
        ),
        rows,
    )


def _value(result: Result) -> float:
    return -1.0 if isinstance(result, Undefined) else result.value
