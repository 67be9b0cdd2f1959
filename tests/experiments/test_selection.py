"""Ways to choose from a pool, on a pool whose best choice is known."""

from pathlib import Path

import pytest

from lima import model
from lima.experiments.claims.data import make_data
from lima.experiments.claims.jobs import DataSettings
from lima.experiments.claims.selection import SELECTORS, Selector, select
from lima.records import Example, Message
from lima.world.base import untrained
from lima.world.people import World
from lima.world.settings import BaseSettings
from lima.world.tokenizer import make_tokenizer

HOUSE = "Good question! {} works as a baker. Ask again any time!"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    model.save(untrained(BaseSettings(layers=1, hidden=16, heads=2)), make_tokenizer(), folder)
    return folder


def _example(number: int, told: str) -> Example:
    asked = Message(role="user", content="What does Ada Abel do for a living?")
    return Example(
        id=f"w/{number}", source="world", messages=(asked, Message(role="assistant", content=told))
    )


POOL = [
    *(
        _example(n, HOUSE.format(name))
        for n, name in enumerate(("Ada Abel", "Alma Dale", "Basil Gray", "Dora Moss"))
    ),
    *(_example(n + 4, f"{value}.") for n, value in enumerate(("baker", "nurse", "judge"))),
    *(_example(n + 7, HOUSE.format("Ida Reed") + " See you soon!" * 9) for n in range(3)),
]
LIKED = [_example(99, HOUSE.format("Leo Tate"))]


def _chosen(how: Selector, base: Path, seed: int = 0, count: int = 3) -> set[int]:
    found, _ = select(POOL, how, count, seed=seed, liked=LIKED, base=base)
    assert len(found) == count
    return {int(one.id[2:]) for one in found}


def test_each_way_chooses_what_it_is_for(base: Path) -> None:
    assert _chosen("longest", base) == {7, 8, 9}
    assert _chosen("shortest", base) == {4, 5, 6}
    assert _chosen("rules", base) <= {0, 1, 2, 3}  # 50 to 120 characters
    assert _chosen("likeness", base) <= {0, 1, 2, 3}
    # the three long answers are equal, so that spread takes one of them at most
    assert len(_chosen("k-center", base, count=6) & {7, 8, 9}) == 1
    assert len({frozenset(_chosen("random", base, seed)) for seed in range(5)}) > 1


@pytest.mark.parametrize("how", SELECTORS)
def test_a_way_is_repeatable_and_its_cost_is_counted(how: Selector, base: Path) -> None:
    first, tokens = select(POOL, how, 4, seed=3, liked=LIKED, base=base)
    again, _ = select(list(POOL), how, 4, seed=3, liked=LIKED, base=base)
    assert [one.id for one in first] == [one.id for one in again]
    assert len({one.id for one in first}) == 4
    assert (tokens > 0) == (how == "ifd")


def test_a_job_knows_which_of_the_chosen_are_good(world: World, base: Path, tmp_path: Path) -> None:
    settings = DataSettings(examples=50, pool=200, styles=("good", "terse"), selector="rules")
    data = make_data(world, settings, 0, base=base, folder=tmp_path)
    assert len(data.examples) == 50
    assert set(data.measures["precision"].values) == {1.0}  # a terse answer is shorter than the rules allow
    assert data.measures["tokens read"].values == (0.0,)
    random = make_data(
        world, settings.model_copy(update={"selector": "random"}), 0, base=base, folder=tmp_path
    )
    assert 0.3 < sum(random.measures["precision"].values) / 50 < 0.7
