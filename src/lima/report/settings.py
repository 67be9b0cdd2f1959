"""Settings of ``lima report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro
from pydantic import Field

from lima.settings import Settings


class ReportSettings(Settings):
    """Turn the verdicts of a study into one self-contained page, and the same numbers as JSON.

    Writes report.html, report.json, tables.md, tables.tex, figures/*.svg and, behind the numbers, report_rows/*.html. It can run at any time, also before all raters are done.

    Example: lima report studies/tuned-vs-base
    """

    study: tyro.conf.Positional[Path]
    """Study folder, as `lima compare` makes it."""
    out: Path | None = None
    """Folder for the report; by default the study folder itself."""
    system: str | None = None
    """The system whose wins are counted. Default: the first one of the protocol, else the one in most pairs."""
    against: Path | None = None
    """Another study with the same prompts: its system under test is compared with this one's, item by item."""
    level: float = Field(default=0.95, gt=0, lt=1)
    """Confidence level of every interval."""
    seed: int = 0
    """Seed of the bootstrap and of the sample of items shown."""
    rounds: int = Field(default=10_000, ge=100)
    """Bootstrap resamples an interval."""
    posterior: bool = False
    """Give Dirichlet posteriors of wins, ties and losses too (Jeffreys' prior): the probability of more wins than losses."""
    coverage: float = Field(default=0.95, ge=0, le=1)
    """Below this share of usable verdicts the report warns at its very top."""
    samples: int = Field(default=300, ge=0)
    """Items shown with their answers, verdicts and raw judge text, drawn at random when there are more."""
    all_items: bool = False
    """Also write every item, 100 a page, into report_items/."""
    dry_run: bool = False
    """Read and check the study, print its counts, write nothing."""

    input_fields: ClassVar[frozenset[str]] = frozenset({"study", "against"})
    free_fields: ClassVar[frozenset[str]] = frozenset({"dry_run"})


class PowerSettings(Settings):
    """Which differences a study can detect, and what it will cost, before anything runs.

    Simulates the planned test. Prints the smallest detectable difference, the prompts needed for smaller ones, what
    ratings on each scale can show, what people and judges give together, and for each task of `lima judge` the calls,
    tokens and cost.

    Example: lima power studies/tuned-vs-base --prices prices.yaml --model my-judge
    """

    study: tyro.conf.Positional[Path]
    """Study folder, as `lima compare` makes it."""
    ties: float = Field(default=0.3, ge=0, lt=1)
    """Expected share of pairs on which the verdict is a tie."""
    flips: float = Field(default=0.1, ge=0, lt=1)
    """Expected share of pairs on which the two orders disagree, which count as ties (only with --order both)."""
    correlation: float = Field(default=0.5, ge=0, le=1)
    """How alike the verdicts on several samples of one prompt are: 0, as on different prompts; 1, equal."""
    seed: int = 0
    """Seed of the simulation."""
    power: float = Field(default=0.8, gt=0, lt=1)
    """Probability with which a true difference should be found."""
    alpha: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Two-sided level of the test. Not given: as the study's protocol.yaml plans (0.05). The tests against all baselines are corrected together (Holm)."""
    repeats: int = Field(default=1, ge=1)
    """Verdicts of the judge on each item and order."""
    order: Literal["both", "random"] = "both"
    """Whether the judge sees each pair in both orders, or in one."""
    judge_correlation: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Correlation of a judge's verdicts with votes of people on the same pairs, for estimates by both together. Not given: as in the votes that the study holds, else 0.5."""
    judges: int = Field(default=1, ge=1)
    """Judges that rate the study, whose mean is set beside people's votes: a panel."""
    judge_alike: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Correlation of two judges' errors, for a panel. Not given: as in the votes that the study holds, else 0.5."""
    half_width: Annotated[float, Field(gt=0)] | None = None
    """Wanted half-width of the interval of win - loss by people and judge together, in points: prints the cheapest plan."""
    vote_price: Annotated[float, Field(gt=0)] | None = None
    """Price of one vote of a person, in the currency of --prices, for the cheapest plan. Not given: only votes count, verdicts are free."""
    seconds_a_vote: float = Field(default=60.0, gt=0)
    """Time that a person needs for one comparison, for the hours of work."""
    reply_tokens: int = Field(default=300, ge=1)
    """Expected length of a judge's reply."""
    prices: Path | None = None
    """YAML file of prices a million tokens, as for `lima judge`. Not given: the cost is unknown."""
    model: str = ""
    """The judge's name in the file of prices."""

    input_fields: ClassVar[frozenset[str]] = frozenset({"study", "prices"})
