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


def test_every_failed_check_is_counted_and_the_first_fault_named(
    tiny_model: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # "What is 0 + 0?" leaves no answer within 16 tokens; the dialogue's first answer begins at the 8th
    with pytest.raises(
        LimaError, match=r"1 of 6 checks failed. made/0: no assistant token is left within 16"
    ):
        doctor(DoctorSettings(model=str(tiny_model), data=data, max_length=16))
    (row,) = [line for line in capsys.readouterr().out.splitlines() if "supervised token" in line]
    assert [cell.strip() for cell in row.split("│")][2:4] == ["1", "9"]
