from pathlib import Path

import pytest
import torch

from lima.errors import LimaError
from lima.train.checkpoints import States, remove_states, state_files
from lima.train.optimizer import adamw
from lima.train.settings import FitSettings


class Work:
    """A small layer, its optimiser and states; `step` is one deterministic optimiser step."""

    def __init__(self, folder: Path) -> None:
        self.layer = torch.nn.Linear(4, 4)
        with torch.no_grad():
            self.layer.weight.fill_(1.0)
            self.layer.bias.fill_(0.0)
        self.optimizer = adamw(self.layer, FitSettings(learning_rate=0.1))
        self.states = States(folder, self.layer, self.optimizer)

    def step(self, number: int) -> None:
        self.optimizer.zero_grad()
        self.layer(torch.arange(4.0) + number).square().sum().backward()
        self.optimizer.step()


def test_a_restored_optimiser_goes_on_exactly(tmp_path: Path) -> None:
    undisturbed, killed, resumed = Work(tmp_path / "a"), Work(tmp_path / "b"), Work(tmp_path / "b")
    for number in range(1, 6):
        undisturbed.step(number)
    for number in range(1, 4):
        killed.step(number)
    killed.states.save(3)
    assert resumed.states.restore() == 3
    for number in (4, 5):
        resumed.step(number)
    for mine, reference in zip(resumed.layer.parameters(), undisturbed.layer.parameters(), strict=True):
        assert torch.equal(mine, reference)


def test_a_damaged_state_is_passed_over_for_the_one_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = Work(tmp_path)
    for number in (1, 2):
        work.step(number)
        work.states.save(number)
    newest = state_files(tmp_path)[0]
    content = bytearray(newest.read_bytes())
    content[-3] ^= 1  # one flipped bit
    newest.write_bytes(content)
    assert Work(tmp_path).states.restore() == 1
    newest.write_bytes(content[: len(content) // 2])  # cut short
    assert Work(tmp_path).states.restore() == 1
    assert "damaged" in capsys.readouterr().err


def test_without_a_sound_state_the_work_begins_anew(tmp_path: Path) -> None:
    work = Work(tmp_path)
    assert work.states.restore() == 0
    work.step(1)
    work.states.save(1)
    state_files(tmp_path)[0].write_bytes(b"")
    fresh = Work(tmp_path)
    assert fresh.states.restore() == 0
    assert float(fresh.layer.weight.detach().mean()) == 1.0


def test_two_states_are_kept_and_none_after_the_end(tmp_path: Path) -> None:
    work = Work(tmp_path / "state")
    for number in range(1, 5):
        work.step(number)
        work.states.save(number)
    assert [path.name[:13] for path in state_files(tmp_path / "state")] == ["step-00000004", "step-00000003"]
    (tmp_path / "state" / ".state.tmp").write_bytes(b"half")  # what a kill leaves
    remove_states(tmp_path / "state")
    remove_states(tmp_path / "state")
    assert not (tmp_path / "state").exists()


def test_when_a_state_is_due(tmp_path: Path) -> None:
    states = Work(tmp_path).states
    assert [states.is_due(step, 3) for step in (1, 2, 3, 4, 6)] == [False, False, True, False, True]
    assert states.is_due(1, None), "saving has cost nothing so far"


def test_a_full_disk_keeps_the_states_that_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = Work(tmp_path)
    work.step(1)
    work.states.save(1)

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lima.train.checkpoints.save_file", full)
    with pytest.raises(LimaError, match=r"No space left.*continues"):
        work.states.save(2)
    assert [path.name[:13] for path in tmp_path.iterdir()] == ["step-00000001"]
    assert Work(tmp_path).states.restore() == 1
