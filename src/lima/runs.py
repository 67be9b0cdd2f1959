"""A run explains itself and resumes: settings, hashes of inputs, seed, versions and git commit in one file.

`open_run` makes that record, or finds it and checks that the same work goes on: other settings or other
inputs are refused with the difference. While a run is open no second process can open it. `open_map` spreads work that
falls into tasks over processes or a cluster.
"""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import platform
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from lima.errors import Busy, LimaError, SettingsConflict
from lima.extras import install
from lima.files import read_json, sha256, write_json
from lima.settings import Settings

MODEL_FILES = re.compile(
    r"((generation_|tokenizer_)?config|tokenizer|special_tokens_map|added_tokens|vocab|chat_template|tekken)\.json"
    r"|.*\.safetensors(\.index\.json)?|pytorch_model.*\.bin(\.index\.json)?|(vocab|merges)\.txt|.*\.(model|tiktoken|jinja)"
)
"""Files of a model's folder that loading reads; notes, answers or a GGUF beside them leave it the same model."""
RECORDED_PACKAGES = ("lima-align", "torch", "transformers", "tokenizers", "numpy")


@dataclass(frozen=True)
class Run:
    """An open run: ``path`` of its record, and whether a former process had begun it."""

    path: Path
    resumed: bool
    finished: bool

    def finish(self, **facts: Any) -> None:
        """Mark the run as complete, with figures worth keeping (counts, rates)."""
        record = read_json(self.path)
        record.update(finished=True, facts=facts)
        write_json(self.path, record)


@contextmanager
def open_run(path: Path, command: str, settings: Settings) -> Iterator[Run]:
    """Begin or resume the run whose record is the JSON file ``path``.

    Args:
        path: ``<folder>/run.json`` of a run folder, or ``<output>.run.json`` beside an output file.
        command: the name of the stage.
        settings: its settings; `Settings.input_fields` are compared by content.

    A record that is all that a failed run would leave in its folder goes with it, so that the same command with
    the mistake mended is not refused.

    Raises:
        SettingsConflict: the record was made with other settings or inputs; the text shows which.
        Busy: another process has the run open.
        LimaError: an input is missing, or the output lies within it.
    """
    _refuse_inside(path, settings)
    fresh = _describe(command, settings)
    _make_folder(path.parent)
    with _exclusive(path) as lock:
        before = read_json(path) if path.exists() else None
        if before is None:
            write_json(path, fresh)
        else:
            _refuse_difference(path, before, fresh, settings.free_fields)
        try:
            yield Run(path, resumed=before is not None, finished=bool(before and before.get("finished")))
        except LimaError:
            if before is None and set(path.parent.iterdir()) <= {path, lock}:
                path.unlink(missing_ok=True)
            raise


def is_finished(path: Path, command: str, settings: Settings) -> bool:
    """Whether the run whose record is ``path`` was done before, with these settings and inputs; raises as `open_run`."""
    if not path.exists():
        return False
    with open_run(path, command, settings) as run:
        return run.finished


