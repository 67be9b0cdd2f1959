"""Settings: a typed field with a docstring, from which the flag, its help, the recipe key and the docs come.

Values are taken, in rising order of weight, from the field's default, a preset, a YAML recipe and the
command line.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar, get_origin

import tyro
import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, field_validator

from lima.errors import LimaError

S = TypeVar("S", bound="Settings")


class Settings(BaseModel):
    """Base of every stage's settings. Class docstring = the command's help, field docstring = the flag's."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    input_fields: ClassVar[frozenset[str]] = frozenset()
    """Fields that name input files: a resumed run compares their content, not their path."""
    free_fields: ClassVar[frozenset[str]] = frozenset()
    """Fields that may differ when a run is resumed, because they do not change its result."""
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Named sets of values for ``--preset``."""

    if not TYPE_CHECKING:  # a type checker should see the fields, which this signature would hide

        def __init__(self, **values: Any) -> None:
            """Raises a `LimaError` that names the field at fault and its value."""
            try:
                super().__init__(**values)
            except ValidationError as error:
                raise LimaError(settings_problem(error, type(self))) from None

    @field_validator("seed", check_fields=False)
    @classmethod
    def _seed_can_be_one(cls, seed: int) -> int:
        if seed < 0:  # numpy's generators take none such
            raise ValueError("a seed is 0 or more")
        return seed

    @classmethod
    def find_recipe(cls, arguments: Sequence[str]) -> Path | None:
        """The recipe that a command line names: the value of ``--recipe``. A stage may know other ways."""
        recipe = option(arguments, "--recipe")
        return None if recipe is None else Path(recipe)

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        """Help texts are read in a terminal: single backticks, an example on its own line, MODEL for STR."""
        annotated: Any = Annotated
        for name, info in cls.model_fields.items():
            info.description = " ".join((info.description or "").replace("``", "`").split()) or None
            if tyro.conf.Positional in info.metadata:
                several = get_origin(info.annotation) is tuple
                shown = f"{name.upper()} [{name.upper()} ...]" if several else name.upper()
                named = tyro.conf.arg(metavar=shown)
                cls.__annotations__[name] = annotated[(info.annotation, *info.metadata, named)]
        doc = re.sub(r"Example:\s*\n\s+", "Example: ", (cls.__doc__ or "").replace("``", "`"))
        paragraphs = re.split(r"\n\s*\n", doc)  # tyro drops an indented block, and keeps some line breaks
        cls.__doc__ = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)

    def to_yaml(self) -> str:
        """The resolved settings as a recipe that gives the same settings again."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def option(arguments: Sequence[str], flag: str) -> str | None:
    """The value of a flag on a command line, ``--flag VALUE`` or ``--flag=VALUE``; None where it is not given.

    >>> option(["--seed", "1", "--out=a"], "--seed"), option(["--out=a"], "--out"), option([], "--out"), option(["--out"], "--out")
    ('1', 'a', None, None)
    """
    for place, argument in enumerate(arguments):
        if argument == flag:
            return next(iter(arguments[place + 1 :]), None)
        if argument.startswith(f"{flag}="):
            return argument.partition("=")[2]
    return None


def read_recipe(path: Path) -> dict[str, Any]:
    """The settings in a YAML recipe; ``learning-rate`` and ``learning_rate`` are the same name.

    Raises:
        LimaError: missing file, broken YAML (with its line) or a value that is not a mapping.
    """
    return {key.replace("-", "_"): item for key, item in read_yaml(path).items()}


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file, its names as they stand there; raises as `read_recipe` does."""
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LimaError(f"{path}: no such file.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        place = getattr(error, "problem_mark", None)
        line = f":{place.line + 1}" if place else ""
        raise LimaError(f"{path}{line}: not YAML ({getattr(error, 'problem', error)}).") from None
    if not isinstance(value, dict):
        raise LimaError(f"{path}: expected 'name: value' lines, found {type(value).__name__}.")
    return {str(key): item for key, item in value.items()}


def preset_values(kind: type[Settings], name: str) -> dict[str, Any]:
    """The values of one preset, or an error that lists the presets there are."""
    if name not in kind.presets:
        raise LimaError(f"no preset {name!r}. There are: {', '.join(kind.presets) or 'none'}.")
    return dict(kind.presets[name])


def typed(kind: type[Settings], values: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """The values of a recipe, each checked against its field alone; an error names ``origin`` and the field."""
    checked = {}
    for name, value in values.items():
        if name not in kind.model_fields:
            raise LimaError(f"{origin}: {_no_setting(name, kind)}")
        try:
            annotation: Any = kind.model_fields[name].annotation
            checked[name] = TypeAdapter(annotation).validate_python(value)
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            raise LimaError(f"{origin}: {name}: {problem['msg']} (got {problem['input']!r}).") from None
        except LimaError as error:  # of settings within the value
            raise LimaError(f"{origin}: {name}: {error}") from None
    return checked


def validate(kind: type[S], values: Mapping[str, Any], origin: str) -> S:
    """Settings from plain values; an error names ``origin`` and the field at fault."""
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        raise LimaError(f"{origin}: {settings_problem(error, kind)}") from None
    except LimaError as error:  # of settings within the values
        raise LimaError(f"{origin}: {error}") from None


def settings_problem(error: ValidationError, kind: type[BaseModel]) -> str:
    """The first problem of a validation error in one line, with a near name for an unknown field."""
    problem = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return _no_setting(place, kind)
    if problem["type"] == "missing":
        return f"the setting {place!r} is missing."
    said = problem["msg"].removeprefix("Value error, ")
    return (
        f"{place}: {said} (got {problem['input']!r})." if place else f"{said}."
    )  # no field alone is at fault


def _no_setting(name: str, kind: type[BaseModel]) -> str:
    near = difflib.get_close_matches(name, list(kind.model_fields), n=1)
    return f"no setting {name!r}." + (f" Did you mean {near[0]!r}?" if near else "")
