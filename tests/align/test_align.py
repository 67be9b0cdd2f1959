"""`lima align`: a messy table becomes a tuned model and a report; a stopped run goes on; mistakes are one line."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from lima.align.data import curate_settings, find_columns, make_data
from lima.align.plan import CHARACTERS_A_TOKEN, data_size
from lima.align.settings import AlignSettings, assignments
from lima.align.stages import Stages
from lima.cli import run
from lima.curate.sources.named_columns import NamedColumns
from lima.errors import LimaError
from lima.files import read_jsonl, write_jsonl
from lima.records import Example, Message, Reject

SMALL = ["--dev", "3", "--test", "4", "--number", "12", "--max-new-tokens", "8", "--in-context", "1"]
TRAIN = ["--train", "epochs=2", "batch_size=4", "max_length=96", "learning_rate=1e-3"]


@pytest.fixture
def tickets(tmp_path: Path) -> Path:
    """Thirty answered tickets under the names that help desks use."""
    path = tmp_path / "tickets.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(["Ticket", "Question", "Reply", "Team"])
        for number in range(30):
            asked = f"How do I mend machine number {number}?"
            part = "abcdefghijklmnopqrstuvwxyzäöüß"[number]
            rows.writerow([f"T-{number}", asked, f"Turn it off, wait, press {part}, and turn it on.", "desk"])
    return path


def renamed(row: Example, copy: int) -> Example:
    """Another example that asks something of its own."""
    first = row.messages[0]
    asked = first.model_copy(update={"content": f"{first.content} Part {copy}."})
    return row.model_copy(update={"id": f"{row.id}/{copy}", "messages": (asked, *row.messages[1:])})


def files_below(folder: Path) -> dict[str, bytes]:
    """Every output without what names times and the folder itself."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*.jsonl"))
        if path.name != "metrics.jsonl"
    }


def test_from_a_table_to_a_report(tickets: Path, tmp_path: Path, tiny_model: Path) -> None:
    out = tmp_path / "out"
    run(["align", str(tiny_model), str(tickets), "--out", str(out), *SMALL, *TRAIN])
    chosen = list(read_jsonl(out / "chosen" / "train.jsonl", Example))
    assert len(chosen) == 12
    assert {row.id.partition("/")[2].partition("-")[0] for row in chosen} == {"T"}  # the ticket's own key
    assert (out / "run" / "epoch-02" / "config.json").exists()
    assert (out / "study" / "report.html").exists()
    page = (out / "README.md").read_text()
    assert "Tuned on 12 of 23 examples" in page  # 30 less 3 dev and 4 test questions
    assert "Nobody has compared the answers yet" in page
    assert "30 rows read, 0 left out" in page
    linked = re.findall(r"\]\(([^)]+)\)", page)
    assert {"data/curated/card.html", "run/epoch-02/README.md", "study/report.html"} <= {*linked}
    assert all((out / path).exists() for path in linked)
    assert page.startswith(f"# {tiny_model.name}, tuned on tickets.csv\n")
    assert "counted and warned of, not removed" in page
    assert "examples in the prompt: 0 for the base" in page  # none fits 48 tokens
    asked = {row.messages[0].content for row in read_jsonl(out / "data" / "test.jsonl", Example)}
    assert not asked & {row.messages[0].content for row in chosen}
    recipe = yaml.safe_load((out / "align.yaml").read_text())
    assert recipe["number"] == 12


def test_what_was_assumed_of_a_table_is_said_once(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        f"How do I mend machine {number}?;{'No.' if number % 5 == 0 else f'Turn off machine {number}, wait, and turn it on.'}"
        for number in range(30)
    ]
    (tmp_path / "t.csv").write_text("\n".join(["Tickets of May", "", "Question;Reply", *rows]))
    run(
        [
            "align",
            str(tiny_model),
            str(tmp_path / "t.csv"),
            "--out",
            str(tmp_path / "out"),
            *SMALL,
            "--until",
            "data",
        ]
    )
    said = capsys.readouterr().err
    assert said.count("read as ';' between cells, the header in row 3") == 1
    assert "ran dry" not in said  # every row was wanted: the six that a rule dropped are no shortage


