"""The one training loop: token sequences in, fitted weights out, whatever the device or the ablation.

Fine-tuning calls `fit` with the paper's recipe (LIMA, section 3), pretraining of the built-in world with another
schedule. A run that is killed and called again with the same arguments ends in the same weights.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from lima.chat import IGNORE, Tokens
from lima.console import progress, warn
from lima.errors import LimaError
from lima.files import text_hash
from lima.train.attention import inside_documents, slow_path
from lima.train.batches import MicroBatch, collate, epoch_batches, micro_batches
from lima.train.checkpoints import States
from lima.train.dropout import residual_dropout
from lima.train.loss import Measured, accumulating, measured_loss
from lima.train.metrics import Meter, Metrics, MetricsLog, NoLog, progress_note
from lima.train.optimizer import adamw, clip, learning_rate_at, set_learning_rate
from lima.train.parallel import ALONE, Processes, whole
from lima.train.precision import autocast, checkpoint_activations, compiled_layers, resolve, without_autocast
from lima.train.replay import Replay
from lima.train.settings import FitSettings, Precision
from lima.train.shards import ShardedStates, sharded_states

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Log = MetricsLog | NoLog
EndOfEpoch = Callable[[int], Mapping[str, float]]
"""Called after each epoch (from 1) in evaluation mode; what it returns joins the epoch's row of metrics."""


def fit(
    model: PreTrainedModel,
    sequences: Sequence[Tokens],
    settings: FitSettings,
    folder: Path,
    *,
    on_epoch: EndOfEpoch = lambda epoch: {},
    report: Callable[[Metrics], None] = lambda row: None,
    replay: Replay | None = None,
    description: str = "train",
    processes: Processes = ALONE,
    stop: int | None = None,
) -> None:
    """Fit the model's trainable weights, in place, to the supervised tokens of the sequences.

    Args:
        model: a causal language model with float32 weights, or one that `lima.train.precision.narrow` made.
        sequences: what it learns; each has at least one supervised token.
        settings: epochs or steps, batch size, optimiser, dropout.
        folder: gets ``metrics.jsonl`` and, in ``state/``, what a resumed run needs. Where states are there
            already, the run goes on from the newest; `lima.train.checkpoints.remove_states` ends it.
        on_epoch: saves or measures the model between epochs; may be called again after a kill.
        report: gets each row of the metrics, too.
        replay: text that is mixed into the steps.
        description: shown beside the progress bar.
        processes: those that compute together; with several the model is sharded (`lima.train.parallel.shard`).
        stop: the token that ends a turn, whose own loss is logged.

    Raises:
        LimaError: a loss or gradient is not finite (the batch is named), or the disk is full.
    """
    plan = StepPlan.of(len(sequences), settings)
    optimizer = adamw(model, settings)
    states = _states(folder / "state", model, optimizer, processes)
    done = states.restore()
    replayed = _replayed(replay, plan, sequences)
    meter = _meter(model, settings.precision)
    log: Log = MetricsLog(folder / "metrics.jsonl", done, report) if processes.is_first else NoLog()
    with _training(model, settings), log, progress(description, plan.steps, "steps") as bar:
        bar.resume(done)
        if plan.ends_epoch(done) and not processes.agree(log.has_epoch(plan.epoch(done))):
            _end_epoch(model, plan, done, log=log, on_epoch=on_epoch)
        for step in range(done + 1, plan.steps + 1):
            began = time.monotonic()
            batch = [sequences[position] for position in plan.batch(step)] + replayed[step - 1]
            rate = learning_rate_at(step - 1, plan.steps, settings)
            set_learning_rate(optimizer, rate)
            measured = gradients(model, batch, settings, step, processes, stop)
            # the one moment of a step at which the host waits for the device
            figures = _figures(torch.stack([*measured, _clip(model, settings.clip_norm)]), step, batch)
            optimizer.step()
            optimizer.zero_grad()
            figures |= meter.measured(batch, replayed[step - 1], time.monotonic() - began)
            row = Metrics(step=step, epoch=plan.epoch(step), learning_rate=rate, **figures)
            log.append(row)
            if plan.ends_epoch(step) or states.is_due(step, settings.save_every):
                states.save(step)
            if plan.ends_epoch(step):
                _end_epoch(model, plan, step, log=log, on_epoch=on_epoch)
            bar.advance(1, progress_note(row))


