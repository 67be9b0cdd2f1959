"""A run's epochs -> their loss on held-out conversations, which is no guide to quality (LIMA, appendix)."""

from __future__ import annotations

from pathlib import Path

from lima import console
from lima import model as models
from lima.checkpoint.inputs import CheckpointInputs
from lima.checkpoint.settings import CheckpointSettings
from lima.errors import LimaError
from lima.files import JsonlLog, read_jsonl, sha256
from lima.records import Example, Record
from lima.train.batches import tokenize
from lima.train.invariants import check_context
from lima.train.loop import mean_loss
from lima.train.metrics import Metrics
from lima.train.run import epoch_folder
from lima.train.settings import TrainSettings


class HeldoutLoss(Record):
    """The loss of one epoch on one held-out file (``heldout.jsonl``)."""

    epoch: int
    file: str
    """Hash of the held-out file."""
    nll: float
    """Mean negative log-likelihood of a supervised token, in nats."""


def heldout_losses(settings: CheckpointSettings, inputs: CheckpointInputs) -> dict[int, float]:
    """Held-out loss by epoch: as training logged it, or measured on ``--heldout``; finished epochs are kept.

    Raises:
        LimaError: the held-out file is missing or has no supervised token.
    """
    if settings.heldout is None:
        return _logged(settings.run)
    file = sha256(settings.heldout) if settings.heldout.is_file() else ""
    if file and file == inputs.logged_heldout:
        return _logged(settings.run)
    examples = list(read_jsonl(settings.heldout, Example))
    with JsonlLog(settings.folder / "heldout.jsonl", HeldoutLoss) as log:
        losses = {row.epoch: row.nll for row in log.existing if row.file == file}
        todo = [epoch for epoch in inputs.epochs if epoch not in losses]
        with console.progress("held-out loss", len(inputs.epochs), "epochs") as bar:
            bar.resume(len(inputs.epochs) - len(todo))
            for epoch in todo:
                losses[epoch] = _measure(
                    epoch_folder(settings.run, epoch), examples, inputs.trained, settings
                )
                log.append(HeldoutLoss(epoch=epoch, file=file, nll=losses[epoch]))
                bar.advance()
    return losses


def _logged(run: Path) -> dict[int, float]:
    path = run / "metrics.jsonl"
    rows = read_jsonl(path, Metrics) if path.exists() else iter(())
    return {row.epoch: row.heldout_nll for row in rows if row.heldout_nll is not None}


def _measure(
    folder: Path, examples: list[Example], trained: TrainSettings, settings: CheckpointSettings
) -> float:
    """The loss as training would have logged it: same trimming, same tokens, same arithmetic."""
    model, tokenizer = models.load(folder)
    held = tokenize(
        examples,
        tokenizer,
        max_length=trained.max_length,
        keep_eot=trained.keep_eot,
        loss_on=trained.loss_on,
    )
    if not held.sequences:
        raise LimaError(f"{settings.heldout}: no example has a supervised token, so it has no loss.")
    for sequence in held.sequences:
        check_context(sequence, models.context_length(model))
    return mean_loss(model, held.sequences, budget=trained.micro_batch_tokens, precision=trained.precision)
