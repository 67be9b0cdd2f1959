"""``lima generate``: a prompts file -> ``completions.jsonl``, one row an answer (LIMA, section 4.1)."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lima import console, model
from lima.errors import LimaError
from lima.files import JsonlLog, write_jsonl
from lima.generate.decoding import Decoding, noise_key
from lima.generate.engine import Answer, Engine, Request
from lima.generate.prompts import EXPLANATION, PromptFormat, read_prompts
from lima.generate.settings import GenerateSettings
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
        one = settings.model_copy(update={"system": system, "also": (), "name": name, "out": out})
        _generate_one(one, name, prompts)
        files.append(out)
    if not settings.dry_run:
        others = " ".join(map(str, files)) + (" OTHER.jsonl" if len(files) == 1 else "")
        console.done(wrote=files, next_command=f"lima compare {others} --out study")
    return files


def system_names(settings: GenerateSettings) -> list[str]:
    """A name for each system: what the records and reports call it."""
    if settings.name is not None:
        if settings.also:
            raise LimaError("--name goes with one system; with --also they are named after their folders.")
        return [settings.name]
    names = [_default_name(system) for system in (settings.system, *settings.also)]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise LimaError(f"two systems would both be called {twice[0]!r}. Run them alone, with --name.")
    return names


def _default_name(system: str) -> str:
    if "#" in system:
        return system.rpartition("#")[2].rpartition("/")[2]
    path = Path(system).resolve() if Path(system).exists() else Path(system)
    is_epoch = path.name.startswith("epoch") and path.parent.name
    return f"{path.parent.name}-{path.name}" if is_epoch else path.name


@dataclass(frozen=True)
class _Work:
    """The requests of one system and the prompts that it cannot take."""

    requests: list[Request]
    jobs: dict[str, tuple[str, int]]
    """Prompt id and sample of each request id."""
    rejects: list[Reject]


def _read(settings: GenerateSettings) -> list[Example]:
    prompts = read_prompts(settings.prompts, settings.limit)
    if answered := sum(not prompt.is_prompt for prompt in prompts):
        console.note(
            f"{answered} of {len(prompts)} conversations end in an assistant turn: it is left out, and "
            "the last user turn is answered."
        )
    return prompts


def _generate_one(settings: GenerateSettings, name: str, prompts: Sequence[Example]) -> None:
    loaded, tokenizer = model.load(_place(settings.system), settings.dtype)
    form = PromptFormat.of(loaded, tokenizer)
    console.note(f"{name}: {EXPLANATION[form.kind]}")
    limit = min(settings.max_length, model.context_length(loaded) or settings.max_length)
    work = _plan(settings, name, prompts, form, limit)
    _tell_rejects(settings, work.rejects, limit)
    if settings.dry_run:
        console.note(f"{name}: {len(work.requests)} answers to make, {len(work.rejects)} prompts too long.")
        return
    _refuse_foreign(settings.out)
    with open_run(_beside(settings.out, "run.json"), "generate", settings) as run:
        started = time.monotonic()
        engine = Engine(loaded, tokenizer, slots=settings.slots, compiled=settings.compile)
        completions = _answer_all(engine, work, settings, name)
        write_jsonl(settings.out, completions)
        if work.rejects:
            write_jsonl(_beside(settings.out, "rejects.jsonl"), work.rejects)
        reasons = Counter(completion.finish_reason for completion in completions)
        if not run.finished:
            run.finish(
                completions=len(completions),
                rejected_prompts=len(work.rejects),
                tokens=sum(completion.tokens for completion in completions),
                finish_reasons=dict(sorted(reasons.items())),
                format=form.kind,
                seconds=round(time.monotonic() - started, 3),
            )
    _show(name, completions, len(work.rejects))


def _plan(
    settings: GenerateSettings, name: str, prompts: Sequence[Example], form: PromptFormat, limit: int
) -> _Work:
    decoding = Decoding(
        temperature=0.0 if settings.greedy else settings.temperature,
        top_p=settings.top_p,
        top_k=settings.top_k,
        repetition_penalty=settings.repetition_penalty,
        penalize_prompt=settings.penalize_prompt,
    )
    work = _Work([], {}, [])
    for prompt in prompts:
        ids = tuple(form.encode(prompt.prompt))
        room = limit - len(ids)
        if room < 1:
            reason = f"{len(ids)} tokens leave no room for an answer within {limit}"
            work.rejects.append(Reject(id=prompt.id, rule="over-long", reason=reason))
            continue
        for sample in range(settings.samples):
            request_id = f"{name}/{prompt.id}/{sample}"
            work.jobs[request_id] = (prompt.id, sample)
            work.requests.append(
                Request(
                    id=request_id,
                    prompt=ids,
                    max_new_tokens=min(room, settings.max_new_tokens or room),
                    decoding=decoding,
                    noise=noise_key(settings.seed, prompt.id, sample),
                    stop_ids=form.stop_ids,
                    stop=settings.stop,
                )
            )
    return work


def _answer_all(engine: Engine, work: _Work, settings: GenerateSettings, name: str) -> list[Completion]:
    """Make the answers that are not in the output file yet; all of them, sorted by id."""
    with (
        JsonlLog(settings.out, Completion) as log,
        console.progress(f"generate {name}", len(work.requests), "answers") as bar,
    ):
        completions = {row.id: row for row in log.existing if row.id in work.jobs}
        bar.advance(len(completions))
        started, tokens = time.monotonic(), 0
        for answer in engine.run(r for r in work.requests if r.id not in completions):
            completion = _completion(answer, *work.jobs[answer.request.id], settings, name)
            log.append(completion)
            completions[completion.id] = completion
            tokens += completion.tokens
            bar.advance(1, f"{tokens / (time.monotonic() - started):,.0f} tokens/s")
    return [completions[key] for key in sorted(completions)]


def _completion(
    answer: Answer, prompt_id: str, sample: int, settings: GenerateSettings, name: str
) -> Completion:
    failed = answer.finish_reason == "error"
    if failed:
        console.warn(f"{answer.request.id}: the model's logits are not numbers; this answer is an error.")
    return Completion(
        id=answer.request.id,
        prompt_id=prompt_id,
        system=name,
        sample=sample,
        content=answer.text,
        finish_reason=answer.finish_reason,
        status="error" if failed else "ok",
        tokens=len(answer.ids),
        seed=settings.seed,
    )


def _place(system: str) -> str | Path:
    path = Path(system)
    return path if path.exists() else system


def _tell_rejects(settings: GenerateSettings, rejects: Sequence[Reject], limit: int) -> None:
    if not rejects:
        return
    named = ", ".join(reject.id for reject in rejects[:3]) + (", ..." if len(rejects) > 3 else "")
    text = f"{len(rejects)} prompts leave no room for an answer within {limit} tokens: {named}"
    if settings.strict:
        raise LimaError(f"{settings.prompts}: {text}. Shorten them, or leave out --strict to skip them.")
    console.warn(f"{text} (skipped; see {_beside(settings.out, 'rejects.jsonl')})")


def _refuse_foreign(out: Path) -> None:
    if out.is_dir():
        raise LimaError(f"{out}: a folder. --out names the completions file of one system.")
    if out.exists() and not _beside(out, "run.json").exists():
        raise LimaError(f"{out}: exists, and was not written by 'lima generate'. Choose another --out.")


def _beside(out: Path, ending: str) -> Path:
    """``answers.jsonl`` -> ``answers.jsonl.run.json`` and so on."""
    return out.with_name(f"{out.name}.{ending}")


def _show(name: str, completions: Sequence[Completion], rejected: int) -> None:
    reasons = Counter(completion.finish_reason for completion in completions)
    rows: list[tuple[str, int, str]] = []
    for reason, count in sorted(reasons.items()):
        lengths = [c.tokens for c in completions if c.finish_reason == reason]
        rows.append((reason, count, f"{sum(lengths) / count:.0f}"))
    if rejected:
        rows.append(("prompts too long", rejected, ""))
    console.table(f"{name}: how answers ended", ("finish reason", "answers", "mean tokens"), rows)
