"""``--memory low``: bfloat16 weights that lose no step, 10 bytes a weight, beside the run in float32 that they stand for."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.train.test_eot import imported
from tests.train.test_loop import documents, rows, weights
from tests.train.test_loss import build, sequences

from lima import model as models
from lima.chat import Tokens
from lima.errors import LimaError
from lima.train.attention import inside_documents
from lima.train.batches import tokenize
from lima.train.checkpoints import States
from lima.train.loop import StepPlan, fit, gradients
from lima.train.memory import estimate
from lima.train.optimizer import (
    CompensatedAdamW,
    adamw,
    clip,
    joined,
    learning_rate_at,
    part,
    set_learning_rate,
)
from lima.train.precision import narrow
from lima.train.settings import FitSettings

SMOLLM2 = Path.home() / ".cache" / "real-models" / "smollm2-135m-instruct"


def settings(**changes: Any) -> FitSettings:
    values = {"steps": 50, "batch_size": 8, "residual_dropout": 0.0, "memory": "low", **changes}
    return FitSettings.model_validate(values)


def low(name: str = "llama-tied") -> Any:
    model = build(name).float()
    narrow(model)
    return model


def test_the_two_halves_are_the_float32_number() -> None:
    """Also near powers of two, where rounding up changes the exponent, and for denormal numbers and zeros."""
    generator = torch.Generator().manual_seed(0)
    bits = torch.randint(-(2**31), 2**31 - 1, (100_000,), generator=generator).int()
    numbers = bits.view(torch.float32)
    numbers = numbers[numbers.isfinite() & (numbers.abs() < 3e38)]
    numbers = torch.cat([numbers, torch.tensor([0.0, -0.0, 1e-40, 1 - 2**-24, 2 - 2**-23, -(1 - 2**-24)])])
    weight, remainder = torch.empty_like(numbers).bfloat16(), torch.empty_like(numbers, dtype=torch.int16)
    part(numbers, weight, remainder)
    assert torch.equal(joined(weight, remainder).view(torch.int32), numbers.view(torch.int32))
    # what the model computes with is the nearest bfloat16 number
    assert ((weight.float() - numbers).abs() <= (numbers.bfloat16().float() - numbers).abs()).all()


def test_a_step_is_adamw_s_but_for_rounded_moments() -> None:
    """The first step, whose moments come from nothing: the same to the last digits, although it is far below a rounding."""
    generator = torch.Generator().manual_seed(0)
    wide = torch.nn.Linear(300, 1000)
    with torch.no_grad():
        wide.weight.copy_((0.1 + 0.01 * torch.randn(1000, 300, generator=generator)).bfloat16())
    rounded = torch.nn.Linear(300, 1000)
    rounded.load_state_dict(wide.state_dict())
    narrow(rounded)
    rate = settings(learning_rate=1e-5)
    plain, compensated = adamw(wide, rate), adamw(rounded, rate)
    assert isinstance(plain, torch.optim.AdamW)
    assert isinstance(compensated, CompensatedAdamW)
    slope = torch.randn(1000, 300, generator=generator).bfloat16()
    wide.weight.grad, rounded.weight.grad = slope.float(), slope
    wide.bias.grad = torch.ones(1000)
    rounded.bias.grad = torch.ones(1000)
    before = wide.weight.detach().clone()
    plain.step()
    compensated.step()
    found = joined(rounded.weight.detach(), compensated.state[rounded.weight]["remainder"])
    assert (found - wide.weight).abs().max() < 2e-8
    assert (found - before).abs().min() > 9e-6
    assert torch.allclose(rounded.bias, wide.bias, rtol=1e-6)


def test_a_clipped_gradient_has_the_norm_that_it_is_clipped_to() -> None:
    model = low()
    generator = torch.Generator().manual_seed(0)
    for p in model.parameters():
        p.grad = torch.randn(p.shape, generator=generator).to(p.dtype)
    trained = list(model.parameters())
    expected = torch.cat([p.grad.double().flatten() for p in trained]).norm()
    assert float(clip(trained, 1.0)) == pytest.approx(float(expected), rel=1e-5)
    assert float(torch.cat([p.grad.double().flatten() for p in trained]).norm()) == pytest.approx(
        1, rel=0.002
    )


def losses(model: Any, data: list[Tokens], batch: int, folder: Path) -> list[float]:
    """The losses of 50 steps at the paper's rates, from weights that bfloat16 can hold; the folder's name says how."""
    narrow(model)
    changes: dict[str, Any] = {}
    if folder.name == "float32":
        model.float()
        changes = {"memory": "full", "precision": "bfloat16"}
    rate = settings(batch_size=batch, save_every=1000, **changes)
    if folder.name == "plain":
        return plain_losses(model, data, rate)
    fit(model, data, rate, folder)
    found = [float(row["loss"]) for row in rows(folder) if "loss" in row]
    assert len(found) == 50
    return found


def plain_losses(model: Any, data: list[Tokens], rate: FitSettings) -> list[float]:
    """What people get who load a model in bfloat16 and train it: torch's AdamW, which rounds every step into the weights."""
    plan, found = StepPlan.of(len(data), rate), []
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.95), weight_decay=0.1)
    with inside_documents(model.train()):
        for step in range(1, plan.steps + 1):
            set_learning_rate(optimizer, learning_rate_at(step - 1, plan.steps, rate))
            found.append(float(gradients(model, [data[i] for i in plan.batch(step)], rate, step)[0]))
            clip(list(model.parameters()), rate.clip_norm)
            optimizer.step()
            optimizer.zero_grad()
    return found


