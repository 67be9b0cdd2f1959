"""The demo's settings -> its folder, its world and its recipes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lima.experiments.demo.settings import DemoSettings
from lima.world.oracle import Oracle
from lima.world.people import World, make_world
from lima.world.settings import BaseSettings, CorpusSettings, WorldSettings

CORPUS = CorpusSettings(echo=0.8)
"""What the demo's base reads: a forum whose answers mostly repeat the fact, from which tuning brings out more in a short
pretraining (`lima experiment transfer` shows the difference)."""


@dataclass(frozen=True)
class Plan:
    """Where everything of a demo lies, and the world that it shows."""

    settings: DemoSettings

    @property
    def out(self) -> Path:
        """The folder of the demo."""
        return self.settings.out

    @property
    def posts(self) -> Path:
        """The world's forum, as its site would publish it."""
        return self.out / "dump" / "world" / "Posts.xml"

    @property
    def data(self) -> Path:
        """What curation makes of the dump."""
        return self.out / "data"

    @property
    def prompts(self) -> Path:
        """The test questions."""
        return self.out / "prompts.jsonl"

    @property
    def study(self) -> Path:
        """The comparisons, their verdicts and the report."""
        return self.out / "study"

    def answers(self, system: str) -> Path:
        """The completions of a system."""
        return self.out / "answers" / f"{system}.jsonl"

    @cached_property
    def base(self) -> BaseSettings:
        """The base model's settings."""
        seed = self.settings.seed
        steps = self.settings.pretraining_steps
        return BaseSettings(world=WorldSettings(seed=seed), corpus=CORPUS, seed=seed, steps=steps)

    @cached_property
    def world(self) -> World:
        """The people and their facts."""
        return make_world(self.base.world)

    @cached_property
    def oracle(self) -> Oracle:
        """The one who knows all answers."""
        return Oracle(self.world)


@dataclass(frozen=True)
class Recipe:
    """How one of the two models is tuned: epochs, and the first and last learning rate."""

    epochs: int
    learning_rate: float
    final_learning_rate: float


RECIPES = {
    "tuned": Recipe(epochs=3, learning_rate=3e-4, final_learning_rate=3e-5),
    # From random weights the same rate would not even teach the form.
    "scratch": Recipe(epochs=6, learning_rate=2e-3, final_learning_rate=2e-4),
}
