from pathlib import Path

import yaml

from lima.files import sha256, write_jsonl
from lima.records import Example, Message, Meta
from lima.train.model_card import licence_of, model_card
from lima.train.run import train
from lima.train.settings import TrainSettings


def _example(number: int, licence: str | None) -> Example:
    messages = (Message(role="user", content="Why?"), Message(role="assistant", content=f"Because {number}."))
    return Example(id=f"e/{number}", source="made", messages=messages, meta=Meta(licence=licence))


def test_a_checkpoint_says_what_it_is(tmp_path: Path, tiny_model: Path) -> None:
    data = tmp_path / "train.jsonl"
    examples = [_example(0, "CC BY-SA 4.0"), _example(1, "CC BY-SA 4.0 and MIT"), _example(2, None)]
    write_jsonl(data, examples)
    settings = TrainSettings(
        model=str(tiny_model),
        data=data,
        out=tmp_path / "run",
        epochs=1,
        max_length=64,
        device="cpu",
        learning_rate=3e-4,
    )
    train(settings)
    card = (tmp_path / "run" / "epoch-01" / "README.md").read_text()
    assert card == model_card(settings, examples, epoch=1)
    front = yaml.safe_load(card.split("---\n")[1])
    assert front["library_name"] == "transformers"
    assert "base_model" not in front  # a folder of this machine is no name of the hub
    assert "By licence: CC BY-SA 4.0 2, MIT 1, none stated 1." in card
    assert f"SHA-256 `{sha256(data)}`" in card
    assert "| learning_rate | `0.0003` |" in card
    assert "Base: none stated." in card


def test_a_base_hands_on_its_licence(tmp_path: Path) -> None:
    assert licence_of(str(tmp_path)) is None
    (tmp_path / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Base\n")
    assert licence_of(str(tmp_path)) == "apache-2.0"
    (tmp_path / "README.md").write_text("# no front matter")
    assert licence_of(str(tmp_path)) is None
