"""A data set is what other tools read: Parquet, card, Croissant. `make acceptance` runs this in an environment that has them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.publish.stand_in import StandIn, front, running

from lima.errors import LimaError
from lima.files import write_jsonl
from lima.publish.publish import publish
from lima.publish.settings import PublishSettings
from lima.records import Example, Message, Meta

pytest.importorskip("pyarrow", reason="needs the extra hub")
pytest.importorskip("mlcroissant", reason="needs the extra hub")
from lima.parquet import from_row, read_rows, write_examples


@pytest.fixture
def hub() -> Iterator[StandIn]:
    with running() as state:
        yield state


def example(number: int, answer: str = "Boil it.", **meta: Any) -> Example:
    messages = (
        Message(role="user", content=f"How {number}?"),
        Message(role="assistant", content=f"{answer} {number}."),
    )
    known = {"licence": "CC BY-SA 4.0", "authors": ("Ann",), "url": f"https://a.example/{number}", "score": 7}
    return Example(id=f"se/{number}", source="se", messages=messages, meta=Meta(**known | meta))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "data"
    rows = [example(n) for n in range(4)] + [
        example(4, licence="CC BY-SA 2.5 and MIT", title="T", profiles=[None])
    ]
    write_jsonl(place / "train.jsonl", rows)
    prompt = Example(id="se/9", source="se", messages=rows[0].messages[:1], meta=Meta(licence="MIT"))
    write_jsonl(place / "test.jsonl", [prompt])
    (place / "rejected.jsonl").write_text("{}")
    return place


def settings(folder: Path, **more: Any) -> PublishSettings:
    return PublishSettings(folder=folder, to="ann/rows", out=folder.parent / "out", **more)


def test_rows_come_back_as_they_went(tmp_path: Path) -> None:
    taught = Message(role="assistant", content="No.", weight=0)
    rows = [
        example(
            0,
            score=2.5,
            category="c",
            transforms=("cut",),
            tags=("format",),
            answer_id=12,
            deep={"a": [1, None, "x"]},
        ),
        example(1, score=None, licence=None),
        example(2).model_copy(
            update={"messages": (*example(2).messages, Message(role="user", content="Sure?"), taught)}
        ),
    ]
    write_examples(tmp_path / "a.parquet", rows)
    back = [Example.model_validate(from_row(row)) for _, row in read_rows(tmp_path / "a.parquet")]
    assert [row.model_dump_json() for row in back] == [row.model_dump_json() for row in rows]
    write_examples(tmp_path / "b.parquet", rows)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    (tmp_path / "c.parquet").write_text("no table")
    with pytest.raises(LimaError, match=r"c.parquet: not Parquet"):
        list(read_rows(tmp_path / "c.parquet"))


def test_the_card_and_its_files(folder: Path) -> None:
    out = publish(settings(folder, language=("en",), about="My beer rows."))
    assert out is not None
    names = sorted(p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file() and p.name[0] != ".")
    parquet = [f"data/{name}-00000-of-00001.parquet" for name in ("test", "train")]
    assert names == ["ATTRIBUTION.md", "README.md", "croissant.json", *parquet]
    card = (out / "README.md").read_bytes()
    values = front(card)
    assert (values["license"], values["license_name"]) == (
        "other",
        "cc-by-sa-2.5",
    )  # the one that the hub does not list
    assert values["configs"][0]["data_files"][0] == {"split": "train", "path": "data/train-*.parquet"}
    assert values["size_categories"] == "n<1K"
    text = card.decode()
    assert "My beer rows." in text
    assert "| [CC BY-SA 4.0](https://creativecommons.org/licenses/by-sa/4.0/) | 4 |" in text
    assert "none was found." in text
    assert (
        "* `se/4`: [T](https://a.example/4); by Ann; CC BY-SA 2.5 and MIT"
        in (out / "ATTRIBUTION.md").read_text()
    )


def test_what_stands_against_data(folder: Path) -> None:
    rows = [
        example(0, "Write to ann.smith@gmail.com"),
        example(1, licence=None),
        example(2, licence="CC BY-ND 4.0"),
    ]
    write_jsonl(folder / "train.jsonl", [*rows, example(3, "ghp_" + "a1B2" * 9)])
    with pytest.raises(LimaError) as stopped:
        publish(settings(folder))
    said = str(stopped.value)
    assert (
        "the licence of 1 examples is not stated (where they are yours to give: --unstated-licence NAME), and 5 more"
        in said
    )
    assert "--accept licence-may-be-infringed personal-data-become-public secrets-become-public" in said
    accepted = ("licence-may-be-infringed", "personal-data-become-public", "secrets-become-public")
    assert publish(settings(folder, accept=accepted)) is not None
    write_jsonl(folder / "train.jsonl", [rows[1]])
    out = publish(settings(folder, unstated_licence="CC BY 4.0"))
    assert out is not None
    (row,) = read_rows(out / "data" / "train-00000-of-00001.parquet")
    assert row[1]["licence"] == "CC BY 4.0"


def test_other_tools_read_the_folder_without_a_network(folder: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    import mlcroissant

    out = publish(settings(folder))
    assert out is not None
    loaded = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
    assert {name: len(rows) for name, rows in loaded.items()} == {"train": 5, "test": 1}
    assert loaded["train"][0]["messages"][1] == {"role": "assistant", "content": "Boil it. 0."}
    assert loaded["train"][4]["licence"] == "CC BY-SA 2.5 and MIT"
    described = mlcroissant.Dataset(out / "croissant.json")
    assert not described.metadata.ctx.issues.errors
    assert not described.metadata.ctx.issues.warnings
    records = list(described.records("train"))
    assert len(records) == 5
    assert [turn["train/messages/role"] for turn in records[0]["train/messages"]] == [b"user", b"assistant"]
    assert records[0]["train/authors"] == [b"Ann"]
    facts = json.loads((out / "croissant.json").read_text())
    assert {"rai:dataBiases", "rai:dataCollection", "rai:personalSensitiveInformation"} <= facts.keys()
    assert len(facts["license"]) == 3


def test_data_goes_out_and_comes_in_again(hub: StandIn, folder: Path, tmp_path: Path) -> None:
    sent, there = hub.lima(
        ["publish", folder, "--to", "ann/rows", "--push"],
        ["inspect", "hf://ann/rows:train", "--samples", "0"],
        home=tmp_path / "home",
        cwd=tmp_path,
    )
    assert sent.code == 0, sent.text
    repository = hub.repositories["dataset/ann/rows"]
    assert "rejected.jsonl" not in repository.files
    assert "train.jsonl: 5 examples" in there.text
    place = tmp_path / "home" / "lima" / "ann" / "rows" / repository.commit / "train.jsonl"
    assert place.read_bytes() == (folder / "train.jsonl").read_bytes()
