"""Invented tickets as a help desk exports them, with personal data of published test forms in every column."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from tests.curate.test_personal import COUNTRIES

ACCOUNTS = ("GB33BUKB20201555555555", "DE75512108001245126199", "FR7630006000011234567890189")
CARDS = ("4111111111111111", "5555555555554444", "378282246310005")
MACHINES = ("93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946")


def planted() -> list[str]:
    """Values that a redacted folder must not hold in any file."""
    import phonenumbers

    form = phonenumbers.PhoneNumberFormat.INTERNATIONAL
    numbers = (phonenumbers.example_number(country) for country in COUNTRIES)
    phones = [phonenumbers.format_number(number, form) for number in numbers if number is not None]
    spaced = [" ".join(card[place : place + 4] for place in range(0, len(card), 4)) for card in CARDS]
    mails = [f"customer{number}@mail{number}.example" for number in range(20)]
    return [*mails, *phones, *ACCOUNTS, *CARDS, *spaced, *MACHINES]


def write_tickets(path: Path, count: int = 80, seed: int = 0) -> list[str]:
    """Semicolons, cp1252, a title, HTML, quoted mails, signatures; returns what was planted."""
    rng, values = np.random.default_rng(seed), planted()
    with path.open("w", newline="", encoding="cp1252") as stream:
        rows = csv.writer(stream, delimiter=";")
        rows.writerow(["Tickets of the workshop"])
        rows.writerow([])
        rows.writerow([" Ticket ", "Team", "Question", "Reply"])
        for number in range(count):
            asked, told, team, key = _ticket(number, values[number % len(values)], rng)
            rows.writerow([key, team, asked, told])
    return values


def _ticket(number: int, value: str, rng: np.random.Generator) -> tuple[str, str, str, str]:
    part = f"{'abcdefghij'[number % 10]}{'klmnopqrst'[number // 10 % 10]}"
    asked, told = (
        f"How do I mend part {part} of machine {number}?",
        f"Take out {part}, wait {number} s, put it in.",
    )
    forms = [
        (asked, f"{told}\r\n\r\nKind regards,\r\nAnn, {value}"),
        (asked, f"{told}\r\n\r\nOn Fri, May 3, 2024 at 10:30 AM Sam <{value}> wrote:\r\n> {asked}"),
        (f"{asked} Reach me at {value}.", f"<p>{told} We wrote to <b>{value}</b>.</p>"),
        (asked, f"{told} Or tell us at {value}."),
        (f"I am {value}. {asked}", told),
        (asked, f"We have received your message about {value}. You will hear from us."),
        (asked, "No."),
        (asked, f"As mentioned above by {value}, {told}"),
    ]
    question, reply = forms[int(rng.integers(len(forms)))]
    key = value if number % 9 == 4 else f"T-{number}"
    return question, reply, value if number % 7 == 3 else "desk", key
