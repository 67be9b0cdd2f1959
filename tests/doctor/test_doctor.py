from pathlib import Path

import pytest

from lima.doctor.doctor import doctor
from lima.doctor.settings import DoctorSettings
from lima.errors import LimaError
from lima.files import write_jsonl
from lima.records import Example


@pytest.fixture
def data(tmp_path: Path, examples: list[Example]) -> Path:
    write_jsonl(tmp_path / "train.jsonl", examples)
    return tmp_path / "train.jsonl"


def test_sound_inputs_pass_and_the_masks_are_shown(
    tiny_model: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    doctor(DoctorSettings(model=str(tiny_model), data=data))
    printed = capsys.readouterr()
    assert "What is 0 + 0?<|eot|>It is 0.<|eot|>" in printed.out
    assert "no attention across documents" in printed.out
    assert "lima train" in printed.err
    assert "--residual-dropout 0" in printed.err  # the model is narrow


def test_every_failed_check_is_counted_and_the_first_fault_named(
    tiny_model: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # "What is 0 + 0?" leaves no answer within 16 tokens; the dialogue's first answer begins at the 8th
    with pytest.raises(
        LimaError, match=r"1 of 7 checks failed. made/0: no assistant token is left within 16"
    ):
        doctor(DoctorSettings(model=str(tiny_model), data=data, max_length=16))
    (row,) = [line for line in capsys.readouterr().out.splitlines() if "supervised token" in line]
    assert [cell.strip() for cell in row.split("│")][2:4] == ["1", "9"]


def test_blank_turns_fail_and_turns_that_are_not_learnt_pass(
    tiny_model: Path, tmp_path: Path, examples: list[Example], capsys: pytest.CaptureFixture[str]
) -> None:
    dialogue = next(example for example in examples if len(example.messages) > 2)
    user, answer, *rest = dialogue.messages
    unlearnt = (user, answer.model_copy(update={"weight": 0}), *rest)
    rows = [*examples, dialogue.model_copy(update={"id": "part", "messages": unlearnt})]
    write_jsonl(tmp_path / "part.jsonl", rows)
    doctor(DoctorSettings(model=str(tiny_model), data=tmp_path / "part.jsonl"))
    assert "it carries loss at the end of 12 of 12 answers" in capsys.readouterr().err
    blank = answer.model_copy(update={"content": " \n"})
    rows[-1] = dialogue.model_copy(update={"id": "blank", "messages": (user, blank)})
    write_jsonl(tmp_path / "blank.jsonl", rows)
    with pytest.raises(LimaError, match=r"1 of 7 checks failed\. blank: turn 2, the assistant's, is blank"):
        doctor(DoctorSettings(model=str(tiny_model), data=tmp_path / "blank.jsonl"))
