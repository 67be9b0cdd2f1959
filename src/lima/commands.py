"""Settings of a stage -> the command line that a person would type for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tyro
from pydantic_core import to_jsonable_python

from lima.console import command as command
from lima.settings import Settings


def as_command(name: str, settings: Settings) -> str:
    """The command that gives these settings, defaults left out.

    Nested settings are left out too: they come from the recipe, which is a positional field.

    >>> from lima.report.settings import ReportSettings
    >>> as_command("report", ReportSettings(study="lima-demo/study", system="tuned"))
    'lima report lima-demo/study --system tuned'
    """
    values = {field: getattr(settings, field) for field in type(settings).model_fields}
    nested = {field for field, value in values.items() if isinstance(value, dict | Settings)}
    given = {field: to_jsonable_python(value) for field, value in values.items() if field not in nested}
    return command(name, *_words(type(settings), given))


def recorded_command(record: Mapping[str, Any], kind: type[Settings]) -> str:
    """The command that began a run, from the run's record (`lima.runs`)."""
    inputs: dict[str, list[str]] = {}
    for place, file in record.get("inputs", {}).items():
        inputs.setdefault(place.partition(":")[0], []).append(str(file["path"]))
    return command(record["command"], *_words(kind, {**record["settings"], **inputs}))


def _words(kind: type[Settings], given: Mapping[str, Any]) -> list[str]:
    """Positional values first, then the flags whose values are not the defaults; ``given`` is in JSON form."""
    positional: list[str] = []
    flags: list[str] = []
    for name, field in kind.model_fields.items():
        if name not in given:
            continue
        if tyro.conf.Positional in field.metadata:
            positional += _texts(given[name])
        elif field.is_required() or given[name] != _default(field):
            flags += _flag(name.replace("_", "-"), given[name])
    return positional + flags


def _flag(name: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    return [f"--{name}", *_texts(value)]


def _default(field: Any) -> Any:
    return to_jsonable_python(field.get_default(call_default_factory=True))


def _texts(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]
