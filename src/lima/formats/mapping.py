"""A map: a small YAML file that says where another tool's rows hold prompts, answers, raters and verdicts.

The maps of published formats are in ``maps/``; `lima import votes FILE --map MAP` takes one of your own. Fields are named as
in the file; a dot goes into objects (``output.completion``), ``$`` begins at the root of the document. A template has them in
braces, beside ``{file}``, ``{row}`` (counted from 0), ``{hash}`` (of the prompt's text) and ``{column}``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, JsonValue, field_validator

from lima.records import SCALE_VALUES, Label, Scale, Side
from lima.settings import Settings, read_yaml, validate

MAPS = Path(__file__).parent / "maps"
MISSING = object()
"""A field that a row does not have; null is another thing."""


class AnswerMap(Settings):
    """One of the two answers."""

    text: str
    """Template of the answer."""
    system: str
    """Template of the name of what wrote it."""


def _plain_keys(choices: Any) -> Any:
    return {plain(key): value for key, value in choices.items()} if isinstance(choices, Mapping) else choices


Choices = BeforeValidator(_plain_keys)
"""YAML reads the words 1 and yes as a number and a truth."""


class GradeMap(Settings):
    """A rating of one answer."""

    side: Side = "a"
    """The answer that it is about."""
    scale: Scale
    """``quality`` (fail, pass, excellent), ``helpfulness`` (1 to 6) or ``safety`` (safe, unsafe)."""
    value: str
    """The field that holds it."""
    choices: Annotated[dict[str, str | int], Choices] = Field(default_factory=dict)
    """What stands there -> the value on our scale. Not given: the scale's own words."""
    rater: str = ""
    """Template; not given: the rater of the verdict that it stands beside."""
    raw: str = ""
    """The field with the rater's own words; a ``*`` stands for what it stood for in ``value``. Not given: the value itself."""

    def read(self, said: Any) -> str | int | None:
        """The value on the scale for what stands there, None where it stands for none."""
        own = {str(value): value for value in SCALE_VALUES[self.scale]}
        return own.get(str((self.choices or own).get(plain(said))))


Order = Literal["ab", "ba", "unknown"]


class ShownMap(Settings):
    """A field that says which answer stood first."""

    value: str
    """Its name."""
    choices: Annotated[dict[str, Order], Choices]
    """What stands there -> ``ab`` (this file's first answer came first), ``ba`` or ``unknown``."""


class VerdictMap(Settings):
    """A verdict on the two answers, in one field of a row or in one a rater."""

    rater: str
    """Template of the rater's id, with its kind: ``crowd:{name}``, ``author:...``, ``judge:...``, ``oracle:...``."""
    value: str
    """The field that holds it. With a ``*`` every field that fits is a rater of its own, ``{column}``."""
    choices: Annotated[dict[str, Label], Choices] = Field(default_factory=dict)
    """What stands there -> a, b or tie, in the frame of this file's two answers. Case does not matter, and 1.0 is 1."""
    graded: dict[Side, float] | None = None
    """For graded verdicts: the number that gives the whole win to a, and the one that gives it to b."""
    scores: bool = False
    """The field holds two scores, as a list or as its JSON, in the order shown; the higher one wins."""
    shown: Order | ShownMap = "unknown"
    """Which answer stood first on the screen; ``unknown`` says nothing of sides. In a column of its own: its name and choices."""
    raw: str = ""
    """The field with the rater's own words; a ``*`` stands for what it stood for in ``value``."""
    at: str = ""
    """The field with the time."""
    newest_of: str = ""
    """Template of a place in which a rater's newest verdict replaces the older ones."""
    grades: tuple[GradeMap, ...] = ()
    """Ratings of the answers that were given with the verdict."""


class LaterMap(Settings):
    """Further files with verdicts on the rows of the first one, matched by the same ``id``."""

    name: str = "(.+)"
    """Regular expression over a file's name without its ending; its group is ``{file}``."""
    verdicts: tuple[VerdictMap, ...]


class RatingsOut(Settings):
    """Where an exported row holds the ratings of its answer: a field with one entry a rater."""

    under: str
    key: str
    """Template of an entry's name."""
    value: dict[str, JsonValue]
    """The entry."""


class Out(Settings):
    """How rows are written. In its values ``{prompt}``, ``{prompt_id}``, ``{tag}``, ``{a}``, ``{system_a}``, ``{b}``, ``{system_b}``,
    ``{rater}``, ``{verdict}``, ``{grade}`` and ``{raw}`` stand for what the study holds; a value that is one of these alone
    keeps its type.
    """

    over: Literal["verdicts", "answers"]
    """One row a verdict on two answers (a judge's two orders as one), or one an answer."""
    row: dict[str, JsonValue]
    ratings: RatingsOut | None = None
    document: dict[str, JsonValue] = Field(default_factory=dict)
    """What stands around the rows, which go under ``rows`` of the map. Not given: the file is the list."""


