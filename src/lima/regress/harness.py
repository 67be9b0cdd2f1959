"""lm-evaluation-harness as it is: run in a process of its own against a server, its samples read from the files that it writes."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lima.errors import LimaError
from lima.extras import install
from lima.files import read_json
from lima.regress.settings import RegressSettings
from lima.remote.endpoint import parse_address

SHOWN = 12
"""Lines of a failed process that are shown."""
DEFAULT_LENGTH = 2048


@dataclass(frozen=True)
class Model:
    """One of the two models, as the harness gets to know it."""

    name: str
    """``base`` or ``tuned``: the folder of its results."""
    place: str
    tokenizer: str

    @property
    def is_served(self) -> bool:
        """Whether it runs elsewhere already."""
        return "#" in self.place


Place = tuple[str, str, str]
"""Task, metric and the filter that made answers comparable."""


@dataclass(frozen=True)
class Scores:
    """What the harness found of one model."""

    items: dict[Place, dict[str, float]]
    """Score by item."""
    higher_is_better: dict[tuple[str, str], bool]
    """By task and metric."""


def check_installed() -> None:
    """Raises a `LimaError` that names the extra where the harness is missing."""
    if importlib.util.find_spec("lm_eval") is None:
        raise LimaError(f"lm-evaluation-harness is missing: {install('regress')}")


def models_of(settings: RegressSettings) -> tuple[Model, Model]:
    """Both models with their tokenizers.

    Raises:
        LimaError: a URL#model without --tokenizer.
    """
    found = []
    for name, place in (("base", settings.base), ("tuned", settings.tuned)):
        if "#" in place:
            parse_address(place)
            if settings.tokenizer is None:
                raise LimaError(
                    f"{place}: the harness counts tokens itself. Name the model's tokenizer: --tokenizer FOLDER."
                )
        found.append(Model(name, place, settings.tokenizer or place))
    return found[0], found[1]


def arguments(model: Model, url: str, served: str, settings: RegressSettings, length: int) -> list[str]:
    """The harness's command line for a model that answers at ``url`` under the name ``served``."""
    options = {
        "model": served,
        "base_url": f"{url}/completions",
        "tokenizer": model.tokenizer,
        "tokenizer_backend": "huggingface",
        "max_length": length,
        "add_bos_token": begins_with_bos(model.tokenizer),
    }
    words = [
        "--model",
        "local-completions",
        "--model_args",
        ",".join(f"{name}={value}" for name, value in options.items()),
    ]
    words += ["--tasks", ",".join(settings.tasks), "--gen_kwargs", "repetition_penalty=1"]
    words += ["--output_path", str(settings.out / model.name), "--log_samples"]
    if settings.include_path:
        words += ["--include_path", str(settings.include_path)]
    for name, value in (("--limit", settings.limit), ("--num_fewshot", settings.num_fewshot)):
        words += [name, str(value)] if value is not None else []
    return words


def begins_with_bos(tokenizer: str) -> bool:
    """Whether the tokenizer puts BOS before a text: the harness, which sends token ids, must be told."""
    from transformers import AutoTokenizer

    loaded = AutoTokenizer.from_pretrained(tokenizer)
    ids = loaded("a")["input_ids"]
    return bool(ids) and loaded.bos_token_id is not None and ids[0] == loaded.bos_token_id


def context_of(place: str) -> int:
    """Positions of a model by its config; 2,048 where that does not say."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(place)
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    return int(getattr(text, "max_position_embeddings", None) or DEFAULT_LENGTH)


def run_harness(words: Sequence[str]) -> None:
    """Run it to its end.

    Raises:
        LimaError: it failed; with its last lines.
    """
    done = subprocess.run(
        [sys.executable, "-m", "lm_eval", *words], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise LimaError(f"lm_eval failed:\n{_last_lines(done.stderr or done.stdout)}")


@contextmanager
def serving(model: Model, dtype: str) -> Iterator[tuple[str, str]]:
    """URL and name of a model: of a server of ours while the block runs, or where it runs already."""
    if model.is_served:
        endpoint = parse_address(model.place)
        yield endpoint.url, endpoint.model
        return
    words = [
        sys.executable,
        "-m",
        "lima",
        "serve",
        model.place,
        "--port",
        "0",
        "--name",
        model.name,
        "--dtype",
        dtype,
    ]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        if "#" not in address:
            raise LimaError(f"{model.place} could not be served:\n{_last_lines(process.communicate()[1])}")
        endpoint = parse_address(address)
        yield endpoint.url, endpoint.model
    finally:
        process.terminate()
        process.communicate()


def read_scores(folder: Path) -> Scores:
    """The newest results below a folder: every number that a sample has for one of its metrics.

    Raises:
        LimaError: the harness left none.
    """
    results = sorted(folder.rglob("results_*.json"), key=lambda path: path.name)
    if not results:
        raise LimaError(f"{folder}: lm_eval left no results there.")
    stamp = results[-1].stem.removeprefix("results_")
    summary = read_json(results[-1])
    better = {
        (task, metric): bool(higher)
        for task, metrics in summary.get("higher_is_better", {}).items()
        for metric, higher in metrics.items()
    }
    items: dict[Place, dict[str, float]] = {}
    for path in sorted(results[-1].parent.glob(f"samples_*_{stamp}.jsonl")):
        task = path.stem.removeprefix("samples_").removesuffix(f"_{stamp}")
        for line in path.read_bytes().splitlines():
            row = json.loads(line)  # with NaN, as Python writes it
            for metric, value in _numbers(row).items():
                place = (task, metric, str(row.get("filter", "none")))
                items.setdefault(place, {})[_item(row)] = value
    return Scores(items, better)


def _numbers(row: dict[str, Any]) -> dict[str, float]:
    named = row.get("metrics") or []
    return {
        name: float(row[name])
        for name in named
        if isinstance(row.get(name), int | float | bool) and row[name] == row[name]
    }


def _item(row: dict[str, Any]) -> str:
    """The same item in both runs: its number, with the hash of its content."""
    content = row.get("doc_hash") or json.dumps(row.get("doc"), sort_keys=True)
    return f"{row['doc_id']}/{content}"


def _last_lines(text: str) -> str:
    lines = [line for line in re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines() if line.strip()]
    return "\n".join(lines[-SHOWN:])
