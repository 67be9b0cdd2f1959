"""A choice -> a table, ``choice.json``, and a line in the log of all looks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lima import console
from lima.checkpoint.inputs import CheckpointInputs
from lima.checkpoint.rule import EpochChoice, EpochScore
from lima.checkpoint.settings import CheckpointSettings
from lima.files import JsonlLog, sha256, write_json
from lima.records import Record, Scale
from lima.runs import now
from lima.statistics.estimates import Estimate, Result
from lima.train.run import epoch_folder

RULE = "the earliest epoch whose paired difference to the best is at most its standard error"


class Look(Record):
    """One look at the dev prompts (``looks.jsonl``). After many looks the best epoch is partly luck."""

    at: str
    dev: str
    """Hash of the dev file."""
    epochs: tuple[int, ...]
    raters: tuple[str, ...]
    scale: Scale
    prompts: int
    """Prompts that counted."""
    means: tuple[float, ...]
    """Mean rating by epoch."""
    best: int
    chosen: int


@dataclass(frozen=True)
class RatedChoice:
    """A choice, who rated, and the held-out loss for comparison."""

    choice: EpochChoice
    raters: tuple[str, ...]
    heldout: Mapping[int, float]
    """Held-out loss by epoch where it is known, including epochs that were not rated."""


def log_look(settings: CheckpointSettings, outcome: RatedChoice) -> int:
    """Add this look to the log; return the number of looks. The same result seen again is no new look."""
    choice = outcome.choice
    look = Look(
        at=now(),
        dev=sha256(settings.dev),
        epochs=tuple(score.epoch for score in choice.epochs),
        raters=outcome.raters,
        scale=settings.rated_on,
        prompts=choice.prompts,
        means=tuple(_value(score.mean) for score in choice.epochs),
        best=choice.best,
        chosen=choice.chosen,
    )
    with JsonlLog(settings.folder / "looks.jsonl", Look) as log:
        if any(row.model_copy(update={"at": look.at}) == look for row in log.existing):
            return len(log.existing)
        log.append(look)
        return len(log.existing) + 1


def write_choice(
    settings: CheckpointSettings, inputs: CheckpointInputs, outcome: RatedChoice, looks: int
) -> Path:
    """Write ``choice.json``: the chosen folder with every number behind it."""
    choice, path = outcome.choice, settings.folder / "choice.json"
    facts = {
        "chosen": choice.chosen,
        "folder": str(epoch_folder(settings.run, choice.chosen)),
        "best": choice.best,
        "rule": RULE,
        "scale": settings.rated_on,
        "raters": outcome.raters,
        "prompts": choice.prompts,
        "prompts_left_out": len(inputs.prompts) - choice.prompts,
        "dev": {"path": str(settings.dev), "sha256": sha256(settings.dev)},
        "dev_apart_from_training": inputs.apart or None,
        "looks": looks,
        "epochs": [_epoch_facts(score, outcome.heldout) for score in choice.epochs],
    }
    write_json(path, facts)
    return path


def show(settings: CheckpointSettings, inputs: CheckpointInputs, outcome: RatedChoice, looks: int) -> None:
    """Print the table and the caveats."""
    choice = outcome.choice
    percent = f"{settings.level:.0%}"
    columns = ["epoch", f"mean ({percent})", f"behind best ({percent})", "s.e.", "held-out\nNLL", ""]
    console.table(
        f"{settings.rated_on} on {choice.prompts} prompts, by {', '.join(outcome.raters)}",
        columns,
        [_row(score, choice, outcome.heldout) for score in choice.epochs],
    )
    if left_out := len(inputs.prompts) - choice.prompts:
        console.warn(f"{left_out} of {len(inputs.prompts)} dev prompts lack a rating of some epoch: left out")
    if outcome.heldout:
        lowest = min(outcome.heldout, key=lambda epoch: (outcome.heldout[epoch], epoch))
        console.note(
            f"The held-out loss is lowest at epoch {lowest}. It does not tell how good answers are "
            "(LIMA, appendix): it is shown, not used."
        )
    if looks > 1:
        console.note(f"Look {looks} (looks.jsonl): the more looks, the more of a small lead is luck.")
    console.note(f"Epoch {choice.chosen}: {RULE} (epoch {choice.best}).")


def _row(score: EpochScore, choice: EpochChoice, heldout: Mapping[int, float]) -> list[str]:
    names = {choice.best: "best", choice.chosen: "chosen"}  # of an epoch that is both, the latter
    return [
        str(score.epoch),
        _shown(score.mean),
        _shown(score.behind),
        f"{score.standard_error:.2f}",
        f"{heldout[score.epoch]:.3f}" if score.epoch in heldout else "-",
        names.get(score.epoch, "tied" if score.tied else ""),
    ]


def _epoch_facts(score: EpochScore, heldout: Mapping[int, float]) -> dict[str, Any]:
    return {
        "epoch": score.epoch,
        "mean": _result_facts(score.mean),
        "behind_best": _result_facts(score.behind),
        "standard_error": score.standard_error,
        "tied": score.tied,
        "heldout_nll": heldout.get(score.epoch),
    }


def _result_facts(result: Result) -> dict[str, Any]:
    assert isinstance(result, Estimate), result
    return asdict(result)


def _shown(result: Result) -> str:
    assert isinstance(result, Estimate), result
    bounds = "" if result.low is None else f" ({result.low:.2f}, {result.high:.2f})"
    return f"{result.value:.2f}{bounds}"


def _value(result: Result) -> float:
    assert isinstance(result, Estimate), result
    return result.value
