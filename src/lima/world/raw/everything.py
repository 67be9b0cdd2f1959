"""All raw dumps of a world in one folder, as ``lima curate world-all`` reads it."""

from __future__ import annotations

from pathlib import Path

from lima.world.people import World
from lima.world.raw.articles import write_articles
from lima.world.raw.handwritten import write_handwritten
from lima.world.raw.planted import Planted
from lima.world.raw.posts import write_secrets, write_stories
from lima.world.raw.sites import write_sites
from lima.world.raw.tasks import write_tasks

RECIPE = "world-all"


def write_dumps(world: World, folder: Path, seed: int = 0) -> dict[str, Planted]:
    """Write everything and return, by the recipe's sources, what was planted; curation itself never sees that.

    The same world and seed give the same bytes. Every text is about the training people alone.
    """
    return {
        "forum": write_sites(world, folder / "sites", seed),
        "how-to": write_articles(world, folder / "wikihow", seed),
        "stories": write_stories(world, folder / "reddit", seed),
        "secrets": write_secrets(world, folder / "reddit", seed),
        "tasks": write_tasks(world, folder / "super-ni", seed),
        "authored": write_handwritten(world, folder / "authored", seed),
    }
