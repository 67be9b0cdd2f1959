"""How often intervals hold the truth: every method that was tried, on a grid, as the table of docs/coverage.md.

    python -m benchmarks.coverage --draws 2000 --write

Truth is known, since the data are drawn: win - loss from multinomial counts, coefficients from raters who report a
true label with some skill and guess otherwise, win rates at equal length from a logistic law.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lima.statistics import reliability
from lima.statistics.bootstrap import Resampling, bootstrap, ratio
from lima.statistics.estimates import Estimate, Result
from lima.statistics.intervals import clustered_mean
from lima.statistics.length_control import length_controlled
from lima.statistics.preferences import SCORES, Outcome, gap_of

PAGE = Path(__file__).parent.parent / "docs" / "coverage.md"
OUTCOMES: tuple[Outcome, ...] = ("win", "tie", "loss")
FEW = Resampling(rounds=600)


@dataclass(frozen=True)
class Cell:
    """One place of the grid: its name, what to draw, the truth, and the methods by name (the first is used)."""

    name: str
    draw: Callable[[np.random.Generator], object]
    truth: float
    methods: dict[str, Callable[..., Result]]


def gaps() -> Iterator[Cell]:
    """Win - loss of single verdicts."""

    def student(outcomes: list[Outcome]) -> Result:
        return clustered_mean([SCORES[outcome] for outcome in outcomes], range(len(outcomes)))

    def bca(outcomes: list[Outcome]) -> Result:
        rows = np.array([[SCORES[outcome], 1.0] for outcome in outcomes])
        return bootstrap(rows, ratio, n=len(rows), resampling=FEW)

    methods = {
        "joined Wilson limits": lambda outcomes: gap_of(outcomes, range(len(outcomes))),
        "Student's t": student,
        "BCa": bca,
    }
    for n in (10, 20, 30):
        for win, tie in ((0.5, 0.0), (0.35, 0.3), (0.65, 0.2), (0.9, 0.0), (0.9, 0.05)):
            shares = [win, tie, 1 - win - tie]

            def draw(generator: np.random.Generator, n: int = n, shares: list[float] = shares) -> object:
                return [OUTCOMES[k] for k in generator.choice(3, size=n, p=shares)]

            yield Cell(
                f"win - loss, {n} prompts, {win:.0%} wins, {tie:.0%} ties", draw, win - shares[2], methods
            )


def coefficients() -> Iterator[Cell]:
    """Krippendorff's alpha and Cohen's kappa of two or three raters; two labels, even or uneven."""

    def bca_alpha(ratings: list[list[int]]) -> Result:
        table = np.array(ratings)
        counts = np.stack([(table == k).sum(axis=0) for k in (0, 1)], axis=1).astype(float)
        m = len(table)
        pairs = (counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(2)) / (m - 1)

        def alpha(sums: np.ndarray) -> np.ndarray:
            matrix = sums.reshape(*sums.shape[:-1], 2, 2)
            margin = matrix.sum(axis=-1)
            observed = matrix[..., 0, 1] + matrix[..., 1, 0]
            expected = 2 * margin[..., 0] * margin[..., 1]
            with np.errstate(divide="ignore", invalid="ignore"):
                return np.where(expected > 0, 1 - observed * (margin.sum(axis=-1) - 1) / expected, np.nan)

        return bootstrap(pairs.reshape(len(pairs), 4), alpha, n=len(pairs), resampling=FEW)

    def jackknife(ratings: list[list[int]]) -> Result:
        from unittest.mock import patch

        with patch.object(reliability, "RARE", 0):
            return reliability.krippendorff_alpha(ratings, [0, 1])

    methods = {
        "jackknife and likelihood": lambda ratings: reliability.krippendorff_alpha(ratings, [0, 1]),
        "jackknife on Fisher's scale": jackknife,
        "BCa": bca_alpha,
    }
    for raters, n in ((2, 10), (2, 20), (2, 50), (3, 10), (3, 20)):
        for common in (0.5, 0.85):
            for kappa in (0.2, 0.5, 0.8):

                def draw(
                    generator: np.random.Generator,
                    shape: tuple[int, int] = (raters, n),
                    share: float = common,
                    skill: float = math.sqrt(kappa),
                ) -> object:
                    true = generator.random(shape[1]) > share
                    guess = generator.random(shape) > share
                    return np.where(generator.random(shape) < skill, true, guess).astype(int).tolist()

                name = f"alpha {kappa}, {raters} raters, {n} items, commonest label {common:.0%}"
                yield Cell(name, draw, kappa, methods)


def lengths() -> Iterator[Cell]:
    """The win rate at equal length; the system's answers are mostly longer."""

    def plain(drawn: tuple[list[Outcome], list[float]]) -> Result:
        from unittest.mock import patch

        from lima.statistics import logits

        with patch.object(logits, "FEW_CLUSTERS", 0):
            return length_controlled(drawn[0], drawn[1], range(len(drawn[0]))).score

    methods = {
        "sandwich with leverage (CR2)": lambda drawn: (
            length_controlled(drawn[0], drawn[1], range(len(drawn[0]))).score
        ),
        "sandwich (CR1)": plain,
    }
    for n in (10, 20, 30):
        for intercept, slope, ties in ((0.0, 1.0, 0.3), (0.5, 0.3, 0.5), (0.8, 1.0, 0.15)):

            def draw(
                generator: np.random.Generator,
                n: int = n,
                law: tuple[float, float, float] = (intercept, slope, ties),
            ) -> object:
                differences = generator.normal(100, 100, size=n)
                chance = 1 / (1 + np.exp(-(law[0] + law[1] * np.tanh(differences / 100))))
                decided = np.clip((chance - law[2] / 2) / (1 - law[2]), 0, 1)
                wins, tied = generator.random(n) < decided, generator.random(n) < law[2]
                words = ["tie" if t else "win" if w else "loss" for w, t in zip(wins, tied, strict=True)]
                return words, differences.tolist()

            name = f"equal length, {n} prompts, logit {intercept} + {slope} x, {ties:.0%} ties"
            yield Cell(name, draw, 1 / (1 + math.exp(-intercept)), methods)


