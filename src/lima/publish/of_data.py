"""A folder of ``lima curate``, or a file of examples -> a data set on the hub: Parquet, card, attribution, Croissant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lima import console
from lima.console import command
from lima.curate.candidate import SPLITS
from lima.curate.card.card import Card, as_markdown
from lima.curate.card.licences import KNOWN_TERMS, licence_counts
from lima.curate.card.sections import CardOptions, Section, sections
from lima.curate.text.personal import WORDS, find_personal
from lima.errors import LimaError
from lima.extras import install
from lima.files import read_json, read_jsonl, sha256
from lima.parquet import COLUMNS, message_fields, write_examples
from lima.publish import leaks
from lima.publish.croissant import Described, croissant
from lima.publish.licences import YOURS, front_matter, problems, read_licence
from lima.publish.settings import PublishSettings, Stop
from lima.records import Example, attribution

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
"""The hub's classes of sizes, by their upper bounds."""
LEFT_OUT = ("licences", "personal")
"""Sections of a card that are worded anew for the public."""


@dataclass(frozen=True)
class PublishedData:
    """What is published."""

    splits: Mapping[str, Sequence[Example]]
    record: Mapping[str, Any]
    """The run.json of `lima curate`; empty where there is none."""

    @property
    def examples(self) -> list[Example]:
        """All splits, one after the other."""
        return [example for rows in self.splits.values() for example in rows]


def write_data(settings: PublishSettings, folder: Path) -> list[Stop]:
    """Fill the folder; return what stands against sending it.

    Raises:
        LimaError: no examples, or packages of the extra are missing.
    """
    data = read_data(settings)
    check_packages()
    files = {}
    for split, rows in data.splits.items():
        files[split] = folder / "data" / f"{split}-00000-of-00001.parquet"
        write_examples(files[split], rows)
    (folder / "ATTRIBUTION.md").write_text(attribution(data.examples), encoding="utf-8")
    private = dict(_personal(data.examples))
    (folder / "README.md").write_text(make_card(settings, data, private), encoding="utf-8")
    described = Described(
        settings,
        {split: (file, sha256(file), len(data.splits[split])) for split, file in files.items()},
        sorted(licence_counts(data.examples)),
        message_fields(data.examples),
        _responsible(data, private),
        data.record.get("at"),
    )
    (folder / "croissant.json").write_text(croissant(described), encoding="utf-8")
    return [
        *problems(licence_counts(data.examples), "examples", YOURS),
        *_listed_personal(private),
        *_secrets(data.examples),
    ]


def check_packages() -> None:
    """The extra is there, before anything is made.

    Raises:
        LimaError: it is not.
    """
    missing = [name for name in ("pyarrow", "mlcroissant") if find_spec(name) is None]
    if missing:
        raise LimaError(f"A data set for the hub needs {' and '.join(missing)}: {install('hub')}")


def read_data(settings: PublishSettings) -> PublishedData:
    """The examples by split, each with a licence where the publisher gives one to those that state none."""
    place = settings.folder
    named = [place] if place.is_file() else [place / f"{name}.jsonl" for name in SPLITS]
    found = [path for path in named if path.is_file() and path.stat().st_size]
    if not found:
        raise LimaError(
            f"{place}: no examples ({', '.join(f'{name}.jsonl' for name in SPLITS)}), and no model. Name a folder of lima curate, a JSON "
            "Lines file of examples, or a checkpoint such as runs/lima/epoch-03."
        )
    splits: dict[str, list[Example]] = {}
    for path in found:
        name = path.stem if path.stem in SPLITS else "train"
        splits[name] = [_with_licence(row, settings.unstated_licence) for row in read_jsonl(path, Example)]
    left = (
        [path.name for path in sorted(place.iterdir()) if path.is_file() and path not in found]
        if place.is_dir()
        else []
    )
    if shown := [name for name in left if not name.startswith(".")]:
        console.note(f"stays here: {', '.join(shown)}")
    record = found[0].parent / "run.json"
    values = read_json(record) if record.is_file() else {}
    return PublishedData(splits, values if values.get("command") == "curate" else {})


def _with_licence(example: Example, given: str | None) -> Example:
    if example.meta.licence or given is None:
        return example
    return example.model_copy(update={"meta": example.meta.model_copy(update={"licence": given})})


def _personal(examples: Sequence[Example]) -> Iterator[tuple[str, list[str]]]:
    """By kind in words, the ids of examples that hold it."""
    found: dict[str, list[str]] = {}
    for example in examples:
        text = "\n".join(turn.content for turn in example.messages)
        for kind in sorted({one.kind for one in find_personal(text)}):
            found.setdefault(WORDS[kind], []).append(example.id)
    yield from found.items()


def _listed_personal(private: Mapping[str, Sequence[str]]) -> list[Stop]:
    found = []
    for what, ids in private.items():
        shown = ", ".join(ids[:3]) + (" ..." if len(ids) > 3 else "")
        text = f"{what} in {len(ids):,} examples, {shown} (lima curate --pii redact replaces them)"
        found.append(Stop("personal-data-become-public", text))
    return found


def _secrets(examples: Sequence[Example]) -> Iterator[Stop]:
    for example in examples:
        for turn in example.messages:
            yield from leaks.in_text(turn.content, example.id)


