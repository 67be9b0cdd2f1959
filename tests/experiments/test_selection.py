"""What `lima select` takes of the world's pools, whose best choice is known."""

from collections import Counter
from pathlib import Path

import pytest

from lima import model
from lima.experiments.claims.data import make_data
from lima.experiments.claims.examples import COPIES, POOL, STYLES, ZIPF
from lima.experiments.claims.jobs import DataSettings
from lima.experiments.claims.selection import WAYS
from lima.records import Example
from lima.world.base import untrained
from lima.world.people import World
from lima.world.settings import BaseSettings
from lima.world.tokenizer import make_tokenizer

CHOICE = DataSettings(examples=60, pool=POOL, styles=STYLES, zipf=ZIPF, copies=COPIES)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    model.save(untrained(BaseSettings(layers=1, hidden=16, heads=2)), make_tokenizer(), folder)
    return folder


def _kind(example: Example) -> str:
    return example.id.split("/")[1]


def test_the_pool_has_rare_kinds_and_copies(world: World, base: Path, tmp_path: Path) -> None:
    whole = CHOICE.model_copy(update={"examples": POOL})
    data = make_data(world, whole, 0, base=base, folder=tmp_path)
    assert len(data.examples) == POOL
    assert len({row.messages for row in data.examples}) <= (1 - COPIES) * POOL
    (_, most), *_, (_, fewest) = Counter(map(_kind, data.examples)).most_common()
    assert most > 5 * fewest > 0
    assert {row.meta.score for row in data.examples} == {1, 2, 3, 4, 5}


@pytest.mark.parametrize("how", WAYS)
def test_a_way_is_repeatable_and_its_cost_is_counted(
    how: str, world: World, base: Path, tmp_path: Path
) -> None:
    wanted = CHOICE.model_copy(update={"selector": how})
    first, again = (make_data(world, wanted, 3, base=base, folder=tmp_path / name) for name in ("one", "two"))
    assert [row.id for row in first.examples] == [row.id for row in again.examples]
    assert len({row.id for row in first.examples}) == 60
    (tokens,) = first.measures["tokens read"].values
    assert (tokens > 0) == (how in ("ifd", "rds"))


def test_votes_find_good_answers_and_length_does_not(world: World, base: Path, tmp_path: Path) -> None:
    """Of five stars are 20 % of the pool good answers and 7 % others; the longest answers are the rambling ones."""

    def precision(how: str) -> float:
        wanted = CHOICE.model_copy(update={"selector": how})
        data = make_data(world, wanted, 0, base=base, folder=tmp_path / how.replace(" ", "-"))
        return sum(data.measures["precision"].values) / 60

    assert precision("longest") == 0
    assert 0.2 < precision("random") < 0.6
    assert precision("quality (votes)") > precision("random")


def test_diversity_takes_no_copy(world: World, base: Path, tmp_path: Path) -> None:
    wanted = CHOICE.model_copy(update={"selector": "diverse"})
    data = make_data(world, wanted, 0, base=base, folder=tmp_path)
    assert data.measures["different"].values == (1.0,)