class Map(Settings):
    """Where the rows of a file hold what a study consists of."""

    note: str = ""
    """Said of every rater of the study."""
    rows: str = ""
    """The field of a JSON document that holds the rows. Not given: the document is the list, or the file has a row a line."""
    name: str = "(.+)"
    """Regular expression over a file's name without its ending; its group is ``{file}``."""
    needs: str = ""
    """Rows in which this field is empty are left out as blank."""
    defaults: dict[str, str] = Field(default_factory=dict)
    """Fields that a row may lack."""
    prompt: str
    """Template of what was asked."""
    prompt_id: str = "{hash}"
    """Template: equal for answers to the same prompt."""
    id: str = ""
    """Template of a comparison's or an answer's id. Not given: made from prompt, systems and texts."""
    tags: tuple[str, ...] = ()
    """Templates."""
    a: AnswerMap
    b: AnswerMap | None = None
    """Not given: a row holds one answer, which is rated by itself."""
    tested: Side = "a"
    """The side whose system comes first, so that its wins count."""
    verdicts: tuple[VerdictMap, ...] = ()
    grades: tuple[GradeMap, ...] = ()
    """Ratings of a row's single answer, each with a rater."""
    later: LaterMap | None = None
    write: Out | None = None
    """How `lima export` writes such a file."""

    @field_validator("name", mode="after")
    @classmethod
    def _has_a_group(cls, value: str) -> str:
        if re.compile(value).groups != 1:
            raise ValueError("write one group in brackets")
        return value


def read_map(place: str | Path) -> Map:
    """The map in a YAML file, or a shipped one by its name.

    Raises:
        LimaError: no such file, or not a map; the text names the place.
    """
    path = MAPS / f"{place}.yaml" if isinstance(place, str) else place
    return validate(Map, read_yaml(path), str(path))


class Fields(Formatter):
    """The fields of one row, by the names that a map uses."""

    def __init__(self, row: Mapping[str, Any], root: Any, extra: Mapping[str, Any]) -> None:
        self.row, self.root, self.extra = row, root, extra

    def value(self, name: str) -> Any:
        """What a field holds, or `MISSING`."""
        if name in self.extra:
            return self.extra[name]
        if name in self.row:
            return self.row[name]
        found, parts = (
            (self.root, name[2:].split(".")) if name.startswith("$.") else (self.row, name.split("."))
        )
        for part in parts:
            if isinstance(found, list) and part.isdigit() and int(part) < len(found):
                found = found[int(part)]
            elif isinstance(found, Mapping) and part in found:
                found = found[part]
            else:
                return MISSING
        return found

    def columns(self, pattern: str) -> Iterator[tuple[str, str]]:
        """The fields that a pattern names, with what its ``*`` stands for; the pattern itself where it has none."""
        if "*" not in pattern:
            yield pattern, ""
            return
        before, _, name = pattern.partition("*")[0].rpartition(".")
        inside = self.value(before) if before else self.row
        start, end = pattern.split("*", 1)
        after = end.partition(".")[0]
        for key in sorted(inside) if isinstance(inside, Mapping) else ():
            if key.startswith(name) and key.endswith(after) and len(key) >= len(name) + len(after):
                part = key[len(name) : len(key) - len(after)]
                yield f"{start}{part}{end}", part

    def text(self, template: str) -> str:
        """The template with the row's values; an empty paragraph of several falls away."""
        parts = [self.vformat(part, (), {}) for part in template.split("\n\n")]
        return "\n\n".join(part for part in parts if part or len(parts) == 1)

    def get_field(self, name: Any, args: Any, kwargs: Any) -> tuple[Any, str]:
        """A value by its name; ``{name|_|1}`` is the second part of a text that is split at ``_``."""
        field, *split = str(name).split("|")
        found = self.value(field)
        if found is MISSING or found is None:
            default = self.extra.get("defaults", {}).get(field, MISSING)
            if default is MISSING and found is MISSING:
                raise KeyError(field)
            found = "" if default is MISSING else default
        if len(split) == 2:
            found = str(found).split(split[0])[int(split[1])]
        return found, field

    def format_field(self, value: Any, format_spec: str) -> str:
        """Whole numbers without their point, so that 7.0 of a table is 7."""
        if isinstance(value, list):
            return spoken(value)
        whole = isinstance(value, float) and value.is_integer()
        return str(format(int(value) if whole else value, format_spec))


def spoken(value: Sequence[Any]) -> str:
    """The text of messages or of parts of one, each in a paragraph of its own; system messages are left out.

    >>> spoken([{"role": "system", "content": "Be brief."}, {"role": "user", "content": [{"type": "text", "text": "Hi"}]}])
    'Hi'
    """
    found = []
    for part in value:
        held = part.get("content", part.get("text")) if isinstance(part, Mapping) else part
        if not isinstance(part, Mapping) or part.get("role") != "system":
            found.append(spoken(held) if isinstance(held, list) else str(held or ""))
    return "\n\n".join(text for text in found if text)


def plain(value: Any) -> str:
    """A value as choices are compared: without case, spaces and the point of a whole number.

    >>> plain(" Tie "), plain(1.0), plain("1.0"), plain(True)
    ('tie', '1', '1', 'yes')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value).strip().lower().removesuffix(".0")
