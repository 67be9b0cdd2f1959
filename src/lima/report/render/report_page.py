"""Writes the numbers of a report as one HTML page: no network, readable without its one script, on paper and on a phone."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lima.report.numbers.analysis import Numbers
from lima.report.numbers.preferences import FEW_PAIRS, in_short, leading, seen_from, side
from lima.report.numbers.samples import Samples
from lima.report.numbers.votes import short_names
from lima.report.render.figures import Drawing, side_of_row
from lima.report.render.wording import (
    by_whom,
    count,
    describe,
    excerpt,
    interval_text,
    is_undefined,
    judge_name,
    last_user_turn,
    names_whole,
    p_text,
    percent,
    plain,
    plan_in_words,
    rows_file,
    title,
    value_text,
)

if TYPE_CHECKING:
    from jinja2 import Environment

HERE = Path(__file__).parent


def render(numbers: Numbers, samples: Samples, drawn: Sequence[Drawing], facts: dict[str, Any]) -> str:
    """The page; ``facts`` holds the command, versions and commit for the section on reproducing."""
    first = numbers.systems[0] if numbers.systems else ""
    shown = leading(numbers.findings, first)
    many = len(shown[0]) > FEW_PAIRS
    spoken = short_names({pair.group for pair in numbers.pairs})
    return (
        template_environment()
        .get_template("page.html")
        .render(
            numbers=numbers,
            names=[
                *numbers.systems,
                *(word for card in numbers.raters for word in (card.id, judge_name(card.id)[0])),
            ],
            leading=([], numbers.findings) if many else shown,
            in_short=in_short(shown[0], first, spoken) if many else [],
            samples=samples,
            facts=facts,
            figures={figure.name: figure.for_page for figure in drawn},
            level=percent(numbers.level, 0),
        )
    )


@cache
def template_environment(folder: Path = HERE) -> Environment:
    """Templates in a folder and beside this module, which escape every text and know the style sheet."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([folder, HERE]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    environment.globals["rows_file"] = rows_file
    script = (HERE / "items.js").read_text(encoding="utf-8")
    environment.globals["script"] = script
    environment.globals["script_hash"] = b64encode(sha256(script.encode()).digest()).decode()
    environment.globals["style"] = (HERE / "page.css").read_text(encoding="utf-8")
    return environment


FILTERS: dict[str, Callable[..., Any]] = {
    "percent": percent,
    "plain": plain,
    "in_words": plan_in_words,
    "value": value_text,
    "interval": interval_text,
    "count": count,
    "by_whom": by_whom,
    "title": title,
    "p": p_text,
    "describe": describe,
    "excerpt": excerpt,
    "undefined": is_undefined,
    "preferred": side,
    "side": side_of_row,
    "seen_from": seen_from,
    "name": judge_name,
    "asked": last_user_turn,
    "whole": names_whole,
}
