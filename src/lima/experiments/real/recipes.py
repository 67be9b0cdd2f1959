"""The experiments on a real base without a judge, each a few lines: arms (what differs from the usual one) and what is compared.

Adding one is adding a `RealRecipe`. Sizes are set by the scale, so that a recipe says "a tenth of the examples", not a number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from lima.settings import Settings
from lima.train.run import last_epoch
from lima.train.settings import FitSettings


class Arm(Settings):
    """One way to make an assistant of the base. The defaults are the usual arm; a recipe names what differs."""

    examples: int = 0
    """Examples it is tuned on; 0: none, the base as it is."""
    source: Literal["data", "other"] = "data"
    """The file they come from."""
    dialogues: int = 0
    """Dialogues that are added; fewer if fewer fit."""
    structured: int = 0
    """Own examples that are added whose prompts fix the structure of the answer."""
    in_context: int = 0
    """Examples that stand before each prompt, in place of tuning."""
    scratch: bool = False
    """Start from random weights of the same shape."""
    epoch: int | None = None
    """The epoch that is asked; None: the last."""
    lora_rank: int = 0
    fit: FitSettings = FitSettings()

    @property
    def is_tuned(self) -> bool:
        """Whether there is anything to train."""
        return self.examples > 0


@dataclass(frozen=True)
class RealScale:
    """How much is run."""

    name: str
    max_length: int
    """In tokens: longer rows are left out, so that none is trimmed."""
    examples: int
    prompts: int
    statements: int
    heldout: int
    """Held-out rows of each kind."""
    new_tokens: int
    seeds: int
    """Seeds of the experiments that take several."""
    fit: FitSettings


SCALES = {
    scale.name: scale
    for scale in (
        RealScale(
            name="demo",
            max_length=384,
            examples=16,
            prompts=8,
            statements=8,
            heldout=2,
            new_tokens=16,
            seeds=1,
            fit=FitSettings(steps=4, batch_size=4, learning_rate=1e-4, residual_dropout=0.0),
        ),
        RealScale(
            name="small",
            max_length=384,
            examples=300,
            prompts=120,
            statements=150,
            heldout=15,
            new_tokens=128,
            seeds=3,
            fit=FitSettings(
                steps=75, batch_size=4, learning_rate=5e-5, final_learning_rate=5e-6, residual_dropout=0.0
            ),
        ),
        RealScale(
            name="full",
            max_length=2048,
            examples=900,
            prompts=200,
            statements=300,
            heldout=40,
            new_tokens=512,
            seeds=3,
            fit=FitSettings(epochs=15, batch_size=32),
        ),
    )
}
"""``demo``: minutes, to see that it runs. ``small``: hours on two cores. ``full``: a night on one GPU, with the paper's recipe."""

LORA_RATE = 10.0
"""Adapters want a learning rate about ten times higher (`lima train`)."""


@dataclass(frozen=True)
class RealRecipe:
    """One claim and the arms that test it."""

    name: str
    claim: str
    paper: str
    arms: Sequence[tuple[str, Mapping[str, Any]]]
    """Name and what differs: fields of `Arm`, with ``share`` for a share of the scale's examples, ``at`` for a share of the epochs,
    and ``fit`` for training. Fields of the arm in braces are filled in."""
    contrasts: Sequence[tuple[int, int, str]]
    """Places of two arms and a measure: first minus second is what the verdict speaks of."""
    measures: Sequence[str] = ("demands", "ended", "likeness", "cloze", "question", "nll own", "nll others")
    several_seeds: bool = False
    chooses: bool = False
    """Arms are epochs, among which one is chosen by answers and one by loss."""
    needs: Sequence[str] = field(default=())
    """Files beyond the data, as flags."""


