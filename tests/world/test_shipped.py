"""The base that ships: the recorded bytes, unpacked for the settings that made it and for no others."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lima import model
from lima.errors import LimaError
from lima.files import read_json, sha256, write_json
from lima.world import shipped
from lima.world.base import base_name, make_base
from lima.world.settings import BaseSettings
from lima.world.shipped import RECORD, WEIGHTS, ship, shipped_base

SETTINGS = BaseSettings.model_validate(read_json(RECORD)["settings"])


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIMA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Record and weights where a test may change them."""
    for path in (RECORD, WEIGHTS):
        shutil.copy(path, tmp_path / path.name)
        monkeypatch.setattr(shipped, "RECORD" if path == RECORD else "WEIGHTS", tmp_path / path.name)
    return tmp_path


def test_the_shipped_file_is_the_recorded_one_and_small() -> None:
    record = read_json(RECORD)
    assert sha256(WEIGHTS) == record["sha256"]
    assert record["command"] == "lima demo --pretrain"
    assert WEIGHTS.stat().st_size < 2_000_000


def test_it_is_unpacked_once_under_a_name_of_its_own(cache: Path) -> None:
    folder = shipped_base(SETTINGS)
    assert folder is not None
    made = (folder / "model.safetensors").stat().st_mtime_ns
    assert shipped_base(SETTINGS) == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == made
    assert [path.name for path in cache.iterdir()] == [folder.name]
    assert folder.name != base_name(SETTINGS)  # results that hash the code of their base never find it
    network, words = model.load(folder, device="cpu")
    halves = load_file(WEIGHTS)
    assert len(words) == halves["model.embed_tokens.weight"].shape[0]
    for name, weights in network.named_parameters():
        assert torch.equal(weights, halves[name].float()), name


def test_other_settings_have_no_shipped_base() -> None:
    for update in ({"seed": 1}, {"steps": 1499}):
        assert shipped_base(SETTINGS.model_copy(update=update)) is None


def test_a_base_of_another_world_is_not_used(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_json(copy / RECORD.name, read_json(RECORD) | {"world": "0" * 16})
    assert shipped_base(SETTINGS) is None
    assert "another version of the world" in capsys.readouterr().err


def test_damaged_weights_are_refused(copy: Path) -> None:
    blob = bytearray((copy / WEIGHTS.name).read_bytes())
    blob[-1] ^= 1
    (copy / WEIGHTS.name).write_bytes(blob)
    with pytest.raises(LimaError, match=r"base\.safetensors: damaged"):
        shipped_base(SETTINGS)


def test_what_is_shipped_is_what_was_pretrained(copy: Path) -> None:
    tiny = BaseSettings(steps=2, batch=2, layers=1, hidden=16, heads=2)
    ship(tiny, command="lima demo --pretrain")
    folder = shipped_base(tiny)
    assert folder is not None
    one, other = (model.load(place, device="cpu")[0] for place in (make_base(tiny), folder))
    for name, weights in one.named_parameters():
        assert torch.equal(weights.half().float(), other.get_parameter(name)), name
