"""Settings of ``lima checkpoint`` (LIMA, section 3: the checkpoint is chosen on 50 dev prompts)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro
from pydantic import Field

from lima.remote.endpoint import KeyVariable, ModelAddress
from lima.remote.sampling import Dialect
from lima.settings import Settings

Scale = Literal["helpfulness", "quality"]


class CheckpointSettings(Settings):
    """Choose the epoch whose answers are best, as perplexity does not tell it.

    Every kept epoch answers the development prompts; a judge or you rate the answers blind. Of the epochs within
    one standard error of the best, over the same prompts, the earliest is chosen. The same command again goes on
    where it was, and (with --by-hand) reads the grades.

    Example: lima checkpoint runs/lima-7b --dev dev.jsonl --judge http://127.0.0.1:8000/v1#my-model
    """

    input_fields: ClassVar[frozenset[str]] = frozenset({"dev"})

    run: tyro.conf.Positional[Path]
    """The run folder that `lima train` wrote."""
    dev: Path
    """Development prompts, JSON Lines of Examples; none of them may be in the training data."""
    epochs: Annotated[tuple[int, ...], Field(min_length=1)] = (5, 6, 7, 8, 9, 10)
    """The epochs to choose among; those that the run has not kept are left out."""
    judge: ModelAddress | None = None
    """A judge model rates, URL#model."""
    by_hand: bool = False
    """People rate, with `lima annotate`."""
    oracle: str | None = None
    """A rule rates: `module:function` of yours, from question and answer to a value of the scale; or `world`, `world:SEED`, the
    built-in world's own."""
    scale: Scale | None = None
    """What is rated: helpfulness 1-6 (default with a judge), or quality (default otherwise; fail 0, pass 1, excellent 2)."""
    heldout: Path | None = None
    """Held-out conversations whose loss is shown beside the ratings. Not given: what training logged, if anything."""
    data: Path | None = None
    """The training data, if it has moved since the run was recorded."""
    out: Path | None = None
    """Where answers, study and choice go. Default: `checkpoint` in the run folder."""
    samples: int = Field(1, gt=0)
    """Answers a prompt; their ratings are averaged."""
    max_length: int = Field(2048, gt=1)
    """Prompt and answer together, in tokens; the model's own context is the limit where it is shorter."""
    max_new_tokens: int | None = Field(None, gt=0)
    """Longest answer in tokens; by default all that max-length leaves."""
    seed: int = 0
    """Draws the answers, the same for all epochs, and the blind ids."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Type of the weights that answer."""
    repeats: Annotated[int, Field(ge=1)] = 1
    """Judge: ratings of each answer."""
    server: Dialect = "generic"
    """Judge: kind of server (see lima judge)."""
    api_key_env: KeyVariable = "LIMA_API_KEY"
    """Judge: environment variable that holds the key. Unset: no key is sent."""
    api_key_file: Path | None = None
    """Judge: file that holds the key, instead of the environment."""
    concurrency: Annotated[int, Field(ge=1)] = 64
    """Judge: most requests in flight."""
    level: float = Field(0.95, gt=0, lt=1)
    """Level of the intervals; the choice does not depend on it."""
    dry_run: bool = False
    """Check the inputs, count what would be done, and stop."""

    # A second look (other epochs, another rater) goes into the same folder; only the answers must stay the same.
    free_fields: ClassVar[frozenset[str]] = frozenset(
        [
            "run",
            "epochs",
            "judge",
            "by_hand",
            "oracle",
            "scale",
            "heldout",
            "data",
            "out",
            "repeats",
            "server",
            "api_key_env",
            "api_key_file",
            "concurrency",
            "level",
            "dry_run",
        ]
    )

    @property
    def folder(self) -> Path:
        """Where everything is written."""
        return self.out or self.run / "checkpoint"

    @property
    def rated_on(self) -> Scale:
        """The scale, with its default for the kind of rater."""
        return self.scale or ("helpfulness" if self.judge else "quality")
