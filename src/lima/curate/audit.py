"""How good the selection is, by a reader's verdict: ``lima curate RECIPE ... --audit FILE``.

As many accepted as rejected examples are drawn at random into a review file, mixed, and nothing in it tells which is which.
A person reads them and decides (``accept`` as it is, ``edit`` where a line must be cut, ``reject``). The same command again
then says how many of the accepted ones are good (precision) and how many of the good ones were accepted (recall), with
intervals. Several files are several readers of one draw; their agreement is reported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lima import console
from lima.curate.candidate import chance, generator
from lima.curate.rules import TEXT_RULES
from lima.errors import LimaError
from lima.files import read_jsonl, write_json, write_jsonl
from lima.records import Decision, Example, Meta, Reject, Review
from lima.statistics.estimates import Result, Undefined
from lima.statistics.intervals import wilson
from lima.statistics.reliability import cohen_kappa

Texts = Callable[[Collection[str]], Mapping[str, Example]]
DECISIONS: tuple[Decision, ...] = ("accept", "edit", "reject")
SIMULATIONS = 20_000
LEVEL = 0.95


@dataclass(frozen=True)
class Selection:
    """What a curation accepted and what its rules about texts rejected."""

    accepted: Mapping[str, Example]
    rejected: Mapping[str, str]
    """The rule that dropped each."""

    @classmethod
    def of(cls, accepted: Sequence[Example], rejected: Sequence[Reject]) -> Selection:
        """Rejects for other reasons, such as a score or a length, are left out: no reader can judge those."""
        rules = {reject.id: reject.rule for reject in rejected if reject.rule in TEXT_RULES}
        return cls({example.id: example for example in accepted}, rules)


def draw(selection: Selection, size: int, seed: int, texts: Texts) -> list[Example]:
    """``size`` accepted and ``size`` rejected examples, fewer where there are fewer, without what tells them apart."""
    chosen: list[Example] = []
    for pool in (selection.accepted, selection.rejected):
        by_lot = sorted(pool, key=lambda identifier: (chance(seed, "audit", identifier), identifier))
        found = selection.accepted if pool is selection.accepted else texts(by_lot[:size])
        chosen += [found[identifier] for identifier in by_lot[:size] if identifier in found]
    return [example.model_copy(update={"meta": Meta()}) for example in chosen]


def write_draw(examples: Sequence[Example], path: Path, seed: int) -> None:
    """A review file, in an order of its own for every reader."""
    order = generator(seed, "audit", path.name).permutation(len(examples))
    write_jsonl(path, [Review(candidate=examples[place]) for place in order])


def verdicts(path: Path) -> dict[str, Decision]:
    """By id, what a reader decided; the undecided are left out."""
    return {row.candidate.id: row.decision for row in read_jsonl(path, Review) if row.decision}


def report(selection: Selection, read: Mapping[str, Decision], seed: int) -> dict[str, Any]:
    """Shares of the accepted and of the rejected that a reader keeps, precision and recall, and the rules that erred.

    Precision is the share of accepted examples that stay as they are. Recall is, of all that the reader would keep, the share
    that was accepted: the two shares are weighed by how many were accepted and rejected in all.
    """
    accepted = Counter(decision for name, decision in read.items() if name in selection.accepted)
    rejected = Counter(decision for name, decision in read.items() if name in selection.rejected)
    if not accepted and not rejected:
        raise LimaError(
            "no decided row of the audit is among this run's examples. Was it drawn with other settings?"
        )
    wrong = Counter(
        selection.rejected[name]
        for name, decision in read.items()
        if name in selection.rejected and decision == "accept"
    )
    sizes = len(selection.accepted), len(selection.rejected)
    return {
        "read": {
            "accepted": accepted.total(),
            "rejected": rejected.total(),
            "not_of_this_run": len(read) - accepted.total() - rejected.total(),
        },
        "precision": _shown(wilson(accepted["accept"], accepted.total(), level=LEVEL)),
        "kept_or_edited_of_accepted": _shown(
            wilson(accepted["accept"] + accepted["edit"], accepted.total(), level=LEVEL)
        ),
        "kept_of_rejected": _shown(wilson(rejected["accept"], rejected.total(), level=LEVEL)),
        "recall": _recall(
            (accepted["accept"], accepted.total()), (rejected["accept"], rejected.total()), sizes, seed
        ),
        "wrongly_rejected_by": dict(sorted(wrong.items())),
    }


def _recall(
    kept: tuple[int, int], missed: tuple[int, int], sizes: tuple[int, int], seed: int
) -> dict[str, Any]:
    """The share of good examples that was accepted; its interval by draws from the two shares' posteriors (Jeffreys)."""
    if not kept[1] or not missed[1]:
        return {"value": None, "reason": "nothing of one of the two groups was read"}

    def share(good: Any, lost: Any) -> Any:
        return sizes[0] * good / (sizes[0] * good + sizes[1] * lost)

    random = generator(seed, "audit", "recall")
    good, lost = (random.beta(k + 0.5, n - k + 0.5, SIMULATIONS) for k, n in (kept, missed))
    low, high = np.quantile(share(good, lost), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    plain = [k / n for k, n in (kept, missed)]
    value = share(*plain) if sizes[0] * plain[0] + sizes[1] * plain[1] else None
    return {
        "value": value,
        "low": float(low),
        "high": float(high),
        "level": LEVEL,
        "method": "Jeffreys, simulated",
    }


def agreement(first: Mapping[str, Decision], second: Mapping[str, Decision]) -> dict[str, Any]:
    """How often two readers decided alike, and Cohen's kappa."""
    both = sorted(first.keys() & second.keys())
    pairs = [(first[name], second[name]) for name in both]
    return {
        "read_by_both": len(both),
        "equal": _shown(wilson(sum(a == b for a, b in pairs), len(both), level=LEVEL)),
        "kappa": _shown(cohen_kappa([a for a, _ in pairs], [b for _, b in pairs], DECISIONS, level=LEVEL)),
    }


def audit(
    selection: Selection, paths: Sequence[Path], out: Path, size: int, seed: int, texts: Texts
) -> list[Path]:
    """Draw for readers whose file is not there yet; report on those who have decided. Returns what was written."""
    new = [path for path in paths if not path.exists()]
    if new:
        examples = draw(selection, size, seed, texts)
        for path in new:
            write_draw(examples, path, seed)
        console.note(
            f"{', '.join(map(str, new))}: {len(examples)} examples to be decided on; then the same command again"
        )
    read = {str(path): verdicts(path) for path in paths if path not in new}
    if not any(read.values()):
        return new
    found: dict[str, Any] = {
        "readers": {name: report(selection, decisions, seed) for name, decisions in read.items() if decisions}
    }
    names = list(found["readers"])
    if len(names) > 1:
        found["agreement"] = {
            f"{a} and {b}": agreement(read[a], read[b]) for i, a in enumerate(names) for b in names[i + 1 :]
        }
    write_json(out / "audit.json", found)
    _show(found)
    return [*new, out / "audit.json"]


def _show(found: Mapping[str, Any]) -> None:
    keys = ("precision", "kept_or_edited_of_accepted", "kept_of_rejected", "recall")
    names = list(found["readers"])
    rows = [[key.replace("_", " "), *(_cell(found["readers"][name][key]) for name in names)] for key in keys]
    console.table("Audit (95 % intervals)", ["share", *names], rows)
    for pair, value in found.get("agreement", {}).items():
        console.note(f"{pair}: equal {_cell(value['equal'])}, kappa {_cell(value['kappa'])}")


def _cell(value: Mapping[str, Any]) -> str:
    if value.get("value") is None:
        return str(value.get("reason", "-"))
    if value["low"] is None:
        return f"{value['value']:.2f}"
    return f"{value['value']:.2f} [{value['low']:.2f}, {value['high']:.2f}]"


def _shown(result: Result) -> dict[str, Any]:
    if isinstance(result, Undefined):
        return {"value": None, "reason": result.reason}
    return {
        "value": result.value,
        "low": result.low,
        "high": result.high,
        "level": result.level,
        "n": result.n,
        "method": result.method,
    }
