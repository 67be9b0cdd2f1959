"""The sections of a card -> ``card.md`` and ``card.html`` (no script, no network)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from lima.curate.card.licences import Use, licence_warnings
from lima.curate.card.sections import SHOWN_CHARACTERS, CardOptions, Section, sections
from lima.files import write_text
from lima.records import Example

HERE = Path(__file__).parent
FIGURE = re.compile(r"[\d.,%+-]*$|\d+ of \d+$")


@dataclass(frozen=True)
class Card:
    """What both forms say."""

    title: str
    lead: str
    warnings: Sequence[str]
    sections: Sequence[Section]


def write_card(
    folder: Path, title: str, examples: Sequence[Example], use: Use, options: CardOptions | None = None
) -> list[Path]:
    """Write ``card.md`` and ``card.html`` about the examples, of which there is at least one; return their paths."""
    card = make_card(title, examples, use, options or CardOptions())
    paths = [folder / "card.md", folder / "card.html"]
    write_text(paths[0], as_markdown(card))
    write_text(paths[1], as_html(card))
    return paths


def make_card(title: str, examples: Sequence[Example], use: Use, options: CardOptions) -> Card:
    """Measure the examples."""
    found = sections(examples, options)
    warnings = licence_warnings(examples, use)
    warnings += [section.warning for section in found if section.warning]
    if open_ended := sum(e.is_prompt and len(e.turns) > 1 for e in examples):
        warnings.append(f"{_count(open_ended, 'dialogue')} without a last answer: that turn teaches nothing.")
    sources = len({example.source for example in examples})
    lead = (
        f"{_count(len(examples), 'example')} of {_count(sources, 'source')}. "
        f"Warnings about licences assume {use} use (--intended-use). "
        "Measured by lima; the same file gives the same card."
    )
    return Card(title, lead, warnings, found)


def as_markdown(card: Card) -> str:
    """The card for a repository or a data hub."""
    parts = [f"# {card.title}", card.lead]
    if card.warnings:
        parts.append("\n".join(f"* **Warning:** {warning}" for warning in card.warnings))
    for section in card.sections:
        parts.append(f"## {section.title}")
        parts += [section.text] if section.text else []
        parts += [_markdown_table(section.columns, section.rows)] if section.rows else []
        if section.bars:
            rows = [[name, str(number)] for name, number in section.bars]
            parts.append(_markdown_table([section.bars_title, "number"], rows))
        parts += [_markdown_sample(example) for example in section.samples]
    return "\n\n".join(parts) + "\n"


def as_html(card: Card) -> str:
    """The card as a page, in the look of the report."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["short"] = short
    style = resources.files("lima").joinpath("report", "render", "page.css").read_text(encoding="utf-8")
    return environment.get_template("card.html").render(card=card, style=style)


def short(text: str) -> str:
    """The beginning of a long text."""
    return (
        text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]} [... {len(text):,} characters]"
    )


def _markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    figures = [all(FIGURE.match(row[place]) for row in rows) for place in range(len(columns))]
    lines = [columns, ["---:" if place and right else "---" for place, right in enumerate(figures)], *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |"
        for line in lines
    )


def _markdown_sample(example: Example) -> str:
    """Indented, so that the example's own Markdown stays text."""
    turns = "\n\n".join(f"[{message.role}]\n{short(message.content)}" for message in example.messages)
    return f"`{example.id}`\n\n" + "\n".join(f"    {line}".rstrip() for line in turns.split("\n"))


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
