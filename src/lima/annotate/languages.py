"""The language of all pages: a catalogue in one YAML file, English sentence -> what the page says.

English needs none. ``languages/de.yaml`` is shipped; a study brings another as ``xx.yaml`` beside its protocol.yaml. What
a catalogue lacks stays English.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import resources
from pathlib import Path

from pydantic import Field

from lima.errors import LimaError
from lima.settings import Settings, read_yaml, validate

STATIC = Path(str(resources.files("lima.annotate"))) / "static"
SHIPPED = Path(str(resources.files("lima.annotate"))) / "languages"
RIGHT_TO_LEFT = frozenset(("ar", "arc", "ckb", "dv", "fa", "he", "ps", "sd", "ug", "ur", "yi"))
PLACE = re.compile(r"\{(\w+)\}")


class Catalogue(Settings):
    """One language's file."""

    words: dict[str, str] = Field(min_length=1)
    """English sentence -> its translation. A ``{name}`` in one stands in the other."""


class Said(str):
    """An English sentence with its values: a text like any other, which a page can still say in its language."""

    text: str
    """The sentence with its ``{names}``."""
    values: dict[str, object]

    def __new__(cls, text: str, **values: object) -> Said:
        """Fill the values in; those that are sentences themselves are said in the page's language later."""
        text = text.text if isinstance(text, Said) else text
        found = super().__new__(cls, filled(text, values))
        found.text, found.values = text, values
        return found


def filled(text: str, values: Mapping[str, object]) -> str:
    """The sentence with its values; without any it stays as it is, braces and all."""
    return PLACE.sub(lambda place: str(values[place[1]]), text) if values else text


@dataclass(frozen=True)
class Language:
    """What the pages say."""

    tag: str = "en"
    """As BCP 47 has it: ``de``, ``pt-BR``."""
    words: dict[str, str] = field(default_factory=dict, hash=False)

    @property
    def direction(self) -> str:
        """``rtl`` where text runs from the right."""
        return "rtl" if self.tag.partition("-")[0].lower() in RIGHT_TO_LEFT else "ltr"

    def say(self, text: str, **values: object) -> str:
        """The sentence in this language, with its values put in."""
        if isinstance(text, Said):
            return self.say(text.text, **text.values)
        said = {name: self.say(one) if isinstance(one, Said) else one for name, one in values.items()}
        return filled(self.words.get(text, text), said)

    @cached_property
    def script_words(self) -> str:
        """The sentences of the pages' scripts, as JSON; empty for English."""
        found = {text: self.words[text] for text in sentences_of_scripts() if text in self.words}
        return json.dumps(found, ensure_ascii=False) if found else ""


def open_language(tag: str, folder: Path) -> Language:
    """The language of a study in ``folder``: its own ``TAG.yaml``, else the shipped one.

    Raises:
        LimaError: there is no such catalogue, or a translation has another ``{name}`` than its sentence.
    """
    if tag == "en":
        return Language()
    own, shipped = folder / f"{tag}.yaml", SHIPPED / f"{tag}.yaml"
    path = own if own.exists() else shipped
    if not path.exists():
        known = ", ".join(["en", *sorted(file.stem for file in SHIPPED.glob("*.yaml"))])
        raise LimaError(
            f"language {tag}: no catalogue. Shipped: {known}. For another copy {SHIPPED / 'de.yaml'} to {own} and translate it."
        )
    words = validate(Catalogue, read_yaml(path), str(path)).words
    for text, translated in words.items():
        if set(PLACE.findall(text)) != set(PLACE.findall(translated)):
            raise LimaError(f"{path}: {translated!r} must have the same {{names}} as {text!r}.")
    return Language(tag, words)


@cache
def sentences_of_scripts() -> frozenset[str]:
    """What the pages' scripts say, in English."""
    scripts = (file.read_text("utf-8") for file in STATIC.glob("*.js"))
    return frozenset(text for script in scripts for text in re.findall(r'\btr\("([^"]+)"', script))
