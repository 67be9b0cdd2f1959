"""``lima generate``: a prompts file -> ``completions.jsonl``, one row an answer (LIMA, section 4.1)."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from lima import console
from lima.commands import command
from lima.errors import LimaError
from lima.files import JsonlLog, write_jsonl
from lima.generate.jobs import Job, beside, default_name, plan
from lima.generate.prompts import read_demonstrations, read_prompts
from lima.generate.settings import GenerateSettings
from lima.generate.systems.chat_backends import ChatBackend, open_system
from lima.records import Completion, Example, Reject
from lima.runs import open_run


def generate(settings: GenerateSettings) -> list[Path]:
    """Sample answers of every system; return the completions files, one a system.

    Killed and started again it goes on where it was, and the files equal those of an undisturbed run.

    Raises:
        LimaError: a missing model or prompts file, other settings than the run was begun with, or (with
            ``strict``) a prompt that leaves no room for an answer.
    """
    names = system_names(settings)
    prompts = _read(settings)
    files = []
    for system, name in zip((settings.system, *settings.also), names, strict=True):
        out = settings.out / f"{name}.jsonl" if settings.also else settings.out
        _generate_one(
            settings.model_copy(update={"system": system, "also": (), "name": name, "out": out}),
            name,
            prompts,
        )
        files.append(out)
    if not settings.dry_run:
        pair = files if len(files) > 1 else [*files, "OTHER.jsonl"]
        console.done(wrote=files, next_command=command("compare", *pair, "--out", "study"))
    return files


def system_names(settings: GenerateSettings) -> list[str]:
    """A name for each system: what the records and reports call it."""
    if settings.name is not None:
        if settings.also:
            raise LimaError("--name goes with one system; with --also they are named after their folders.")
        return [settings.name]
    names = [default_name(system) for system in (settings.system, *settings.also)]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise LimaError(f"two systems would both be called {twice[0]!r}. Run them alone, with --name.")
    return names


def _read(settings: GenerateSettings) -> list[Example]:
    prompts = read_prompts(settings.prompts, settings.limit)
    if answered := sum(not prompt.is_prompt for prompt in prompts):
        console.note(
            f"{answered} of {len(prompts)} conversations end in an assistant turn: it is left out, and "
            "the last user turn is answered."
        )
    return prompts


def _generate_one(settings: GenerateSettings, name: str, prompts: Sequence[Example]) -> None:
    _refuse_foreign(settings.out)
    shown = read_demonstrations(settings.in_context) if settings.in_context else None
    system = open_system(settings.system, settings, shown)
    console.note(f"{name}: {system.describe()}")
    rejects = system.reject(prompts)
    _tell_rejects(settings, rejects)
    rejected = {reject.id for reject in rejects}
    jobs = plan([prompt for prompt in prompts if prompt.id not in rejected], settings, name)
    if settings.dry_run:
        console.note(f"{name}: {len(jobs)} answers to make, {len(rejects)} prompts too long.")
        return
    with open_run(beside(settings.out, "run.json"), "generate", settings) as run:
        started = time.monotonic()
        completions, made = _answer_all(system, jobs, settings, name)
        write_jsonl(settings.out, completions)
        if rejects:
            write_jsonl(beside(settings.out, "rejects.jsonl"), rejects)
        if made or not run.finished:
            run.finish(
                completions=len(completions),
                rejected_prompts=len(rejects),
                tokens=sum(completion.tokens for completion in completions),
                finish_reasons=dict(sorted(Counter(row.finish_reason for row in completions).items())),
                **system.facts(),
                seconds=round(time.monotonic() - started, 3),
            )
    _show(name, completions, len(rejects))


def _answer_all(
    system: ChatBackend, jobs: Sequence[Job], settings: GenerateSettings, name: str
) -> tuple[list[Completion], int]:
    """Make the answers that are not in the output file yet: all of them, sorted by id, and how many are new.

    An answer that failed is no answer: it is asked for again.
    """
    wanted = {job.id for job in jobs}
    with (
        JsonlLog(settings.out, Completion) as log,
        console.progress(f"generate {name}", len(jobs), "answers") as bar,
    ):
        completions = {row.id: row for row in log.existing if row.id in wanted and row.status != "error"}
        before = len(completions)
        bar.resume(before)
        started, tokens = time.monotonic(), 0

        def take(completion: Completion) -> None:
            nonlocal tokens
            log.append(completion)
            completions[completion.id] = completion
            tokens += completion.tokens
            bar.advance(1, f"{tokens / (time.monotonic() - started):,.0f} tokens/s")

        if todo := [job for job in jobs if job.id not in completions]:
            system.answer(todo, settings, take)
    return [completions[key] for key in sorted(completions)], len(completions) - before


def _tell_rejects(settings: GenerateSettings, rejects: Sequence[Reject]) -> None:
    if not rejects:
        return
    named = ", ".join(reject.id for reject in rejects[:3]) + (", ..." if len(rejects) > 3 else "")
    text = f"{len(rejects)} prompts leave no room for an answer: {named}"
    if settings.strict:
        raise LimaError(f"{settings.prompts}: {text}. Shorten them, or leave out --strict to skip them.")
    console.warn(f"{text} (skipped; see {beside(settings.out, 'rejects.jsonl')})")


def _refuse_foreign(out: Path) -> None:
    if out.is_dir():
        raise LimaError(f"{out}: a folder. --out names the completions file of one system.")
    if out.exists() and not beside(out, "run.json").exists():
        raise LimaError(f"{out}: exists, and was not written by 'lima generate'. Choose another --out.")


def _show(name: str, completions: Sequence[Completion], rejected: int) -> None:
    reasons = Counter(completion.finish_reason for completion in completions)
    rows: list[tuple[str, int, str]] = []
    for reason, count in sorted(reasons.items()):
        lengths = [c.tokens for c in completions if c.finish_reason == reason]
        rows.append((reason, count, f"{sum(lengths) / count:.0f}"))
    if rejected:
        rows.append(("prompts too long", rejected, ""))
    console.table(f"{name}: how answers ended", ("finish reason", "answers", "mean tokens"), rows)