def test_an_oracle_has_every_epoch_to_choose_from(tmp_path: Path, tiny_model: Path) -> None:
    """A run of five epochs keeps the fifth alone by itself."""
    settings = AlignSettings(base=str(tiny_model), data=Path("x.csv"), out=tmp_path, oracle="rule:grade")
    assert Stages(settings).train().keep_epochs == (0,)
    told = settings.model_copy(update={"train": ("keep_epochs=[2]",)})
    assert Stages(told).train().keep_epochs == (2,)
    assert Stages(settings.model_copy(update={"oracle": None})).train().keep_epochs == ()


def test_it_stops_after_a_stage_and_goes_on(tickets: Path, tmp_path: Path, tiny_model: Path) -> None:
    out = tmp_path / "out"
    command = ["align", str(tiny_model), str(tickets), "--out", str(out), *SMALL, *TRAIN]
    run([*command, "--until", "select"])
    chosen = (out / "chosen" / "train.jsonl").read_bytes()
    assert len(chosen.splitlines()) == 12
    assert {path.name for path in out.iterdir() if not path.name.startswith(".")} == {
        "align.yaml",
        "chosen",
        "data",
        "run.json",
    }
    run(command)
    assert (out / "chosen" / "train.jsonl").read_bytes() == chosen
    assert (out / "README.md").exists()


def test_the_recipe_that_it_writes_does_the_same(tickets: Path, tmp_path: Path, tiny_model: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    run(["align", str(tiny_model), str(tickets), "--out", str(first), *SMALL, *TRAIN])
    recipe = str(first / "align.yaml")
    run(["align", str(tiny_model), str(tickets), "--out", str(second), "--recipe", recipe])
    for name in ("chosen/train.jsonl", "answers/tuned.jsonl", "study/comparisons.jsonl"):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


def test_a_second_call_does_nothing_again(tickets: Path, tmp_path: Path, tiny_model: Path) -> None:
    command = ["align", str(tiny_model), str(tickets), "--out", str(tmp_path / "out"), *SMALL, *TRAIN]
    run(command)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.safetensors")}
    state = tmp_path / "out" / "run" / "state" / "step-00000006.0.safetensors"
    state.parent.mkdir()
    state.write_bytes(b"")  # training was killed between its end and the removal of its states
    run(command)
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.safetensors")}


def test_a_file_of_examples_is_split_by_a_seed(
    tmp_path: Path, tiny_model: Path, examples: list[Example]
) -> None:
    many = [renamed(row, copy) for row in examples for copy in range(3)]
    write_jsonl(tmp_path / "mine.jsonl", many)
    out = tmp_path / "out"
    run(["align", str(tiny_model), str(tmp_path / "mine.jsonl"), "--out", str(out), *SMALL, *TRAIN])
    parts = {
        name: {row.id for row in read_jsonl(out / "data" / f"{name}.jsonl", Example)}
        for name in ("train", "dev", "test")
    }
    assert {name: len(ids) for name, ids in parts.items()} == {"train": 23, "dev": 3, "test": 4}
    assert len(set.union(*parts.values())) == 30


def test_an_oracle_chooses_the_epoch(
    tickets: Path, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rule.py").write_text(
        "def grade(question, answer):\n    return 'pass' if answer else 'fail'\n"
    )
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out"
    run(["align", str(tiny_model), str(tickets), "--out", str(out), *SMALL, *TRAIN, "--oracle", "rule:grade"])
    assert json.loads((out / "run" / "checkpoint" / "choice.json").read_text())["chosen"] in (1, 2)
    assert "Epoch chosen by rule:grade" in (out / "README.md").read_text()


def test_the_plan_writes_nothing(
    tickets: Path, tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["align", str(tiny_model), str(tickets), "--out", str(tmp_path / "out"), *SMALL, *TRAIN, "--plan"])
    said = " ".join(capsys.readouterr().out.split())
    assert "30 rows" in said
    assert "12 examples" in said
    assert "2 epochs" in said
    assert not (tmp_path / "out").exists()


def test_the_plan_counts_what_is_there(tickets: Path, tmp_path: Path, tiny_model: Path) -> None:
    """30 rows of about 37 + 47 characters, of which 7 are held out: 23 examples of 21 tokens, not a thousand of 400."""
    settings = AlignSettings(base=str(tiny_model), data=tickets, out=tmp_path / "out", dev=3, test=4)
    rows, tokens = data_size(settings)
    assert rows == 30
    assert tokens == pytest.approx((35 + 47) / 4, abs=3)
    with pytest.raises(LimaError, match="no column 'Frage'"):
        data_size(settings.model_copy(update={"columns": NamedColumns(prompt="Frage")}))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--columns.prompt", "Frage"], "no column 'Frage'"),
        (["--train", "epochs"], "--train epochs: expected NAME=VALUE"),
        (["--train", "keep_epochs=[1"], "--train keep_epochs=.*: the value is no YAML"),
        (["--curate", "rules=3", "rules.score_min=3"], "'rules' has a value of its own already"),
        (["--train", "epoch=3"], "no setting 'epoch'. Did you mean 'epochs'"),
        (["--curate", "rules.score_mim=3"], "score_min"),
        (["--judge", "http://127.0.0.1:1/v1#j", "--oracle", "rule"], "choose one of them"),
    ],
)
def test_mistakes_are_one_line(
    tickets: Path, tmp_path: Path, tiny_model: Path, flags: list[str], message: str
) -> None:
    with pytest.raises(LimaError, match=message):
        run(["align", str(tiny_model), str(tickets), "--out", str(tmp_path / "out"), *SMALL, *flags])


