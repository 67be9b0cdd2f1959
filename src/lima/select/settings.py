"""Settings of ``lima select``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro
from pydantic import Field, field_validator, model_validator

from lima.errors import LimaError
from lima.hub import DataFile
from lima.remote.endpoint import KeyVariable, parse_address
from lima.runs import EngineName
from lima.settings import Settings

Method = Literal["random", "longest", "quality", "diverse", "quality-diverse", "ifd", "likeness", "rds"]


class SelectSettings(Settings):
    """Choose examples from a pool: at random, by quality, by diversity, or by what a base model makes of them.

    A random choice of the same size is always written beside the chosen one, with a page that compares them: tune on
    both before you believe in a method. docs/selection.md says when random is as good.

    Example: lima select pool.jsonl --out data/train.jsonl --number 1000 --by quality-diverse
    """

    input_fields: ClassVar[frozenset[str]] = frozenset({"pool", "target", "embeddings"})
    free_fields: ClassVar[frozenset[str]] = frozenset(
        {
            "out",
            "dry_run",
            "judge",
            "api_key_env",
            "batch_tokens",
            "prices",
            "max_cost",
            "workers",
            "engine",
        }
    )

    pool: tyro.conf.Positional[DataFile]
    """Examples to choose from (JSON Lines, or hf://USER/NAME:split)."""
    out: Path
    """File for the chosen examples; the random choice and the comparison go beside it."""
    number: Annotated[int, Field(ge=1)] = 1000
    """How many to choose."""
    by: tuple[Method, ...] = ("quality-diverse",)
    """How to choose. The first method's choice goes to --out, those of further ones beside it.
    `longest` answers; `quality` alone; `diverse`: k-center over embeddings; `quality-diverse`: best first, nothing
    alike twice (DEITA, arXiv 2312.15685); `ifd`: answers that their prompt makes hardly easier (arXiv 2308.12032); `likeness` to
    --target; `rds`: --target's states in the model (RDS+, arXiv 2503.01807)."""
    quality: str = "rules"
    """What quality is: `rules` (how many of curation's rules an answer keeps), `judge` (1 to 6, by --judge), or the name
    of a number in `meta`, such as `score`."""
    target: DataFile | None = None
    """Examples of the kind that you want (JSON Lines), for `likeness` and `rds`."""
    model: str | None = None
    """The base model, a folder or a hub id, which reads the pool for `ifd`, `rds` and `--embed model`."""
    embed: Literal["tfidf", "model"] = "tfidf"
    """Vectors by which examples are alike: TF-IDF and SVD of their words, or the model's states."""
    embeddings: Path | None = None
    """Your own vectors of the pool instead, a .npy file with a row an example."""
    text: Literal["both", "prompt", "answer"] = "both"
    """What is embedded."""
    most_alike: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Cosine similarity from which `quality-diverse` treats two examples as the same."""
    quota: tuple[str, ...] = ()
    """NAME=NUMBER: take this many examples with this tag, category or source; the rest come from all others."""
    judge: str | None = None
    """URL#model that rates each example's answer from 1 to 6, for --quality judge."""
    api_key_env: KeyVariable = "LIMA_API_KEY"
    """Environment variable that holds the judge's key."""
    prices: Path | None = None
    """YAML with the judge's prices, as in `lima judge`."""
    max_cost: Annotated[float, Field(gt=0)] | None = None
    """Stop before the judge costs more than this."""
    max_length: Annotated[int, Field(ge=8)] = 1024
    """Tokens of an example that the model reads at most."""
    batch_tokens: Annotated[int, Field(ge=1)] = 8192
    """Tokens that the model reads at once."""
    workers: Annotated[int, Field(ge=1)] | None = None
    """Processes that score quality in large pools, and Ray's on this machine; by default one a processor."""
    engine: EngineName = "processes"
    """Where the model reads the pool for `ifd`, `rds` and `--embed model`: in this process, or in tasks of `ray`, on the cluster
    that RAY_ADDRESS names or else on this machine, a GPU each where there are any. The results are the same."""
    seed: int = 0
    """Draws the random choice, and breaks ties."""
    dry_run: bool = False
    """Check the pool, print what would be read and chosen, and stop."""

    @field_validator("quota")
    @classmethod
    def _quotas(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            name, _, number = value.rpartition("=")
            if not name or not number.isdigit():
                raise ValueError("expected NAME=NUMBER, such as cooking=200")
        return values

    @model_validator(mode="after")
    def _has_what_methods_need(self) -> SelectSettings:
        for method in ("likeness", "rds"):
            if method in self.by and self.target is None:
                raise LimaError(f"--by {method} needs --target: examples of the kind that you want.")
        if "likeness" in self.by and self.embeddings is not None:
            raise LimaError(
                "--by likeness and --embeddings: --target has no vectors there. Leave one of them out."
            )
        for method in ("ifd", "rds"):
            if method in self.by and self.model is None:
                raise LimaError(f"--by {method} needs --model: the base model that reads the pool.")
        if self.embed == "model" and self.model is None:
            raise LimaError("--embed model needs --model.")
        if self.quality == "judge" and self.judge is None:
            raise LimaError("--quality judge needs --judge URL#model.")
        if self.judge is not None:
            parse_address(self.judge)
        return self

    @property
    def quotas(self) -> dict[str, int]:
        """The parsed quotas."""
        parts = (value.rpartition("=") for value in self.quota)
        return {name: int(number) for name, _, number in parts}
