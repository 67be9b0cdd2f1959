"""A training run and a dev file -> the epochs and prompts to choose by, dev prompts apart from the training data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lima import console
from lima.checkpoint.settings import CheckpointSettings
from lima.errors import LimaError
from lima.files import read_json, read_jsonl, sha256, text_hash
from lima.generate.prompts import read_prompts
from lima.records import Example, Message
from lima.settings import validate
from lima.train.settings import TrainSettings


@dataclass(frozen=True)
class CheckpointInputs:
    """The inputs of a choice."""

    epochs: tuple[int, ...]
    prompts: Mapping[str, Example]
    """Development prompts by id."""
    trained: TrainSettings
    apart: bool
    """Whether the dev prompts were checked against the training data (False: it is gone)."""
    logged_heldout: str | None
    """Hash of the held-out file whose loss training logged."""


def read_inputs(settings: CheckpointSettings) -> CheckpointInputs:
    """Read and check all that a choice needs.

    Raises:
        LimaError: no training run, fewer than two epochs to choose among, a repeated dev prompt, or one that is
            in the training data.
    """
    record = _record(settings.run)
    epochs = choose_among(settings.run, settings.epochs)
    prompts = {prompt.id: prompt for prompt in read_prompts(settings.dev)}
    files = _inputs_by_field(record)
    data = _training_data(files["data"], settings.data)
    if data is not None:
        check_apart(prompts.values(), read_jsonl(data, Example), dev=settings.dev, data=data)
    given = {field: file["path"] for field, file in files.items()}
    trained = validate(TrainSettings, record["settings"] | given, str(settings.run / "run.json"))
    return CheckpointInputs(
        epochs, prompts, trained, data is not None, files.get("heldout", {}).get("sha256")
    )


def choose_among(run: Path, wanted: Sequence[int]) -> tuple[int, ...]:
    """The wanted epochs that the run has kept, two or more."""
    kept = sorted(
        int(match[1]) for path in run.glob("epoch-*") if (match := re.fullmatch(r"epoch-(\d+)", path.name))
    )
    found = tuple(epoch for epoch in kept if epoch in wanted)
    if len(found) < 2:
        those = f"only epoch {found[0]}" if found else "no epoch"
        remedy = f"Choose among them: --epochs {_listed(kept, ' ')}" if len(kept) > 1 else "Train with more."
        raise LimaError(
            f"{run}: has kept {those} of {_listed(sorted(set(wanted)))}, and a choice needs two. "
            f"Kept: {_listed(kept) or 'none'}. {remedy}"
        )
    if absent := sorted(set(wanted) - set(found)):
        console.note(
            f"{run}: of the epochs to choose among it has not kept {_listed(absent)}; the choice is among {_listed(found)}"
        )
    return found


def check_apart(prompts: Iterable[Example], training: Iterable[Example], *, dev: Path, data: Path) -> None:
    """Refuse dev prompts that a training example asks too, at any of its user turns."""
    seen = {digest: example.id for example in training for digest in _asked(example)}
    leaks = [
        (prompt.id, seen[digest]) for prompt in prompts if (digest := prompt_hash(prompt.prompt)) in seen
    ]
    if leaks:
        prompt, example = leaks[0]
        raise LimaError(
            f"{dev}: the prompt {prompt!r} is in the training data ({data}: {example!r}), {len(leaks)} such in all. "
            "An epoch must be chosen by prompts that it was not trained on; take them out."
        )


def prompt_hash(messages: Sequence[Message]) -> str:
    """Hash of a conversation's turns, whatever their case and white space; a system message does not count."""
    turns = [message for message in messages if message.role != "system"]
    return text_hash(
        *(part for turn in turns for part in (turn.role, " ".join(turn.content.split()).casefold()))
    )


def _asked(example: Example) -> Iterator[str]:
    for position, turn in enumerate(example.turns):
        if turn.role == "user":
            yield prompt_hash(example.turns[: position + 1])


def _record(run: Path) -> dict[str, Any]:
    path = run / "run.json"
    record: dict[str, Any] = read_json(path) if path.exists() else {}
    if record.get("command") != "train":
        raise LimaError(f"{run}: no training run here (no run.json of 'lima train').")
    if not record.get("finished"):
        console.warn(f"{run}: the training is not finished; the choice is among the epochs so far")
    return record


def _inputs_by_field(record: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """``{"data:0": file}`` -> ``{"data": file}``."""
    return {name.partition(":")[0]: file for name, file in record["inputs"].items()}


def _training_data(noted: Mapping[str, str], given: Path | None) -> Path | None:
    """The file that the run was trained on; None, with a warning, where it is gone."""
    path = given or Path(noted["path"])
    if path.is_file() and sha256(path) == noted["sha256"]:
        return path
    state = "has changed since" if path.is_file() else "is not there"
    if given:
        raise LimaError(f"--data {given}: {state}; the run was trained on {noted['path']}.")
    console.warn(
        f"the training data {path} {state}: whether dev prompts are in it is not known. Give it: --data FILE"
    )
    return None


def _listed(epochs: Sequence[int], separator: str = ", ") -> str:
    return separator.join(map(str, epochs))
