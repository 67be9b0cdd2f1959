"""`lima train --log-to`: what trackers get is what metrics.jsonl says."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lima.errors import LimaError
from lima.files import read_jsonl, write_jsonl
from lima.records import Example
from lima.train.metrics import Metrics, values
from lima.train.run import train
from lima.train.settings import TrainSettings


class Service:
    """Takes the calls that Weights & Biases and trackio get."""

    def __init__(self) -> None:
        self.begun: list[dict[str, Any]] = []
        self.rows: list[tuple[int, dict[str, float]]] = []
        self.ended = 0

    def module(self) -> Any:
        return SimpleNamespace(init=self._init, log=self._log, finish=self._finish)

    def _init(self, **values: Any) -> None:
        self.begun.append(values)

    def _log(self, row: dict[str, float], step: int) -> None:
        self.rows.append((step, row))

    def _finish(self) -> None:
        self.ended += 1


@pytest.fixture
def settings(tmp_path: Path, tiny_model: Path, examples: list[Example]) -> dict[str, Any]:
    write_jsonl(tmp_path / "train.jsonl", examples)
    return {
        "model": str(tiny_model),
        "data": tmp_path / "train.jsonl",
        "dev": tmp_path / "train.jsonl",
        "out": tmp_path / "run",
        "epochs": 2,
        "batch_size": 4,
        "max_length": 256,
        "device": "cpu",
    }


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_a_service_gets_every_row_of_the_run(
    name: str, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service()
    monkeypatch.setitem(sys.modules, name, service.module())
    train(TrainSettings.model_validate(settings | {"log_to": (name,)}))
    rows = list(read_jsonl(settings["out"] / "metrics.jsonl", Metrics))
    assert len(rows) == 6 + 2  # 3 steps an epoch, and a row for each epoch
    assert service.rows == [(row.step, values(row)) for row in rows]
    assert service.ended == 1
    (begun,) = service.begun
    assert (begun["project"], begun["resume"]) == ("lima", "allow")
    assert begun["config"]["learning_rate"] == 1e-5
    assert begun["name"].startswith("run")


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_a_resumed_run_goes_on_in_the_same_place_and_repeats_no_row(
    name: str, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights & Biases knows a run by its id, trackio by its name: both hang on the run folder."""
    service = Service()
    monkeypatch.setitem(sys.modules, name, service.module())
    choice = TrainSettings.model_validate(settings | {"log_to": (name,), "save_every": 1})

    def stopped(row: dict[str, float], step: int) -> None:
        if step == 3 and not service.ended:
            raise KeyboardInterrupt
        service.rows.append((step, row))

    service._log = stopped  # type: ignore[method-assign]
    monkeypatch.setitem(sys.modules, name, service.module())
    with pytest.raises(KeyboardInterrupt):
        train(choice)
    train(choice)
    first, second = service.begun
    identity = "id" if name == "wandb" else "name"
    assert first[identity] == second[identity]
    other = settings | {"log_to": (name,), "out": settings["out"].with_name("other") / "run"}
    train(TrainSettings.model_validate(other))
    assert service.begun[2][identity] != first[identity]
    steps = [step for step, row in service.rows if "train/loss" in row]
    assert steps[:6] == sorted(set(steps[:6]))


def test_figures_of_steps_and_epochs_have_names_apart() -> None:
    step = Metrics(step=3, epoch=1, loss=2.5, learning_rate=1e-3, grad_norm=0.5, tokens_per_second=50.0)
    found = values(step)
    assert (found["train/loss"], found["train/tokens_per_second"], found["epoch"]) == (2.5, 50.0, 1.0)
    assert values(Metrics(step=3, epoch=1, dev_nll=1.5)) == {"epoch/dev_nll": 1.5, "epoch": 1.0}


def test_a_missing_package_is_told_before_anything_is_written(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(LimaError, match=r"--log-to wandb: the package is missing\. pip install wandb"):
        train(TrainSettings.model_validate(settings | {"log_to": ("wandb",)}))
    assert not settings["out"].exists()


def test_a_run_goes_on_wherever_it_logs(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service()
    monkeypatch.setitem(sys.modules, "trackio", service.module())
    train(TrainSettings.model_validate(settings))
    train(
        TrainSettings.model_validate(settings | {"log_to": ("trackio",)})
    )  # finished: no conflict of settings
    assert service.rows == []


def test_tensorboard_files_hold_the_figures(settings: dict[str, Any]) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(TrainSettings.model_validate(settings | {"log_to": ("tensorboard",)}))
    events = EventAccumulator(str(settings["out"] / "tensorboard"))
    events.Reload()
    rows = [row for row in read_jsonl(settings["out"] / "metrics.jsonl", Metrics) if row.loss is not None]
    told = [(event.step, event.value) for event in events.Scalars("train/loss")]
    assert [step for step, _ in told] == [row.step for row in rows]
    assert [value for _, value in told] == pytest.approx([row.loss for row in rows], rel=1e-6)
