"""Which stratum the next example comes from (paper, section 2.1: exchanges with temperature tau = 3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from lima.curate.candidate import Candidate, Stratum
from lima.files import text_hash
from lima.records import Reject


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
    quota: int,
    accept: Callable[[Candidate | Reject, str], bool],
    *,
    tau: float,
    random: np.random.Generator,
) -> dict[str, list[Candidate]]:
    """Draw strata until ``quota`` candidates are accepted or every stratum is dry.

    Each draw takes the next acceptable candidate of its stratum. A stratum that is dry, or at its limit,
    leaves, and the rest of the quota is spread over the others.

    Returns:
        The accepted candidates by stratum, in the order in which they were taken.
    """
    alive = sorted((stratum for stratum in strata if stratum.size > 0), key=lambda stratum: stratum.name)
    taken: dict[str, list[Candidate]] = {stratum.name: [] for stratum in alive}
    while alive and sum(map(len, taken.values())) < quota:
        position = int(random.choice(len(alive), p=weights([s.size for s in alive], tau)))
        stratum = alive[position]
        full = stratum.limit is not None and len(taken[stratum.name]) >= stratum.limit
        candidate = None if full else _next(stratum, accept)
        if candidate is None:
            del alive[position]
        else:
            taken[stratum.name].append(candidate)
    return taken


def _next(stratum: Stratum, accept: Callable[[Candidate | Reject, str], bool]) -> Candidate | None:
    for candidate in stratum.candidates:
        if accept(candidate, stratum.name):
            assert isinstance(candidate, Candidate), candidate
            return candidate
    return None