def test_what_is_told_at_once_leaves_nothing_behind(tickets: Path, tmp_path: Path, tiny_model: Path) -> None:
    """So that the mended command may have the same --out."""
    out = tmp_path / "out"
    with pytest.raises(LimaError, match="no such model folder"):
        run(["align", str(tmp_path / "none"), str(tickets), "--out", str(out), *SMALL])
    assert not out.exists()
    command = ["align", str(tiny_model), str(tickets), "--out", str(out), *SMALL, "--until", "data"]
    with pytest.raises(LimaError, match="no column 'Frage'"):
        run([*command, "--columns.prompt", "Frage"])
    with pytest.raises(LimaError, match="Lower --dev and --test"):
        run([*command, "--columns.prompt", "Question", "--dev", "40"])
    run([*command, "--columns.prompt", "Question"])
    assert (out / "align.yaml").exists()


def test_columns_with_other_names_are_asked_for(tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "t.csv").write_text("erste,zweite\na,b\n")
    with pytest.raises(
        LimaError,
        match=r"no column has a usual name of prompts or answers. Name it: --columns.prompt NAME --columns.answer NAME. "
        r"There are: erste, zweite",
    ):
        run(["align", str(tiny_model), str(tmp_path / "t.csv"), "--out", str(tmp_path / "out")])
    (tmp_path / "t.csv").write_text("Ticket,Customer question,Our reply\n1,a,b\n")
    asked = r"--columns.prompt 'Customer question' --columns.answer 'Our reply'. There are: Ticket, Cust"
    with pytest.raises(LimaError, match=asked):
        run(["align", str(tiny_model), str(tmp_path / "t.csv"), "--out", str(tmp_path / "out")])


