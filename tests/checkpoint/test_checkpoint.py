"""Choosing the epoch: the rule on numbers worked out by hand, then whole runs with a judge and with people."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from examples.rule_judge import MODEL, Rule, serving
from tests.evaluate.test_judge import stats

from lima import cli
from lima.checkpoint.checkpoint import checkpoint
from lima.checkpoint.oracle import find_oracle
from lima.checkpoint.rule import choose
from lima.checkpoint.settings import CheckpointSettings
from lima.errors import LimaError, SettingsConflict
from lima.evaluate.study import Study, add_grades
from lima.files import read_json, read_jsonl, write_jsonl
from lima.records import Completion, Example, Grade, Message, Rater
from lima.train.run import train
from lima.train.settings import TrainSettings
from lima.world.people import ATTRIBUTES, make_world
from lima.world.settings import WorldSettings
from lima.world.wordings import CLOSER, OPENER, question, statement


def by_prompt(*ratings: float) -> dict[str, float]:
    return {f"p/{number}": rating for number, rating in enumerate(ratings)}


def test_the_earliest_epoch_within_one_standard_error_of_the_best() -> None:
    found = choose({5: by_prompt(3, 4, 2, 3), 6: by_prompt(4, 4, 3, 4), 7: by_prompt(4, 5, 3, 4)})
    fifth, sixth, seventh = found.epochs
    # Means 12/4 = 3, 15/4 = 3.75, 16/4 = 4: epoch 7 is the best.
    assert [score.mean.value for score in found.epochs] == [3, 3.75, 4]  # type: ignore[union-attr]
    # Epoch 6 is behind by 0, 1, 0, 0: mean 1/4; variance (3 (1/4)^2 + (3/4)^2) / 3 = 1/4; s.e. sqrt(1/4) / sqrt(4) = 1/4.
    assert sixth.behind.value == sixth.standard_error == 0.25  # type: ignore[union-attr]
    # Epoch 5 is behind by 1 on every prompt: s.e. 0.
    assert (fifth.behind.value, fifth.standard_error) == (1, 0)  # type: ignore[union-attr]
    assert [fifth.tied, sixth.tied, seventh.tied] == [False, True, True]
    assert (found.best, found.chosen, found.prompts) == (7, 6, 4)


def test_just_beyond_one_standard_error_is_not_tied() -> None:
    # Behind by 0, 1, 1, 0, 1: mean 0.6, variance (3 0.16 + 2 0.36) / 4 = 0.3, s.e. sqrt(0.3 / 5) = 0.245.
    found = choose({1: by_prompt(2, 2, 2, 2, 2), 2: by_prompt(2, 3, 3, 2, 3)})
    assert found.epochs[0].standard_error == pytest.approx(0.06**0.5)
    assert found.chosen == found.best == 2


def test_hard_prompts_make_no_ties_because_the_difference_is_paired() -> None:
    # The best's own standard error is sd(2, 6, 2, 6) / 2 = 1.155, more than the gap of 1 that every prompt shows.
    assert choose({1: by_prompt(1, 5, 1, 5), 2: by_prompt(2, 6, 2, 6)}).chosen == 2


def test_of_equally_good_epochs_the_earliest_is_the_best() -> None:
    found = choose({3: by_prompt(1, 3), 4: by_prompt(3, 1), 5: by_prompt(2, 2)})
    assert (found.best, found.chosen) == (3, 3)


def test_only_prompts_with_a_rating_of_every_epoch_count() -> None:
    found = choose({1: by_prompt(2, 2, 6), 2: by_prompt(3, 3)})
    assert (found.prompts, found.chosen) == (2, 2)  # with prompt 2, epoch 1 would have the higher mean
    with pytest.raises(LimaError, match=r"only 1 prompts have a rating of every epoch \(1, 2\)"):
        choose({1: by_prompt(2), 2: by_prompt(3, 3)})


def asking(number: int, text: str) -> Example:
    return Example(id=f"dev/{number}", source="dev", messages=(Message(role="user", content=text),))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A folder with train.jsonl, dev.jsonl, heldout.jsonl and a run of three epochs that logged held-out losses."""
    folder = tmp_path_factory.mktemp("trained")
    answer = Message(role="assistant", content="It is so.")
    rows = [asking(n, f"What is {n} + {n}?").messages for n in range(4)]
    examples = [Example(id=f"t/{n}", source="made", messages=(*row, answer)) for n, row in enumerate(rows)]
    more = (*rows[0], answer, Message(role="user", content="And then?"), answer)
    write_jsonl(folder / "train.jsonl", [*examples, Example(id="t/long", source="made", messages=more)])
    held = Example(id="h/1", source="made", messages=(Message(role="user", content="Why?"), answer))
    write_jsonl(folder / "heldout.jsonl", [held])
    write_jsonl(folder / "dev.jsonl", [asking(n, f"Say something about {n}.") for n in range(4)])
    values = {"model": str(tiny_model), "data": folder / "train.jsonl", "out": folder / "run", "epochs": 3}
    values |= {
        "max_length": 256,
        "learning_rate": 1e-2,
        "batch_size": 1,
        "device": "cpu",
        "heldout": folder / "heldout.jsonl",
    }
    train(TrainSettings.model_validate(values))
    return folder


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of the run for one test."""
    return Path(shutil.copytree(trained / "run", tmp_path / "run"))


@pytest.fixture
def choosing(trained: Path, run: Path) -> Any:
    def settings(**changes: Any) -> CheckpointSettings:
        values = {"run": run, "dev": trained / "dev.jsonl", "epochs": (1, 2, 3), "max_new_tokens": 100}
        return CheckpointSettings.model_validate(values | changes)

    return settings


def study_of(run: Path) -> Study:
    return Study(run / "checkpoint" / "study-01-02-03")


def test_a_judge_rates_all_epochs_and_a_second_call_asks_nothing(
    choosing: Any, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(Rule()) as url:
        settings = choosing(judge=f"{url}/v1#{MODEL}")
        first = checkpoint(settings)
        assert stats(url)["requests"] == 12  # 3 epochs x 4 prompts
        files = {path: path.read_bytes() for path in (run / "checkpoint").glob("*.json*")}
        answers = {path: path.stat().st_mtime_ns for path in (run / "checkpoint").glob("answers/epoch*")}
        assert checkpoint(settings) == first
        assert stats(url)["requests"] == 12
    assert {path: path.read_bytes() for path in files} == files
    assert {path: path.stat().st_mtime_ns for path in answers} == answers
    ratings = {}  # the server's rule: 1 + length // 50, at most 6
    for epoch in (1, 2, 3):
        rows = read_jsonl(run / "checkpoint" / "answers" / f"epoch-0{epoch}.jsonl", Completion)
        ratings[epoch] = {row.prompt_id: float(min(6, 1 + len(row.content) // 50)) for row in rows}
    assert first == choose(ratings)
    choice = read_json(run / "checkpoint" / "choice.json")
    assert choice["folder"] == str(run / f"epoch-0{choice['chosen']}")
    assert (choice["prompts"], choice["prompts_left_out"], choice["looks"]) == (4, 0, 1)
    assert choice["dev_apart_from_training"] is True
    logged = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["heldout_nll"] for row in choice["epochs"]] == [
        r["heldout_nll"] for r in logged if "loss" not in r
    ]
    assert f"next   lima generate {choice['folder']} TEST.jsonl" in capsys.readouterr().err


GRADES = {1: "fail pass pass fail", 2: "pass pass excellent pass", 3: "pass excellent excellent pass"}


def grade_all(study: Study, rater: str = "author:01") -> None:
    key = study.read_key()
    rows = []
    for item in study.read_items():
        origin, prompt = key[item.id].content, int(key[item.id].prompt_id.removeprefix("dev/"))
        assert origin is not None
        value = GRADES[int(origin.system.removeprefix("epoch-"))].split()[prompt]
        rows.append(
            Grade(id=f"{rater}/{item.id}", item_id=item.id, rater=rater, scale="quality", value=value)
        )
    add_grades(study, Rater(id=rater, kind="author"), rows)


def test_people_rate_and_the_same_command_reads_their_grades(
    choosing: Any, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = choosing(by_hand=True)
    assert checkpoint(settings) is None
    study = study_of(run)
    assert f"next   lima annotate {study.folder} --tasks quality" in capsys.readouterr().err
    blind = study.items.read_text() + study.comparisons.read_text() + study.protocol.read_text()
    assert "epoch" not in blind
    with pytest.raises(
        LimaError, match=r"no grades yet. Rate the answers: lima annotate .* lima checkpoint .*--by-hand"
    ):
        checkpoint(settings)
    assert not (run / "checkpoint" / "looks.jsonl").exists()
    grade_all(study)
    found = checkpoint(settings)
    assert found is not None
    # fail 0, pass 1, excellent 2: sums 0+1+1+0 = 2, 1+1+2+1 = 5, 1+2+2+1 = 6 over 4 prompts.
    assert [score.mean.value for score in found.epochs] == [0.5, 1.25, 1.5]  # type: ignore[union-attr]
    # Epoch 2 is behind by 0, 1, 0, 0: 0.25, s.e. 0.25, tied. Epoch 1 by 1, 1, 1, 1: not tied.
    assert (found.best, found.chosen) == (3, 2)
    out = capsys.readouterr().out
    assert "quality on 4 prompts, by author:01" in out
    assert "chosen" in out


def test_every_new_look_is_logged_and_the_same_one_is_not(choosing: Any, run: Path) -> None:
    checkpoint(choosing(by_hand=True))
    grade_all(study_of(run))
    for _ in range(2):
        checkpoint(choosing(by_hand=True))
    with serving(Rule()) as url:
        checkpoint(choosing(judge=f"{url}/v1#{MODEL}"))
        checkpoint(choosing(judge=f"{url}/v1#{MODEL}", epochs=(1, 3)))
    looks = [json.loads(line) for line in (run / "checkpoint" / "looks.jsonl").read_text().splitlines()]
    assert [(row["epochs"], row["raters"][0].partition(":")[0]) for row in looks] == [
        ([1, 2, 3], "author"),
        ([1, 2, 3], "judge"),
        ([1, 3], "judge"),
    ]
    assert (looks[0]["means"], looks[0]["best"], looks[0]["chosen"]) == ([0.5, 1.25, 1.5], 3, 2)
    assert looks[0]["at"]
    assert read_json(run / "checkpoint" / "choice.json")["looks"] == 3


def test_a_call_that_failed_at_the_judge_goes_on_without_new_answers(choosing: Any, run: Path) -> None:
    with serving(Rule(key="secret")) as url, pytest.raises(LimaError):
        checkpoint(choosing(judge=f"{url}/v1#{MODEL}"))  # 401
    answers = {path: path.stat().st_mtime_ns for path in (run / "checkpoint").glob("answers/epoch*")}
    assert not (run / "checkpoint" / "choice.json").exists()
    with serving(Rule()) as url:
        assert checkpoint(choosing(judge=f"{url}/v1#{MODEL}", scale="quality")) is not None
    assert {path: path.stat().st_mtime_ns for path in answers} == answers


def test_a_held_out_file_is_measured_as_training_measures_it(
    choosing: Any, trained: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text(
        (trained / "heldout.jsonl").read_text() + "\n"
    )  # the same rows, but not the file of the log
    checkpoint(choosing(by_hand=True, heldout=other))
    measured = (tmp_path / "run" / "checkpoint" / "heldout.jsonl").read_text().splitlines()
    metrics = [json.loads(line) for line in (trained / "run" / "metrics.jsonl").read_text().splitlines()]
    logged = [row["heldout_nll"] for row in metrics if "loss" not in row]
    assert [json.loads(line)["nll"] for line in measured] == pytest.approx(logged, rel=1e-6)
    assert len(set(logged)) == 3


def test_answers_of_a_model_that_was_trained_again_since_are_not_mixed_in(choosing: Any, run: Path) -> None:
    checkpoint(choosing(by_hand=True))
    shutil.copy(run / "epoch-03" / "model.safetensors", run / "epoch-02" / "model.safetensors")
    with pytest.raises(SettingsConflict, match=r"epoch-02.* \(content differs\).* or choose another --out"):
        checkpoint(choosing(by_hand=True))


@pytest.mark.parametrize(
    ("text", "example"),
    [("  what IS 2 + 2? ", "t/2"), ("What is 3 +\n3?", "t/3")],
)
def test_a_dev_prompt_from_the_training_data_is_refused_by_name(
    choosing: Any, tmp_path: Path, text: str, example: str
) -> None:
    dev = tmp_path / "dev.jsonl"
    write_jsonl(dev, [asking(1, "Anything new?"), asking(2, text)])
    with pytest.raises(
        LimaError, match=rf"the prompt 'dev/2' is in the training data .*'{example}'\), 1 such"
    ):
        checkpoint(choosing(by_hand=True, dev=dev))


def test_a_dialogue_that_training_holds_in_its_middle_is_refused_too(
    choosing: Any, trained: Path, tmp_path: Path
) -> None:
    dialogue = next(row for row in read_jsonl(trained / "train.jsonl", Example) if row.id == "t/long")
    dev = tmp_path / "dev.jsonl"
    write_jsonl(dev, [Example(id="dev/d", source="dev", messages=dialogue.messages[:3])])
    with pytest.raises(LimaError, match=r"'dev/d' is in the training data .*'t/long'"):
        checkpoint(choosing(by_hand=True, dev=dev))


def test_training_data_that_is_gone_is_told_and_can_be_given(
    choosing: Any, run: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved, record = tmp_path / "moved.jsonl", read_json(run / "run.json")
    shutil.copy(trained / "train.jsonl", moved)
    gone = next(file for name, file in record["inputs"].items() if name.startswith("data:"))
    gone["path"] = "/no/such/train.jsonl"
    (run / "run.json").write_text(json.dumps(record))
    checkpoint(choosing(by_hand=True, dry_run=True))
    assert "whether dev prompts are in it is not known" in capsys.readouterr().err
    checkpoint(choosing(by_hand=True, dry_run=True, data=moved))
    assert "not known" not in capsys.readouterr().err
    with pytest.raises(LimaError, match=r"--data .*dev.jsonl: has changed since"):
        checkpoint(choosing(by_hand=True, data=trained / "dev.jsonl"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": (5, 6)}, r"has kept no epoch of 5, 6.* Kept: 1, 2, 3. Choose among them: --epochs 1 2 3"),
        ({"epochs": (3, 4)}, r"has kept only epoch 3 of 3, 4, and a choice needs two. Kept: 1, 2, 3"),
        (
            {"by_hand": False},
            r"who rates\? Give one of --judge URL#model, --oracle module:function and --by-hand",
        ),
        ({"judge": "http://127.0.0.1:1/v1#m"}, r"who rates\?"),
        ({"run": Path("/no/such/run")}, r"/no/such/run: no training run here"),
    ],
)
def test_mistakes_are_named(choosing: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(LimaError, match=message):
        checkpoint(choosing(by_hand=True, **changes) if "by_hand" not in changes else choosing(**changes))


def test_the_command_line(run: Path, trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["checkpoint", str(run), "--dev", str(trained / "dev.jsonl"), "--by-hand", "--dry-run"]
    assert cli.run([*arguments, "--epochs", "2", "3", "8"]) == 0
    notes = capsys.readouterr().err
    assert "of the epochs to choose among it has not kept 8; the choice is among 2, 3" in notes
    assert "would make at most 8 answers" in notes  # 2 epochs x 4 prompts
    assert not (run / "checkpoint").exists()


def killed_when(arguments: list[str], folder: Path, ready: Callable[[], bool]) -> None:
    """Start the command in ``folder`` and kill it (-9) as soon as ``ready``."""
    process = subprocess.Popen([sys.executable, "-m", "lima", *arguments], cwd=folder, stderr=subprocess.PIPE)
    while not ready():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    process.kill()
    process.communicate()


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.mark.slow
def test_killed_twice_it_ends_with_the_files_of_an_undisturbed_run(trained: Path, tmp_path: Path) -> None:
    arguments = ["checkpoint", "run", "--dev", str(trained / "dev.jsonl"), "--epochs", "1", "2", "3"]
    arguments += ["--max-new-tokens", "100", "--concurrency", "1", "--judge"]
    for name in ("killed", "whole"):
        shutil.copytree(trained / "run", tmp_path / name / "run")
    killed = tmp_path / "killed" / "run" / "checkpoint"
    with serving(Rule(latency=0.2)) as url:
        command = [*arguments, f"{url}/v1#{MODEL}"]
        killed_when(command, tmp_path / "killed", lambda: lines(killed / "answers" / "epoch-02.jsonl") > 0)
        killed_when(
            command,
            tmp_path / "killed",
            lambda: any(lines(log) > 2 for log in killed.glob("study*/judges/*/replies.jsonl")),
        )
        assert not (killed / "choice.json").exists()
        subprocess.run([sys.executable, "-m", "lima", *command], cwd=tmp_path / "killed", check=True)
        assert stats(url)["unique"] == 12
        assert stats(url)["repeated"] <= 1  # the one that was on its way when the process was killed
    with serving(Rule()) as url:
        command = [*arguments, f"{url}/v1#{MODEL}"]
        subprocess.run([sys.executable, "-m", "lima", *command], cwd=tmp_path / "whole", check=True)
    whole = tmp_path / "whole" / "run" / "checkpoint"
    same = ["choice.json", *(f"answers/epoch-0{n}.jsonl" for n in (1, 2, 3)), "study-01-02-03/items.jsonl"]
    for file in same:
        assert (killed / file).read_bytes() == (whole / file).read_bytes(), file
    looks = [json.loads((folder / "looks.jsonl").read_text()) | {"at": ""} for folder in (killed, whole)]
    assert looks[0] == looks[1]


RULES = """
def longer(question: str, answer: str) -> str:
    return "excellent" if len(answer) > 60 else "pass" if len(answer) > 20 else "fail"