@dataclass(frozen=True)
class StepPlan:
    """Which examples make up which step. Steps and epochs count from 1."""

    examples: int
    batch_size: int
    steps: int
    seed: int

    @classmethod
    def of(cls, examples: int, settings: FitSettings) -> StepPlan:
        """From the number of examples and the settings."""
        per_epoch = math.ceil(examples / settings.batch_size)
        return cls(
            examples, settings.batch_size, settings.steps or per_epoch * settings.epochs, settings.seed
        )

    @property
    def steps_per_epoch(self) -> int:
        """Steps of a whole epoch."""
        return math.ceil(self.examples / self.batch_size)

    def epoch(self, step: int) -> int:
        """The epoch that a step belongs to."""
        return (step - 1) // self.steps_per_epoch + 1

    def ends_epoch(self, step: int) -> bool:
        """Whether an epoch, or the whole run, ends with this step."""
        return step > 0 and (step % self.steps_per_epoch == 0 or step == self.steps)

    def batch(self, step: int) -> list[int]:
        """Positions of the examples of a step."""
        epoch = self.epoch(step)
        batches = epoch_batches(self.examples, self.batch_size, seed=self.seed, epoch=epoch)
        return batches[(step - 1) % self.steps_per_epoch]


def _meter(model: PreTrainedModel, precision: Precision) -> Meter:
    """What a step's time is held against; warns where this device's arithmetic is slow."""
    arithmetic = getattr(torch, resolve(model, precision))
    if slow := slow_path(model.device, arithmetic):
        warn(slow)
    return Meter.of(model, arithmetic)


def _replayed(replay: Replay | None, plan: StepPlan, sequences: Sequence[Tokens]) -> list[list[Tokens]]:
    """The windows of text that each step has besides its examples."""
    if replay is None:
        return [[] for _ in range(plan.steps)]
    lengths = [len(sequence.ids) for sequence in sequences]
    return replay.schedule([sum(lengths[i] for i in plan.batch(step)) for step in range(1, plan.steps + 1)])


def _states(
    folder: Path, model: PreTrainedModel, optimizer: torch.optim.Optimizer, processes: Processes
) -> States:
    """Where states are kept: in one file each, or in parts where several processes work or have worked."""
    if processes.size > 1 or sharded_states(folder):
        return ShardedStates(folder, model, optimizer, processes)
    return States(folder, model, optimizer)


@torch.no_grad()
def mean_loss(
    model: PreTrainedModel,
    sequences: Sequence[Tokens],
    *,
    budget: int,
    precision: Precision,
    processes: Processes = ALONE,
) -> float:
    """Negative log-likelihood a supervised token, in nats, over all sequences; dropout must be off."""
    assert not model.training, "a loss in training mode is not a measurement"
    total, measure = torch.zeros((), device=model.device, dtype=torch.float64), _measure(model, processes)
    with inside_documents(model), autocast(model, precision):
        for _, group, counts in processes.deal(list(micro_batches(sequences, budget))):
            total += measure(collate(group, model.device), 0.0).loss.double() * counts
    return float(processes.sum(total)) / sum(sequence.weight for sequence in sequences)


def _measure(model: PreTrainedModel, processes: Processes) -> Callable[[MicroBatch, float], Measured]:
    """`lima.train.loss.measured_loss` of this model, through its shards where it has been sharded."""
    return processes.sharded or partial(measured_loss, model)


