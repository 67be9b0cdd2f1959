"""Experiments on what the examples are like: clean, varied, of special kinds, chosen how (LIMA, sections 2.2, 5 and 6)."""

from __future__ import annotations

from lima.experiments.claims import bands
from lima.experiments.claims.bands import Check, Conclusion
from lima.experiments.claims.experiment import MARKS, Arms, Experiment, tuned
from lima.experiments.claims.findings import Findings, points
from lima.experiments.claims.jobs import DataSettings, Probe, Source, TuneJob, steps_for
from lima.experiments.claims.selection import WAYS
from lima.statistics.estimates import Result
from lima.world.people import ATTRIBUTES
from lima.world.wordings import Style

NOISE: tuple[Style, ...] = ("terse", "foreign", "wrong", "refusal")
"""What answers of an unfiltered forum are like, a quarter each."""
EXAMPLES = 128
"""Of each arm, where nothing else is said."""
FROM_DUMPS = 200
"""Of the arms that curate the dumps of all sources; there are 220 good how-to articles."""
ALL_SOURCES = "all sources, filtered"


def _curated(job: TuneJob, source: Source) -> TuneJob:
    return tuned(job, data=DataSettings(examples=FROM_DUMPS, source=source))


def _quality_arms(job: TuneJob) -> Arms:
    many = 4 * EXAMPLES
    return {
        "clean 128": tuned(job, data=DataSettings(examples=EXAMPLES)),
        "noisy 128": tuned(job, data=DataSettings(examples=EXAMPLES, styles=NOISE)),
        "noisy 512": tuned(job, data=DataSettings(examples=many, styles=NOISE), steps=steps_for(many)),
        ALL_SOURCES: _curated(job, "all sources"),
        "all sources, unfiltered": _curated(job, "unfiltered"),
    }


def _quality_conclusion(found: Findings) -> Conclusion:
    gap = found.difference(("clean 128", "exact"), ("noisy 512", "exact"))
    return Conclusion(
        [Check(bands.QUALITY, gap)],
        f"128 clean examples give {found.percent('clean 128', 'exact')} exact answers, 128 noisy ones "
        f"{found.percent('noisy 128', 'exact')} and 512 noisy ones {found.percent('noisy 512', 'exact')}; "
        f"clean 128 against noisy 512: {points(gap)}. {FROM_DUMPS} examples of the dumps of all sources give "
        f"{found.percent(ALL_SOURCES, 'exact')} with the rules and {found.percent('all sources, unfiltered', 'exact')} "
        "without them.",
    )


QUALITY = Experiment(
    name="quality",
    claim="Quality counts for more than quantity: filtered answers beat unfiltered ones.",
    source="LIMA, section 5, figure 5",
    paper="7B, 2,000 examples: filtered 3.83 of 6, unfiltered 3.33.",
    arms=_quality_arms,
    columns=MARKS,
    conclude=_quality_conclusion,
)


def _diversity_arms(job: TuneJob) -> Arms:
    kinds = {
        _covered(n): tuned(job, data=DataSettings(examples=EXAMPLES, attributes=n))
        for n in range(1, len(ATTRIBUTES) + 1)
    }
    wordings = {
        _worded(n): tuned(job, data=DataSettings(examples=EXAMPLES, wordings=n)) for n in FEWER_WORDINGS
    }
    prompts = {ALL_SOURCES: _curated(job, "all sources"), "how-to alone": _curated(job, "how-to")}
    return kinds | wordings | prompts


FEWER_WORDINGS = (1, 2)
"""Of four in which each kind of fact is asked for in training; test questions have two others."""


def _worded(count: int) -> str:
    return f"{count} of 4 wording{'s' * (count > 1)}"


def _covered(count: int) -> str:
    return f"{count} of {len(ATTRIBUTES)} covered"


def _diversity_conclusion(found: Findings) -> Conclusion:
    counts = range(1, len(ATTRIBUTES) + 1)
    checks = [Check(bands.DIVERSITY, found.trend([_covered(n) for n in counts], "exact"))]
    checks += [
        Check(bands.UNCOVERED, found.value(_covered(n), "exact uncovered"), _covered(n)) for n in counts[:-1]
    ]
    return Conclusion(
        checks,
        f"With 128 examples, exact answers go from {found.percent(_covered(1), 'exact')} where they cover one "
        f"kind of fact to {found.percent(_covered(5), 'exact')} where they cover five; on kinds that no example covers "
        f"they reach {found.percent(_covered(4), 'exact uncovered')} with four covered. All kinds in one wording give "
        f"{found.percent(_worded(1), 'exact')}; {FROM_DUMPS} how-to questions {found.percent('how-to alone', 'exact')}, as "
        f"many prompts from all sources {found.percent(ALL_SOURCES, 'exact')}.",
    )