def measure(cell: Cell, draws: int, seed: int) -> dict[str, tuple[float, float, float]]:
    """Coverage, mean width and share of draws without an interval, by method."""
    found = {}
    for name, method in cell.methods.items():
        count = max(200, draws // 10) if name == "BCa" else draws  # resampling is slow, and its lack is large
        generator, covered, widths = np.random.default_rng(seed), 0, []
        for _ in range(count):
            result = method(cell.draw(generator))
            if isinstance(result, Estimate) and result.low is not None:
                low, high = result.interval
                covered += low - 1e-9 <= cell.truth <= high + 1e-9
                widths.append(high - low)
        share = covered / len(widths) if widths else math.nan
        found[name] = (share, float(np.mean(widths)) if widths else math.nan, 1 - len(widths) / count)
    return found


def page(draws: int, seed: int) -> str:
    """The table in Markdown."""
    error = 100 * math.sqrt(0.95 * 0.05 / draws)
    lines = [
        "# Coverage of intervals",
        "",
        "How often 95 % intervals held the truth, in %, with their mean width in brackets. The first method of each",
        "family is the one that reports use; the others were tried. Draws without an interval (a figure that does not",
        f"exist for the data) are left out of the coverage. {draws:,} draws a cell (a tenth for BCa), standard error",
        f"{error:.1f} points. Made by `python -m benchmarks.coverage --draws {draws} --seed {seed} --write`.",
        "",
        "With ten prompts and nine of ten wins there are only a handful of possible samples, so that no interval covers",
        "95 % exactly: those that never fall far short are wider than need be. Below ten items or prompts the",
        "coefficients have no interval.",
    ]
    for family in (gaps, coefficients, lengths):
        cells = list(family())
        names = list(cells[0].methods)
        lines += [
            "",
            f"| {' | '.join(['case', *names, 'without'])} |",
            f"| --- |{' ---: |' * (len(names) + 1)}",
        ]
        for cell in cells:
            print(cell.name, flush=True)
            found = measure(cell, draws, seed)
            words = [f"{100 * c:.1f} ({w:.2f})" for c, w, _ in found.values()]
            lines.append(f"| {' | '.join([cell.name, *words, f'{100 * found[names[0]][2]:.0f} %'])} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the page, or write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE}")
    settings = parser.parse_args()
    text = page(settings.draws, settings.seed)
    if settings.write:
        PAGE.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
