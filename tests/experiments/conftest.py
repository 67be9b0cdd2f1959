"""The default world, its tokenizer and its oracle, made once."""

import pytest

from lima.experiments.world.oracle import Oracle
from lima.experiments.world.people import World, make_world
from lima.experiments.world.settings import WorldSettings
from lima.experiments.world.tokenizer import make_tokenizer


@pytest.fixture(scope="session")
def world() -> World:
    return make_world(WorldSettings())


@pytest.fixture(scope="session")
def oracle(world: World) -> Oracle:
    return Oracle(world)


@pytest.fixture(scope="session")
def words():  # type: ignore[no-untyped-def]
    return make_tokenizer()
