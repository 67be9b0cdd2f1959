"""``report.json`` of a study -> what a model's card says of its quality: every value with n, its interval and who rated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lima.console import command
from lima.errors import LimaError
from lima.files import read_json


@dataclass(frozen=True)
class Finding:
    """One value of the card."""

    study: str
    sha256: str
    """Of report.json's list of inputs: of the questions that were compared."""
    measure: str
    metric: str
    rater: str
    value: float
    low: float | None
    high: float | None
    level: float
    n: int
    method: str

    @property
    def interval(self) -> str:
        """Such as ``0.21 to 0.34``."""
        if self.low is None or self.high is None:
            return "none"
        return f"{self.low:.3f} to {self.high:.3f}"

    def in_index(self) -> dict[str, Any]:
        """The fields of a metric in the hub's ``model-index``."""
        args = {"n": self.n, "rater": self.rater, "method": self.method}
        if self.low is not None and self.high is not None:
            args |= {"interval": [round(self.low, 4), round(self.high, 4)], "level": self.level}
        named = f"{self.measure}, by {self.rater}"
        return {
            "metric_type": self.metric,
            "metric_value": round(self.value, 4),
            "metric_name": named,
            "metric_args": args,
        }


def read_findings(study: Path, system: str | None, checkpoint: Path) -> tuple[str, list[Finding]]:
    """The name of the checkpoint in a study, and what the study's report says of it.

    Raises:
        LimaError: no report, or none of its systems is this checkpoint.
    """
    place = study / "report.json"
    if not place.is_file():
        raise LimaError(f"{study}: no report.json. Make it first: {command('report', study)}")
    report = read_json(place)
    name = system or _name_of(checkpoint, study, report)
    if name not in report["systems"]:
        raise LimaError(f"{study}: no system {name!r}. It has: {', '.join(report['systems'])}.")
    inputs = {row["name"]: row["sha256"] for row in report["inputs"]}
    common = {
        "study": report["study"],
        "sha256": inputs.get("comparisons.jsonl") or inputs.get("items.jsonl") or "",
    }
    found = [Finding(**common, **values) for values in [*_pairs(report, name), *_ratings(report, name)]]
    if not found:
        raise LimaError(
            f"{place}: no result of {name!r} in it. Judge the study, then: {command('report', study)}"
        )
    return name, found


def _name_of(checkpoint: Path, study: Path, report: Mapping[str, Any]) -> str:
    """The system whose answers this checkpoint gave; the only one there is without such a record."""
    described = study / "systems.json"
    systems = read_json(described)["systems"] if described.is_file() else []
    here = checkpoint.resolve()
    names = [
        row["name"]
        for row in systems
        if row.get("model") and (_same(Path(row["model"]), here) or _same(study.parent / row["model"], here))
    ]
    tail = (here.parent.name, here.name)
    names = names or [
        row["name"]
        for row in systems
        if row.get("model") and (Path(row["model"]).parent.name, Path(row["model"]).name) == tail
    ]
    if len(names) != 1:
        raise LimaError(
            f"{study}: which of its systems is {checkpoint}? Name it: --system NAME, one of {', '.join(report['systems'])}."
        )
    return str(names[0])


def _same(one: Path, other: Path) -> bool:
    return one.exists() and one.resolve() == other


def _pairs(report: Mapping[str, Any], system: str) -> Iterator[dict[str, Any]]:
    """Win rates of the system against each other one: a tie counts for half."""
    for finding in report["findings"]:
        if finding["named"] != system and system not in (finding["system"], finding["baseline"]):
            continue
        for row in finding["results"]:
            score = row["result"].get("score") or {}
            if "value" not in score:
                continue
            turned = row["system"] != system
            other = row["system"] if turned else row["baseline"]
            value, low, high = score["value"], score["low"], score["high"]
            if turned:
                value, low, high = 1 - value, _from_one(high), _from_one(low)
            yield _values(
                score | {"value": value, "low": low, "high": high},
                f"win rate against {other}, ties count half",
                "win_rate",
                row["group"],
            )


def _from_one(value: float | None) -> float | None:
    return None if value is None else 1 - value


def _ratings(report: Mapping[str, Any], system: str) -> Iterator[dict[str, Any]]:
    for row in report["helpfulness"]:
        if row["system"] == system and "value" in (mean := row.get("mean") or {}):
            yield _values(mean, "mean helpfulness, 1 to 6", "helpfulness", row["group"])
    for scale in ("quality", "safety"):
        for row in report[scale]:
            if row["system"] != system:
                continue
            for grade, share in row["shares"].items():
                if "value" in share:
                    yield _values(
                        share,
                        f"share of answers that are {grade} ({scale})",
                        f"{scale}_{grade}",
                        row["group"],
                    )


def _values(estimate: Mapping[str, Any], measure: str, metric: str, group: str) -> dict[str, Any]:
    from lima.report.numbers.votes import (
        short_names,
    )  # brings scipy, which a card without a study need not wait for

    kept = {key: estimate[key] for key in ("value", "low", "high", "level", "n", "method")}
    return {"measure": measure, "metric": metric, "rater": short_names([group])[group], **kept}


def section(findings: Sequence[Finding]) -> str:
    """The card's paragraph and table."""
    level = f"{100 * findings[0].level:g}"
    rows = [
        f"| {f.measure} | {f.rater} | {f.value:.3f} | {f.interval} | {f.n:,} | {f.method} |" for f in findings
    ]
    return "\n".join(
        [
            f"Blind comparisons and ratings in the study `{findings[0].study}`, by `lima report`. Intervals of {level} % by prompt; a verdict "
            "that failed is missing, never a tie.",
            "",
            f"| measure | rated by | value | {level} % interval | n | interval by |",
            "|---|---|---:|---|---:|---|",
            *rows,
        ]
    )