def now() -> str:
    """The current time in UTC, ISO 8601 with seconds: the only form of a time in our files."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a result depends on; absent ones are left out."""
    found = {"python": platform.python_version()}
    for name in RECORDED_PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def git_commit() -> str | None:
    """The commit of the checkout that holds this code, with ``+`` if there are changes; None outside git."""
    here = Path(__file__).parent
    try:
        # Fails for an installed copy, which may lie inside some other repository.
        _git(here, "ls-files", "--error-unmatch", Path(__file__).name)
        commit = _git(here, "rev-parse", "HEAD")
        return commit + ("+" if _git(here, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()


def _describe(command: str, settings: Settings) -> dict[str, Any]:
    values = settings.model_dump(mode="json")
    inputs: dict[str, dict[str, str]] = {}
    for field in sorted(settings.input_fields):
        for place in _paths(getattr(settings, field)):
            inputs[f"{field}:{len(inputs)}"] = _input(place)
    return {
        "command": command,
        "settings": {k: v for k, v in values.items() if k not in settings.input_fields},
        "inputs": inputs,
        "seed": values.get("seed"),
        "versions": versions(),
        "git_commit": git_commit(),
        "at": now(),
    }


def _paths(value: Any) -> list[Path | str]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _input(place: Path | str) -> dict[str, str]:
    path = Path(place)
    if path.exists():
        return {"path": str(place), "sha256": sha256(path, only=MODEL_FILES if _is_model(path) else None)}
    if isinstance(place, Path):
        raise LimaError(f"{place}: no such file or folder.")
    return {"path": place, "sha256": ""}  # a hub id or a URL: known by its name alone


def _is_model(path: Path) -> bool:
    return (path / "config.json").is_file()


def _refuse_inside(out: Path, settings: Settings) -> None:
    """An output within an input would change it, and the run could never be resumed."""
    for field in settings.input_fields:
        for place in _paths(getattr(settings, field)):
            folder = Path(place)
            if folder.is_dir() and not _is_model(folder) and folder.resolve() in out.resolve().parents:
                raise LimaError(
                    f"{out.parent}: lies within the input {place}, which it would change. Choose an --out outside of it."
                )


def _refuse_difference(
    path: Path, before: Mapping[str, Any], after: Mapping[str, Any], free: frozenset[str]
) -> None:
    if before.get("command") != after["command"]:
        raise SettingsConflict(
            f"{path.parent}: made by 'lima {before.get('command')}', not 'lima {after['command']}'. "
            "Choose another --out."
        )
    old, new = (_leaves(record["settings"], free) for record in (before, after))
    changes = [
        f"{name}: {old.get(name)!r} there, {new.get(name)!r} here"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]
    changes += _input_changes(before["inputs"], after["inputs"])
    if changes:
        raise SettingsConflict(
            f"{path}: this run was begun with other settings ({'; '.join(changes)}). "
            "Repeat them to resume, or choose another --out."
        )


def _leaves(settings: Mapping[str, Any], free: frozenset[str], prefix: str = "") -> dict[str, Any]:
    """Nested settings as ``sources.stem.train: 200``, so that a difference names the value alone."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if prefix or name not in free:
            nested = isinstance(value, dict) and value
            found |= _leaves(value, free, f"{prefix}{name}.") if nested else {prefix + name: value}
    return found


def _input_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    changes = []
    for name in sorted({*old, *new}):
        a, b = old.get(name), new.get(name)
        same = a and b and a["sha256"] == b["sha256"] and (a["sha256"] or a["path"] == b["path"])
        if not same:
            shown = [x["path"] if x else "nothing" for x in (a, b)]
            changes.append(f"input {name.split(':')[0]}: {shown[0]} there, {shown[1]} here (content differs)")
    return changes


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise LimaError(f"{folder}: a file is in the way of this folder. Choose another --out.") from None


@contextmanager
def _exclusive(path: Path) -> Iterator[Path]:
    lock = path.with_name(f".{path.name}.lock")
    with lock.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(
                f"{path.parent}: another lima process is working here. Wait for it or end it."
            ) from None
        yield lock


EngineName = Literal["processes", "ray"]
"""``processes`` on this machine, or plain tasks of ``ray``: a cluster when RAY_ADDRESS is set, else this machine."""
Map = Callable[..., Iterator[Any]]
"""As the built-in `map` of one iterable: results in the order of the items."""


@contextmanager
def open_map(engine: EngineName, workers: int, *, on_gpus: bool = False) -> Iterator[Map]:
    """A `map` with this many workers, which start on the items at once; the built-in `map` for a single worker.

    A task is a callable that can be pickled; only what it returns comes back. On a cluster every node must see the input and
    the output folder under the same paths. ``on_gpus`` gives each of Ray's tasks a GPU to itself, where the cluster has any.

    Raises:
        LimaError: Ray is not installed; a worker process died.
    """
    if engine == "ray":
        with _ray(workers, on_gpus) as ray_map:
            yield ray_map
    elif workers == 1:
        yield map
    else:
        context = multiprocessing.get_context("spawn")  # a fork would copy the threads' locks
        pool = ProcessPoolExecutor(workers, mp_context=context)
        try:
            yield pool.map
        except BrokenExecutor:
            raise LimaError(
                "a worker process died; was memory short? The same command goes on where it was, with fewer --workers too."
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _ray(workers: int, on_gpus: bool) -> Iterator[Map]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anyone
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ModuleNotFoundError:
        raise LimaError(f"--engine ray needs a package: {install('ray')}") from None
    here: dict[str, Any] = {"num_cpus": workers, "_node_ip_address": "127.0.0.1"}
    if "RAY_ADDRESS" in os.environ:
        here = {}
    ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR", **here)

    def ray_map(task: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        gpus = 1 if on_gpus and ray.cluster_resources().get("GPU") else 0
        remote = ray.remote(_call).options(num_gpus=gpus)
        return map(ray.get, [remote.remote(task, item) for item in items])

    try:
        yield ray_map
    finally:
        ray.shutdown()


def _call(task: Callable[[Any], Any], item: Any) -> Any:
    return task(item)
