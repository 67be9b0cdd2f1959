"""Settings of ``lima compare`` and ``lima judge`` (LIMA, sections 4 and 5)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro
from pydantic import Field

from lima.remote.endpoint import KeyVariable, ModelAddress
from lima.remote.sampling import Dialect
from lima.settings import Settings

Task = Literal["pairwise", "helpfulness", "quality", "safety"] | str
"""A standard task, or the name of a scale that the study's protocol.yaml declares."""
VerdictForm = Literal["text", "json", "logprobs"]


class CompareSettings(Settings):
    """Put the answers of several systems side by side, without their names: a study folder.

    The first file is compared with each other one, pair by pair of prompt and sample.

    Example: lima compare runs/tuned.jsonl runs/base.jsonl --out studies/first
    """

    input_fields: ClassVar[frozenset[str]] = frozenset({"answers", "prompts", "protocol"})
    free_fields: ClassVar[frozenset[str]] = frozenset({"out", "dry_run", "strict"})

    answers: tyro.conf.Positional[tuple[Path, ...]]
    """Files of answers (`lima generate`), two or more: the system under test first, then its baselines."""
    out: Path
    """The study folder to make."""
    prompts: Path | None = None
    """The prompts that were answered. Not given: the file that `lima generate` noted beside the first file."""
    names: tuple[str, ...] = ()
    """Names of the systems, in the order of the files. Not given: as in the files."""
    protocol: Path | None = None
    """YAML with your own words for raters; what it leaves out stays as in the default protocol."""
    thinking: Literal["strip", "show"] = "strip"
    """Traces of thought at the beginning of answers (<think>...</think>): taken out, or shown and judged."""
    seed: int = 0
    """Draws the sides, once. It is kept with the key, not in the protocol."""
    strict: bool = False
    """Stop (exit 2) when an answer or a pair has to be left out, instead of listing it in rejects.jsonl."""
    dry_run: bool = False
    """Check the input, print what would be written, and stop."""


class JudgeSettings(Settings):
    """Let a model rate a study: any server that speaks the OpenAI chat API.

    The same command again asks only for what is not answered yet. The API key is read from the environment
    or a file.

    Example: lima judge studies/first --task pairwise --judge http://127.0.0.1:8000/v1#my-model
    """

    study: tyro.conf.Positional[Path]
    """The study folder (`lima compare`)."""
    judge: ModelAddress
    """The judge, URL#model. Only the model counts as its identity, not the URL."""
    task: Task = "pairwise"
    """What to rate: pairs, helpfulness 1-6, quality (fail, pass, excellent), safety, or a scale of your own by its name in protocol.yaml."""
    order: Literal["both", "random"] = "both"
    """Pairwise: show each pair in both orders, or in one drawn by a hash of its content (as in the paper)."""
    verdict: VerdictForm = "text"
    """How the judge says it: ``text``, reasons and a last line; ``json``, an object by a schema, or by instruction alone where the server takes no schema; ``logprobs``, the choice alone, graded by the probabilities of its token (where the server gives none: by five repeats)."""
    repeats: Annotated[int, Field(ge=1)] = 1
    """Verdicts on each item and order. Each is a request of its own with its own seed."""
    until: Literal["all", "decided"] = "all"
    """Pairwise: ask for everything, or stop once win - loss of every pair of systems is decided. Only where protocol.yaml has plan.watched: true since before the first verdict."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """Rate only this many comparisons or items, the first ones: a trial."""
    prompt: Path | None = None
    """Your own prompt text instead of the built-in one (docs/formats.md names its placeholders)."""
    label: str = ""
    """Part of the judge's identity; tells apart two servers that offer different models under one name."""
    server: Dialect = "generic"
    """Kind of server: decides which sampling fields beyond the common ones are sent."""
    temperature: Annotated[float, Field(ge=0)] = 0.0
    """Sampling temperature of the judge."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Nucleus of the judge."""
    max_tokens: Annotated[int, Field(ge=1)] = 1024
    """Longest reply; one that reaches it counts as truncated, whatever it says."""
    seed: int = 0
    """Seeds the requests, each in its own way."""
    extra: tuple[str, ...] = ()
    """Further request fields as NAME=JSON, for example reasoning_effort='"low"'; NAME=null leaves a field out."""
    api_key_env: KeyVariable = "LIMA_API_KEY"
    """Environment variable that holds the key. Unset: no key is sent."""
    api_key_file: Path | None = None
    """File that holds the key, instead of the environment."""
    header: tuple[str, ...] = ()
    """Further HTTP headers as NAME=VALUE; env:VARIABLE as the value reads it from the environment, as a key should be."""
    query: tuple[str, ...] = ()
    """Parameters of every request's address as NAME=VALUE, such as api-version=2024-06-01."""
    concurrency: Annotated[int, Field(ge=1)] = 64
    """Most requests in flight. The run adapts below it."""
    start_concurrency: Annotated[int, Field(ge=1)] = 8
    """Requests in flight at first."""
    timeout: Annotated[float, Field(gt=0)] = 120.0
    """Seconds to wait for one reply."""
    attempts: Annotated[int, Field(ge=1)] = 8
    """Attempts for one request (after 429, 5xx, timeout or a dropped connection)."""
    backoff: Annotated[float, Field(ge=0)] = 1.0
    """Seconds before the second attempt; doubles with each further one, up to a minute."""
    max_calls: Annotated[int, Field(ge=1)] | None = None
    """Stop after this many calls, retries included."""
    max_seconds: Annotated[float, Field(gt=0)] | None = None
    """Stop sending after this many seconds."""
    max_cost: Annotated[float, Field(gt=0)] | None = None
    """Stop before more than this is spent, in the currency of --prices."""
    prices: Path | None = None
    """YAML with 'model: {input: 0.15, output: 0.6}' per million tokens. Without it the cost is unknown."""
    moved: bool = False
    """The same judge now answers at another URL than in earlier runs."""
    retry_rejected: bool = False
    """Repeat the requests that the server refused as wrong (HTTP 400, 413, 422), after a change of the server."""
    reparse: bool = False
    """Make no calls: read the logged replies again and rewrite this judge's rows."""
    dry_run: bool = False
    """Print how many calls would be made, and stop."""


# The folder of a judge's calls is named by a hash of all that counts: what else differs is free to differ.
JudgeSettings.free_fields = frozenset(JudgeSettings.model_fields)
