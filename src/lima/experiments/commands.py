"""Settings of a stage -> the command that a person would type for it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from lima.settings import Settings


def as_command(
    name: str, settings: Settings, positional: Sequence[str], *, without: Sequence[str] = ()
) -> str:
    """The command line that gives these settings: positional fields first, then those with a value of their own.

    ``without`` names fields that come from elsewhere, such as from a recipe.

    >>> from lima.report.settings import ReportSettings
    >>> as_command("report", ReportSettings(study="lima-demo/study", system="tuned"), ["study"])
    'lima report lima-demo/study --system tuned'
    """
    words = ["lima", name]
    for field in positional:
        words += _texts(getattr(settings, field))
    for field in type(settings).model_fields:
        value = getattr(settings, field)
        if field in (*positional, *without) or value == type(settings).model_fields[field].get_default():
            continue
        words += [f"--{field.replace('_', '-')}", *_texts(value)]
    return shlex.join(words)


def _texts(value: Any) -> Iterator[str]:
    """The words of one value; a flag that is set needs none."""
    if isinstance(value, list | tuple):
        yield from map(str, value)
    elif value is not True:
        yield str(value)
