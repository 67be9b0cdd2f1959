"""Settings of a stage -> the command that a person would type for it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from lima.settings import Settings


def as_command(name: str, settings: Settings, positional: Sequence[str]) -> str:
    """The command line that gives these settings: positional fields first, then those with a value of their own.

    Nested settings are left out: they come from the recipe, which is one of the positional fields.

    >>> from lima.report.settings import ReportSettings
    >>> as_command("report", ReportSettings(study="lima-demo/study", system="tuned"), ["study"])
    'lima report lima-demo/study --system tuned'
    """
    words = ["lima", name]
    for field in positional:
        words += _texts(getattr(settings, field))
    for field in type(settings).model_fields:
        value = getattr(settings, field)
        default = type(settings).model_fields[field].get_default()
        if field in positional or value == default or isinstance(value, dict | Settings):
            continue
        words += [f"--{field.replace('_', '-')}", *_texts(value)]
    return shlex.join(words)


def _texts(value: Any) -> Iterator[str]:
    """The words of one value; a flag that is set needs none."""
    if isinstance(value, list | tuple):
        yield from map(str, value)
    elif value is not True:
        yield str(value)