def test_a_small_table_gives_a_small_part_to_dev_and_test(tmp_path: Path) -> None:
    settings = AlignSettings(base="b", data=tmp_path / "t.csv", out=tmp_path / "out")
    assert [settings.apart(rows) for rows in (4, 43, 300, 500, 5000)] == [
        (2, 1),
        (4, 8),
        (30, 60),
        (50, 100),
        (50, 100),
    ]
    assert settings.model_copy(update={"dev": 50, "test": 7}).apart(43) == (50, 7)  # a wish is no default


@pytest.mark.parametrize(
    ("header", "prompt", "answer"),
    [
        ("Status,ID,Subject,Description,Public_Reply", "Description", "Public_Reply"),
        (
            "Ticket ID,Subject,Group,Description,Agent response,Survey results",
            "Description",
            "Agent response",
        ),
        ("Ticket ID,Ticket name,Ticket  description,Resolution", "Ticket  description", "Resolution"),
        ("Vorgang,Betreff,Anfrage,Antwort", "Anfrage", "Antwort"),
        ("Subject,Reply", "Subject", "Reply"),
    ],
)
def test_columns_as_help_desks_call_them(header: str, prompt: str, answer: str) -> None:
    found = find_columns(Path("t.csv"), dict.fromkeys(header.split(","), "x"), NamedColumns())
    assert (found["prompt"], found["answer"]) == (prompt, answer)


def test_conversations_are_known_by_their_turns_or_named(tmp_path: Path, tiny_model: Path) -> None:
    said = ["What is a comet?", "A ball of ice and dust that circles the sun for ages."]
    path = tmp_path / "chats.jsonl"
    path.write_text(json.dumps({"conversations": [{"who": "A", "said": text} for text in said]}) + "\n")
    settings = AlignSettings(base=str(tiny_model), data=path, out=tmp_path / "out")
    with pytest.raises(LimaError, match=r"'conversations' holds objects \(who, said\)"):
        curate_settings(settings, tmp_path / "curated")
    path.write_text(json.dumps({"conversations": said}) + "\n")
    assert data_size(settings)[0] == 1
    told = settings.model_copy(update={"curate": ("format=lima",)})
    source = curate_settings(told, tmp_path / "curated").sources["own"]
    assert source.model_dump()["format"] == "lima"


def test_messages_of_a_help_desk_are_planned_as_conversations(tmp_path: Path, tiny_model: Path) -> None:
    rows = [f"{key},{role},{'x' * 30}" for key in (1, 2) for role in ("customer", "agent")]
    path = tmp_path / "messages.csv"
    path.write_text("\n".join(["ticket id,author type,body", *rows]))
    number, tokens = data_size(AlignSettings(base=str(tiny_model), data=path, out=tmp_path / "out"))
    assert (number, tokens * CHARACTERS_A_TOKEN) == (2, 60)


def test_a_table_is_read_as_curation_is_told_and_from_its_first_whole_row(
    tmp_path: Path, tiny_model: Path
) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("question,answer\na,b,c\nこれは何,本です\n".encode("shift_jis"))
    settings = AlignSettings(
        base=str(tiny_model), data=path, out=tmp_path / "out", curate=("encoding=shift_jis", "delimiter=','")
    )
    source = curate_settings(settings, tmp_path / "curated").sources["own"].model_dump()
    assert (source["columns"]["prompt"], source["encoding"], source["train"]) == ("question", "shift_jis", 2)


def test_no_question_of_the_test_is_trained_on(tmp_path: Path) -> None:
    rows = [
        Example(
            id=f"x/{number}",
            source="x",
            messages=(
                Message(
                    role="user",
                    content=f"What is  part {number % 12}?".upper()
                    if number > 11
                    else f"What is part {number}?",
                ),
                Message(role="assistant", content="A part."),
            ),
        )
        for number in range(24)
    ]
    write_jsonl(tmp_path / "twice.jsonl", rows)
    settings = AlignSettings(base="none", data=tmp_path / "twice.jsonl", out=tmp_path / "out", dev=2, test=3)
    make_data(settings, tmp_path / "data", lambda row: True)
    asked = {
        name: {
            " ".join(row.messages[0].content.casefold().split())
            for row in read_jsonl(tmp_path / "data" / f"{name}.jsonl", Example)
        }
        for name in ("train", "dev", "test")
    }
    assert asked["train"]
    assert not asked["train"] & (asked["dev"] | asked["test"])


