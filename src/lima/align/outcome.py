"""The end of ``lima align``: what was done and what came out, on one page and on the screen."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lima import console
from lima.align.stages import Stages
from lima.commands import command
from lima.files import read_json, read_jsonl, write_text
from lima.records import Completion, Example

SHOWN = 3
PERSONAL = {
    "report": "Personal data in the examples: counted and warned of, not removed (--pii redact, drop)",
    "redact": "Personal data in the examples: placeholders such as [EMAIL_1]",
    "drop": "Personal data: examples that held any were left out",
}
CHARACTERS = 400


def write_outcome(stages: Stages, chosen: Path) -> list[Path]:
    """Write ``README.md`` into the folder and show its first answers; returns the pages worth reading."""
    prompts = {row.id: row for row in read_jsonl(stages.data / "test.jsonl", Example)}
    answers = {
        name: {row.prompt_id: row for row in read_jsonl(stages.answers / f"{name}.jsonl", Completion)}
        for name in ("base", "tuned")
    }
    ended = {name: _share_ended(rows.values()) for name, rows in answers.items()}
    shown = [name for name in prompts if name in answers["tuned"] and name in answers["base"]][:SHOWN]
    facts = _facts(stages, chosen, ended)
    parts = [
        f"# {_name(stages.settings.base)}, tuned on {stages.settings.data.name}",
        "",
        *(f"- {fact}" for fact in facts),
        "",
    ]
    for name in shown:
        asked = prompts[name].messages[-1].content
        parts += [f"**{_short(asked)}**", ""]
        parts += [f"- {system}: {_short(answers[system][name].content)}" for system in ("base", "tuned")]
        parts.append("")
    path = stages.settings.out / "README.md"
    write_text(path, "\n".join(parts))
    rows = [
        [
            _short(prompts[name].messages[-1].content),
            *(_short(answers[system][name].content) for system in ("base", "tuned")),
        ]
        for name in shown
    ]
    console.table("the first test questions, unchosen", ["question", "base", "tuned"], rows, align="left")
    for fact in facts:
        console.note(fact)
    return [path, stages.study / "report.html"]


def _facts(stages: Stages, chosen: Path, ended: dict[str, str]) -> list[str]:
    settings = stages.settings
    used = sum(1 for _ in read_jsonl(stages.chosen, Example))
    pool = sum(1 for _ in read_jsonl(stages.pool, Example))
    found = [
        f"Tuned on {used:,} of {pool:,} examples ({settings.by}); model: {chosen}",
        f"Epoch chosen by {settings.judge or settings.oracle}"
        if settings.judge or settings.oracle
        else "The last epoch: no judge and no oracle chose",
        PERSONAL[settings.pii],
        f"Answers that end by themselves: base {ended['base']}, tuned {ended['tuned']}",
    ]
    seen = sum(1 for _ in read_jsonl(stages.demonstrations, Example)) if stages.demonstrations.exists() else 0
    found.append(f"Answered examples in the prompt: {seen} for the base, none for the tuned model")
    if not settings.judge:
        return [
            *found,
            f"Nobody has compared the answers yet: {command('annotate', stages.study)}, or "
            f"{command('judge', stages.study, '--judge', 'URL#MODEL')}; then {command('report', stages.study)}",
        ]
    return [*found, *_verdicts(stages.study / "report.json")]


def _verdicts(path: Path) -> list[str]:
    """The sentences of the report, as it has them."""
    return [str(finding["sentence"]) for finding in read_json(path).get("findings", [])]


def _share_ended(rows: Iterable[Completion]) -> str:
    found = [row.finish_reason in ("eot", "stop") for row in rows]
    return f"{sum(found):,} of {len(found):,}"


def _name(base: str) -> str:
    """The last part of a folder's path, or the hub id."""
    return Path(base).resolve().name if Path(base).exists() else base


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= CHARACTERS else f"{line[:CHARACTERS]} ..."
