"""Personal data by form: example numbers of twenty countries, published test accounts and cards; and what is none."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from lima.cli import run
from lima.curate.text.personal import find_personal, redacted
from lima.files import read_jsonl
from lima.records import Example, Message, Reject

COUNTRIES = [
    "US",
    "GB",
    "DE",
    "FR",
    "ES",
    "IT",
    "NL",
    "AT",
    "CH",
    "BE",
    "SE",
    "DK",
    "NO",
    "FI",
    "PL",
    "PT",
    "IE",
    "IN",
    "AU",
    "BR",
]
ACCOUNTS = (  # examples of the IBAN registry
    "GB33BUKB20201555555555",
    "DE75512108001245126199",
    "FR7630006000011234567890189",
    "NL02ABNA0123456789",
    "ES7921000813610123456789",
    "IT60X0542811101000000123456",
    "CH5604835012345678009",
    "AT483200000012345864",
    "BE71096123456769",
    "PL10105000997603123456789123",
)
CARDS = (  # test cards that payment providers publish
    "4111111111111111",
    "5555555555554444",
    "378282246310005",
    "6011111111111117",
    "3530111333300000",
    "30569309025904",
    "5105105105105100",
)


def spaced(text: str, mark: str = " ") -> str:
    return mark.join(text[place : place + 4] for place in range(0, len(text), 4))


def kinds(text: str) -> list[str]:
    return [found.kind for found in find_personal(text)]


def test_numbers_of_twenty_countries() -> None:
    import phonenumbers
    from phonenumbers import PhoneNumberFormat, PhoneNumberType

    hits = []
    for country in COUNTRIES:
        for kind in (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE):
            number = phonenumbers.example_number_for_type(country, kind)
            if number is None:
                continue
            for form in (PhoneNumberFormat.INTERNATIONAL, PhoneNumberFormat.NATIONAL, PhoneNumberFormat.E164):
                written = phonenumbers.format_number(number, form)
                for frame in ("You can reach me at {} after five.", "My number is {}.", "Regards, Ann, {}"):
                    hits.append(kinds(frame.format(written)) == ["phone"])
    assert len(hits) > 300
    assert sum(hits) / len(hits) >= 0.95


@pytest.mark.parametrize("account", ACCOUNTS)
def test_bank_accounts(account: str) -> None:
    for text in (f"My IBAN is {account} thanks", f"Konto: {spaced(account)}, danke", spaced(account)):
        (found,) = find_personal(text)
        assert (found.kind, found.value) == ("iban", account)
    wrong = account[:-1] + str((int(account[-1]) + 1) % 10)
    assert "iban" not in kinds(f"IBAN {wrong}")


@pytest.mark.parametrize("card", CARDS)
def test_cards(card: str) -> None:
    for written in (card, spaced(card), spaced(card, "-")):
        assert kinds(f"You charged {written} twice.") == ["card"]
    assert kinds(f"Your order number {card} is on its way.") == []
    assert "card" not in kinds(card[:-1] + str((int(card[-1]) + 1) % 10))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("write to ann.fox+shop@mail.example.co.uk.", "ann.fox+shop@mail.example.co.uk"),
        ("(jürgen@müller.example)", "jürgen@müller.example"),
        ("mailto:a@b.io?subject=x", "a@b.io"),
    ],
)
def test_addresses(text: str, value: str) -> None:
    (found,) = find_personal(text)
    assert (found.kind, found.value) == ("email", value)


def test_an_old_card_needs_a_word_for_article_numbers_look_the_same() -> None:
    assert kinds("I paid with my Visa card 4222222222222.") == ["card"]
    assert kinds("Die Kreditkarte 4222 2222 2222 2 wurde belastet.") == ["card"]


@pytest.mark.parametrize("text", ["from 93.184.216.34 at noon", "from 2606:2800:220:1:248:1893:25c8:1946"])
def test_addresses_of_machines(text: str) -> None:
    assert kinds(text) == ["ip"]


@pytest.mark.parametrize(
    "text",
    [
        "by calling 1-800-375-5283.",
        "TTY: 1-888-232-6348.",
        "a hotline (1-800-784-2433)",
        "or 1-800-375-5283, free",
    ],
)
def test_numbers_with_the_prefix_that_is_dialled_first(text: str) -> None:
    assert kinds(text) == ["phone"]


@pytest.mark.parametrize(
    "text",
    [
        "Order 4711-0815-2233 arrived on 2024-05-03.",
        "Version 10.0.19041.1 fails, and so does 1.2.3.4",
        "Order number 123-456-7890",
        "Date 03/05/2024 10:12:45, between 10:30 and 11:45",
        "ISBN 978-3-16-148410-0, UPC 0 36000 29145 2",
        "4005595750394 is printed on the box, and EAN 4093806887346",
        "12 345 678 units at 1.299.000,00 EUR",
        "the router 192.168.1.1 with mask 255.255.255.0, and ::1",
        "error 0x80070057 on page 12-14",
        "#hash @mention user@localhost",
    ],
)
def test_what_is_no_personal_data(text: str) -> None:
    assert kinds(text) == []


def test_false_alarms_in_clean_tickets() -> None:
    """500 tickets with three numbers each, as shops write them: at most one in a hundred is taken for personal data."""
    random = np.random.default_rng(5)
    forms = [
        "order 9999-9999-9999",
        "order A99-999999",
        "invoice 2024-999999",
        "part 9999-99999-99",
        "serial A9A9-99999-9999",
        "version 9.9.9",
        "build 99.9.99999.9",
        "firmware v9.99.9.9",
        "on 2024-05-17",
        "on 21.05.2024",
        "on 9/05/2024 at 10:32",
        "9,999.99 USD",
        "9.999,99 EUR",
        "tracking 9Z 999 999 99 9999 9999",
        "order number 999 9999 99",
        "ISBN 978-9-99-999999-9",
        "ticket #99999999",
        "the code 999-999-999",
        "9999999999",
        "code 99 99 99 99",
        "article 999.999.99",
        "99999 units",
        "Kundennummer 99999999",
        "page 99-99",
        "99 x 99 x 99 mm",
        "9999-9999",
    ]

    def number() -> str:
        return "".join(
            str(random.integers(10)) if c == "9" else c for c in forms[random.integers(len(forms))]
        )

    alarms = sum(
        bool(kinds(f"It fails: {number()}. We saw {number()} and then {number()} too.")) for _ in range(500)
    )
    assert alarms <= 5


def test_placeholders_are_steady_within_an_example() -> None:
    messages = (
        Message(role="user", content="I am Ann@example.com, and bob@example.com pays. Call +1 202 555 0147."),
        Message(role="assistant", content="We wrote to bob@example.com and ann@example.com."),
    )
    example, counts = redacted(Example(id="1", source="s", messages=messages))
    assert [turn.content for turn in example.messages] == [
        "I am [EMAIL_1], and [EMAIL_2] pays. Call [PHONE_1].",
        "We wrote to [EMAIL_2] and [EMAIL_1].",
    ]
    assert counts == Counter({"email": 4, "phone": 1})
    assert redacted(example) == (example, Counter())


def _tickets(folder: Path) -> Path:
    """Three tickets; the third is short, so that a rule may quote it."""
    path = folder / "tickets.csv"
    path.write_text(
        "id,prompt,answer\n"
        "a,How do I reach you?,Write to help@example.com or call +44 20 7946 0123 whenever you like to.\n"
        "b,Where is my parcel?,It lies at the counter of the post office beside your house since noon.\n"
        "c,Who are you?,As an AI I cannot tell; ask ann@example.org instead of me in this case please.\n"
    )
    return path


def _curate(path: Path, out: Path, *flags: str) -> None:
    columns = ["--sources.own.columns.id", "id", "--sources.own.dev", "0", "--sources.own.test", "0"]
    run(["curate", "own-data", "--input", str(path), "--out", str(out), *columns, *flags])


def test_by_default_it_is_counted_and_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _curate(_tickets(tmp_path), tmp_path / "out")
    said = " ".join(capsys.readouterr().err.split())
    assert "1 with e-mail addresses, 1 with telephone numbers" in said
    assert "--pii redact" in said
    assert "| e-mail addresses | 1 |" in (tmp_path / "out" / "card.md").read_text()
    assert '"accepted with email": 1' in (tmp_path / "out" / "funnel.json").read_text()


def test_after_redaction_none_is_left_in_any_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _curate(_tickets(tmp_path), tmp_path / "out", "--pii", "redact")
    for path in (tmp_path / "out").rglob("*"):
        if path.is_file():
            assert "@example" not in path.read_text(), path
            assert "7946" not in path.read_text(), path
    assert "@example" not in capsys.readouterr().err
    (example,) = [row for row in read_jsonl(tmp_path / "out" / "train.jsonl", Example) if row.id == "own/a"]
    assert example.messages[1].content.startswith("Write to [EMAIL_1] or call [PHONE_1]")
    assert "personal data redacted" in example.meta.transforms


def test_examples_that_hold_it_are_dropped_by_name(tmp_path: Path) -> None:
    _curate(_tickets(tmp_path), tmp_path / "out", "--pii", "drop")
    rejected = {row.id: row for row in read_jsonl(tmp_path / "out" / "rejected.jsonl", Reject)}
    assert rejected["own/a"].rule == "personal-data"
    assert rejected["own/a"].reason == "it holds 1 email, 1 phone"


@pytest.mark.parametrize(
    "text",
    [
        "Call a::b from dead::beef, or fade::c0de.",
        "git clone git@github.com:someone/project.git",
        "npm i react@next.js, then y = a@b.dot(c) + w@x.sum(0)",
    ],
)
def test_code_holds_no_personal_data(text: str) -> None:
    assert find_personal(text) == []


@pytest.mark.parametrize(
    "address", ["ann@example.com", "legit@example.com.py", "a.fox+git@uni.example.js.org"]
)
def test_addresses_that_look_like_code_are_found(address: str) -> None:
    text = f"Write to {address}(work)."
    assert [text[found.start : found.end] for found in find_personal(text)] == [address]


def test_an_address_of_a_machine_is_found_in_both_versions() -> None:
    found = find_personal("From 2001:4860:4860::8888 and 93.184.216.34.")
    assert [one.value for one in found] == ["2001:4860:4860::8888", "93.184.216.34"]


def test_a_number_that_is_announced_once_goes_everywhere() -> None:
    told = "We will try 21 23 45 67 at noon, and open shelf 21 23 45."
    messages = (
        Message(role="user", content="Call me on 21 23 45 67."),
        Message(role="assistant", content=told),
    )
    row, _ = redacted(Example(id="t/1", source="t", messages=messages))
    assert row.messages[1].content == "We will try [PHONE_1] at noon, and open shelf 21 23 45."