def test_examples_are_no_longer_than_the_base_s_context(tmp_path: Path, tiny_model: Path) -> None:
    config = json.loads((tiny_model / "config.json").read_text())
    settings = AlignSettings(base=str(tiny_model), data=tmp_path / "d.jsonl", out=tmp_path / "out")
    assert Stages(settings).train().max_length == min(2048, config["max_position_embeddings"])
    told = settings.model_copy(update={"train": ("max_length=64",)})
    assert Stages(told).train().max_length == 64


def test_an_example_whose_prompt_fills_the_context_is_named(tmp_path: Path, tiny_model: Path) -> None:
    def asked(name: str, words: int) -> Example:
        turns = ("user", "What " + "is it " * words + name), ("assistant", "A part.")
        return Example(
            id=name, source="x", messages=tuple(Message(role=role, content=text) for role, text in turns)
        )

    rows = [asked(f"x/{number}", number % 2 * 500) for number in range(12)]
    write_jsonl(tmp_path / "mine.jsonl", rows)
    settings = AlignSettings(
        base=str(tiny_model),
        data=tmp_path / "mine.jsonl",
        out=tmp_path,
        dev=2,
        test=1,
        train=("max_length=64",),
    )
    make_data(settings, tmp_path / "data", Stages(settings).has_room)
    left = {row.id for row in read_jsonl(tmp_path / "data" / "train.jsonl", Example)}
    rejects = list(read_jsonl(tmp_path / "data" / "rejects.jsonl", Reject))
    assert left
    assert rejects
    assert all(int(name[2:]) % 2 == 0 for name in left)
    assert {int(row.id[2:]) % 2 for row in rejects} == {1}
    assert {row.rule for row in rejects} == {"no-room"}
    assert len(left) + len(rejects) == 9


def test_assignments_are_yaml_and_numbers() -> None:
    pairs = ("rules.score-min=4", "rules.hollow=false", "rate=1e-4", "keep=[1, 2]", "jaccard=null")
    found = assignments(pairs, "--train")
    assert found == {
        "rules": {"score_min": 4, "hollow": False},
        "rate": 1e-4,
        "keep": [1, 2],
        "jaccard": None,
    }


def test_narrow_models_learn_faster(tmp_path: Path, tiny_model: Path) -> None:
    """1e-5 at a width of 4,096; the tiny model is 16 wide."""
    from lima.align.stages import Stages

    stages = Stages(AlignSettings(base=str(tiny_model), data=Path("x.csv"), out=tmp_path))
    assert stages.train().learning_rate == pytest.approx(1e-5 * 4096 / 16)
    assert stages.train().final_learning_rate == pytest.approx(1e-6 * 4096 / 16)


@pytest.mark.slow
def test_killed_twice_it_ends_in_the_same_files(tickets: Path, tmp_path: Path, tiny_model: Path) -> None:
    def command(out: str) -> list[str]:
        return [
            sys.executable,
            "-m",
            "lima",
            "align",
            str(tiny_model),
            str(tickets),
            "--out",
            out,
            *SMALL,
            *TRAIN,
        ]

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    start = time.monotonic()
    subprocess.run(command(str(whole)), check=True, capture_output=True, timeout=240)
    seconds = time.monotonic() - start
    for share in (0.5, 0.3):
        process = subprocess.Popen(command(str(killed)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(seconds * share)
        assert process.poll() is None, "finished before it was killed"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    subprocess.run(command(str(killed)), check=True, capture_output=True, timeout=240)
    assert files_below(whole).keys() == files_below(killed).keys()
    for name, content in files_below(whole).items():
        assert files_below(killed)[name] == content, name
