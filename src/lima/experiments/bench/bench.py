"""``lima bench``: makes a set, scores what is given, and prints the leaderboard page."""

from __future__ import annotations

from lima import console
from lima.experiments.bench import estimators, judges, selectors
from lima.experiments.bench.settings import BenchSettings
from lima.files import write_text
from lima.report.render.tables import TextTable, markdown

SAYS = {
    "judges": (
        "Answers about a made-up world whose records the judge is shown: the right one can be read off. It shows how a judge weighs truth, "
        "length, form and side where these are crossed on purpose; it is no measure of taste, and real answers differ in more ways."
    ),
    "estimators": (
        "Simulated studies, so the win rate is known. Real votes have more structure (raters, dialogues, drift); a method that fails here "
        "fails there, and one that holds here need not hold there."
    ),
    "selectors": (
        "One small base, one pool and one recipe in a made-up world, where every answer can be checked. The interval covers other people to ask "
        "about, not other pools or orders; real pools have flaws of other kinds."
    ),
}
"""What a leaderboard shows and what it does not."""


def bench(settings: BenchSettings) -> list[TextTable]:
    """Run one part; the page goes to ``<part>.md`` in the folder.

    Raises:
        LimaError: a submission is missing or not of this set, or a server fails.
    """
    if settings.dry_run:
        console.note(f"{_plan(settings)}; nothing was written")
        return []
    run = {
        "judges": judges.bench_judges,
        "estimators": estimators.bench_estimators,
        "selectors": selectors.bench_selectors,
    }[settings.part]
    found = run(settings)
    path = settings.out / f"{settings.part}.md"
    write_text(path, page(found, settings))
    board = found[0]
    console.table(board.caption, board.columns, board.rows)
    console.results.print(SAYS[settings.part], markup=False, soft_wrap=True)
    console.done([path])
    return found


def _plan(settings: BenchSettings) -> str:
    """What a run would take, before anything is made."""
    pairs = 3 ** len(judges.FACTORS) * settings.repeats
    choices = 3 + len(settings.submission)
    return {
        "judges": f"{pairs:,} pairs, and {2 * pairs * len(settings.judge):,} calls of judge models",
        "estimators": f"{len(estimators.KINDS) * settings.studies:,} simulated studies",
        "selectors": f"{choices} choices to tune on and to ask {settings.questions} questions each",
    }[settings.part]


def page(found: list[TextTable], settings: BenchSettings) -> str:
    """The leaderboard as Markdown."""
    return f"# Benchmark: {settings.part}, seed {settings.seed}\n\n{SAYS[settings.part]}\n\n{markdown(found)}"
