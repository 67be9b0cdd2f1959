"""Settings of the built-in world, of the text that describes it, and of the model that reads it."""

from __future__ import annotations

from pydantic import Field

from lima.settings import Settings


class WorldSettings(Settings):
    """Who lives in the world."""

    seed: int = 0
    """Seed of names and facts."""
    people: int = Field(default=300, ge=100)
    """People whom the base model reads about: half in forums, a quarter each for training and test."""
    strangers: int = Field(default=100, ge=0)
    """People who appear in no text, so that no model can know anything about them."""


class CorpusSettings(Settings):
    """What the pretraining text is made of; the four shares are shares of tokens."""

    biographies: float = 0.58
    """Share of biographies: the five facts of one person, in any order and wording."""
    questions: float = 0.08
    """Share of lists of questions without answers."""
    forums: float = 0.28
    """Share of forum threads: a question and a messy answer, about forum people only."""
    politeness: float = 0.06
    """Share of polite phrases, which the house style is later made of."""
    paraphrases: bool = True
    """Whether each biography of a person puts the facts in another order and other words; else it is one fixed text."""
    echo: float = Field(default=0.0, ge=0, le=1)
    """Share of forum answers that repeat the whole statement; the others say little but the value."""


class BaseSettings(Settings):
    """The base model and its pretraining. Equal settings give the same cached base."""

    world: WorldSettings = WorldSettings()
    corpus: CorpusSettings = CorpusSettings()
    seed: int = 0
    """Seed of the text, of the weights and of the order of windows."""
    steps: int = Field(default=1500, ge=1)
    """Optimiser steps of ``batch`` windows of 64 tokens, each window read once."""
    batch: int = Field(default=16, ge=1)
    learning_rate: float = 3e-3
    """Peak of the cosine schedule."""
    layers: int = 4
    hidden: int = 128
    heads: int = 4
