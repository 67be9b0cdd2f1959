"""A rule that knows right answers, as the rater of ``lima checkpoint``: the built-in world's, or a function of your own."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from lima.errors import LimaError
from lima.evaluate.study import Study, add_grades
from lima.experiments.checkpoint_settings import Scale
from lima.files import text_hash
from lima.records import SCALE_VALUES, Grade, Item, Rater

Mark: TypeAlias = Callable[[str, str], str | int]
"""From the last question and the answer to a value of the scale."""
WORLD = "world"


def find_oracle(name: str) -> Mark:
    """The function that ``world``, ``world:SEED`` or ``module:function`` names; modules of the current folder are found.

    Raises:
        LimaError: there is none.
    """
    module, _, function = name.partition(":")
    if module == WORLD and (not function or function.isdigit()):
        return _world(int(function or 0))
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Mark | None = getattr(importlib.import_module(module), function or "grade", None)
    except ImportError as error:
        raise LimaError(f"--oracle {name}: {error}.") from None
    if not callable(found):
        raise LimaError(
            f"--oracle {name}: expected world, world:SEED or module:function, a function of a question and an answer."
        )
    return found


def rate(study: Study, name: str, scale: Scale) -> str:
    """Grade every answer of the study that has no grade yet by this oracle; returns the rater's id.

    Raises:
        LimaError: no such oracle, or it gave something that is no value of the scale.
    """
    mark = find_oracle(name)
    rater = Rater(id=f"oracle:{name}@{_hash(mark)}", kind="oracle", description=f"The function {name}.")
    add_grades(study, rater, [_grade(mark, rater, scale, item) for item in study.read_items()])
    return rater.id


def _grade(mark: Mark, rater: Rater, scale: Scale, item: Item) -> Grade:
    value = mark(item.messages[-1].content, item.content)
    if value not in SCALE_VALUES[scale]:
        offered = ", ".join(map(str, SCALE_VALUES[scale]))
        raise LimaError(f"{rater.id} gave {value!r} for {item.id}; {scale} is one of {offered}.")
    return Grade(
        id=f"{rater.id}/{scale}/{item.id}", item_id=item.id, rater=rater.id, scale=scale, value=value
    )


def _hash(mark: Mark) -> str:
    """Of the function's source, so that grades of a changed rule never pass for those of the former."""
    try:
        return text_hash(inspect.getsource(mark), length=8)
    except (OSError, TypeError):  # a function without source, such as a built-in one
        return text_hash(repr(mark), length=8)


def _world(seed: int) -> Mark:
    from lima.experiments.world.oracle import Oracle
    from lima.experiments.world.people import make_world
    from lima.experiments.world.settings import WorldSettings

    oracle = Oracle(make_world(WorldSettings(seed=seed)))
    return lambda question, answer: oracle.score(question, answer).grade
