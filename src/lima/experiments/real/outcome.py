"""Results of the arms -> a table with intervals, and verdicts that follow from the intervals alone.

Units are prompts, statements or rows. Seeds of one arm are clustered by unit, and arms are compared in pairs, so an interval covers other
prompts of this kind asked of the same models; the means by seed stand beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from lima import console
from lima.errors import LimaError
from lima.experiments.claims.bands import Band, Check
from lima.experiments.claims.outcome import BAND_HEAD, JUDGED
from lima.experiments.real.jobs import ArmResult
from lima.experiments.real.measures import ENDS, SHARES, WORDS, UnitValues
from lima.experiments.real.recipes import RealRecipe
from lima.files import write_json, write_text
from lima.report.render.tables import TextTable, cell, markdown
from lima.report.render.wording import percent, plain, points
from lima.statistics.estimates import ALIKE, Result, Undefined
from lima.statistics.intervals import clustered_mean, paired_difference, share

COVERS = (
    "95 % intervals cover other prompts, statements or rows of the kind (the unit), asked of the same models. They do not cover "
    "another order or draw of examples: for that the means by seed stand in the JSON file."
)
CHOSEN_BY = "demand share"
"""What an epoch is chosen by: finer than whole prompts."""
LIMITS = (
    "One base of this size, tuned on a few hundred rows: no evidence about models of 65 billion parameters, nor about what people prefer. "
    "No judge and no person has read these answers; a program checks demands on their form, whether they end, and short facts."
)


@dataclass(frozen=True)
class RealOutcome:
    """An experiment on a real base: its arms' results, by arm, the seeds in one order."""

    recipe: RealRecipe
    names: Sequence[str]
    """Of all arms, in the recipe's order."""
    results: Mapping[str, Sequence[ArmResult]]
    """Of those arms that have some."""
    bands: Sequence[tuple[Band, Mapping[str, Any]]]

    @property
    def arms(self) -> list[str]:
        """The names of the arms that have results, in the recipe's order."""
        return [name for name in self.names if name in self.results]

    @property
    def missing(self) -> list[str]:
        """Those that have none."""
        return [name for name in self.names if name not in self.results]

    @property
    def contrasts(self) -> list[tuple[str, str, str]]:
        """The recipe's comparisons, of arms that have results."""
        named = [(self.names[a], self.names[b], measure) for a, b, measure in self.recipe.contrasts]
        return [one for one in named if one[0] in self.results and one[1] in self.results]

    def value(self, arm: str, measure: str) -> Result | None:
        """The mean over units and seeds; None where an arm has no such measure."""
        found = self._units(arm, measure)
        if found is None:
            return None
        items, values = found
        if set(values) <= {0.0, 1.0}:
            return share([value == 1 for value in values], items)
        return clustered_mean(values, items)

    def difference(self, first: str, second: str, measure: str) -> Result | None:
        """Mean of the first arm minus the second's, in pairs of the same unit and seed."""
        one, two = (self._by_seed(arm, measure) for arm in (first, second))
        if one is None or two is None:
            return None
        seeds = sorted({*one} & {*two}) if len(one) > 1 and len(two) > 1 else []
        units: list[tuple[str, float, float]] = []
        for a, b in [(one[s], two[s]) for s in seeds] or [(x, y) for x in one.values() for y in two.values()]:
            other = dict(zip(b.items, b.values, strict=True))
            units += [(i, x, other[i]) for i, x in zip(a.items, a.values, strict=True) if i in other]
        return _difference(units, measure)

    def seeds(self, arm: str, measure: str) -> list[float]:
        """The mean of each seed."""
        return [round(float(np.mean(one.values)), 4) for one in (self._by_seed(arm, measure) or {}).values()]

    def checks(self) -> list[Check]:
        """The limits that were fixed in advance, and what came out."""
        found = []
        for band, where in self.bands:
            if where["arm"] in self.results and where.get("minus", where["arm"]) in self.results:
                result = self._banded(where)
                if result is not None:
                    found.append(Check(band, result))
        return found

    def _banded(self, where: Mapping[str, Any]) -> Result | None:
        if "minus" in where:
            return self.difference(where["arm"], where["minus"], where["measure"])
        return self.value(where["arm"], where["measure"])

    def verdicts(self) -> list[str]:
        """A sentence for each comparison of the recipe."""
        found = []
        for one, two, measure in self.contrasts:
            gap = self.difference(one, two, measure)
            if gap is not None:
                found.append(f"{WORDS[measure]}, {one} minus {two}: {_words(gap, measure)} {_ruling(gap)}")
        if self.recipe.chooses and not self.missing:
            found.append(self._choice())
        return found

    def _choice(self) -> str:
        """An epoch chosen by answers to every second prompt and one by loss, compared on the other prompts (LIMA, section 3)."""
        shares = {arm: next(iter((self._by_seed(arm, CHOSEN_BY) or {}).values())) for arm in self.arms}
        losses = {arm: self.seeds(arm, "nll others") or self.seeds(arm, "nll own") for arm in self.arms}
        by_answers = max(self.arms, key=lambda arm: float(np.mean(shares[arm].values[::2])))
        by_loss = min(self.arms, key=lambda arm: losses[arm][0])
        one, two = shares[by_answers], shares[by_loss]
        units = list(zip(one.items[1::2], one.values[1::2], two.values[1::2], strict=True))
        gap = _difference(units, CHOSEN_BY)
        return (
            f"Chosen by {WORDS[CHOSEN_BY]} on every second prompt: {by_answers}; by the least loss on held-out answers: {by_loss}. "
            f"On the other {len(units)} prompts, the first minus the second: {_words(gap, CHOSEN_BY)} {_ruling(gap)}"
        )

    def _by_seed(self, arm: str, measure: str) -> dict[int, UnitValues] | None:
        found = {one.seed: one.measures[measure] for one in self.results[arm] if measure in one.measures}
        return found or None

    def _units(self, arm: str, measure: str) -> tuple[list[str], list[float]] | None:
        found = self._by_seed(arm, measure)
        if found is None:
            return None
        items = [item for one in found.values() for item in one.items]
        return items, [value for one in found.values() for value in one.values]


