from pathlib import Path
from typing import Any

import pytest
import torch
from tests.train.test_loss import build, gradient, plain_loss, relative_error, sequences

from lima import model as models
from lima.chat import IGNORE, Tokens
from lima.errors import LimaError
from lima.files import read_jsonl
from lima.train.attention import inside_documents
from lima.train.loop import fit, gradients
from lima.train.metrics import MEASURED, Metrics
from lima.train.settings import FitSettings


def settings(**changes: Any) -> FitSettings:
    values = {"epochs": 2, "batch_size": 3, "learning_rate": 1e-2, "residual_dropout": 0.0, **changes}
    return FitSettings.model_validate(values)


def documents() -> list[Tokens]:
    return sequences((9, 3, 17, 5, 2, 8, 11, 4), seed=1)


STOP = documents()[2].ids[-1]
"""Stands for the token that ends a turn."""


def weights(model: Any) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def rows(folder: Path) -> list[dict[str, Any]]:
    """The rows of metrics without their times."""
    found = [row.model_dump() for row in read_jsonl(folder / "metrics.jsonl", Metrics)]
    return [{key: value for key, value in row.items() if key not in MEASURED} for row in found]


@pytest.mark.parametrize("budget", [1, 20, 1000])
@pytest.mark.parametrize("name", ["llama", "llama-tied", "phi3"])
def test_the_gradient_of_a_step_is_that_of_the_mean_over_its_supervised_tokens(
    name: str, budget: int
) -> None:
    """Also where head and embeddings share their weight, and where a padding token's row is to have no gradient (phi3)."""
    model = build(name)
    batch = documents()
    supervised = sum(sequence.supervised for sequence in batch)
    expected = plain_loss(model, batch) / supervised
    reference = gradient(model, expected)
    model.zero_grad()
    with inside_documents(model):
        choice = settings(micro_batch_tokens=budget, precision="float32")
        loss, accuracy, stop_loss = gradients(model, batch, choice, 1, stop=STOP)
    found = torch.cat([p.grad.flatten() for p in model.parameters()])
    assert float(loss) == pytest.approx(float(expected.detach()), rel=1e-12)
    assert float(accuracy) == pytest.approx(plain_accuracy(model, batch))
    assert float(stop_loss) == pytest.approx(plain_stop_loss(model, batch))
    assert relative_error(found, reference) <= 1e-12


def plain_accuracy(model: Any, batch: list[Tokens]) -> float:
    """Share of supervised tokens that the stock model predicts, a document at a time."""
    hits: list[bool] = []
    for document in batch:
        predicted = model(input_ids=torch.tensor([document.ids])).logits[0, :-1].argmax(-1).tolist()
        pairs = zip(predicted, document.labels[1:], strict=True)
        hits += [found == label for found, label in pairs if label != IGNORE]
    return sum(hits) / len(hits)


def plain_stop_loss(model: Any, batch: list[Tokens]) -> float:
    """Mean loss where `STOP` is wanted, by the stock model, a document at a time."""
    found: list[float] = []
    for document in batch:
        chances = model(input_ids=torch.tensor([document.ids])).logits[0, :-1].log_softmax(-1)
        ends = [place for place, label in enumerate(document.labels[1:]) if label == STOP]
        found += (-chances[ends, STOP]).tolist()
    return sum(found) / len(found)


def test_any_split_into_micro_batches_gives_the_same_steps(tmp_path: Path) -> None:
    results = []
    for budget in (1, 25, 4096):
        model = build("llama")
        fit(model, documents(), settings(micro_batch_tokens=budget), tmp_path / str(budget))
        results.append(weights(model))
    # float64: the splits differ in rounding alone, over 6 steps
    assert relative_error(results[0], results[2]) <= 1e-9
    assert relative_error(results[1], results[2]) <= 1e-9


def test_the_first_step_is_plain_adamw(tmp_path: Path) -> None:
    """One step on all documents equals stock transformers, torch's clipping and torch's AdamW."""
    model, reference = build("llama"), build("llama")
    fit(model, documents(), settings(steps=1, batch_size=8), tmp_path)
    supervised = sum(sequence.supervised for sequence in documents())
    gradient(reference, plain_loss(reference, documents()) / supervised)
    torch.nn.utils.clip_grad_norm_(reference.parameters(), 1.0)
    decay = [p for p in reference.parameters() if p.ndim >= 2]
    plain = [p for p in reference.parameters() if p.ndim < 2]
    groups = [{"params": decay, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}]
    torch.optim.AdamW(groups, lr=1e-2, betas=(0.9, 0.95), eps=1e-8).step()
    torch.testing.assert_close(weights(model), weights(reference), rtol=1e-9, atol=1e-12)


def test_it_learns(tmp_path: Path) -> None:
    model = build("llama").float()
    fit(model, documents(), settings(epochs=20), tmp_path)
    losses = [row["loss"] for row in rows(tmp_path) if "loss" in row]
    assert losses[0] == pytest.approx(4.16, abs=0.3)  # about log 64 = 4.16: a random model
    assert losses[-1] < 1.0


