"""The words of a licence -> its name on the hub, and whether a text under it may be passed on. A first check, not legal advice."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lima.publish.settings import Stop

CC = re.compile(r"cc[ -]by(-nc)?(-sa|-nd)?(?:[ -](\d\.\d))?(?: \(.*\))?", re.IGNORECASE)
CC_ON_THE_HUB = frozenset((
    "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-2.0",
    "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0",
    "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0",
))  # fmt: skip
FREE = {
    "apache-2.0": r"apache(?: licen[cs]e)?[ ,-]*(?:v(?:ersion)? ?)?2(?:\.0)?",
    "mit": r"(?:the )?mit(?: licen[cs]e)?",
    "bsd-3-clause": r"(?:new )?bsd[ -]3[ -]clause(?: licen[cs]e)?",
    "bsd-2-clause": r"bsd[ -]2[ -]clause(?: licen[cs]e)?",
    "isc": r"isc(?: licen[cs]e)?",
    "unlicense": r"(?:the )?unlicense",
    "cc0-1.0": r"cc0(?:[ -]1\.0)?",
    "pddl": r"(?:odc[ -])?pddl(?:[ -]1\.0)?",
    "odc-by": r"odc[ -]by(?:[ -]1\.0)?",
    "odbl": r"odbl(?:[ -]1\.0)?",
    "cdla-permissive-2.0": r"cdla-permissive-2\.0",
    "mpl-2.0": r"mpl[ -]2\.0",
    "gpl-2.0": r"gpl(?:v|[ -])2(?:\.0)?(?:[ -](?:only|or[ -]later))?",
    "gpl-3.0": r"gpl(?:v|[ -])3(?:\.0)?(?:[ -](?:only|or[ -]later))?",
    "agpl-3.0": r"agpl(?:v|[ -])3(?:\.0)?(?:[ -](?:only|or[ -]later))?",
    "lgpl-3.0": r"lgpl(?:v|[ -])3(?:\.0)?(?:[ -](?:only|or[ -]later))?",
}
"""Names on the hub of licences that let texts and weights be passed on, and how they are written."""
OF_MODELS = frozenset((
    "llama2", "llama3", "llama3.1", "llama3.2", "llama3.3", "llama4", "gemma", "openrail",
    "creativeml-openrail-m", "openrail++", "bigscience-bloom-rail-1.0", "bigcode-openrail-m", "apple-amlr",
    "deepfloyd-if-license",
))  # fmt: skip
"""Names on the hub of models' licences with terms of their own, under which tuned weights may be passed on."""
LINKS = {
    "apache-2.0": "https://www.apache.org/licenses/LICENSE-2.0",
    "mit": "https://opensource.org/license/mit",
    "cc0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "pddl": "https://opendatacommons.org/licenses/pddl/1-0/",
    "odc-by": "https://opendatacommons.org/licenses/by/1-0/",
    "odbl": "https://opendatacommons.org/licenses/odbl/1-0/",
}
FORBIDDEN = re.compile(
    r"no[t -]*(?:for )?(?:re)?-?distribut|all rights reserved|proprietary|confidential|internal(?: use)?|research[ -]only|private",
    re.IGNORECASE,
)
NONE_STATED = "none stated"
YOURS = "where they are yours to give: --unstated-licence NAME"


@dataclass(frozen=True)
class Licence:
    """One licence, as far as its words identify it."""

    words: str
    name: str | None
    """On the hub, or ``cc-by-sa-2.5`` and the like; None where it is not known."""
    link: str | None
    problem: str | None
    """Why a changed text under it must not be passed on; None where it may."""

    @property
    def on_the_hub(self) -> bool:
        """Whether the hub lists it; any other is ``other`` there, with its name and link."""
        return self.name in CC_ON_THE_HUB or self.name in FREE or self.name in OF_MODELS

    @property
    def asks(self) -> str:
        """What it asks of whoever passes it on, in short."""
        name = self.name or ""
        parts = [
            (
                "by" in name.split("-") or name in ("apache-2.0", "mit", "odbl"),
                "name the authors and the licence",
            ),
            ("sa" in name.split("-") or name == "odbl", "pass changed versions on under the same licence"),
            ("nc" in name.split("-"), "no commercial use"),
            (name in OF_MODELS, "its own terms of use, which go with the weights"),
        ]
        return "; ".join(text for holds, text in parts if holds) or ("see its text" if name else "not known")


def read_licence(words: str | None) -> Licence:
    """What a licence's words say.

    >>> read_licence("CC BY-SA 4.0").name, read_licence("CC BY-ND 4.0").problem
    ('cc-by-sa-4.0', 'forbids changed versions, and curation changes texts')
    >>> read_licence("Some Licence").problem
    'is not one that is known'
    """
    text = " ".join((words or NONE_STATED).split())
    if found := CC.fullmatch(text):
        kind = f"by{found[1] or ''}{found[2] or ''}".lower()
        version = found[3] or "4.0"
        link = f"https://creativecommons.org/licenses/{kind}/{version}/"
        problem = "forbids changed versions, and curation changes texts" if kind.endswith("-nd") else None
        return Licence(text, f"cc-{kind}-{version}", link, problem)
    name = next((name for name, form in FREE.items() if re.fullmatch(form, text, re.IGNORECASE)), None)
    name = text.lower() if name is None and text.lower() in OF_MODELS | CC_ON_THE_HUB | FREE.keys() else name
    if name is not None:
        return Licence(text, name, LINKS.get(name), None)
    if FORBIDDEN.search(text):
        return Licence(text, None, None, "forbids that others get it")
    return Licence(text, None, None, "is not stated" if text == NONE_STATED else "is not one that is known")


def problems(counts: Mapping[str, int], what: str, remedy: str = "") -> list[Stop]:
    """A finding for each licence that forbids passing the texts on."""
    found = []
    for words, number in counts.items():
        licence = read_licence(words)
        if licence.problem:
            named = "" if licence.words == NONE_STATED else f"{licence.words!r} "
            help = f" ({remedy})" if remedy and licence.words == NONE_STATED else ""
            text = f"the licence {named}of {counted(number, what)} {licence.problem}{help}"
            found.append(Stop("licence-may-be-infringed", text))
    return found


def counted(number: int, what: str) -> str:
    """Such as ``1,000 examples``; 0 where their number was not recorded."""
    return f"{number:,} {what}" if number else f"the {what}"


def front_matter(licences: Iterable[str | None]) -> dict[str, Any]:
    """The fields ``license``, ``license_name`` and ``license_link`` that the hub reads."""
    found = {licence.name: licence for licence in map(read_licence, licences)}
    known = sorted(name for name, licence in found.items() if name and licence.on_the_hub)
    if len(known) == len(found):
        return {"license": known[0] if len(known) == 1 else known} if known else {}
    other = next(licence for licence in found.values() if not licence.on_the_hub)
    named = {"license": "other", "license_name": _slug(other.name or other.words)}
    return named | ({"license_link": other.link} if other.link else {})


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.+]+", "-", text.lower()).strip("-")