def _difference(units: Sequence[tuple[str, float, float]], measure: str) -> Result:
    """First minus second, by unit: of yes and no by the score interval, of other values by t; of shares within -1 and 1."""
    items, one, two = ([unit[place] for unit in units] for place in range(3))
    if {*one, *two} <= {0.0, 1.0}:
        return paired_difference([x == 1 for x in one], [y == 1 for y in two], items)
    gap = clustered_mean([x - y for _, x, y in units], items)
    if measure not in SHARES or isinstance(gap, Undefined) or gap.low is None or gap.high is None:
        return gap
    return replace(gap, low=max(-1.0, gap.low), high=min(1.0, gap.high))


def _words(gap: Result, measure: str) -> str:
    if isinstance(gap, Undefined):
        return str(gap)
    form = points if measure in SHARES else plain
    unit = " points" if measure in SHARES else " nats a token"
    ends = "" if gap.low is None or gap.high is None else f" [{form(gap.low)}, {form(gap.high)}]"
    return f"{form(gap.value)}{unit}{ends}."


def _ruling(gap: Result) -> str:
    """The verdict that the interval allows."""
    if isinstance(gap, Undefined) or (gap.low is None and gap.note != ALIKE):
        return "There is no interval, so nothing is decided."
    low, high = (gap.value, gap.value) if gap.low is None or gap.high is None else (gap.low, gap.high)
    if low > 0:
        return "Higher: the interval lies above 0."
    if high < 0:
        return "Lower: the interval lies below 0."
    return "Not decided: the interval holds 0."


def read_bands(path: Path | None, experiment: str) -> list[tuple[Band, Mapping[str, Any]]]:
    """The limits of one experiment in a file of limits fixed in advance.

    Raises:
        LimaError: no such file, or a row without the fields of a limit.
    """
    if path is None:
        return []
    found = []
    try:
        rows = yaml.safe_load(path.read_text(encoding="utf-8"))
        for row in rows:
            if row["experiment"] == experiment:
                limit = float(row["limit"])
                found.append((Band(row["id"], row["words"], row["sense"], limit), row))
                assert row["measure"] in WORDS, row["measure"]
                assert row["arm"], row
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, AssertionError) as error:
        raise LimaError(
            f"--bands {path}: {type(error).__name__} {error}. Expected a YAML list with id, experiment, words, arm, measure, "
            f"sense (at least, at most), limit, and minus for a difference; measures: {', '.join(WORDS)}."
        ) from None
    return found


def table(outcome: RealOutcome) -> tuple[list[str], list[list[str]]]:
    """Head and rows: measures down, arms across."""
    names = [
        name for name in outcome.recipe.measures if any(outcome.value(arm, name) for arm in outcome.arms)
    ]
    rows = []
    for name in names:
        form = percent if name in SHARES else plain
        found = [outcome.value(arm, name) for arm in outcome.arms]
        units = max(
            result.clusters if result and not isinstance(result, Undefined) else 0 for result in found
        )
        rows.append([WORDS[name], *("–" if r is None else cell(r, form) for r in found), str(units)])
    return ["", *outcome.arms, "n"], rows