BASE: Mapping[str, Any] = {"share": 0}
EPOCHS = tuple(("epoch {epoch}", {"share": 0.25, "at": at}) for at in (0.25, 0.5, 0.75, 1))
"""Of one run, whose checkpoints are shared."""
RECIPES = {
    recipe.name: recipe
    for recipe in (
        RealRecipe(
            "scratch",
            "Almost all knowledge is learnt in pretraining; the examples teach the form in which to show it.",
            "Stated as a hypothesis.",
            (("base", BASE), ("tuned", {}), ("tuned from random weights", {"scratch": True})),
            (
                (1, 0, "ended"),
                (1, 0, "likeness"),
                (1, 0, "demands"),
                (1, 0, "cloze"),
                (1, 2, "cloze"),
                (1, 2, "question"),
                (1, 2, "demands"),
            ),
        ),
        RealRecipe(
            "quantity",
            "More examples of the same kind add little.",
            "7B, 2,000 to 32,000 examples: 3.83 to 3.82 of 6, each +-0.07.",
            (
                ("{examples} examples", BASE),
                ("{examples} examples", {"share": 0.1}),
                ("{examples} examples", {}),
            ),
            (
                (1, 0, "demands"),
                (2, 1, "demands"),
                (2, 1, "ended"),
                (2, 1, "likeness"),
                (2, 1, "cloze"),
                (2, 1, "nll others"),
            ),
            several_seeds=True,
        ),
        RealRecipe(
            "quality",
            "Quality counts for more than quantity: filtered answers beat unfiltered ones.",
            "7B, 2,000 examples: filtered 3.83 of 6, unfiltered 3.33.",
            (("{examples} of the data", {}), ("{examples} of the other file", {"source": "other"})),
            ((0, 1, "demands"), (0, 1, "ended"), (0, 1, "likeness"), (0, 1, "question")),
            needs=("other",),
        ),
        RealRecipe(
            "perplexity",
            "Held-out perplexity rises while the answers get better.",
            "Perplexity of held-out answers rises from about 5 to 10 while rated quality rises from 3.90 to 4.15.",
            EPOCHS,
            (
                (3, 0, "nll others"),
                (3, 0, "nll own"),
                (3, 0, "demands"),
                (3, 0, "likeness"),
                (3, 0, "question"),
            ),
        ),
        RealRecipe(
            "checkpoint",
            "Choose the checkpoint by looking at answers to 50 dev prompts, not by perplexity.",
            "Chosen by hand between epochs 5 and 10 of 15, on 50 dev prompts.",
            EPOCHS,
            (),
            measures=("demands", "demand share", "ended", "nll own", "nll others"),
            chooses=True,
        ),
        RealRecipe(
            "structure",
            "Six examples whose prompts fix the structure of the answer teach a model to keep to such demands.",
            "Shown on examples: weak without, good with six.",
            (("without", {}), ("with {structured} such examples", {"structured": 6})),
            ((1, 0, "demands"), (1, 0, "demand share")),
            measures=("demands", "demand share", "ended", "likeness"),
        ),
        RealRecipe(
            "dialogue",
            "Thirty dialogues make a model that was tuned on single turns a good partner in a dialogue.",
            "Excellent turns 45 % without, 76 % with 30 dialogues.",
            (("without dialogues", {}), ("with dialogues", {"dialogues": 30})),
            ((1, 0, "second turn"), (1, 0, "demands")),
            measures=("second turn", "demands", "ended"),
        ),
        RealRecipe(
            "in-context",
            "Tuning on many examples against a few examples before each prompt.",
            "Not measured there; arXiv 2312.01552 reports that three examples in context do nearly as well.",
            (
                ("base", BASE),
                ("{in_context} examples in context", {"share": 0, "in_context": 3}),
                ("tuned", {}),
            ),
            ((2, 1, "demands"), (2, 1, "ended"), (2, 1, "likeness"), (2, 1, "question"), (1, 0, "demands")),
            measures=("demands", "ended", "likeness", "question"),
        ),
        RealRecipe(
            "adapters",
            "Low-rank adapters against tuning all weights.",
            "Not measured there; all weights were tuned.",
            (("base", BASE), ("all weights", {}), ("adapters of rank {lora_rank}", {"lora_rank": 16})),
            (
                (2, 1, "demands"),
                (2, 1, "ended"),
                (2, 1, "likeness"),
                (2, 1, "cloze"),
                (2, 1, "question"),
                (2, 1, "nll own"),
                (2, 0, "demands"),
                (2, 0, "ended"),
                (2, 0, "question"),
            ),
        ),
        RealRecipe(
            "dropout",
            "Residual dropout, rising from layer to layer, guards a small set against over-fitting.",
            "Used (0.0 rising to 0.3), not measured.",
            (
                ("without", {"fit": {"residual_dropout": 0.0}}),
                ("rising to 0.3", {"fit": {"residual_dropout": 0.3}}),
            ),
            ((1, 0, "demands"), (1, 0, "likeness"), (1, 0, "nll own"), (1, 0, "nll others")),
        ),
        RealRecipe(
            "epochs",
            "At equal steps, many epochs over few examples beat one over many (arXiv 2602.11149).",
            "Not varied there.",
            tuple(("{examples} examples", {"share": share}) for share in (1, 0.25, 0.0625)),
            ((1, 0, "demands"), (2, 0, "demands"), (2, 0, "likeness"), (2, 0, "cloze"), (2, 0, "nll own")),
        ),
    )
}
"""Cheapest first."""


def arms_of(recipe: RealRecipe, scale: RealScale, fit: Mapping[str, Any]) -> dict[str, Arm]:
    """The arms at a scale, ``fit`` laid over its training settings."""
    arms = [(name, make_arm(differs, scale, fit)) for name, differs in recipe.arms]
    return {name.format_map(arm.model_dump()): arm for name, arm in arms}


def make_arm(differs: Mapping[str, Any], scale: RealScale, fit: Mapping[str, Any]) -> Arm:
    """The default arm with these differences."""
    values = dict(differs)
    examples = round(scale.examples * values.pop("share", 1))
    trained = {**scale.fit.model_dump(exclude_defaults=True), **fit, **values.pop("fit", {})}
    if values.get("lora_rank"):
        rates = ("learning_rate", "final_learning_rate")
        trained |= {name: LORA_RATE * getattr(FitSettings(**trained), name) for name in rates}
    settings = FitSettings(**trained)
    if at := values.pop("at", None):
        values["epoch"] = max(1, round(at * last_epoch(examples, settings)))
    return Arm(examples=examples, fit=settings, **values)