def test_small_steps_win_what_they_win_in_float32_and_in_plain_bfloat16_a_fraction(
    tmp_path: Path,
) -> None:
    """The products are in bfloat16 in all three, whose noise would else be the largest difference."""
    data = sequences((40, 31, 25, 37, 29, 33, 21, 38), seed=1)
    ways = ("float32", "compensated", "plain")
    found = [losses(build("llama-tied").float(), data, 8, tmp_path / name) for name in ways]
    full, low, plain = (first - last for first, *_, last in found)
    assert low == pytest.approx(full, rel=0.05)
    assert plain < 0.3 * full


@pytest.mark.acceptance
@pytest.mark.timeout(3600)
def test_on_a_real_model_the_loss_is_within_one_per_cent_and_plain_bfloat16_is_not(
    lima_data: Path, tmp_path: Path
) -> None:
    """SmolLM2-135M on one of LIMA's rows, cut to 128 tokens, at every step; about five minutes of one idle core."""
    if not SMOLLM2.is_dir():
        pytest.skip(f"{SMOLLM2} is missing")
    last = {}
    for name in ("float32", "compensated", "plain"):
        model, tokenizer = models.load(SMOLLM2)
        models.set_template(model, tokenizer, "tokenizer")
        examples = imported(lima_data / "lima" / "train.jsonl", tmp_path / "train.jsonl")[:1]
        row = tokenize(examples, tokenizer, max_length=128).sequences
        last[name] = losses(model, row * 50, 1, tmp_path / name)[-1]
    print(last)
    assert last["compensated"] == pytest.approx(last["float32"], rel=0.01)
    assert last["plain"] != pytest.approx(last["float32"], rel=0.01)


def test_a_stopped_run_goes_on_byte_for_byte(tmp_path: Path) -> None:
    """Weights, moments and remainders come back from the state."""
    whole, stopped = low(), low()
    data = documents()
    fit(whole, data, settings(steps=7, batch_size=3, save_every=1), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit(
            stopped,
            data,
            settings(steps=7, batch_size=3, save_every=1),
            tmp_path / "stopped",
            report=lambda row: (_ for _ in ()).throw(KeyboardInterrupt) if row.step == 4 else None,
        )
    again = low()
    fit(again, data, settings(steps=7, batch_size=3, save_every=1), tmp_path / "stopped")
    assert torch.equal(weights(again), weights(whole))
    states = [max((tmp_path / name / "state").iterdir()).read_bytes() for name in ("whole", "stopped")]
    assert states[0] == states[1]


def test_ten_bytes_a_weight_are_planned_and_held(tmp_path: Path) -> None:
    model = low()
    rate = settings(steps=1)
    planned = estimate(build("llama-tied").float(), documents(), rate)
    optimizer = adamw(model, rate)
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    held = sum(p.nbytes + p.grad.nbytes for p in model.parameters())
    held += sum(v.nbytes for p in model.parameters() for v in optimizer.state[p].values() if v.ndim)
    matrices = sum(p.numel() for p in model.parameters() if p.ndim >= 2)
    vectors = sum(p.numel() for p in model.parameters() if p.ndim < 2)
    assert held == 10 * matrices + 16 * vectors
    assert planned.weights + planned.gradients + planned.moments == pytest.approx(held, rel=0.05)
    saved = States(tmp_path, model, optimizer)
    saved.save(1)
    assert next(tmp_path.iterdir()).stat().st_size == pytest.approx(8 * matrices + 12 * vectors, rel=0.2)


def test_settings_that_rounding_would_spoil_are_refused() -> None:
    with pytest.raises(LimaError, match=r"at most 0\.99"):
        FitSettings(memory="low", beta2=0.999)
    with pytest.raises(LimaError, match="precision"):
        FitSettings(memory="low", precision="float32")
    assert FitSettings(memory="low").precision == "bfloat16"
