"""Experiments on what the examples are like: clean, varied, about known facts (LIMA, section 5)."""

from __future__ import annotations

from scipy import stats

from lima.experiments.claims import bands
from lima.experiments.claims.amount import MARKS
from lima.experiments.claims.experiment import Arms, Experiment, tuned
from lima.experiments.claims.findings import Check, Conclusion, Findings, single
from lima.experiments.claims.jobs import DataSettings, Source, TuneJob
from lima.experiments.claims.plan import steps_for
from lima.experiments.claims.words import marks, points
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
        f"128 clean examples give {marks(found, 'clean 128', 'exact')} exact answers, 128 noisy ones "
        f"{marks(found, 'noisy 128', 'exact')} and 512 noisy ones {marks(found, 'noisy 512', 'exact')}; "
        f"clean 128 against noisy 512: {points(gap)}. {FROM_DUMPS} examples of the dumps of all sources give "
        f"{marks(found, ALL_SOURCES, 'exact')} with the rules and {marks(found, 'all sources, unfiltered', 'exact')} "
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
    exact = [found.mean(_covered(n), "exact") for n in counts]
    rank = float(stats.spearmanr(list(counts), exact).statistic)
    checks = [Check(bands.DIVERSITY, single(rank, "Spearman"))]
    checks += [
        Check(bands.UNCOVERED, found.value(_covered(n), "exact uncovered"), _covered(n)) for n in counts[:-1]
    ]
    return Conclusion(
        checks,
        f"With 128 examples, exact answers go from {marks(found, _covered(1), 'exact')} where they cover one "
        f"kind of fact to {marks(found, _covered(5), 'exact')} where they cover five; on kinds that no example covers "
        f"they reach {marks(found, _covered(4), 'exact uncovered')} with four covered. All kinds in one wording give "
        f"{marks(found, _worded(1), 'exact')}; {FROM_DUMPS} how-to questions alone {marks(found, 'how-to alone', 'exact')}, as "
        f"many prompts from all sources {marks(found, ALL_SOURCES, 'exact')}.",
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
        f"512 examples about facts that the base knows give {marks(found, '0 % unknown', 'exact')} exact answers, as "
        f"many about facts that it has never read {marks(found, '100 % unknown', 'exact')}: {points(gap)}.",
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
