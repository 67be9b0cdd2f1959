import json
from pathlib import Path
from typing import ClassVar

import pytest

from lima.errors import LimaError, SettingsConflict
from lima.runs import open_run
from lima.settings import Settings


class Stage(Settings):
    """A stage."""

    input_fields: ClassVar[frozenset[str]] = frozenset({"data"})
    free_fields: ClassVar[frozenset[str]] = frozenset({"workers"})

    data: Path
    """Input."""
    epochs: int = 15
    """Passes."""
    workers: int = 1
    """Processes."""
    seed: int = 0
    """Seed."""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.jsonl"
    path.write_text("{}\n")
    return path


def test_a_run_records_what_it_is_made_of(tmp_path: Path, data: Path) -> None:
    with open_run(tmp_path / "run" / "run.json", "stage", Stage(data=data)) as run:
        assert not run.resumed
        run.finish(rows=3)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["settings"] == {"epochs": 15, "workers": 1, "seed": 0}
    assert record["inputs"]["data:0"]["sha256"] == (
        "ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356"
    )
    assert record["seed"] == 0
    assert record["versions"]["python"]
    assert record["finished"] is True
    assert record["facts"] == {"rows": 3}


def test_the_same_settings_resume_wherever_the_input_lies(tmp_path: Path, data: Path) -> None:
    path = tmp_path / "run.json"
    with open_run(path, "stage", Stage(data=data)):
        pass
    moved = data.rename(tmp_path / "moved.jsonl")
    with open_run(path, "stage", Stage(data=moved, workers=8)) as run:
        assert run.resumed
        assert not run.finished


@pytest.mark.parametrize(
    ("change", "message"),
    [({"epochs": 3}, "epochs: 15 there, 3 here"), ({"seed": 1}, "seed: 0 there, 1 here")],
)
def test_other_settings_are_refused_with_the_difference(
    tmp_path: Path, data: Path, change: dict[str, int], message: str
) -> None:
    path = tmp_path / "run.json"
    with open_run(path, "stage", Stage(data=data)):
        pass
    with pytest.raises(SettingsConflict, match=message), open_run(path, "stage", Stage(data=data, **change)):
        pass


class Nested(Settings):
    """A stage with settings in its settings."""

    stage: Stage
    """The inner one."""


def test_a_difference_deep_inside_is_named_alone(tmp_path: Path, data: Path) -> None:
    path = tmp_path / "run.json"
    with open_run(path, "stage", Nested(stage=Stage(data=data))) as run:
        run.finish()
    other = Nested(stage=Stage(data=data, epochs=3))
    with (
        pytest.raises(SettingsConflict, match=r"\(stage.epochs: 15 there, 3 here\)"),
        open_run(path, "stage", other),
    ):
        pass


def test_another_input_is_refused(tmp_path: Path, data: Path) -> None:
    path = tmp_path / "run.json"
    with open_run(path, "stage", Stage(data=data)):
        pass
    data.write_text("{} \n")
    with pytest.raises(SettingsConflict, match="content differs"), open_run(path, "stage", Stage(data=data)):
        pass


def test_another_command_and_a_missing_input_are_refused(tmp_path: Path, data: Path) -> None:
    path = tmp_path / "run.json"
    with open_run(path, "stage", Stage(data=data)):
        pass
    with pytest.raises(SettingsConflict, match="made by 'lima stage'"), open_run(path, "x", Stage(data=data)):
        pass
    missing = Stage(data=tmp_path / "none")
    with (
        pytest.raises(LimaError, match="no such file or folder"),
        open_run(tmp_path / "b.json", "x", missing),
    ):
        pass
    assert not (tmp_path / "b.json").exists()


def test_two_processes_cannot_work_in_one_run(tmp_path: Path, data: Path) -> None:
    path = tmp_path / "run.json"
    with (
        open_run(path, "stage", Stage(data=data)),
        pytest.raises(LimaError, match="another lima process"),
        open_run(path, "stage", Stage(data=data)),
    ):
        pass


def fail_in_run(path: Path, settings: Stage, *, writes: bool) -> None:
    with open_run(path, "stage", settings):
        if writes:
            (path.parent / "part.jsonl").write_text("{}\n")
        raise LimaError("a mistake in the input, or a full disk")


def test_a_run_that_fails_before_it_writes_anything_leaves_no_record(tmp_path: Path, data: Path) -> None:
    """Or the same command with the mistake mended would be refused for its other settings."""
    path = tmp_path / "run" / "run.json"
    with pytest.raises(LimaError, match="a mistake"):
        fail_in_run(path, Stage(data=data, epochs=3), writes=False)
    assert not path.exists()
    with pytest.raises(LimaError, match="a mistake"):
        fail_in_run(path, Stage(data=data), writes=True)
    with open_run(path, "stage", Stage(data=data)) as run:
        assert run.resumed


def test_a_file_in_the_place_of_the_run_folder_is_named(data: Path) -> None:
    with (
        pytest.raises(LimaError, match="a file is in the way"),
        open_run(data / "run.json", "x", Stage(data=data)),
    ):
        pass


def test_a_model_is_what_loading_reads_of_its_folder(tmp_path: Path) -> None:
    """Notes, answers and runs beside the weights leave it the same model; another weight, config or template does not."""
    model = tmp_path / "model"
    model.mkdir()
    read = (
        "config.json",
        "model-00001-of-00002.safetensors",
        "tokenizer.json",
        "chat_template.jinja",
        "generation_config.json",
    )
    for name in read:
        (model / name).write_text(name)
    path = tmp_path / "run" / "run.json"
    with open_run(path, "stage", Stage(data=model)):
        pass
    for name in (
        "NOTES.txt",
        "README.md",
        "model.Q8_0.gguf",
        "answers.jsonl",
        "answers.run.json",
        "training_args.bin",
    ):
        (model / name).write_text("more")
    (model / "tuned").mkdir()
    (model / "tuned" / "config.json").write_text("another model's")
    with open_run(path, "stage", Stage(data=model)) as run:
        assert run.resumed
    for name in read:
        (model / name).write_text("changed")
        with (
            pytest.raises(SettingsConflict, match="content differs"),
            open_run(path, "stage", Stage(data=model)),
        ):
            pass
        (model / name).write_text(name)


def test_an_output_within_an_input_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    dump = tmp_path / "dump"
    dump.mkdir()
    (dump / "Posts.xml").write_text("<posts/>")
    with (
        pytest.raises(LimaError, match=r"run: lies within the input .*dump, which it would change"),
        open_run(dump / "made" / "run" / "run.json", "stage", Stage(data=dump)),
    ):
        pass
    assert [path.name for path in dump.iterdir()] == ["Posts.xml"]


def test_a_seed_below_zero_and_numbers_that_are_none_are_refused(data: Path) -> None:
    with pytest.raises(LimaError, match=r"seed: a seed is 0 or more \(got -1\)"):
        Stage(data=data, seed=-1)
