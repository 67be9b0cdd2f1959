"""``ATTRIBUTION.md``: for every example its site, link, authors, profiles, licence and changes (CC BY-SA)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from lima.records import Example, Meta

HEAD = """# Attribution

Made by `lima curate`. Each line names an example's id, its source, its authors and the licence of the
original. The texts were changed: see the end of each line.
"""


def attribution(examples: Sequence[Example]) -> str:
    """The whole file, grouped by source and category."""
    licences = Counter(example.meta.licence or "no licence stated" for example in examples)
    lines = [HEAD, *(f"* {number} x {name}" for name, number in sorted(licences.items())), ""]
    place: tuple[str, str] | None = None
    for example in sorted(examples, key=lambda e: (e.source, e.meta.category or "", e.id)):
        here = (example.source, example.meta.category or "")
        if here != place:
            lines += ["", f"## {' / '.join(part for part in here if part)}", ""]
            place = here
        lines.append(_line(example))
    return "\n".join(lines) + "\n"


def _line(example: Example) -> str:
    meta = example.meta
    extra: dict[str, Any] = meta.model_extra or {}
    title = _escape(str(extra.get("title") or example.id))
    parts = [f"* `{example.id}`: " + (f"[{title}]({meta.url})" if meta.url else title)]
    if extra.get("answer_url"):
        parts.append(f"[answer]({extra['answer_url']})")
    parts += [f"by {people}"] if (people := _people(meta)) else []
    parts.append(meta.licence or "no licence stated")
    parts += [f"changes: {', '.join(meta.transforms)}"] if meta.transforms else []
    return "; ".join(parts)


def _people(meta: Meta) -> str:
    profiles = (meta.model_extra or {}).get("profiles") or [None] * len(meta.authors)
    shown = [
        f"[{_escape(name)}]({profile})" if profile else _escape(name)
        for name, profile in zip(meta.authors, profiles, strict=True)
    ]
    return " and ".join(dict.fromkeys(shown))


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]").replace("`", "\\`")
