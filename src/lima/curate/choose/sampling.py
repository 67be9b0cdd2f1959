"""Which stratum the next example is drawn from, and which set it goes to.

Exchanges are drawn with temperature tau = 3 (paper, section 2.1). Train, dev, test and held-out sets share no question and
no pair of authors.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from lima.curate.candidate import Candidate, Stratum
from lima.files import text_hash
from lima.records import Example

Split = Literal["train", "dev", "test", "heldout"]
SPLITS: tuple[Split, ...] = get_args(Split)


def weights(sizes: Sequence[int], tau: float) -> npt.NDArray[np.float64]:
    """Probabilities proportional to size^(1/tau): tau = 1 by size, a great tau evenly.

    >>> weights([1000, 1], tau=3).round(3).tolist()
    [0.909, 0.091]
    """
    powers = np.asarray(sizes, dtype=np.float64) ** (1.0 / tau)
    total: float = powers.sum()
    return powers / total


def generator(seed: int, *purpose: str) -> np.random.Generator:
    """A random generator of its own for every purpose, so that one draw never shifts another."""
    return np.random.default_rng(int(text_hash(str(seed), *purpose), 16))


def chance(seed: int, *purpose: str) -> float:
    """A number in [0, 1) that depends on nothing but the seed and the names: order does not matter."""
    return int(text_hash(str(seed), *purpose, length=13), 16) / 16**13


def fill(
    strata: Sequence[Stratum],
    passing: Callable[[Stratum], Iterator[Candidate]],
    quota: int,
    *,
    tau: float,
    random: np.random.Generator,
) -> Iterator[tuple[str, Candidate]]:
    """Draw strata until ``quota`` candidates are taken or every stratum is dry; yield each with its stratum's name.

    Each draw takes the next candidate of its stratum. A stratum that is dry, or at its limit, leaves, and the rest of the
    quota is spread over the others. A candidate is asked for only when the one before it has been dealt with.

    Args:
        strata: where to draw from.
        passing: the candidates of a stratum that may be taken, in their order.
        quota: how many to take.
        tau: see `weights`.
        random: draws the strata.
    """
    alive = sorted((stratum for stratum in strata if stratum.size > 0), key=lambda stratum: stratum.name)
    streams = {stratum.name: passing(stratum) for stratum in alive}
    taken: Counter[str] = Counter()
    while alive and taken.total() < quota:
        position = int(random.choice(len(alive), p=weights([s.size for s in alive], tau)))
        stratum = alive[position]
        full = stratum.limit is not None and taken[stratum.name] >= stratum.limit
        candidate = None if full else next(streams[stratum.name], None)
        if candidate is None:
            del alive[position]
        else:
            taken[stratum.name] += 1
            yield stratum.name, candidate


def split(
    examples: Sequence[Example],
    groups: Sequence[str],
    quotas: Mapping[Split, int],
    random: np.random.Generator,
) -> dict[Split, list[Example]]:
    """Deal examples to the sets at random, those of one group together; an example without a group is its own.

    When there are fewer than wanted, every set gets its share of them.
    """
    members: dict[str, list[Example]] = {}
    for example, group in sorted(zip(examples, groups, strict=True), key=lambda pair: pair[0].id):
        members.setdefault(group or example.id, []).append(example)
    together, rooms = list(members.values()), _rooms(len(examples), quotas)
    found: dict[Split, list[Example]] = {name: [] for name in SPLITS}
    for place in random.permutation(len(together)):
        some = together[place]
        # the first small set with room for all of them, else train
        name = next((name for name in SPLITS[1:] if rooms[name] >= len(some)), SPLITS[0])
        rooms[name] -= len(some)
        found[name] += some
    return found


def as_prompt(example: Example) -> Example:
    """The example without its last answer: what a test set shows to a model."""
    return example.model_copy(update={"messages": example.prompt})


def _rooms(number: int, quotas: Mapping[Split, int]) -> dict[Split, int]:
    """How many examples each set takes."""
    total = sum(quotas.values())
    rooms = {
        name: int(min(number, total) * (quotas.get(name, 0) / total)) if total else 0 for name in SPLITS[1:]
    }
    return {"train": number - sum(rooms.values()), **rooms}
