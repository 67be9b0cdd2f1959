"""A checkpoint goes to a stand-in for the hub, on loopback, by the client's own requests; nothing goes there that should not."""

import hashlib
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.publish.stand_in import TOKEN, StandIn, front, running

from lima import cli
from lima.errors import LimaError
from lima.publish.publish import publish
from lima.publish.settings import PublishSettings

CARD = """---
library_name: transformers
license: apache-2.0
lima:
  base: tiny
  base_licence: apache-2.0
  examples: 3
  data_licences:
    CC BY-SA 4.0: 2
    MIT: 1
---
# tiny, tuned on 3 examples

`tiny` after epoch 1 of tuning. It has not been evaluated here: `lima generate` does that.

## Use

`lima chat PATH`.

## Data

train.jsonl.
"""


@pytest.fixture
def hub() -> Iterator[StandIn]:
    with running() as state:
        yield state


@pytest.fixture
def checkpoint(tiny_model: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "run" / "epoch-01"
    shutil.copytree(tiny_model, folder)
    (folder / "README.md").write_text(CARD)
    (folder / "notes.txt").write_text("mine alone")
    return folder


def settings(folder: Path, out: Path, **more: Any) -> PublishSettings:
    return PublishSettings(folder=folder, to="ann/tiny", out=out, base_model="org/base", **more)


def test_a_model_is_sent_as_it_was_listed(hub: StandIn, checkpoint: Path, tmp_path: Path) -> None:
    words: list[str | Path] = [
        "publish",
        checkpoint,
        "--to",
        "ann/tiny",
        "--out",
        tmp_path / "out",
        "--base-model",
        "org/base",
    ]
    listed, strange, nobody, sent, private = hub.lima(
        words, ["HF_TOKEN=hf_wrongTokenOfNobodyAtAll", *words, "--push"], ["HF_TOKEN=", *words, "--push"],
        [f"HF_TOKEN={TOKEN}", *words, "--push"], [*words[:3], "ann/own", *words[4:], "--push", "--private"], home=tmp_path / "home", cwd=tmp_path
    )  # fmt: skip
    assert (listed.code, sent.code, private.code) == (0, 0, 0), sent.text
    assert "stays here: notes.txt" in listed.text
    assert strange.code == 2
    assert "hf auth login" in strange.text.splitlines()[-1]
    assert "wrongToken" not in strange.text
    assert "ann/tiny: not logged in to the hub." in nobody.text
    repository = hub.repositories["model/ann/tiny"]
    assert repository.messages == ["Publish model with lima"]
    assert "notes.txt" not in repository.files
    for name, content in repository.files.items():
        digest = hashlib.sha256(content).hexdigest()
        assert any(digest in line and line.endswith(name) for line in listed.text.splitlines()), name
    weights = (checkpoint / "model.safetensors").read_bytes()
    assert repository.files["model.safetensors"] == weights  # by LFS, its hash checked there
    assert repository.large == {"model.safetensors"}
    assert front(repository.files["README.md"])["base_model"] == "org/base"
    assert hub.repositories["model/ann/own"].private
    everything = listed.text + sent.text + "".join(p.read_text() for p in (tmp_path / "out").glob("*.json"))
    assert TOKEN not in everything


@pytest.mark.slow
def test_a_model_goes_by_xet_too(hub: StandIn, checkpoint: Path, tmp_path: Path) -> None:
    words: list[str | Path] = [
        "publish",
        checkpoint,
        "--to",
        "ann/tiny",
        "--base-model",
        "org/base",
        "--push",
    ]
    (sent,) = hub.lima(words, home=tmp_path / "home", cwd=tmp_path, HF_HUB_DISABLE_XET="0")
    assert sent.code == 0, sent.text
    weights = (checkpoint / "model.safetensors").read_bytes()
    digest = hashlib.sha256(weights).hexdigest()
    assert hub.repositories["model/ann/tiny"].files["model.safetensors"] == f"xet:{digest}".encode()
    assert hub.xet  # blocks came
    assert not hub.objects  # and nothing by LFS


@pytest.mark.slow
def test_a_hub_out_of_reach_is_said_in_one_line(hub: StandIn, checkpoint: Path, tmp_path: Path) -> None:
    words: list[str | Path] = [
        "publish",
        checkpoint,
        "--to",
        "ann/tiny",
        "--base-model",
        "org/base",
        "--push",
    ]
    (away,) = hub.lima(words, home=tmp_path / "home", cwd=tmp_path, HF_ENDPOINT="http://127.0.0.1:9")
    assert away.code == 2
    assert "Check the network, HF_ENDPOINT" in away.text.splitlines()[-1]
    assert not hub.repositories


def test_a_changed_card_is_kept(checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    publish(settings(checkpoint, out))
    assert "apache-2.0" in (out / "README.md").read_text()
    (out / "README.md").write_text("---\nlicense: mit\n---\nIn my own words.\n")
    publish(settings(checkpoint, out))
    assert "In my own words." in (out / "README.md").read_text()
    (out / "README.md").unlink()
    publish(settings(checkpoint, out))
    assert "In my own words." not in (out / "README.md").read_text()
    (tmp_path / "other").mkdir()
    with pytest.raises(LimaError, match="not of lima publish"):
        publish(settings(checkpoint, tmp_path / "other"))


def test_the_card_says_base_licences_and_results(checkpoint: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    study.mkdir()
    score = {"value": 0.25, "low": 0.125, "high": 0.5, "level": 0.95, "n": 40, "method": "MOVER"}
    result = {"system": "base", "baseline": "tuned", "group": "crowd", "result": {"score": score}}
    finding = {"system": "base", "baseline": "tuned", "named": "base", "results": [result]}
    mean = {"value": 4.5, "low": 4.0, "high": 5.0, "level": 0.95, "n": 40, "method": "t"}
    report = {
        "study": "study", "systems": ["base", "tuned"], "inputs": [], "findings": [finding], "quality": [], "safety": [],
        "helpfulness": [{"group": "judge:m@1f", "system": "tuned", "mean": mean}],
    }  # fmt: skip
    (study / "report.json").write_text(json.dumps(report))
    (study / "systems.json").write_text(
        json.dumps({"systems": [{"name": "tuned", "model": str(checkpoint)}]})
    )
    publish(settings(checkpoint, tmp_path / "out", study=(study,), datasets=("ann/rows",), language=("en",)))
    card = (tmp_path / "out" / "README.md").read_bytes()
    values = front(card)
    assert values["base_model"] == "org/base"
    assert (values["license"], values["datasets"], values["language"]) == ("apache-2.0", ["ann/rows"], ["en"])
    (found,) = values["model-index"]
    wins, helpful = found["results"][0]["metrics"]
    assert wins["value"] == 0.75  # seen from the other side, the interval turned with it
    assert wins["args"]["interval"] == [0.5, 0.875]
    assert wins["args"]["n"] == 40
    assert (helpful["type"], helpful["value"], helpful["args"]["rater"]) == ("helpfulness", 4.5, "judge m")
    text = card.decode()
    assert "| win rate against base, ties count half | crowd | 0.750 | 0.500 to 0.875 | 40 | MOVER |" in text
    assert "It has not been evaluated" not in text
    assert "`lima chat ann/tiny`" in text
    assert "| 2 training examples | CC BY-SA 4.0 | name the authors and the licence; pass changed" in text
    with pytest.raises(LimaError, match="no system 'other'"):
        publish(settings(checkpoint, tmp_path / "out", study=(study,), system="other"))


def test_what_stands_against_it_stops_it_by_name(checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    card = CARD.replace("license: apache-2.0\n", "").replace("  base_licence: apache-2.0\n", "")
    (checkpoint / "README.md").write_text(card.replace("MIT: 1", "none stated: 1"))
    with pytest.raises(
        LimaError,
        match=r"licence of the base org/base is not stated .*, and 1 more.*--accept licence-may-be-infringed",
    ):
        publish(settings(checkpoint, out))
    given = {"base_licence": "mit", "unstated_licence": "CC BY 4.0"}
    publish(settings(checkpoint, out, **given))
    assert "| 1 training examples | CC BY 4.0 |" in (out / "README.md").read_text()
    (checkpoint / "chat_template.jinja").write_text("{# from /home/ann/work, key AKIAIOSFODNN7EXAMPLE #}")
    with pytest.raises(LimaError, match=r"chat_template.jinja:1: a key of AWS, and 1 more") as stopped:
        publish(settings(checkpoint, out, **given))
    assert "AKIA" not in str(stopped.value)  # a message is no place for a key
    publish(
        settings(checkpoint, out, **given, accept=("secrets-become-public", "personal-data-become-public"))
    )


def test_what_is_no_model_and_no_data(checkpoint: Path, tmp_path: Path) -> None:
    for folder, said in (
        (tmp_path / "nowhere", "no such file or folder"),
        (checkpoint.parent, "a run. Name the checkpoint to publish, one of epoch-01"),
        (tmp_path / "home", "no examples"),
    ):
        (tmp_path / "home").mkdir(exist_ok=True)
        with pytest.raises(LimaError, match=said):
            publish(settings(folder, tmp_path / "out"))
    with pytest.raises(LimaError, match="--base-model USER/NAME"):
        publish(PublishSettings(folder=checkpoint, to="ann/tiny", out=tmp_path / "out"))
    with pytest.raises(LimaError, match="expected USER/NAME"):
        PublishSettings(folder=checkpoint, to="tiny")


def test_a_dry_run_writes_nothing(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(tmp_path.rglob("*"))
    words = ["publish", str(checkpoint), "--to", "ann/tiny", "--out", str(tmp_path / "out"), "--dry-run"]
    assert cli.run([*words, "--base-model", "org/base"]) == 0
    assert "would leave this machine for ann/tiny" in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_data_set_needs_packages_that_are_named_with_their_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = tmp_path / "train.jsonl"
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
    rows.write_text(json.dumps({"id": "a", "source": "a", "messages": turns}) + "\n")
    for name in ("pyarrow", "mlcroissant"):
        monkeypatch.setitem(sys.modules, name, None)  # as where they are not installed
    with pytest.raises(LimaError, match=r"needs pyarrow and mlcroissant: pip install .*\[hub\]"):
        publish(settings(rows, tmp_path / "out"))
    assert not (tmp_path / "out").exists()