def gradients(
    model: PreTrainedModel,
    batch: Sequence[Tokens],
    settings: FitSettings,
    step: int,
    processes: Processes = ALONE,
    stop: int | None = None,
) -> torch.Tensor:
    """Add up the gradient of the batch's mean loss per supervised token.

    Returns that loss, the share of tokens predicted, and the mean loss of the ``stop`` tokens (not a number where there is none).

    Each micro-batch's sum is divided by the supervised tokens (the sum of weights) of the whole batch, so that the split does
    not matter. Its dropout noise depends on seed, step and its place alone. Nothing here waits for the device.
    """
    weight = sum(sequence.weight for sequence in batch)
    measure, found = _measure(model, processes), []
    in_place = accumulating(model, 1 / weight) if processes.size == 1 else nullcontext()
    # One block a step: weights are narrowed once, not for every micro-batch. Where activations or weights are not held as a
    # whole, neither are these copies.
    keeps = processes.size == 1 and not settings.activation_checkpointing
    with in_place as step_head, autocast(model, settings.precision, keeps=keeps):
        known = {} if step_head is None else {"step_head": step_head}
        for place, group, counts in processes.deal(list(micro_batches(batch, settings.micro_batch_tokens))):
            micro_batch = collate(group, model.device)
            with _noise(settings.seed, step, place, model.device):
                loss, terms = measure(micro_batch, settings.neftune_alpha, **known)
                if step_head is None:
                    loss = loss / weight * counts
                with without_autocast(model.device):
                    # sharded gradients are means over the processes
                    (loss * processes.size if processes.size > 1 else loss).backward()
            found.append(torch.stack([loss.detach(), *(_told(terms, micro_batch, stop) * counts)]))
    loss, correct, ends, number = processes.sum(torch.stack(found).sum(0))
    return torch.stack([loss, correct / weight, ends / number])


def _told(terms: torch.Tensor, batch: MicroBatch, stop: int | None) -> torch.Tensor:
    """Number of tokens predicted, summed loss of the stop tokens, and their number, by weight; nothing waits for the device."""
    weights = torch.ones_like(terms[0]) if batch.weights is None else batch.weights
    ends = weights * (batch.targets == (IGNORE if stop is None else stop))
    return torch.stack([(terms[1] * weights).sum(), (terms[0] * ends).sum(), ends.sum()])


@contextmanager
def _noise(seed: int, step: int, place: int, device: torch.device) -> Iterator[None]:
    """Seed torch's generators within the block and put them back after it.

    The global generators, not one of ours, because a model's own dropout layers use them and because
    activation checkpointing replays them.
    """
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(int(text_hash("dropout", str(seed), str(step), str(place), length=15), 16))
        yield


@contextmanager
def _training(model: PreTrainedModel, settings: FitSettings) -> Iterator[None]:
    """Training mode with document attention and residual dropout; all of it is undone at the end."""
    compiled = (
        compiled_layers(model, whole=not settings.activation_checkpointing)
        if settings.compile
        else nullcontext()
    )
    with inside_documents(model), residual_dropout(model, settings.residual_dropout), compiled:
        if settings.activation_checkpointing:
            checkpoint_activations(model, "enable")
        model.train()
        try:
            yield
        finally:
            model.eval()
            if settings.activation_checkpointing:
                checkpoint_activations(model, "disable")


def _end_epoch(model: PreTrainedModel, plan: StepPlan, step: int, *, log: Log, on_epoch: EndOfEpoch) -> None:
    model.eval()
    measured = on_epoch(plan.epoch(step))
    model.train()
    log.append(Metrics(step=step, epoch=plan.epoch(step), **measured))


def _clip(model: PreTrainedModel, norm: float) -> torch.Tensor:
    return whole(clip([p for p in model.parameters() if p.requires_grad], norm))


def _figures(measured: torch.Tensor, step: int, batch: Sequence[Tokens]) -> dict[str, Any]:
    """Losses, accuracy and gradient norm of a step, fetched from the device; refused where they are not finite."""
    loss, accuracy, stop_loss, grad_norm = measured.tolist()
    if not math.isfinite(loss) or not math.isfinite(grad_norm):
        names = ", ".join(sequence.id or "?" for sequence in batch[:5]) + (" ..." if len(batch) > 5 else "")
        raise LimaError(
            f"step {step}: the loss is {loss} and the gradient norm {grad_norm}, in the batch of {names}. "
            "Look at these examples, or lower --learning-rate."
        )
    found = {"loss": loss, "accuracy": accuracy, "grad_norm": grad_norm}
    return found if math.isnan(stop_loss) else {**found, "stop_loss": stop_loss}