def points(question: str, answer: str) -> int:
    return 1 + min(5, len(answer) // 20)

def odd(question: str, answer: str) -> str:
    return "fine"

def broken(question: str, answer: str) -> str:
    return question[10_000]
"""


@pytest.fixture
def rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "length_rules.py").write_text(RULES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "length_rules", raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path])


@pytest.mark.usefixtures("rules")
def test_a_rule_of_one_s_own_rates_and_its_grades_can_be_recounted(choosing: Any, run: Path) -> None:
    choice = checkpoint(choosing(oracle="length_rules:longer"))
    assert choice is not None
    facts = read_json(run / "checkpoint" / "choice.json")
    assert facts["scale"] == "quality"
    assert [rater.partition("@")[0] for rater in facts["raters"]] == ["oracle:length_rules:longer"]
    for score in choice.epochs:
        answers = read_jsonl(run / "checkpoint" / "answers" / f"epoch-{score.epoch:02d}.jsonl", Completion)
        points = [(len(row.content) > 60) + (len(row.content) > 20) for row in answers]
        assert score.mean.value == pytest.approx(sum(points) / 4)  # type: ignore[union-attr]
    assert checkpoint(choosing(oracle="length_rules:longer")) == choice  # again: the same look
    assert read_json(run / "checkpoint" / "choice.json")["looks"] == 1
    other = checkpoint(choosing(oracle="length_rules:points", scale="helpfulness"))
    assert other is not None
    assert read_json(run / "checkpoint" / "choice.json")["scale"] == "helpfulness"


@pytest.mark.usefixtures("rules")
@pytest.mark.parametrize(
    ("oracle", "words"),
    [
        ("no_such_module:grade", "No module named 'no_such_module'"),
        ("length_rules:missing", "expected world, world:SEED or module:function"),
        ("length_rules:broken", "failed on .*IndexError"),
        ("length_rules:odd", "gave 'fine' for .*; quality is one of fail, pass, excellent"),
        ("world", "has no such question"),
    ],
)
def test_an_oracle_that_cannot_rate_says_why(choosing: Any, oracle: str, words: str) -> None:
    with pytest.raises(LimaError, match=words):
        checkpoint(choosing(oracle=oracle))


def test_one_kind_of_rater_is_wanted(choosing: Any) -> None:
    for changes in ({}, {"by_hand": True, "oracle": "world"}):
        with pytest.raises(LimaError, match="who rates"):
            checkpoint(choosing(**changes))


def test_the_world_s_oracle_grades_right_wrong_and_right_in_another_form() -> None:
    person, *others = make_world(WorldSettings(seed=1)).training
    attribute = next(iter(ATTRIBUTES))
    other = next(one for one in others if one.fact(attribute) != person.fact(attribute))
    asked, told = question(person, attribute, 0), statement(person, attribute)
    found = find_oracle("world:1")
    assert found.mark(asked, statement(person, attribute, value=other.fact(attribute))) == "fail"
    assert found.mark(asked, f"{person.fact(attribute)}.") == "pass"
    assert found.mark(asked, f"{OPENER} {told} {CLOSER}") == "excellent"
    with pytest.raises(LimaError, match="no such question"):
        found.mark("Where is the north pole?", "North.")
    assert find_oracle("world").hash == find_oracle("world:7").hash  # the rule is the same, the world is not


@pytest.mark.usefixtures("rules")
def test_a_rule_that_changes_anywhere_in_its_file_is_another_rater(tmp_path: Path) -> None:
    """Also where the function itself stays and what it calls changes."""
    before = find_oracle("length_rules:longer").hash
    assert find_oracle("length_rules:points").hash == before
    (tmp_path / "length_rules.py").write_text(RULES + "\nLIMIT = 3\n")
    sys.modules.pop("length_rules")
    assert find_oracle("length_rules:longer").hash != before
