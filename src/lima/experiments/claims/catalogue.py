"""The experiments, in the order of `lima experiment all`."""

from __future__ import annotations

from lima.experiments.claims import additions, amount, choosing, pretraining, quality, training
from lima.experiments.claims.experiment import Experiment

EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in (
        amount.SCRATCH,
        amount.QUANTITY,
        quality.QUALITY,
        quality.DIVERSITY,
        training.TOKEN_SHIFT,
        pretraining.PRETRAINING,
        pretraining.TRANSFER,
        training.PERPLEXITY,
        training.CHECKPOINT,
        training.OVERFITTING,
        quality.UNKNOWN_FACTS,
        training.DROPOUT,
        additions.DIALOGUE,
        additions.STRUCTURE,
        additions.REFUSAL,
        choosing.SELECTION,
    )
}