def make_card(settings: PublishSettings, data: PublishedData, private: Mapping[str, Sequence[str]]) -> str:
    """The text of README.md."""
    first = next(iter(data.splits))
    terms = data.record.get("settings", {}).get("terms")
    measured = [
        section
        for section in sections(data.splits[first], CardOptions())
        if section.key not in LEFT_OUT and section.title != "Examples"
    ]
    shown = [section for section in sections(data.splits[first][:40], CardOptions()) if section.samples]
    counts = ", ".join(f"{len(rows):,} rows in {name}" for name, rows in data.splits.items())
    lead = f"{counts}. Conversations for tuning a base model, after LIMA (arXiv 2305.11206), made by lima."
    card = Card(
        settings.name,
        "\n\n".join(filter(None, [settings.about, lead])),
        [section.warning for section in measured if section.warning],
        [
            _use(settings, first),
            _fields(),
            *([_making(data)] if data.record else []),
            _licence_section(data, terms),
            _people(data, private),
            *[
                Section(s.key, f"{s.title} ({first})", s.text, s.columns, s.rows, s.bars, s.bars_title)
                for s in measured
            ],
            *shown,
        ],
    )
    return _front(settings, data) + as_markdown(card)


def _front(settings: PublishSettings, data: PublishedData) -> str:
    """The YAML that the hub reads, by its own library."""
    from huggingface_hub import DatasetCardData

    files = [{"split": name, "path": f"data/{name}-*.parquet"} for name in data.splits]
    number = len(data.examples)
    values = DatasetCardData(
        language=list(settings.language) or None,
        pretty_name=settings.name,
        size_categories=next((name for most, name in SIZES if number < most), "n>1M"),
        task_categories=["text-generation"],
        configs=[{"config_name": "default", "data_files": files}],
        tags=["lima", "sft", "alignment"],
        **front_matter(licence_counts(data.examples)),
    )
    return f"---\n{values.to_yaml()}\n---\n\n"


def _use(settings: PublishSettings, split: str) -> Section:
    text = (
        f'```python\nfrom datasets import load_dataset\n\nrows = load_dataset("{settings.to}", split="{split}")\n'
        'print(rows[0]["messages"], rows[0]["licence"])\n```\n\n'
        f"With lima: `lima train BASE hf://{settings.to} --out runs/mine`, `lima inspect hf://{settings.to}`. `croissant.json` describes the "
        "files and columns for tools that read Croissant."
    )
    return Section("use", "Use", text)


def _fields() -> Section:
    return Section(
        "fields", "Columns", columns=["column", "meaning"], rows=[[f"`{k}`", v] for k, v in COLUMNS.items()]
    )


def _making(data: PublishedData) -> Section:
    """How curation made it: from the run's record."""
    settings, changes = data.record["settings"], Counter(c for e in data.examples for c in e.meta.transforms)
    listed = "; ".join(f"{what} ({number:,})" for what, number in changes.most_common(12))
    pii = {
        "report": "were counted and left",
        "redact": "were replaced by placeholders",
        "drop": "led to a row's rejection",
    }
    text = (
        f"By `{command('curate', Path(str(settings['recipe'])).name)}`, seed {settings['seed']}: rules keep or drop each candidate with a named reason. "
        f"Personal data with a known form {pii.get(settings.get('pii'), 'were not looked for')}. "
        + (
            f"What was changed in the texts, with the number of rows: {listed}."
            if listed
            else "The texts were not changed."
        )
    )
    return Section("making", "How it was made", text)


def _licence_section(data: PublishedData, terms: str | None) -> Section:
    """Each row keeps its own licence: what that asks."""
    counts = licence_counts(data.examples)
    rows = []
    for words, number in counts.most_common():
        licence = read_licence(words)
        rows.append([f"[{words}]({licence.link})" if licence.link else words, f"{number:,}", licence.asks])
    text = (
        "Each row stays under the licence of its originals, which stands in its column `licence`; the set as a whole is a collection of "
        "them and no work of its own. `ATTRIBUTION.md` names the authors of every row, where the original stands and what was changed: who "
        "passes rows on passes that on too. A row under two licences counts for both."
    )
    if terms:
        text += (
            f" The raw data were obtained under these terms: {terms}. {KNOWN_TERMS.get(terms, '')}".rstrip()
        )
    return Section("licences", "Licences and attribution", text, ["licence", "rows", "asks"], rows)


def _people(data: PublishedData, private: Mapping[str, Sequence[str]]) -> Section:
    return Section("people", "People in it", "\n\n".join(_about_people(data, private)))


def _about_people(data: PublishedData, private: Mapping[str, Sequence[str]]) -> list[str]:
    named = any(example.meta.authors for example in data.examples)
    held = ", ".join(f"{what} in {len(ids):,} rows" for what, ids in private.items())
    return [
        (
            "Texts were written by people in public, who are named in `authors` because their licences ask for it. "
            if named
            else "No writers are known. "
        )
        + "Names and stories within the texts were not looked for.",
        "E-mail addresses, telephone numbers, bank accounts, payment cards and IP addresses were looked for by their form: "
        + (f"{held}." if held else "none was found."),
    ]


def _responsible(data: PublishedData, private: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Croissant's fields of responsible AI (version 1.0), from what is known."""
    sources = Counter(example.source for example in data.examples)
    listed = ", ".join(f"{name} ({number:,})" for name, number in sources.most_common())
    return {
        "data_collection": f"Conversations selected from: {listed}.",
        "data_collection_type": ["Secondary Data analysis"],
        "data_preprocessing_protocol": sorted({c for e in data.examples for c in e.meta.transforms})
        or ["None."],
        "data_biases": [
            f"Few sources ({len(sources)}), whose writers are no sample of any population; rules prefer long, well-rated answers in the "
            "style of an assistant."
        ],
        "data_limitations": [
            "About style and form of answers, not about facts: answers were not checked for being right, and may be out of date."
        ],
        "data_use_cases": [
            "Supervised fine-tuning of language models, and research on it. Not as a source of facts or advice."
        ],
        "personal_sensitive_information": _about_people(data, private),
    }