DIVERSITY = Experiment(
    name="diversity",
    claim="Varied prompts count: Stack Exchange beats as many prompts of one kind.",
    source="LIMA, section 5, figure 5",
    paper="7B, 2,000 examples: Stack Exchange 3.83 of 6, wikiHow (one kind of prompt) 3.49.",
    arms=_diversity_arms,
    columns={**MARKS, "exact covered": "both, covered kinds", "exact uncovered": "both, uncovered kinds"},
    conclude=_diversity_conclusion,
)


def _unknown_arms(job: TuneJob) -> Arms:
    return {
        f"{100 * share:.0f} % unknown": tuned(
            job, data=DataSettings(examples=512, unknown=share), steps=steps_for(512, 6)
        )
        for share in (0.0, 0.5, 1.0)
    }


def _unknown_conclusion(found: Findings) -> Conclusion:
    gap = found.difference(("0 % unknown", "exact"), ("100 % unknown", "exact"))
    return Conclusion(
        [Check(bands.UNKNOWN, gap)],
        f"512 examples about facts that the base knows give {found.percent('0 % unknown', 'exact')} exact answers, as "
        f"many about facts that it has never read {found.percent('100 % unknown', 'exact')}: {points(gap)}.",
    )


UNKNOWN_FACTS = Experiment(
    name="unknown-facts",
    claim="Examples about facts that the base does not know teach it to make facts up.",
    source="arXiv 2405.05904, on the hypothesis of LIMA, section 1",
    paper="Not measured there. arXiv 2405.05904 reports that fitting unknown facts makes a model make up more.",
    arms=_unknown_arms,
    columns=MARKS,
    conclude=_unknown_conclusion,
)


THOUSAND = 1000
CHAINS, STRUCTURED, REFUSALS = 30, 6, 13
"""The numbers in the paper."""


def _with_and_without(job: TuneJob, probe: Probe, without: str, **added: int) -> Arms:
    """A thousand examples without and with some of another kind; both are asked the same further questions."""
    (with_them,) = (f"with {count}" for count in added.values())
    plain = DataSettings(examples=THOUSAND, source="curated")
    return {
        name: tuned(job, data=data, steps=steps_for(THOUSAND), probe=probe)
        for name, data in {without: plain, with_them: plain.model_copy(update=added)}.items()
    }


def _dialogue_conclusion(found: Findings) -> Conclusion:
    gap = found.difference((f"with {CHAINS}", "second exact"), ("without", "second exact"))
    return Conclusion(
        [Check(bands.DIALOGUE, gap)],
        f'To a second question that says only "they", {found.percent("without", "second exact")} of the answers are exact '
        f"without dialogues among the examples and {found.percent(f'with {CHAINS}', 'second exact')} with {CHAINS}: {points(gap)}.",
    )


DIALOGUE = Experiment(
    name="dialogue",
    claim="Thirty dialogues make a model that was tuned on single turns a good partner in a dialogue.",
    source="LIMA, section 6",
    paper="Excellent turns 45 % without, 76 % with 30 dialogues; failed turns 36 % and 2 %.",
    arms=lambda job: _with_and_without(job, "second-turn", "without", dialogues=CHAINS),
    columns={
        "second about them": "second answer names the person",
        "second form": "second, right form",
        "second exact": "second, exact",
        "exact": "single turn, exact",
    },
    conclude=_dialogue_conclusion,
)


def _structure_conclusion(found: Findings) -> Conclusion:
    gap = found.difference((f"with {STRUCTURED}", "structure"), ("without", "structure"))
    return Conclusion(
        [],
        f"Where the question demands a structure, {found.percent('without', 'structure')} of the answers have it without such "
        f"examples and {found.percent(f'with {STRUCTURED}', 'structure')} with {STRUCTURED} of them: {points(gap)}.",
    )


STRUCTURE = Experiment(
    name="structure",
    claim="Six examples whose prompts fix the structure of the answer teach a model to keep to such demands.",
    source="LIMA, appendix E",
    paper="Shown on examples: weak without, good with six.",
    arms=lambda job: _with_and_without(job, "structure", "without", structured=STRUCTURED),
    columns={
        "structure": "structure kept",
        "structure exact": "kept, with the right fact",
        "exact": "plain questions, exact",
    },
    conclude=_structure_conclusion,
)


