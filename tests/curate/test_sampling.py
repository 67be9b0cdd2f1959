"""The draw over strata: its law, redistribution, limits; and the splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

from lima.curate.candidate import (
    SPLITS,
    Candidate,
    Split,
    Stratum,
    as_prompt,
    chance,
    fill,
    generator,
    split,
    weights,
)
from lima.records import Example, Message


def candidate(identifier: str) -> Candidate:
    messages = (Message(role="user", content="q"), Message(role="assistant", content="a"))
    return Candidate(Example(id=identifier, source="x", messages=messages))


def stratum(name: str, size: int, limit: int | None = None) -> Stratum:
    def candidates() -> Iterator[Candidate]:
        for number in range(size):
            yield candidate(f"{name}/{number}")

    return Stratum(name, size, candidates(), limit)


def every(stratum: Stratum) -> Iterator[Candidate]:
    return (item for item in stratum.candidates if isinstance(item, Candidate))


def take(strata: list[Stratum], quota: int, tau: float = 3.0, seed: int = 0) -> dict[str, int]:
    return Counter(name for name, _ in fill(strata, every, quota, tau=tau, random=generator(seed)))


def test_weights() -> None:
    """8^(1/3) : 1 = 2 : 1; tau = 1 is by size, a great tau even."""
    assert weights([8, 1], 3).tolist() == pytest.approx([2 / 3, 1 / 3])
    assert weights([8, 1], 1).tolist() == pytest.approx([8 / 9, 1 / 9])
    assert weights([8, 1], 1e9).tolist() == pytest.approx([0.5, 0.5])


def test_draws_follow_the_weights() -> None:
    """Sizes 8000 : 1000 at tau = 3 give 2 : 1; 900 draws have a standard deviation of 14."""
    taken = take([stratum("a", 8000), stratum("b", 1000)], 900)
    assert sum(taken.values()) == 900
    assert abs(taken["a"] - 600) < 4 * 14.2


def test_a_dry_stratum_leaves_its_share_to_the_others() -> None:
    assert take([stratum("a", 100), stratum("b", 3), stratum("c", 0)], 60) == {"a": 57, "b": 3}
    assert take([stratum("a", 4), stratum("b", 3)], 60) == {"a": 4, "b": 3}


def test_a_limit_holds() -> None:
    assert take([stratum("a", 9, limit=1), stratum("b", 9, limit=1)], 5) == {"a": 1, "b": 1}


def test_the_order_of_strata_makes_no_difference() -> None:
    strata = [("a", 50), ("b", 20), ("c", 5)]
    first = take([stratum(*s) for s in strata], 30)
    assert first == take([stratum(*s) for s in reversed(strata)], 30)
    assert first != take([stratum(*s) for s in strata], 30, seed=1)


def test_refused_candidates_do_not_count() -> None:
    seen: list[str] = []

    def odd(stratum: Stratum) -> Iterator[Candidate]:
        for item in every(stratum):
            seen.append(item.id)
            if int(item.id.split("/")[1]) % 2 == 1:
                yield item

    taken = fill([stratum("a", 10)], odd, 3, tau=3, random=generator(0))
    assert [(name, c.id) for name, c in taken] == [("a", "a/1"), ("a", "a/3"), ("a", "a/5")]
    assert seen == [f"a/{n}" for n in range(6)], "nothing is decoded beyond the quota"


def test_chance_is_uniform_and_depends_on_names_alone() -> None:
    draws = np.array([chance(0, "prompt", str(n)) for n in range(2000)])
    assert chance(0, "prompt", "7") == draws[7]
    assert abs(draws.mean() - 0.5) < 4 * 0.2887 / 2000**0.5
    assert (draws >= 0).all()
    assert (draws < 1).all()


def deal(groups: dict[str, str], quotas: dict[Split, int]) -> dict[Split, list[Example]]:
    """Examples by id, with the group of each."""
    return split([candidate(name).example for name in groups], list(groups.values()), quotas, generator(0))


def test_splits_have_their_sizes_and_share_nothing() -> None:
    found = deal({f"x/{n}": "" for n in range(100)}, {"train": 80, "dev": 15, "test": 5})
    assert {name: len(rows) for name, rows in found.items()} == {
        "train": 80,
        "dev": 15,
        "test": 5,
        "heldout": 0,
    }
    assert len({row.id for rows in found.values() for row in rows}) == 100


def test_groups_stay_together() -> None:
    found = deal({f"x/{n}": f"pair {n // 3}" for n in range(60)}, {"train": 40, "dev": 10, "heldout": 10})
    homes = Counter((name, int(row.id[2:]) // 3) for name in SPLITS for row in found[name])
    assert set(homes.values()) == {3}
    assert len(found["dev"]) == len(found["heldout"]) == 9


def test_when_few_are_accepted_each_set_gets_its_share() -> None:
    found = deal({f"x/{n}": "" for n in range(10)}, {"train": 80, "dev": 20})
    assert (len(found["train"]), len(found["dev"])) == (8, 2)


def test_as_prompt_leaves_the_answer_out() -> None:
    assert [m.role for m in as_prompt(candidate("x/1").example).messages] == ["user"]
