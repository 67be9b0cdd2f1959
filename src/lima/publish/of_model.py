"""A checkpoint -> the folder of a model on the hub: links to its files, and a card with base, licences, data and results."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lima import console
from lima.errors import LimaError
from lima.publish.evaluation import Finding, read_findings, section
from lima.publish.licences import NONE_STATED, YOURS, counted, front_matter, problems, read_licence
from lima.publish.settings import PublishSettings, Stop
from lima.runs import MODEL_FILES
from lima.train import model_card as trained

SENT_TOO = re.compile(r".*\.gguf|Modelfile|LICEN[CS]E(\.\w+)?|NOTICE(\.\w+)?", re.IGNORECASE)
"""Beside what loading reads."""
NOT_EVALUATED = re.compile(r" It has not been evaluated here:[^\n]*")
UNSETTLED = (
    "Whether weights are a work derived from the texts that they were tuned on is not settled in law, and differs from country to "
    "country. The table says what the texts ask."
)


def write_model(settings: PublishSettings, folder: Path) -> list[Stop]:
    """Fill the folder; return what stands against sending it.

    Raises:
        LimaError: the checkpoint has no weights, or the settings lack what its card needs.
    """
    checkpoint = settings.folder
    files = [file for file in sorted(checkpoint.iterdir()) if file.is_file()]
    sent = [f for f in files if MODEL_FILES.fullmatch(f.name) or SENT_TOO.fullmatch(f.name)]
    if not any(f.suffix in (".safetensors", ".bin", ".gguf") for f in sent):
        raise LimaError(
            f"{checkpoint}: no weights (*.safetensors). Expected a checkpoint, as lima train writes it."
        )
    for file in sent:
        (folder / file.name).symlink_to(file.resolve())
    if left := [
        f.name for f in files if f not in sent and f.name != "README.md" and not f.name.startswith(".")
    ]:
        console.note(f"stays here: {', '.join(left)}")
    card, stops = make_card(settings)
    (folder / "README.md").write_text(card, encoding="utf-8")
    return stops


def make_card(settings: PublishSettings) -> tuple[str, list[Stop]]:
    """The text of README.md, and what stands against publishing."""
    place = settings.folder / "README.md"
    old = place.read_text(encoding="utf-8") if place.is_file() else ""
    front = trained.front_matter(old)
    facts: dict[str, Any] = front.get("lima") or {}
    base = settings.base_model or front.get("base_model")
    base_licence = settings.base_licence or facts.get("base_licence") or front.get("license")
    licences = _licences_of_data(settings, facts)
    found = [read_findings(study, settings.system, settings.folder) for study in settings.study]
    stops = _stops(base, base_licence, licences, settings)
    data = list(settings.datasets) or front.get("datasets")
    head = _front(
        settings, base, settings.licence or base_licence, data, [f for _, some in found for f in some]
    )
    parts = [_lead(settings, old, base, examples=int(facts.get("examples") or 0), evaluated=bool(found))]
    parts += [f"## Evaluation\n\nThis model is `{name}`. {section(some)}" for name, some in found]
    parts += [_licence_section(settings, base, base_licence, licences)]
    parts += [_section(old, "Data"), _published(settings), _section(old, "Training")]
    return head + "\n\n".join(part for part in parts if part) + "\n", stops


def _licences_of_data(settings: PublishSettings, facts: Mapping[str, Any]) -> dict[str, int]:
    """Training examples by licence; those that state none get the one that the publisher gives."""
    counts: dict[str, int] = dict(
        facts.get("data_licences") or {NONE_STATED: int(facts.get("examples") or 0)}
    )
    if settings.unstated_licence and NONE_STATED in counts:
        number = counts.pop(NONE_STATED)
        counts[settings.unstated_licence] = counts.get(settings.unstated_licence, 0) + number
    return counts


def _stops(
    base: str | None, base_licence: str | None, licences: Mapping[str, int], settings: PublishSettings
) -> list[Stop]:
    if base is None:
        raise LimaError(
            f"{settings.folder}: tuned from a folder of this machine, which is no name on the hub. Say from what: --base-model USER/NAME."
        )
    found = []
    if what := read_licence(base_licence).problem:
        named = f"{base_licence!r} " if base_licence else ""
        text = f"the licence {named}of the base {base} {what} (its card names it: --base-licence apache-2.0)"
        found.append(Stop("licence-may-be-infringed", text))
    return found + problems(licences, "training examples", YOURS)


def _front(
    settings: PublishSettings,
    base: str | None,
    licence: str | None,
    data: Sequence[str] | None,
    findings: Sequence[Finding],
) -> str:
    """The YAML that the hub reads, by its own library."""
    from huggingface_hub import EvalResult, ModelCardData

    results = [
        EvalResult(
            task_type="text-generation",
            dataset_type=f.study,
            dataset_name=f"{f.study} (blind study)",
            dataset_args={"sha256": f.sha256} if f.sha256 else None,
            **f.in_index(),
        )
        for f in findings
    ]
    values = ModelCardData(
        base_model=base,
        base_model_relation="finetune",
        datasets=list(data) if data else None,
        language=list(settings.language) or None,
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=["lima", "sft"],
        model_name=settings.name,
        eval_results=results or None,
        **front_matter([licence] if licence else []),
    )
    return f"---\n{values.to_yaml()}\n---\n\n"


def _lead(settings: PublishSettings, old: str, base: str | None, *, examples: int, evaluated: bool) -> str:
    """Title, what it is, and how it is used."""
    text = re.sub(r"\A---\n.*?\n---\n", "", old, count=1, flags=re.DOTALL).split("\n## ", 1)[0]
    text = re.sub(r"\A\s*# [^\n]*", "", text).strip()
    if evaluated:
        text = NOT_EVALUATED.sub("", text)
    text = text or f"`{base}`, tuned to answer questions."
    if base:
        text = re.sub(r"\A`[^`]*`", f"[{base}](https://huggingface.co/{base})", text)
    parts = [f"# {settings.name}", *([settings.about] if settings.about else []), text]
    use = _section(old, "Use") or "## Use\n\n`lima chat PATH`, `lima serve PATH`, `vllm serve PATH`."
    return "\n\n".join(
        [*parts, re.sub(r"\bPATH\b", settings.to, use), _limits(examples, evaluated=evaluated)]
    )


def _limits(examples: int, *, evaluated: bool) -> str:
    known = (
        "The table below says what was measured, and on which questions."
        if evaluated
        else "Nobody has measured its answers yet."
    )
    return (
        f"## Limits\n\nIt was tuned on {f'{examples:,} ' if examples else ''}conversations to answer in a certain style; that adds no knowledge to the base, "
        f"whose errors and biases it keeps. It states wrong things fluently. It was not tuned for safety. {known}"
    )


def _licence_section(
    settings: PublishSettings, base: str | None, base_licence: str | None, licences: Mapping[str, int]
) -> str:
    given = read_licence(settings.licence or base_licence)
    rows = [f"| base {base} | {base_licence or NONE_STATED} | {read_licence(base_licence).asks} |"]
    rows += [
        f"| {counted(number, 'training examples')} | {words} | {read_licence(words).asks} |"
        for words, number in sorted(licences.items(), key=lambda item: -item[1])
    ]
    own = f"The weights are passed on under {given.words}" + (f" ({given.link})." if given.link else ".")
    if given.words == NONE_STATED:
        own = "No licence is stated for the weights."
    words = " The base's licence is as its publisher here states it." if settings.base_licence else ""
    return "\n".join(
        [
            f"## Licences\n\n{own}{words} {UNSETTLED}",
            "",
            "| what | licence | it asks |",
            "|---|---|---|",
            *rows,
        ]
    )


def _published(settings: PublishSettings) -> str:
    """Where the data of the section above are."""
    links = [f"[{name}](https://huggingface.co/datasets/{name})" for name in settings.datasets]
    return f"Published as {' and '.join(links)}." if links else ""


def _section(card: str, title: str) -> str:
    """A section of the card that training wrote, without the next one."""
    found = re.search(rf"^## {title}\n.*?(?=^## |\Z)", card, re.DOTALL | re.MULTILINE)
    return found[0].strip() if found else ""
