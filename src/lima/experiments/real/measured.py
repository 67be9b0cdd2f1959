"""``lima experiment NAME --model BASE --data FILE`` without prompts of your own: programs measure, and no judge is needed.

Each arm and seed is a job that ends in a small JSON file; the same command goes on where it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lima import console
from lima import model as models
from lima.errors import LimaError
from lima.experiments.real.cost import show_cost
from lima.experiments.real.data import read_data
from lima.experiments.real.jobs import ArmResult, Workshop, read_result, run_arm, tuned
from lima.experiments.real.material import spread
from lima.experiments.real.outcome import RealOutcome, read_bands, show, write
from lima.experiments.real.recipes import RECIPES, SCALES, Arm, RealScale, arms_of, make_arm
from lima.experiments.real.shift import show_shift
from lima.experiments.settings import ExperimentSettings
from lima.files import sha256
from lima.runs import MODEL_FILES, open_run
from lima.train.settings import FitSettings


def measured_experiment(settings: ExperimentSettings) -> list[RealOutcome]:
    """Run what is missing and report; nothing after a dry run.

    Raises:
        LimaError: an input is missing or too small, or nothing is finished (`--finished`).
    """
    recipe, scale = RECIPES[settings.name], chosen_scale(settings)
    shop = _open(settings, scale, recipe.needs)
    seeds = range(settings.seeds or (scale.seeds if recipe.several_seeds else 1))
    arms = arms_of(recipe, scale, _overrides(settings.fit))
    bands = read_bands(settings.bands, settings.name)
    # a base without tuning and without examples is the same whatever the seed
    jobs = [(name, arm, seed) for seed in seeds for name, arm in arms.items() if arm.is_tuned or seed == 0]
    todo = {path for job in jobs if not (path := shop.result_path(*job)).exists()}
    if todo and not settings.finished:
        show_cost(shop, jobs, todo)
    if settings.dry_run:
        return []
    with open_run(shop.folder / f"{recipe.name}.run.json", "experiment", settings) as run:
        results = _collect(shop, jobs, settings.finished)
        outcome = RealOutcome(recipe, list(arms), results, bands)
        show(outcome)
        console.done(write(outcome, shop.folder))
        if not settings.finished:
            run.finish(jobs=len(jobs))
    return [outcome]


SHIFT_PROMPTS = 30
"""Answers whose tokens are ranked; each has up to the scale's longest."""


def measured_shift(settings: ExperimentSettings) -> None:
    """``token-shift``: the usual arm, and how the base ranks its tokens by place and class.

    Raises:
        LimaError: as `measured_experiment`.
    """
    scale = chosen_scale(settings)
    shop = _open(settings, scale, needs=())
    arm = make_arm({}, scale, {})
    if settings.dry_run:
        show_cost(shop, [("tuned", arm, 0)], {shop.result_path("tuned", arm, 0)})
        return
    with open_run(shop.folder / "token-shift.run.json", "experiment", settings) as run:
        with console.part_of_a_whole():
            place = tuned(shop, arm, 0)
        asked = [one.example for one in spread(tuple(shop.prompts), SHIFT_PROMPTS)]
        show_shift(
            settings.model_copy(update={"max_new_tokens": scale.new_tokens}), shop.folder, place, asked
        )
        run.finish(prompts=len(asked))


def chosen_scale(settings: ExperimentSettings) -> RealScale:
    """The scale with the values that were asked for."""
    scale = SCALES[settings.scale]
    fit = FitSettings(**{**scale.fit.model_dump(exclude_defaults=True), **_overrides(settings.fit)})
    return replace(
        scale,
        prompts=settings.limit or scale.prompts,
        statements=settings.limit or scale.statements,
        new_tokens=settings.max_new_tokens or scale.new_tokens,
        fit=fit,
    )


def _overrides(fit: FitSettings) -> Mapping[str, Any]:
    """What was asked for: a command line gives all fields, so those that are not the default."""
    return fit.model_dump(exclude_defaults=True)


def _open(settings: ExperimentSettings, scale: RealScale, needs: Sequence[str]) -> Workshop:
    if settings.data is None:
        raise LimaError("--data is missing: the examples to tune on, JSON Lines (lima curate, lima import).")
    if "other" in needs and settings.other is None:
        raise LimaError("--other is missing: unfiltered examples to compare the data with.")
    base = Path(str(settings.model))
    if not base.is_dir():
        raise LimaError(
            f"--model {settings.model}: no such folder. Download the base first; its files are hashed."
        )
    other = settings.other if "other" in needs else None
    data = read_data(settings.data, other, scale, models.load_tokenizer(base))
    bands = sha256(settings.bands) if settings.bands else ""
    return Workshop(base, sha256(base, only=MODEL_FILES), data, scale, settings.out, bands)


def _collect(shop: Workshop, jobs: list[tuple[str, Arm, int]], finished: bool) -> dict[str, list[ArmResult]]:
    """The results by arm: of the finished ones, or of all, made where they are missing."""
    found: dict[str, list[ArmResult]] = {}
    for place, (name, arm, seed) in enumerate(jobs, start=1):
        result = read_result(shop.result_path(name, arm, seed))
        if result is None and not finished:
            console.note(f"job {place} of {len(jobs)}: {name}, seed {seed}")
            result = run_arm(shop, name, arm, seed)
        if result is not None:
            found.setdefault(name, []).append(result)
    if not found:
        raise LimaError(
            f"{shop.folder}: no arm is finished yet; without --finished the missing ones are made."
        )
    return found
