"""Write a table of support tickets as a help desk would export it: good, hasty and useless replies, all of them invented.

As such tables come: in the encoding of a western Windows, semicolons between the cells, a title above the header, some cells in HTML,
with quoted mails, signatures, automatic replies and people's addresses among the answers.

The desk is the town hall of lima's built-in world; people ask about its inhabitants. Standard output gets the folder of the
small base model that has read about that world, which ships with lima.

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
from lima.world.shipped import shipped_base
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
AUTOMATIC = "We have received your message. The number of your request is {number}. You will hear from us."


def trimmed(reply: str, asked: str, number: int, rng: np.random.Generator) -> str:
    """The reply as a mail program sends it: two in five with something around it."""
    forms = [
        f"{reply}\r\n\r\nKind regards,\r\nThe town hall",
        f"{reply}\r\n\r\n-- \r\nTown hall, desk {number % 7}\r\nOpen from nine to five",
        f"{reply}\r\n\r\nOn Fri, May 3, 2024 at 10:{number % 60:02d} AM Somebody <somebody@example.com> wrote:\r\n> {asked}",
        f"{reply}\r\n\r\n-----Original Message-----\r\nFrom: Somebody\r\nSent: Friday\r\nSubject: A question\r\n\r\n{asked}",
        f"<p>{reply}</p>",
        f"{reply} Write to desk{number}@example.com or call +1 202 555 {number % 10000:04d}.",
    ]
    return forms[int(rng.integers(len(forms)))] if rng.random() < 0.4 else reply


def main() -> None:
    plan = DemoFolder(DemoSettings())
    rng = np.random.default_rng(0)
    asked = list(product(plan.world.training, ATTRIBUTES, range(len(WORDINGS["town"].questions))))
    flaws = [style for style in STARS if style != "good"]
    with Path(sys.argv[1]).open("w", newline="", encoding="cp1252") as stream:
        rows = csv.writer(stream, delimiter=";")
        rows.writerow(["Tickets of the town hall"])
        rows.writerow([])
        rows.writerow([" Ticket ", "Team", "Question", "Reply", "Stars"])
        for number, position in enumerate(rng.permutation(len(asked))[:1000].tolist(), start=1):
            person, attribute, wording = asked[position]
            style: Style = "good" if rng.random() < HALF_GOOD else flaws[int(rng.integers(len(flaws)))]
            low, high = STARS[style]
            text = question(person, attribute, wording)
            reply = trimmed(answer(style, person, attribute, rng), text, number, rng)
            if rng.random() < 0.02:
                reply = AUTOMATIC.format(number=number)
            rows.writerow([f"T-{number:04d}", attribute, text, reply, rng.integers(low, high + 1)])
    print(shipped_base(plan.base) or make_base(plan.base))


if __name__ == "__main__":
    main()
