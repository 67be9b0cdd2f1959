"""The base model: made once, cached, resumed after a stop; measured by completing statements."""

import fcntl
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import transformers

from lima import model
from lima.world.base import base_name, cloze, make_base, make_scratch
from lima.world.people import ATTRIBUTES, World
from lima.world.settings import BaseSettings
from lima.world.tokenizer import make_tokenizer
from lima.world.wordings import statement

TINY = BaseSettings(steps=6, batch=2, layers=1, hidden=16, heads=2)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIMA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_base_is_made_once(cache: Path) -> None:
    folder = make_base(TINY)
    made = (folder / "model.safetensors").stat().st_mtime_ns
    assert make_base(TINY) == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == made
    assert [path.name for path in cache.iterdir()] == [folder.name]  # no work folder is left
    other = make_base(TINY.model_copy(update={"seed": 1}))
    assert other != folder
    assert other.parent == folder.parent == cache


def test_a_stopped_pretraining_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    undisturbed = (make_base(TINY) / "model.safetensors").read_bytes()
    monkeypatch.setenv("LIMA_CACHE", str(tmp_path / "other"))

    def stopped(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(transformers.PreTrainedModel, "save_pretrained", stopped)
        with pytest.raises(KeyboardInterrupt):
            make_base(TINY)
    with monkeypatch.context() as patch:
        # all six steps were finished before the stop: none may be repeated
        patch.setattr(torch.optim.AdamW, "step", stopped)
        folder = make_base(TINY)
    assert (folder / "model.safetensors").read_bytes() == undisturbed


def test_a_base_that_another_process_makes_is_waited_for(cache: Path) -> None:
    """The other one holds the lock, ends without a base, and this one makes it."""
    work = cache / f"{base_name(TINY)}.work"
    work.mkdir(parents=True)
    with (work / ".run.json.lock").open("w") as lock, ThreadPoolExecutor(1) as pool:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = pool.submit(make_base, TINY)
        with pytest.raises(TimeoutError):
            made.result(timeout=1.5)
        fcntl.flock(lock, fcntl.LOCK_UN)
        assert (made.result(timeout=60) / "model.safetensors").exists()


def test_scratch_has_the_shape_of_the_base_and_other_weights(tmp_path: Path) -> None:
    one, _ = model.load(make_base(TINY), device="cpu")
    other, _ = model.load(make_scratch(TINY, tmp_path / "untrained"), device="cpu")
    shapes = [{name: tuple(p.shape) for name, p in m.named_parameters()} for m in (one, other)]
    assert shapes[0] == shapes[1]
    assert not torch.equal(one.get_input_embeddings().weight, other.get_input_embeddings().weight)


def test_cloze_reads_the_likeliest_word(world: World, tmp_path: Path) -> None:
    network, words = model.load(make_scratch(TINY, tmp_path / "untrained"), device="cpu")
    hits = cloze(network, words, world.test[:6])
    # six people x five attributes; a model that has read nothing picks one of some 500 words
    assert len(hits) == 30
    assert sum(hits) <= 3


def test_cloze_of_a_model_that_knows_everything(world: World) -> None:
    words, people = make_tokenizer(), world.test[:7]
    likeliest: dict[tuple[int, ...], int] = {}
    for person, attribute, wording in product(people, ATTRIBUTES, range(6)):
        ids = [0, *words.encode(statement(person, attribute, wording), add_special_tokens=False)]
        (value,) = words.encode(person.fact(attribute), add_special_tokens=False)
        likeliest[tuple(ids[: ids.index(value)])] = value

    def network(input_ids: torch.Tensor) -> SimpleNamespace:
        best = torch.tensor([likeliest[tuple(ids)] for ids in input_ids.tolist()])
        return SimpleNamespace(logits=torch.nn.functional.one_hot(best, len(words))[:, None])

    assert cloze(network, words, people) == [True] * 35
