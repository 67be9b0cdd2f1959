"""The experiment on ways to choose examples from a pool in which good and bad ones are known (W15)."""

from __future__ import annotations

from lima.experiments.claims import bands
from lima.experiments.claims.experiment import Arms, Experiment, tuned
from lima.experiments.claims.findings import Check, Conclusion, Findings
from lima.experiments.claims.jobs import DataSettings, TuneJob
from lima.experiments.claims.selection import SELECTORS
from lima.experiments.claims.words import marks
from lima.world.wordings import Style

POOL, CHOSEN = 1000, 128
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
DRAWS = 5
"""Random choices: the bar that any other way has to pass."""
AWARE, ADVERSE = "likeness", "longest"


def _arms(job: TuneJob) -> Arms:
    def chosen(how: str, seed: int) -> TuneJob:
        data = DataSettings(examples=CHOSEN, pool=POOL, selector=how, styles=STYLES)
        return tuned(job, data=data, seed=seed)

    random = {f"random {draw + 1}": chosen("random", job.seed + 100 * draw) for draw in range(DRAWS)}
    return random | {how: chosen(how, job.seed) for how in SELECTORS if how != "random"}


def _conclusion(found: Findings) -> Conclusion:
    draws = sorted(found.mean(f"random {draw + 1}", "exact") for draw in range(DRAWS))
    others = sorted((how for how in SELECTORS if how != "random"), key=lambda how: -found.mean(how, "exact"))
    ranked = ", ".join(f"{how} {marks(found, how, 'exact')}" for how in others)
    middle = f"random {1 + _median_draw(found)}"
    return Conclusion(
        [
            Check(bands.AWARE, found.difference((AWARE, "exact"), (middle, "exact"))),
            Check(bands.ADVERSE, found.difference((middle, "exact"), (ADVERSE, "exact"))),
        ],
        f"Of a pool of {POOL:,} examples, {marks(found, middle, 'precision')} of them good, {CHOSEN} were chosen. Exact answers after "
        f"tuning: {DRAWS} random choices {100 * draws[0]:.0f} to {100 * draws[-1]:.0f} %; {ranked}. Only "
        f"ifd asks a model: it read {found.mean('ifd', 'tokens read'):,.0f} tokens to choose.",
    )


def _median_draw(found: Findings) -> int:
    order = sorted(range(DRAWS), key=lambda draw: found.mean(f"random {draw + 1}", "exact"))
    return order[DRAWS // 2]


SELECTION = Experiment(
    name="selection",
    claim="Choosing by quality beats a random choice; choosing by length fails where long answers are bad.",
    source="LIMA, section 5; arXiv 2402.04833 (longest), 2308.12032 (IFD)",
    paper="Not measured: chosen by rules and by hand.",
    arms=_arms,
    columns={
        "precision": "good among the chosen",
        "form": "right form",
        "exact": "exact",
    },
    conclude=_conclusion,
    seeds=2,
)
