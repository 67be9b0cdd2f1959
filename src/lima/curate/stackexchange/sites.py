"""Which exchange a dump belongs to, its set (STEM or other), its address and the licence of its posts.

The shipped table ``exchanges.tsv`` is our reading of the paper's 75 STEM, 99 other and 5 dropped niche
exchanges (section 2.1), and the sites that the paper does not count, so marked.
"""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

from lima.errors import LimaError

ExchangeSet = Literal["stem", "other", "niche"]
UnknownSites = Literal["skip", "other", "stop"]
"""What becomes of a dump whose site is in no table."""

OWN_DOMAINS = {
    "askubuntu": "askubuntu.com",
    "mathoverflow.net": "mathoverflow.net",
    "serverfault": "serverfault.com",
    "stackapps": "stackapps.com",
    "stackoverflow": "stackoverflow.com",
    "superuser": "superuser.com",
}
"""Exchanges that do not live under stackexchange.com; ``xx.stackoverflow`` is under .com too."""
LICENCE_DATES = (("2011-04-08", "CC BY-SA 2.5"), ("2018-05-02", "CC BY-SA 3.0"))
"""Posts last changed before the date stand under the licence; later ones under CC BY-SA 4.0."""


@dataclass(frozen=True)
class Exchange:
    """One site of the network."""

    name: str
    """As in ids: ``cooking``, ``cooking.meta``."""
    set: ExchangeSet
    meta: bool = False

    @property
    def host(self) -> str:
        """The site's address without ``https://``."""
        if self.name == "meta":
            return "meta.stackexchange.com"
        base = self.name.removesuffix(".meta") if self.meta else self.name
        if base in OWN_DOMAINS:
            return ("meta." if self.meta else "") + OWN_DOMAINS[base]
        if base.endswith(".stackoverflow"):
            return f"{base.replace('.', '.meta.') if self.meta else base}.com"
        return f"{base}{'.meta' if self.meta else ''}.stackexchange.com"


@dataclass(frozen=True)
class ExchangeTable:
    """The known exchanges by name, and the names that they had in old dumps."""

    sets: Mapping[str, ExchangeSet]
    renamed: Mapping[str, str]

    @classmethod
    def read(cls, path: Path | None = None, extra: Mapping[str, ExchangeSet] | None = None) -> ExchangeTable:
        """The shipped table or a user's, with further exchanges of a recipe."""
        shipped = resources.files("lima.curate.stackexchange").joinpath("exchanges.tsv")
        text = path.read_text(encoding="utf-8") if path else shipped.read_text(encoding="utf-8")
        sets: dict[str, ExchangeSet] = {}
        renamed: dict[str, str] = {}
        for number, row in enumerate(csv.DictReader(text.splitlines(), delimiter="\t"), start=2):
            name, kind = row.get("exchange"), row.get("set")
            if not name or kind not in ("stem", "other", "niche"):
                raise LimaError(
                    f"{path}:{number}: expected an exchange and stem, other or niche, tab-separated."
                )
            sets[name] = kind  # type: ignore[assignment]
            if row.get("old_dump_name"):
                renamed[row["old_dump_name"]] = name
        return cls(sets | dict(extra or {}), renamed)

    def find(self, text: str) -> Exchange | None:
        """The exchange of a folder, archive or host name, such as ``beer_2017`` or ``cooking.stackexchange.com``."""
        name = text.lower().strip()
        for form in (name, re.sub(r"[_-](?:19|20)\d\d$", "", name)):
            base, meta = _without_meta(_without_domain(form))
            if base == "meta":
                return Exchange("meta", "other", meta=True)
            for candidate in (base, base.replace("_", "."), base.removesuffix(".net")):
                candidate = self.renamed.get(candidate, candidate)
                if candidate in self.sets:
                    return Exchange(f"{candidate}.meta" if meta else candidate, self.sets[candidate], meta)
        return None

    def resolve(self, named: Mapping[str, str], unknown: UnknownSites) -> tuple[dict[str, Exchange], str]:
        """The exchanges of several dumps, given the name of each by its place.

        Returns:
            Exchanges by place, and a warning about those that were skipped; empty for none.

        Raises:
            LimaError: none is known, or with ``stop`` one is not; all of them are named.
        """
        found = {place: self.find(text) for place, text in named.items()}
        if unknown == "other":
            found = {place: exchange or _new(named[place]) for place, exchange in found.items()}
        known = {place: exchange for place, exchange in found.items() if exchange is not None}
        missing = [place for place, exchange in found.items() if exchange is None]
        if not missing:
            return known, ""
        if len(named) == 1:
            self.get(named[missing[0]], missing[0])
        names = ", ".join(sorted(named[place] for place in missing))
        text = (
            f"no table of exchanges has these sites: {names}. Take them with --unknown-sites other, leave them out with "
            "--unknown-sites skip, or say their set: extra_exchanges in the recipe."
        )
        if unknown == "stop" or not known:
            raise LimaError(text)
        return known, f"left out, for {text}"

    def get(self, text: str, origin: str) -> Exchange:
        """As `find`, or an error that lists near names.

        Raises:
            LimaError: the name is not in the table; the text tells how to name the site.
        """
        if found := self.find(text):
            return found
        base, _ = _without_meta(_without_domain(re.sub(r"[_-](?:19|20)\d\d$", "", text.lower())))
        near = difflib.get_close_matches(base, [*self.sets, *self.renamed], n=4, cutoff=0.5)
        hint = f"Near names: {', '.join(near)}. " if near else ""
        raise LimaError(
            f"{origin}: no exchange is called {text!r}. {hint}Say which it is with --site NAME, rename the folder, "
            "take it as it is with --unknown-sites other, or add it to extra_exchanges in the recipe."
        )


def _new(text: str) -> Exchange:
    """A site that is in no table, under the name that its dump has."""
    base, meta = _without_meta(_without_domain(re.sub(r"[_-](?:19|20)\d\d$", "", text.lower().strip())))
    return Exchange(f"{base}.meta" if meta else base, "other", meta)


def licence(attributes: Mapping[str, str]) -> str:
    """The licence of a post's shown revision: as stated since 2020, else by the date of its last edit."""
    if stated := attributes.get("ContentLicense"):
        return stated
    date = attributes.get("LastEditDate") or attributes.get("CreationDate") or "9999"
    for end, name in LICENCE_DATES:
        if date < end:
            return name
    return "CC BY-SA 4.0"


def _without_domain(name: str) -> str:
    name = re.sub(r"[-_.]posts$", "", name)
    if name in ("meta.stackexchange.com", "meta.stackexchange"):
        return "meta"
    name = re.sub(r"\.stackexchange(?:\.com)?$", "", name)
    return re.sub(r"\.com$", "", name)


def _without_meta(name: str) -> tuple[str, bool]:
    """``meta.superuser``, ``bicycles.meta``, ``bicycles_meta``, ``es.meta.stackoverflow`` -> base, True."""
    if name == "meta":
        return name, True
    base = re.sub(r"^meta[._]|[._]meta(?=[._]|$)", "", name)
    return base, base != name
