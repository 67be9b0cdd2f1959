"""How long a job trains, in steps of 16 examples, and after which epochs it is measured."""

from __future__ import annotations

import math

BATCH = 16


def steps_for(examples: int, epochs: int = 3, least: int = 160) -> int:
    """Steps of some epochs, but not too few: end of turn is a new token, which takes some 150 steps to learn.

    >>> steps_for(128), steps_for(1000)
    (160, 189)
    """
    return max(least, epochs * math.ceil(examples / BATCH))


def epochs(examples: int, steps: int) -> list[int]:
    """The epochs that are measured where a job is measured by epoch: at most six, evenly spread, the last too.

    >>> epochs(512, 480)
    [1, 3, 6, 9, 12, 15]
    """
    last = math.ceil(steps / math.ceil(examples / BATCH))
    return sorted({max(1, round(last * part / 5)) for part in range(6)})