def test_a_row_a_step_and_a_row_an_epoch(tmp_path: Path) -> None:
    epochs: list[int] = []

    def on_epoch(epoch: int) -> dict[str, float]:
        epochs.append(epoch)
        return {"heldout_nll": 1.0 / epoch}

    fit(build("llama"), documents(), settings(), tmp_path, on_epoch=on_epoch)
    found = rows(tmp_path)
    assert [row["step"] for row in found] == [1, 2, 3, 3, 4, 5, 6, 6]
    assert [row["epoch"] for row in found] == [1, 1, 1, 1, 2, 2, 2, 2]
    assert found[3] == {"step": 3, "epoch": 1, "heldout_nll": 1.0}
    assert epochs == [1, 2]
    tokens = sum(row.get("tokens", 0) for row in found)
    assert tokens == 2 * sum(len(sequence.ids) for sequence in documents())


def test_the_model_is_evaluated_in_evaluation_mode_and_comes_back_plain(tmp_path: Path) -> None:
    model = build("llama")
    modes: list[bool] = []

    def on_epoch(epoch: int) -> dict[str, float]:
        modes.append(model.training)
        return {}

    fit(model, documents(), settings(residual_dropout=0.2), tmp_path, on_epoch=on_epoch)
    assert modes == [False, False]
    assert not model.training
    model(input_ids=torch.tensor([[1, 2, 3]]))  # plain attention works again


def test_dropout_noise_depends_on_the_seed_and_leaves_torch_s_generator_alone(tmp_path: Path) -> None:
    results = {}
    for name, seed, first in (("a", 0, 1), ("b", 0, 2), ("c", 1, 1)):
        torch.manual_seed(first)
        expected = torch.rand(2)[1].item()
        torch.manual_seed(first)
        torch.rand(1)
        model = build("llama")
        # one batch holds all documents, so that the seed can act through dropout alone
        fit(
            model,
            documents(),
            settings(residual_dropout=0.3, seed=seed, steps=2, batch_size=8),
            tmp_path / name,
        )
        results[name] = weights(model)
        assert torch.rand(1).item() == expected
    assert torch.equal(results["a"], results["b"])
    assert not torch.allclose(results["a"], results["c"])


def test_activation_checkpointing_changes_nothing_with_dropout_on(tmp_path: Path) -> None:
    results = []
    for name, on in (("with", True), ("without", False)):
        model = build("llama").float()
        fit(model, documents(), settings(residual_dropout=0.3, activation_checkpointing=on), tmp_path / name)
        results.append(weights(model))
    assert torch.equal(results[0], results[1])


def test_a_loss_that_is_not_finite_stops_with_the_batch_named(tmp_path: Path) -> None:
    model = build("llama")
    with torch.no_grad():
        model.get_output_embeddings().weight[5] = float("inf")
    bad = [Tokens([5, 6, 7], [5, 6, 7], id="made/odd")]
    with pytest.raises(LimaError, match=r"step 1: .*nan.* batch of made/odd"):
        fit(model, bad, settings(), tmp_path)
    assert not (tmp_path / "state").exists()


def test_a_fit_that_stopped_goes_on_to_the_same_weights_and_rows(tmp_path: Path) -> None:
    """Stopped by an exception in every epoch's end; the epoch's step is not repeated, its end is."""
    choice = settings(residual_dropout=0.3, save_every=1)
    undisturbed = build("llama")
    fit(undisturbed, documents(), choice, tmp_path / "a")
    ends: list[int] = []

    def stop_once_each(epoch: int) -> dict[str, float]:
        ends.append(epoch)
        if ends.count(epoch) == 1:
            raise KeyboardInterrupt
        return {}

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            fit(build("llama"), documents(), choice, tmp_path / "b", on_epoch=stop_once_each)
    resumed = build("llama")
    fit(resumed, documents(), choice, tmp_path / "b", on_epoch=stop_once_each)
    assert ends == [1, 1, 2, 2]
    assert torch.equal(weights(resumed), weights(undisturbed))
    assert rows(tmp_path / "b") == rows(tmp_path / "a")


def test_a_run_that_stops_between_a_row_and_its_state_can_be_resumed(
    tmp_path: Path, tiny_model: Path
) -> None:
    model, _ = models.load(tiny_model, device="cpu")
    reference, _ = models.load(tiny_model, device="cpu")
    fit(reference, documents(), settings(), tmp_path / "a")
    seen: list[Metrics] = []

    def full_at_the_fourth(row: Metrics) -> None:
        seen.append(row)
        if len(seen) == 4:
            raise LimaError("no space left on device")

    with pytest.raises(LimaError, match="no space"):
        fit(model, documents(), settings(save_every=1), tmp_path / "b", report=full_at_the_fourth)
    fresh, _ = models.load(tiny_model, device="cpu")
    fit(fresh, documents(), settings(save_every=1), tmp_path / "b")
    assert torch.equal(weights(fresh), weights(reference))
    assert rows(tmp_path / "b") == rows(tmp_path / "a")
