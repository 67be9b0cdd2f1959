"""``lima align``: the whole path in one command, each stage an ordinary command with a folder of its own.

data/ -> chosen/ -> run/ (one folder an epoch) -> answers/ -> study/ -> README.md
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from lima import console
from lima.align.data import make_data
from lima.align.outcome import write_outcome
from lima.align.plan import show_plan
from lima.align.settings import AlignSettings, Step
from lima.align.stages import Stages
from lima.checkpoint.checkpoint import checkpoint
from lima.commands import as_command, command
from lima.doctor.doctor import doctor
from lima.errors import LimaError
from lima.evaluate.comparisons import compare
from lima.evaluate.judge import judge
from lima.files import read_jsonl, replacing, write_text
from lima.generate.run import generate
from lima.model import read_config
from lima.records import Example
from lima.report.report import report
from lima.runs import is_finished, open_run
from lima.select.select import select
from lima.settings import Settings
from lima.train.checkpoints import remove_states
from lima.train.run import last_epoch, train


def align(settings: AlignSettings) -> Path | None:
    """Do every stage that is not done yet; returns the folder of the tuned model, None after ``--plan`` and ``--until``.

    Raises:
        LimaError: whatever stops a stage; the same command again goes on from there.
    """
    stages = Stages(settings)
    if settings.plan:
        show_plan(stages)
        return None
    read_config(settings.base)  # a base that cannot be used is refused before anything is made
    with console.part_of_a_whole(), open_run(settings.out / "run.json", "align", settings) as run:
        for name, made in _work(stages):
            write_text(settings.out / "align.yaml", stages.as_yaml())
            result = made
            if name == settings.until:
                console.note(f"stops after {name}, as --until says; the same command without it goes on.")
                break
        else:
            pages = write_outcome(stages, result)
            run.finish(model=str(result))
    if settings.until:
        console.done([result])
        return None
    console.done([result, *pages], command("serve", result))
    return result


def _work(stages: Stages) -> Iterator[tuple[Step, Path]]:
    """Do one stage after the other; yields what each is called and what it made, at last the tuned model."""
    settings = stages.settings
    _step(1, f"data: {settings.data} becomes a pool of examples, dev and test questions")
    _make_data(stages)
    yield "data", stages.pool
    _step(2, f"select: {settings.number:,} examples to tune on, at most")
    _select(stages)
    yield "select", stages.chosen
    _step(3, "doctor: what would go wrong in training")
    _once(stages.doctor_note, lambda: doctor(stages.doctor()))
    yield "doctor", stages.doctor_note
    _step(4, "train")
    if said := stages.template_note():
        console.note(said)
    _do("train", stages.train(), stages.run / "run.json", train)
    remove_states(stages.run / "state")  # left by a run that was killed right after its end
    yield "train", stages.run
    _step(5, "choose the epoch")
    chosen = _choose_epoch(stages)
    yield "choose", chosen
    _step(6, f"answers: the base with {settings.in_context} examples in its prompt, and the tuned model")
    _answer(stages, chosen)
    yield "answers", stages.answers
    _step(7, "compare the answers blind, judge, report")
    _report(stages)
    yield "report", chosen


def _make_data(stages: Stages) -> None:
    """A mistake that shows here may be mended with the same --out: all that there is yet has a record of its own."""
    try:
        make_data(stages.settings, stages.data, stages.has_room)
    except LimaError:
        if not stages.pool.exists():
            (stages.settings.out / "run.json").unlink(missing_ok=True)
        raise


def _step(number: int, text: str) -> None:
    console.note(f"\n[{number}/7] {text}")


S = TypeVar("S", bound=Settings)


def _do(name: str, settings: S, record: Path, run: Callable[[S], object]) -> None:
    """Run a stage, unless it is finished with these settings and inputs."""
    console.note(f"$ {as_command(name, settings)}")
    if is_finished(record, name, settings):
        console.note("done before")
    else:
        run(settings)


def _once(note: Path, run: Callable[[], None]) -> None:
    """Run what leaves no record of its own; an empty file says that it passed."""
    if note.exists():
        console.note("passed before")
        return
    run()
    write_text(note, "passed\n")


def _select(stages: Stages) -> None:
    """The pool as it is, where it is no larger than what is wanted."""
    pool = sum(1 for _ in read_jsonl(stages.pool, Example))
    if pool > stages.settings.number:
        _do("select", stages.select(), stages.chosen.with_name("train.run.json"), select)
        return
    console.note(f"{pool:,} examples are no more than {stages.settings.number:,}: all are taken.")
    with replacing(stages.chosen) as stream:
        stream.write(stages.pool.read_bytes())


def _choose_epoch(stages: Stages) -> Path:
    """By a judge or an oracle where there is one; else the last."""
    examples = sum(1 for _ in read_jsonl(stages.chosen, Example))
    last = last_epoch(examples, stages.train())
    if last == 1:
        return stages.epoch(last)
    if not (stages.settings.judge or stages.settings.oracle):
        rated = command("checkpoint", stages.run, "--dev", stages.data / "dev.jsonl", "--by-hand")
        console.note(
            f"no judge and no oracle: epoch {last}, the last, is taken. With --train keep_epochs=0 people can rate all: {rated}"
        )
        return stages.epoch(last)
    wanted = stages.checkpoint(last)
    console.note(f"$ {as_command('checkpoint', wanted)}")
    choice = checkpoint(wanted)
    if choice is None:
        raise LimaError(f"{stages.run}: no epoch was chosen. See {wanted.folder}.")
    return stages.epoch(choice.chosen)


def _answer(stages: Stages, chosen: Path) -> None:
    wanted = stages.settings.in_context
    if wanted and (shown := stages.write_demonstrations()) < wanted:
        console.warn(f"only {shown} of {wanted} examples fit half of the base's context; it sees those.")
    for asked in (stages.answers_of_tuned(chosen), stages.answers_of_base()):
        _do(
            "generate",
            asked,
            asked.out.with_name(f"{asked.out.name}.run.json"),
            generate,
        )


def _report(stages: Stages) -> None:
    pairs = stages.compare()
    _do("compare", pairs, stages.study / "compare.run.json", compare)
    if stages.settings.judge:
        judge(stages.judge())
    report(stages.report())
