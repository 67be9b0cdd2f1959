"""Jobs in processes: run once, kept over a kill, named when they fail, equal when repeated."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lima.errors import LimaError
from lima.experiments.claims.jobs import RESULT, BaseJob, DataSettings, Job, JobResult, TuneJob, key, needs
from lima.experiments.claims.pool import finished, missing, run_jobs
from lima.world.settings import BaseSettings

BASE = BaseSettings(steps=2, batch=2, layers=1, hidden=16, heads=2)


def _tune(examples: int) -> TuneJob:
    """Its marks are all 0, but it measures likelihoods too, in which every weight shows."""
    return TuneJob(base=BASE, data=DataSettings(examples=examples), steps=2, questions=5, by_epoch=True)


JOBS: dict[str, Job] = {"four": _tune(4), "five": _tune(5), "again four": _tune(4)}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, JobResult]]]:
    """The jobs, run by two processes."""
    folder = tmp_path_factory.mktemp("pool")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIMA_CACHE", str(folder / "cache"))
        yield folder / "jobs", run_jobs(JOBS, folder / "jobs", workers=2)


def _made(folder: Path) -> dict[str, int]:
    return {path.parent.name: path.stat().st_mtime_ns for path in folder.glob(f"*/{RESULT}")}


@pytest.mark.slow
def test_equal_jobs_and_their_base_are_run_once(
    done: tuple[Path, dict[str, JobResult]], tmp_path: Path
) -> None:
    # two different tunings, and the base that both need
    assert sorted(job.kind for job in missing(JOBS, tmp_path).values()) == ["base", "tune", "tune"]
    folder, results = done
    assert results["four"] == results["again four"] != results["five"]
    made = _made(folder)
    assert len(made) == 3
    assert missing(JOBS, folder) == {}
    assert run_jobs(JOBS, folder, workers=1) == results
    assert _made(folder) == made  # nothing was written again


def test_the_name_of_a_job_is_its_settings() -> None:
    assert key(_tune(4)) == key(_tune(4))
    assert len({key(_tune(4)), key(_tune(5)), key(BaseJob(base=BASE))}) == 3
    assert needs(_tune(4)) == [BaseJob(base=BASE)]
    assert needs(_tune(4).model_copy(update={"scratch": True})) == []


@pytest.mark.slow
def test_failed_jobs_are_named_the_others_are_kept_and_nothing_else_is_printed(
    done: tuple[Path, dict[str, JobResult]], capfd: pytest.CaptureFixture[str]
) -> None:
    lost = BASE.model_copy(update={"heads": 3})  # 16 is no multiple of 3: this base cannot be made
    orphan = _tune(4).model_copy(update={"base": lost})
    # the training people have 75 x 5 x 4 = 1,500 questions
    jobs = {
        "too many": _tune(1501),
        "its base": BaseJob(base=lost),
        "orphan": orphan,
        "six": _tune(6),
        **JOBS,
    }
    with pytest.raises(
        LimaError,
        match=r"job 'too many' \(tune-\w+\): AssertionError: 1501 of 1500 questions.* 1 more failed",
    ):
        run_jobs(jobs, done[0], workers=1)
    assert list(missing(jobs, done[0])) == ["too many", "its base", "orphan"]
    assert list(finished(jobs, done[0])) == ["six", *JOBS]
    printed = "".join(
        capfd.readouterr()
    ).splitlines()  # none where it was over before the first line of progress
    assert [line for line in printed if not line.startswith("experiment:")] == []


SCRIPT = """
import sys
from pathlib import Path
from lima.experiments.claims.pool import run_jobs
from tests.experiments.test_pool import _tune
if __name__ == "__main__":
    run_jobs({str(n): _tune(n) for n in range(4, 30)}, Path(sys.argv[1]), workers=1)
"""


@pytest.mark.slow
def test_a_killed_run_goes_on_and_leaves_no_process(
    done: tuple[Path, dict[str, JobResult]], tmp_path: Path
) -> None:
    script, folder = tmp_path / "script.py", tmp_path / "jobs"
    script.write_text(SCRIPT)
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), *sys.path])}
    process = subprocess.Popen([sys.executable, str(script), str(folder)], env=environment)
    _wait(lambda: len(_made(folder)) >= 3, 100)
    children = _children(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    _wait(lambda: not any(Path(f"/proc/{child}/cmdline").exists() for child in children), 20)
    made = _made(folder)
    jobs: dict[str, Job] = {str(n): _tune(n) for n in range(4, 4 + len(made) + 1)}
    todo = missing(jobs, folder)
    assert 0 < len(todo) < len(jobs)
    results = run_jobs(jobs, folder, workers=1)
    after = _made(folder)
    assert len(after) == len(made) + len(todo)
    assert {name: after[name] for name in made} == made  # no finished job was run again
    assert results["4"].measures == done[1]["four"].measures  # as without a kill
    assert results["5"].measures == done[1]["five"].measures


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def _wait(condition: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)