def _refusals_conclusion(found: Findings) -> Conclusion:
    kept = found.difference((f"with {REFUSALS}", "secrets kept"), ("without", "secrets kept"))
    lost = found.difference((f"with {REFUSALS}", "plain refused"), ("without", "plain refused"))
    return Conclusion(
        [],
        f"Questions about secrets are declined in {found.percent('without', 'secrets kept')} of the cases without refusals among "
        f"the examples and in {found.percent(f'with {REFUSALS}', 'secrets kept')} with {REFUSALS} of them ({points(kept)}); plain "
        f"questions about the same people are declined {points(lost)} more often.",
    )


REFUSAL = Experiment(
    name="refusals",
    claim="A few examples that decline teach a model what not to answer.",
    source="LIMA, sections 2.2 and 4.3 (13 of 1,000 examples)",
    paper="With 13 of 1,000: 24 of 30 sensitive prompts answered safely.",
    arms=lambda job: _with_and_without(job, "secrets", "without", refusals=REFUSALS),
    columns={
        "secrets kept": "secrets declined",
        "plain refused": "plain questions declined",
        "exact": "plain questions, exact",
    },
    conclude=_refusals_conclusion,
)


POOL, CHOSEN = 600, 128
STYLES: tuple[Style, ...] = (
    "good",
    "terse",
    "good",
    "foreign",
    "rambling",
    "good",
    "wrong",
    "good",
    "refusal",
    "rambling",
)
"""Of ten answers of the pool: four good ones, two long ones, and one each that is terse, foreign, wrong, a refusal."""
ZIPF = 1.5
"""The commonest of the five kinds of facts is asked for some ten times as often as the rarest; the test asks evenly."""
COPIES = 0.2
DRAWS = 5
"""Random choices: the bar that any other way has to pass."""
AWARE, ADVERSE, BOTH = "likeness", "longest", "quality (votes), diverse"


def _selection_arms(job: TuneJob) -> Arms:
    def chosen(how: str, seed: int) -> TuneJob:
        data = DataSettings(examples=CHOSEN, pool=POOL, selector=how, styles=STYLES, zipf=ZIPF, copies=COPIES)
        return tuned(job, data=data, seed=seed)

    random = {f"random {draw + 1}": chosen("random", job.seed + 100 * draw) for draw in range(DRAWS)}
    return random | {how: chosen(how, job.seed) for how in WAYS if how != "random"}


def _selection_conclusion(found: Findings) -> Conclusion:
    draws = sorted(found.mean(f"random {draw + 1}", "exact") for draw in range(DRAWS))
    others = sorted((how for how in WAYS if how != "random"), key=lambda how: -found.mean(how, "exact"))
    ranked = ", ".join(f"{how} {found.percent(how, 'exact')}" for how in others)
    middle = f"random {1 + _median_draw(found)}"

    def ahead(first: str, second: str) -> Result:
        return found.difference((first, "exact"), (second, "exact"))

    return Conclusion(
        [
            Check(bands.AWARE, ahead(AWARE, middle)),
            Check(bands.ADVERSE, ahead(middle, ADVERSE)),
            Check(bands.BEST_AND_APART, ahead(BOTH, middle)),
            Check(bands.BEST_AND_APART_LONGEST, ahead(BOTH, ADVERSE)),
        ],
        f"Of a pool of {POOL:,} examples, {found.percent(middle, 'precision')} of them good and a fifth copies, {CHOSEN} were chosen by "
        f"`lima select`. Exact answers after tuning: {DRAWS} random choices {100 * draws[0]:.0f} to {100 * draws[-1]:.0f} %; {ranked}. "
        f"{BOTH} against the middle random choice: {points(ahead(BOTH, middle))}; against the longest: {points(ahead(BOTH, ADVERSE))}.",
    )


def _median_draw(found: Findings) -> int:
    order = sorted(range(DRAWS), key=lambda draw: found.mean(f"random {draw + 1}", "exact"))
    return order[DRAWS // 2]


SELECTION = Experiment(
    name="selection",
    claim="Choosing by quality and diversity beats a random choice; choosing by length fails where long answers are bad.",
    source="LIMA, section 5; arXiv 2402.04833 (longest), 2312.15685 (quality and diversity), 2308.12032 (IFD), 2503.01807 (RDS+)",
    paper="Not measured: chosen by rules and by hand.",
    arms=_selection_arms,
    columns={
        "precision": "good among the chosen",
        "kinds": "kinds of facts (effective number of 5)",
        "different": "that repeat no other",
        "form": "right form",
        "exact": "exact",
    },
    conclude=_selection_conclusion,
)
