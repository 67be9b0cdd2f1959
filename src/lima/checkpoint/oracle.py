"""A rule that knows right answers, as the rater of ``lima checkpoint``: the built-in world's, or a function of your own."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

from lima.checkpoint.settings import Scale
from lima.errors import LimaError
from lima.evaluate.study import Study, add_grades
from lima.files import text_hash
from lima.fingerprint import code_hash
from lima.records import SCALE_VALUES, Grade, Item, Rater

Mark: TypeAlias = Callable[[str, str], str | int]
"""From the last question and the answer to a value of the scale."""
WORLD = "world"


@dataclass(frozen=True)
class RatingRule:
    """A rule with a hash of the code that it is written in."""

    mark: Mark
    hash: str


def find_oracle(name: str) -> RatingRule:
    """The function that ``world``, ``world:SEED`` or ``module:function`` names; modules of the current folder are found.

    Raises:
        LimaError: there is none.
    """
    module, _, function = name.partition(":")
    if module == WORLD and (not function or function.isdigit()):
        return _world(int(function or 0))
    missing = LimaError(
        f"--oracle {name}: expected world, world:SEED or module:function, a function of a question and an answer."
    )
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        code = importlib.import_module(module)
    except ImportError as error:
        raise LimaError(f"--oracle {name}: {error}.") from None
    except Exception as error:
        raise LimaError(
            f"--oracle {name}: the module cannot be read ({type(error).__name__}: {error})."
        ) from error
    found: Mark | None = getattr(code, function or "grade", None)
    if not callable(found):
        raise missing
    return RatingRule(found, _hash(code))


def rate(study: Study, name: str, scale: Scale) -> str:
    """Grade every answer of the study that has no grade yet by this oracle; returns the rater's id.

    Raises:
        LimaError: no such oracle, or it gave something that is no value of the scale.
    """
    oracle = find_oracle(name)
    rater = Rater(id=f"oracle:{name}@{oracle.hash}", kind="oracle", description=f"The function {name}.")
    add_grades(study, rater, [_grade(oracle.mark, rater, scale, item) for item in study.read_items()])
    return rater.id


def _grade(mark: Mark, rater: Rater, scale: Scale, item: Item) -> Grade:
    try:
        value = mark(item.messages[-1].content, item.content)
    except LimaError:
        raise
    except Exception as error:
        raise LimaError(f"{rater.id} failed on {item.id} ({type(error).__name__}: {error}).") from error
    if value not in SCALE_VALUES[scale]:
        offered = ", ".join(map(str, SCALE_VALUES[scale]))
        raise LimaError(f"{rater.id} gave {value!r} for {item.id}; {scale} is one of {offered}.")
    return Grade(
        id=f"{rater.id}/{scale}/{item.id}", item_id=item.id, rater=rater.id, scale=scale, value=value
    )


def _hash(module: ModuleType) -> str:
    """Of the module and of what it imports beside it, so that grades of a changed rule do not pass for the former's.

    Installed packages that it imports are not part of it.
    """
    if module.__file__ is None:
        return text_hash(module.__name__, length=8)
    place = Path(module.__file__)
    root = place.parents[module.__name__.count(".") + (place.name == "__init__.py")]
    package = "" if root == Path.cwd() else module.__name__.partition(".")[0]
    return code_hash(module.__name__, root, package)[:8]


def _world(seed: int) -> RatingRule:
    from lima.world import oracle, people
    from lima.world.settings import WorldSettings

    knows = oracle.Oracle(people.make_world(WorldSettings(seed=seed)))
    return RatingRule(
        lambda question, answer: knows.score(question, answer).grade, code_hash(oracle.__name__)[:8]
    )
