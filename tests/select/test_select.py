"""`lima select`: files, quotas, errors and resumption, on the built-in world's sentences and a tiny real model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lima.cli import run
from lima.errors import InputError, LimaError
from lima.files import read_jsonl, write_jsonl
from lima.records import Example, Message, Meta
from lima.select.select import select
from lima.select.settings import SelectSettings

TOPICS = {
    "bread": "flour yeast dough oven crust rise knead",
    "chess": "bishop knight pawn castle mate opening rook",
    "bikes": "chain pedal brake wheel saddle gear frame",
    "stars": "planet orbit comet nebula galaxy moon telescope",
}
MakePool = Callable[..., Path]


def example(name: str, topic: str, answer: str, **meta: object) -> Example:
    messages = (
        Message(role="user", content=f"Tell me of {topic}."),
        Message(role="assistant", content=answer),
    )
    return Example(id=name, source="made", messages=messages, meta=Meta(category=topic, **meta))


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    """Of four topics 80, 10, 6 and 4 examples: most of what there is says something about bread."""
    random = np.random.default_rng(0)
    rows = [
        example(f"{topic}/{number}", topic, " ".join(random.choice(words.split(), 12)) + ".", score=number)
        for (topic, words), count in zip(TOPICS.items(), (80, 10, 6, 4), strict=True)
        for number in range(count)
    ]
    random.shuffle(rows)
    write_jsonl(tmp_path / "pool.jsonl", rows)
    return tmp_path / "pool.jsonl"


def chosen(path: Path) -> list[Example]:
    return list(read_jsonl(path, Example))


def topics(path: Path) -> set[str | None]:
    return {row.meta.category for row in chosen(path)}


def test_four_diverse_examples_are_of_four_topics(pool: Path, tmp_path: Path) -> None:
    out = tmp_path / "train.jsonl"
    lines = select(SelectSettings(pool=pool, out=out, number=4, by=("diverse",)))
    assert topics(out) == set(TOPICS)
    assert [line.method for line in lines] == ["diverse", "random"]
    assert len(chosen(tmp_path / "train.random.jsonl")) == 4
    page = (tmp_path / "train.comparison.md").read_text()
    assert "| diverse | 4 |" in page
    assert "tune on the random choice too" in page
    html = (tmp_path / "train.comparison.html").read_text()
    assert html.count("Tell me of ") == 8  # the first four of each choice
    assert "<script" not in html
    figures = json.loads((tmp_path / "train.comparison.json").read_text())
    assert [row["method"] for row in figures["choices"]] == ["diverse", "random"]


def test_chosen_rows_are_the_pool_s_bytes(pool: Path, tmp_path: Path) -> None:
    select(SelectSettings(pool=pool, out=tmp_path / "out.jsonl", number=7, by=("longest",)))
    known = set(pool.read_bytes().splitlines())
    lines = (tmp_path / "out.jsonl").read_bytes().splitlines()
    assert len(lines) == 7
    assert set(lines) <= known
    lengths = [len(row.messages[-1].content) for row in chosen(tmp_path / "out.jsonl")]
    assert lengths == sorted(lengths, reverse=True)


def test_the_same_seed_gives_the_same_choice(pool: Path, tmp_path: Path) -> None:
    texts: list[bytes] = []
    for seed in (1, 1, 2):
        out = tmp_path / f"run-{len(texts)}" / "out.jsonl"
        select(SelectSettings(pool=pool, out=out, number=10, by=("random",), seed=seed))
        texts.append(out.read_bytes())
    assert texts[0] == texts[1] != texts[2]


def test_quality_by_a_number_in_meta(pool: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    select(SelectSettings(pool=pool, out=out, number=5, by=("quality",), quality="score"))
    assert [row.id for row in chosen(out)] == [f"bread/{number}" for number in (79, 78, 77, 76, 75)]


def test_quality_and_diversity_take_the_best_of_every_topic(tmp_path: Path) -> None:
    rows = [example("bread/good", "bread", TOPICS["bread"], score=9)]
    rows += [example(f"bread/{number}", "bread", TOPICS["bread"] + " ", score=8) for number in range(5)]
    rows += [example("chess/good", "chess", TOPICS["chess"], score=3)]
    rows += [example("chess/bad", "chess", TOPICS["chess"], score=1)]
    write_jsonl(tmp_path / "pool.jsonl", rows)
    settings = SelectSettings(
        pool=tmp_path / "pool.jsonl", out=tmp_path / "out.jsonl", number=2, quality="score", text="answer"
    )
    select(settings)
    assert [row.id for row in chosen(settings.out)] == ["bread/good", "chess/good"]


def test_a_model_that_is_none_is_told_in_one_line(pool: Path, tmp_path: Path) -> None:
    with pytest.raises(LimaError, match="no such model folder"):
        run(
            [
                "select",
                str(pool),
                "--out",
                str(tmp_path / "o" / "t.jsonl"),
                "--by",
                "ifd",
                "--model",
                str(tmp_path / "none"),
            ]
        )
    assert not (tmp_path / "o").exists()


def test_quotas_are_kept(pool: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    select(SelectSettings(pool=pool, out=out, number=10, by=("diverse",), quota=("chess=3", "stars=4")))
    names = [row.meta.category for row in chosen(out)]
    assert names.count("chess") == 3
    assert names.count("stars") == 4
    assert set(names[7:]) <= {"bread", "bikes"}


def test_likeness_takes_what_the_target_speaks_of(pool: Path, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "target.jsonl", [example("wanted", "chess", "knight bishop pawn mate")])
    out = tmp_path / "out.jsonl"
    target = tmp_path / "target.jsonl"
    select(SelectSettings(pool=pool, out=out, number=8, by=("likeness",), target=target))
    assert topics(out) == {"chess"}


@pytest.mark.parametrize("method", ["ifd", "rds"])
def test_methods_that_read_a_model_count_its_tokens(
    method: str, pool: Path, tmp_path: Path, tiny_model: Path
) -> None:
    write_jsonl(tmp_path / "target.jsonl", [example("wanted", "stars", TOPICS["stars"])])
    settings = SelectSettings.model_validate(
        {
            "pool": pool,
            "out": tmp_path / "out.jsonl",
            "number": 6,
            "by": (method,),
            "model": str(tiny_model),
            "target": tmp_path / "target.jsonl",
            "max_length": 64,
        }
    )
    lines = select(settings)
    assert len(chosen(settings.out)) == 6
    assert lines[0].tokens > 100 * 10  # 100 examples of more than ten byte tokens
    assert lines[1].tokens == 0


def test_a_stopped_reading_goes_on_where_it_was(pool: Path, tmp_path: Path, tiny_model: Path) -> None:
    from lima.select.pool import read_pool
    from lima.select.reading import load_reader, states

    found = read_pool(pool)
    whole = states(load_reader(str(tiny_model), max_length=64, batch_tokens=256), found.examples, len(found))
    store = tmp_path / "work" / "states"
    reader = load_reader(str(tiny_model), max_length=64, batch_tokens=256)
    states(reader, found.examples, len(found), store)
    note = store.with_suffix(".json")
    batches = json.loads(note.read_text())["batches"]
    note.write_text(
        json.dumps({"batches": batches - 3})
    )  # as a kill would leave it: three batches are not noted
    again = load_reader(str(tiny_model), max_length=64, batch_tokens=256)
    assert np.array_equal(states(again, found.examples, len(found), store), whole)
    assert 0 < again.tokens < reader.tokens / 2


@pytest.mark.slow
def test_ray_reads_what_the_plain_map_reads(pool: Path, tmp_path: Path, tiny_model: Path) -> None:
    pytest.importorskip("ray")
    write_jsonl(tmp_path / "target.jsonl", [example("wanted", "stars", TOPICS["stars"])])
    outs = {engine: tmp_path / engine / "out.jsonl" for engine in ("processes", "ray")}
    tokens = []
    for engine, out in outs.items():
        settings = SelectSettings.model_validate(
            {
                "pool": pool,
                "out": out,
                "number": 20,
                "by": ("ifd", "rds"),
                "model": str(tiny_model),
                "target": tmp_path / "target.jsonl",
                "max_length": 64,
                "batch_tokens": 256,
                "engine": engine,
                "workers": 2,
            }
        )
        tokens.append([line.tokens for line in select(settings)])
    assert tokens[0] == tokens[1]
    here, there = outs.values()
    for name in ("out.jsonl", "out.rds.jsonl"):
        assert here.with_name(name).read_bytes() == there.with_name(name).read_bytes()
    for name in ("ifd.npy", "states.npy"):
        one, other = (np.load(out.parent / "out.work" / name) for out in outs.values())
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)  # threads may add in another order


def test_quality_is_marked_alike_by_one_process_and_by_two(
    pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lima.select.quality.BLOCK", 30)
    texts: list[bytes] = []
    for workers in (1, 2):
        out = tmp_path / str(workers) / "out.jsonl"
        select(SelectSettings(pool=pool, out=out, number=9, by=("quality",), workers=workers))
        texts.append(out.read_bytes() + out.with_name("out.comparison.json").read_bytes())
    assert texts[0].partition(b'"seconds"')[0] == texts[1].partition(b'"seconds"')[0]


def test_padding_changes_no_state(pool: Path, tiny_model: Path) -> None:
    from lima.select.pool import read_pool
    from lima.select.reading import load_reader, states

    found = read_pool(pool)
    alone = states(load_reader(str(tiny_model), max_length=64, batch_tokens=1), found.examples, len(found))
    together = states(
        load_reader(str(tiny_model), max_length=64, batch_tokens=4096), found.examples, len(found)
    )
    np.testing.assert_allclose(alone, together, atol=1e-5)


def test_own_embeddings_must_fit(pool: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "few.npy", np.ones((3, 2)))
    settings = SelectSettings(pool=pool, out=tmp_path / "out.jsonl", embeddings=tmp_path / "few.npy")
    with pytest.raises(LimaError, match=r"expected 100 rows, one an example, found the shape \(3, 2\)"):
        select(settings)


def test_own_embeddings_must_be_numbers(pool: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "words.npy", np.full((100, 2), "far"))
    settings = SelectSettings(pool=pool, out=tmp_path / "out.jsonl", embeddings=tmp_path / "words.npy")
    with pytest.raises(LimaError, match=r"words.npy: expected numbers, found <U3"):
        select(settings)


def test_nothing_is_written_over_an_input_or_a_folder(pool: Path, tmp_path: Path) -> None:
    before, target = pool.read_bytes(), tmp_path / "few.random.jsonl"
    target.write_bytes(before)
    for out in (pool, tmp_path / "few.jsonl"):
        with pytest.raises(LimaError, match="would overwrite"):
            select(SelectSettings(pool=pool, out=out, by=("likeness",), target=target))
    assert pool.read_bytes() == target.read_bytes() == before
    with pytest.raises(LimaError, match=r"is a folder. Name a file in it"):
        select(SelectSettings(pool=pool, out=tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"pool.jsonl", "few.random.jsonl"}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--by", "likeness"], "--by likeness needs --target"),
        (["--by", "likeness", "--target", "t", "--embeddings", "e.npy"], "--target has no vectors there"),
        (["--by", "ifd"], "--by ifd needs --model"),
        (["--quality", "judge"], "--quality judge needs --judge URL#model"),
        (["--quality", "stars"], "no example has meta.stars, which --quality names"),
        (["--quota", "tea=3"], "no example has this tag, category or source"),
        (["--quota", "chess"], "expected NAME=NUMBER"),
        (["--number", "5", "--quota", "chess=6"], "6 in all, over --number 5"),
    ],
)
def test_mistakes_are_one_line(pool: Path, tmp_path: Path, flags: list[str], message: str) -> None:
    with pytest.raises(LimaError, match=message):
        run(["select", str(pool), "--out", str(tmp_path / "out.jsonl"), *flags])
    assert not (tmp_path / "out.jsonl").exists()


def test_a_broken_row_is_named_and_prompts_are_left_out(pool: Path, tmp_path: Path) -> None:
    prompt = b'{"id": "p", "source": "made", "messages": [{"role": "user", "content": "And?"}]}\n'
    pool.write_bytes(prompt + pool.read_bytes())
    select(SelectSettings(pool=pool, out=tmp_path / "out.jsonl", number=3, by=("random",)))
    rejects = (tmp_path / "out.rejects.jsonl").read_text()
    assert '"rule":"prompt"' in rejects
    pool.write_bytes(pool.read_bytes() + b'{"id": 3}\n')
    with pytest.raises(InputError, match=r"pool.jsonl:102: "):
        select(SelectSettings(pool=pool, out=tmp_path / "more.jsonl", number=3))


def test_the_released_set_without_a_model(lima_data: Path, tmp_path: Path) -> None:
    """k-center reaches more of the released set's topics than the longest answers do."""
    run(["import", "lima", str(lima_data / "lima" / "train.jsonl"), "--out", str(tmp_path / "pool.jsonl")])
    settings = SelectSettings(
        pool=tmp_path / "pool.jsonl", out=tmp_path / "out.jsonl", number=100, by=("diverse", "longest")
    )
    diverse, longest, random = select(settings)
    assert diverse.topics > random.topics > longest.topics
    assert diverse.alike < random.alike < longest.alike
