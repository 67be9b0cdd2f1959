from itertools import pairwise

import pytest
import torch

from lima.errors import LimaError
from lima.train.optimizer import adamw, learning_rate_at
from lima.train.settings import FitSettings, TrainSettings


def test_the_paper_s_schedule_falls_linearly_from_1e_5_to_1e_6() -> None:
    rates = [learning_rate_at(step, 480, FitSettings()) for step in range(480)]
    assert rates[0] == pytest.approx(1e-5, rel=1e-12)
    assert rates[-1] == pytest.approx(1e-6, rel=1e-12)
    falls = [before - after for before, after in pairwise(rates)]
    # 9e-6 over 479 equal falls
    assert min(falls) == pytest.approx(9e-6 / 479, rel=1e-9)
    assert max(falls) == pytest.approx(9e-6 / 479, rel=1e-9)


def test_warm_up_rises_to_the_peak_and_cosine_falls_from_it() -> None:
    settings = FitSettings(schedule="cosine", warmup_steps=3, learning_rate=1.0, final_learning_rate=0.2)
    rates = [learning_rate_at(step, 14, settings) for step in range(14)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[8] == pytest.approx(0.6)  # half way from step 3 to step 13: (1 + .2) / 2
    assert rates[13] == pytest.approx(0.2)


def test_a_single_step_uses_the_first_rate() -> None:
    assert learning_rate_at(0, 1, FitSettings()) == 1e-5


def test_a_warm_up_by_share_fits_a_short_run() -> None:
    """The Alpaca preset on 1,000 examples has 24 steps: one of them warms up, and the rate falls to nothing."""
    settings = FitSettings(learning_rate=2e-5, final_learning_rate=0.0, schedule="cosine", warmup_share=0.03)
    rates = [learning_rate_at(step, 24, settings) for step in range(24)]
    assert rates[:2] == pytest.approx([1e-5, 2e-5])
    assert rates[-1] == pytest.approx(0.0)
    assert settings.warmup(1219) == 37  # as its authors' recipe has it for 52,002 examples
    assert settings.warmup(100) == 3


def test_a_rate_that_would_rise_is_refused() -> None:
    with pytest.raises(LimaError, match="would rise"):
        FitSettings(learning_rate=5e-7)


def test_only_matrices_decay() -> None:
    """With a zero gradient AdamW moves a weight by decay alone: w - lr * decay * w."""
    layer = torch.nn.Linear(3, 3)
    with torch.no_grad():
        layer.weight.fill_(1.0)
        layer.bias.fill_(1.0)
    optimizer = adamw(layer, FitSettings(learning_rate=0.5, weight_decay=0.1))
    layer.weight.grad, layer.bias.grad = torch.zeros(3, 3), torch.zeros(3)
    optimizer.step()
    assert layer.weight.detach().unique().tolist() == pytest.approx([0.95])
    assert layer.bias.detach().unique().tolist() == [1.0]


def test_defaults_are_the_paper_s_65b_recipe() -> None:
    settings = FitSettings()
    assert (settings.beta1, settings.beta2, settings.weight_decay) == (0.9, 0.95, 0.1)
    assert (settings.epochs, settings.batch_size, settings.residual_dropout) == (15, 32, 0.3)
    assert settings.warmup_steps == 0
    assert TrainSettings.presets["lima-7b"] == {"batch_size": 64, "residual_dropout": 0.2}
