"""The end of ``lima align``: what was done and what came out, on one page and on the screen."""

from __future__ import annotations

from collections import Counter
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
    parts += ["## To look at", "", *_places(stages, chosen), ""]
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
        *_of_the_table(stages),
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


MOST_REASONS = 5


def _of_the_table(stages: Stages) -> list[str]:
    """How many rows of raw files were read, and why those that are missing were left out."""
    path = stages.data / "curated" / "funnel.json"
    if not path.exists():
        return []
    left: Counter[str] = Counter()
    read = 0
    for counts in read_json(path)["sources"].values():
        read += counts["read"]
        left.update(counts["dropped_unread"])
        left.update(counts["rejected"])
    reasons = ", ".join(f"{number:,} {rule}" for rule, number in left.most_common(MOST_REASONS))
    more = " and others" if len(left) > MOST_REASONS else ""
    return [f"{read:,} rows read, {left.total():,} left out" + (f": {reasons}{more}" if left else "")]


def _places(stages: Stages, chosen: Path) -> list[str]:
    """What there is to read, by its path from the page, as far as it is there."""
    known = {
        "data/curated/card.html": "the data: counts, lengths, what was left out and why",
        "data/curated/rejected.jsonl": "every row that was left out, with its reason",
        "chosen/train.comparison.html": "what was selected, beside a random choice",
        f"{chosen.relative_to(stages.settings.out).as_posix()}/README.md": "the model's card",
        "study/report.html": "the comparison",
        "align.yaml": "every setting of this run",
    }
    there = {path: words for path, words in known.items() if (stages.settings.out / path).exists()}
    return [f"- [{words}]({path})" for path, words in there.items()]


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
