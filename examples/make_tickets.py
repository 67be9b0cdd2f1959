"""Write a table of support tickets, as a help desk would export it: good, hasty and useless replies, all of them invented.

The desk is the town hall of lima's built-in world; people ask about its inhabitants. Standard output gets the folder of a
small base model that has read about that world (made on the first call, in some minutes, and kept).

    python examples/make_tickets.py tickets.csv
"""

import csv
import sys
from itertools import product
from pathlib import Path

import numpy as np

from lima.experiments.demo.demo import DemoFolder
from lima.experiments.demo.settings import DemoSettings
from lima.world.base import make_base
from lima.world.people import ATTRIBUTES
from lima.world.wordings import WORDINGS, Style, answer, question

STARS: dict[Style, tuple[int, int]] = {
    "good": (4, 5),
    "terse": (3, 5),
    "first-person": (4, 5),
    "referring": (4, 5),
    "wrong": (1, 2),
    "refusal": (1, 3),
}
"""What the desk's customers give for each kind of reply."""
HALF_GOOD = 0.6


def main() -> None:
    plan = DemoFolder(DemoSettings())
    rng = np.random.default_rng(0)
    asked = list(product(plan.world.training, ATTRIBUTES, range(len(WORDINGS["town"].questions))))
    flaws = [style for style in STARS if style != "good"]
    with Path(sys.argv[1]).open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(["ticket", "team", "question", "reply", "stars"])
        for number, position in enumerate(rng.permutation(len(asked))[:1000].tolist(), start=1):
            person, attribute, wording = asked[position]
            style: Style = "good" if rng.random() < HALF_GOOD else flaws[int(rng.integers(len(flaws)))]
            low, high = STARS[style]
            reply = answer(style, person, attribute, rng)
            rows.writerow(
                [
                    f"T-{number:04d}",
                    attribute,
                    question(person, attribute, wording),
                    reply,
                    rng.integers(low, high + 1),
                ]
            )
    print(make_base(plan.base))


if __name__ == "__main__":
    main()
