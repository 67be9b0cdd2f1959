"""``python -m lima.experiments.demo.ship``: the demo's pretrained base becomes the one that ships. For developers, after a change of the world."""

from __future__ import annotations

from pathlib import Path

from lima.experiments.demo.demo import DemoFolder
from lima.experiments.demo.settings import DemoSettings
from lima.world.shipped import ship

if __name__ == "__main__":
    ship(DemoFolder(DemoSettings(out=Path("unused"))).base, command="lima demo --pretrain")