def show(outcome: RealOutcome) -> None:
    """Print table, limits and verdicts."""
    head, rows = table(outcome)
    console.table(f"{outcome.recipe.name}: {_sizes(outcome)}", head, rows)
    if checks := outcome.checks():
        console.table("limits fixed in advance", BAND_HEAD, [_check(check) for check in checks])
    for sentence in outcome.verdicts():
        console.results.print(sentence, markup=False, soft_wrap=True)
    console.results.print(COVERS, markup=False, soft_wrap=True)
    if words := caution(outcome):
        console.warn(words)


def caution(outcome: RealOutcome) -> str | None:
    """A warning about arms without a result, code of several commits, or uncommitted changes."""
    commits = {str(one.git_commit) for runs in outcome.results.values() for one in runs}
    found = []
    if outcome.missing:
        found.append(f"No result yet of: {', '.join(outcome.missing)}.")
    if len(commits) > 1:
        found.append(
            f"The arms were made by {len(commits)} states of lima: {', '.join(map(_short, sorted(commits)))}."
        )
    if changed := [one for one in commits if one.endswith("+")]:
        found.append(f"Made with uncommitted changes: {', '.join(map(_short, sorted(changed)))}.")
    return " ".join(found) or None


def _short(commit: str) -> str:
    return commit[:9] + "+" * commit.endswith("+")


def write(outcome: RealOutcome, folder: Path) -> list[Path]:
    """``NAME.json`` and ``NAME.md`` with table, limits, verdicts, and the first answers, unchosen."""
    paths = [folder / f"{outcome.recipe.name}.{ending}" for ending in ("json", "md")]
    write_json(paths[0], _json(outcome))
    write_text(paths[1], page(outcome))
    return paths


def _sizes(outcome: RealOutcome) -> str:
    seeds = max(len(runs) for runs in outcome.results.values())
    return f"{next(iter(outcome.results.values()))[0].model}, {seeds} seed{'s' * (seeds > 1)}"


def _check(check: Check) -> list[str]:
    return [
        check.band.id,
        check.band.words,
        check.band.wanted,
        cell(check.result, plain),
        JUDGED[check.state],
    ]


def _json(outcome: RealOutcome) -> dict[str, Any]:
    values = [
        {"arm": arm, "measure": name, **asdict(result), "by seed": outcome.seeds(arm, name)}
        for name in WORDS
        for arm in outcome.arms
        if (result := outcome.value(arm, name)) is not None
    ]
    gaps = [
        {"first": one, "second": two, "measure": name, **asdict(gap)}
        for one, two, name in outcome.contrasts
        if (gap := outcome.difference(one, two, name)) is not None
    ]
    return {
        "name": outcome.recipe.name,
        "claim": outcome.recipe.claim,
        "paper": outcome.recipe.paper,
        "results": [one.key for runs in outcome.results.values() for one in runs],
        "values": values,
        "differences": gaps,
        "limits": [
            {**asdict(check.band), "state": check.state, **asdict(check.result)} for check in outcome.checks()
        ],
        "verdicts": outcome.verdicts(),
    }


def page(outcome: RealOutcome) -> str:
    """The outcome as Markdown."""
    head, rows = table(outcome)
    found = [TextTable(f"{outcome.recipe.name}: {_sizes(outcome)}.", head, rows)]
    if checks := outcome.checks():
        found.append(TextTable("Limits fixed in advance.", BAND_HEAD, [_check(check) for check in checks]))
    verdicts = "\n".join(f"- {sentence}" for sentence in outcome.verdicts())
    parts = [
        f"# {outcome.recipe.name}",
        LIMITS,
        f"Claim: {outcome.recipe.claim} The paper: {outcome.recipe.paper}",
        markdown(found),
        verdicts,
        COVERS,
        caution(outcome) or "",
        "## The first prompts and their answers, unchosen",
        *(_answers(arm, outcome.results[arm][0]) for arm in outcome.arms),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _answers(arm: str, result: ArmResult) -> str:
    rows = []
    for one in result.answers:
        quoted = "\n".join(f"> {line}" for line in one["answer"].splitlines()) or "> (blank)"
        end = "" if one["ended"] in ENDS else "\n\n(cut off)"
        asked = " / ".join(one["prompt"].split("\n"))
        rows.append(f"**{asked}**\n\n{quoted}{end}")
    return "\n\n".join([f"### {arm}, seed {result.seed}", *rows])
