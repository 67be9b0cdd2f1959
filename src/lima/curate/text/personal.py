"""Personal data in a text: e-mail addresses, telephone numbers, bank accounts, payment cards, IP addresses.

Found by form and check digits (phonenumbers, python-stdnum), so that an order number, a version or a date is none. Names and
street addresses have no form; they need a model, and are not looked for. Placeholders are consistent within an example:
``[EMAIL_1]`` in the answer is ``[EMAIL_1]`` of the question.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal, get_args

from lima.curate.candidate import Candidate, Item
from lima.curate.text.clean import prose_of
from lima.files import text_hash
from lima.records import Cut, Example, Meta, Reject

Kind = Literal["email", "phone", "iban", "card", "ip"]
KINDS: tuple[Kind, ...] = get_args(Kind)
WORDS: Mapping[Kind, str] = {
    "email": "e-mail addresses",
    "phone": "telephone numbers",
    "iban": "bank accounts",
    "card": "payment cards",
    "ip": "IP addresses",
}
REGIONS = (
    "US", "GB", "DE", "FR", "ES", "IT", "NL", "AT", "CH", "BE", "SE", "DK", "NO", "FI", "PL", "PT", "IE",
    "IN", "AU", "BR", "JP",
)  # fmt: skip
"""Countries whose national forms of telephone numbers are known by default."""

EMAIL = re.compile(
    r"(?<!\w)(?!git@)[\w.!#$%&'*+/=?^`{|}~-]+@(?:[^\W_](?:[\w-]*[^\W_])?\.)+"
    r"(?!(?:[jt]sx?|[cm]js|tgz|git)\b|(?:dot|sum|mean|min|max|std|reshape|transpose|conj|astype|numpy)\()[^\W\d_]{2,24}\b",
    re.UNICODE,
)
"""Not the ``git@`` of repositories, a package at a version (``react@next.js``), or a product of matrices (``a@b.dot(c)``)."""
IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?:[ \u00a0-]?[A-Z0-9]{1,4}){3,8}\b", re.IGNORECASE)
CARD = re.compile(r"(?<![\w.-])\d(?:[ \u00a0-]?\d){11,18}(?![\w-]|\.\d)")
IP = re.compile(
    r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\w)|(?<![\w:])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{0,4}(?![\w:])"
)
DIGITS = re.compile(r"\d(?:[^\w\n]{0,3}\d){5}")
"""At least six digits close to each other: only then a telephone number is looked for."""
CALLED = re.compile(
    r"(?i)\b(?:tel|phone|telephone|telefon(?:nummer)?|téléphone|teléfono|telefono|fon|mobile?|mobil(?:nummer)?|handy(?:nummer)?|cell|fax|tty|dial(?:l?ing)?|call(?:ing)?|"
    r"ring|reach|contact|number is|numero è|número es|numéro est|nummer ist|erreich\w*|whatsapp|rufnummer|durchwahl|portable|móvil|cellulare|hotline|sms|text me)\b\W{0,3}(?:\w+\W{1,3}){0,4}$"
)
"""Words just before a number that make it one to call."""
NUMBERED = re.compile(
    r"(?i)(?:\b(?:order|invoice|ticket|code|pin|otp|key|zip|plz|case|ref(?:erence)?|tracking|serial|sku|ean|gtin|upc|imei|barcode|part|article|item|model|version|build|release|firmware|"
    r"bestellung|bestellnummer|rechnung(?:snummer)?|kundennummer|auftrag(?:snummer)?|seriennummer|artikel(?:nummer)?|vorgang|nr|no|id|"
    r"commande|facture|pedido|factura|ordine|fattura)\b[.:]?|#)\W{0,4}(?:\w+\W{1,3}){0,2}$"
)
"""Words just before a number that make it something of the shop's."""
LOOK_BACK = 40
GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
"""All that is assigned to machines (RFC 4291, IANA); outside of it C++ has names such as ``dead::beef``."""
CARD_FORMS = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}"
    r"|6(?:011|5\d\d|4[4-9]\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}|62\d{14,17}|(?:5018|5020|5038|6304|6759|676[1-3])\d{8,15}"
)
"""Prefixes and lengths of Visa, Mastercard, Amex, Diners, Discover, JCB, UnionPay and Maestro (ISO/IEC 7812)."""
OLD_VISA = 13
"""Digits of Visa's cards until the nineties, and of article numbers (EAN) today: such a card needs a word before it."""
CARD_WORDS = re.compile(
    r"(?i)(?:\b(?:visa|credit)|card|karte|carte|tarjeta|carta)\w*\W{0,3}(?:\w+\W{1,3}){0,3}$"
)


@dataclass(frozen=True, order=True)
class Found:
    """One piece of personal data and where it stands."""

    start: int
    end: int
    kind: Kind
    value: str
    """Its digits or letters alone: the same address written twice is one."""


def find_personal(
    text: str, *, kinds: Iterable[Kind] = KINDS, regions: Sequence[str] = REGIONS
) -> list[Found]:
    """All personal data of these kinds, in order, none within another."""
    return list(_found(text, frozenset(kinds), tuple(regions)))


@lru_cache(maxsize=8192)
def _found(text: str, wanted: frozenset[Kind], regions: tuple[str, ...]) -> tuple[Found, ...]:
    """As `find_personal`; a run asks for a text when it is accepted, when it is counted, and when it is marked."""
    taken: list[Found] = []
    for kind, finder in (("email", _emails), ("iban", _ibans), ("card", _cards), ("ip", _ips)):
        if kind in wanted:
            taken += [found for found in finder(text) if not _overlaps(found, taken)]
    if "phone" in wanted and DIGITS.search(text):
        taken += [found for found in _phones(text, regions) if not _overlaps(found, taken)]
    return tuple(sorted(taken))


class _Placeholders:
    """Puts placeholders into texts; the same value has the same one in all of them."""

    def __init__(self, kinds: Iterable[Kind], regions: Sequence[str]) -> None:
        self.counts: Counter[Kind] = Counter()
        self._kinds, self._regions = tuple(kinds), regions
        self._names: dict[tuple[Kind, str], str] = {}
        self._known: dict[str, tuple[Kind, str]] = {}

    def learn(self, texts: Iterable[str]) -> None:
        """What is personal in one text is so in all: a number that a word announces stands elsewhere without that word."""
        for text in texts:
            for found in find_personal(text, kinds=self._kinds, regions=self._regions):
                self._known[text[found.start : found.end]] = found.kind, found.value

    def _found(self, text: str) -> list[Found]:
        taken = find_personal(text, kinds=self._kinds, regions=self._regions)
        for written, (kind, value) in self._known.items():
            for match in re.finditer(rf"(?<!\w){re.escape(written)}(?!\w)", text):
                again = Found(match.start(), match.end(), kind, value)
                taken = [
                    one for one in taken if one.start < again.start or again.end < one.end
                ]  # parts of it
                taken += [] if _overlaps(again, taken) else [again]
        return sorted(taken)

    def text(self, text: str) -> str:
        """The text without personal data."""
        parts, place = [], 0
        for found in self._found(text):
            number = 1 + sum(kind == found.kind for kind, _ in self._names)
            name = self._names.setdefault((found.kind, found.value), f"[{found.kind.upper()}_{number}]")
            self.counts[found.kind] += 1
            parts += [text[place : found.start], name]
            place = found.end
        return "".join([*parts, text[place:]])

    def value(self, value: Any) -> Any:
        """Any value of JSON, all its texts without personal data."""
        if isinstance(value, dict):
            return {name: self.value(part) for name, part in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(part) for part in value]
        return self.text(value) if isinstance(value, str) else value


def redacted(
    example: Example, *, kinds: Iterable[Kind] = KINDS, regions: Sequence[str] = REGIONS
) -> tuple[Example, Counter[Kind]]:
    """The example with placeholders, and how much of each kind was in its messages; its id and ``meta`` are redacted too."""
    return _redacted(example, _Placeholders(kinds, regions), regions)


def redacted_with_cuts(
    example: Example, cuts: Sequence[Cut], regions: Sequence[str] = REGIONS
) -> tuple[Example, Counter[Kind], tuple[Cut, ...]]:
    """As `redacted`; what was cut out of the example has the same placeholders, and is not counted."""
    places = _Placeholders(KINDS, regions)
    places.learn(text for cut in cuts for text in (cut.text, cut.instead))
    clean, counts = _redacted(example, places, regions)
    texts = ({"text": places.text(cut.text), "instead": places.text(cut.instead)} for cut in cuts)
    return clean, counts, tuple(cut.model_copy(update=new) for cut, new in zip(cuts, texts, strict=True))


def _redacted(
    example: Example, places: _Placeholders, regions: Sequence[str]
) -> tuple[Example, Counter[Kind]]:
    places.learn(turn.content for turn in example.messages)
    messages = tuple(
        turn.model_copy(update={"content": places.text(turn.content)}) for turn in example.messages
    )
    counts = Counter(places.counts)
    meta = Meta.model_validate(places.value(example.meta.model_dump(mode="json")))
    if places.counts:
        example = example.model_copy(update={"messages": messages, "meta": meta})
    return example.model_copy(update={"id": redacted_id(example.id, regions)}), counts


def redacted_text(text: str, regions: Sequence[str] = REGIONS) -> str:
    """A text of its own with placeholders, such as a reason."""
    return _Placeholders(KINDS, regions).text(text)


def redacted_id(identifier: str, regions: Sequence[str] = REGIONS) -> str:
    """``own/ann@example.com`` -> ``own/`` and a hash: a placeholder would make one id of many."""
    source, _, key = identifier.partition("/")
    return f"{source}/{text_hash(key)}" if find_personal(key, regions=regions) else identifier


def count_personal(examples: Iterable[Example], *, regions: Sequence[str] = REGIONS) -> Mapping[Kind, int]:
    """How many examples hold each kind, those without any left out."""
    counts: Counter[Kind] = Counter()
    for example in examples:
        text = "\n".join(turn.content for turn in example.messages)
        counts.update({found.kind for found in find_personal(text, regions=regions)})
    return counts


class Personal:
    """Redacts personal data, or drops candidates that hold any, before a rule can quote them in its reason."""

    def __init__(self, how: str, regions: Sequence[str]) -> None:
        self._how, self._regions = how, tuple(regions)

    def __call__(self, item: Item) -> Item:
        """The candidate without them, or the reason why it is dropped; unchanged where they are only reported."""
        if isinstance(item, Reject):
            return self.reject(item)
        if self._how == "report" or not isinstance(item, Candidate):
            return item
        example, counts, cuts = redacted_with_cuts(item.example, item.cuts, self._regions)
        item = replace(item, cuts=cuts)
        if not counts:
            return replace(item, example=example)
        if self._how == "drop":
            found = ", ".join(f"{number} {kind}" for kind, number in sorted(counts.items()))
            return Reject(id=example.id, rule="personal-data", reason=f"it holds {found}")
        transforms = (*example.meta.transforms, "personal data redacted")
        example = example.model_copy(
            update={"meta": example.meta.model_copy(update={"transforms": transforms})}
        )
        answer = "" if example.is_prompt else example.messages[-1].content
        return replace(item, example=example, answer=answer, prose=prose_of(answer))

    def reject(self, reject: Reject) -> Reject:
        """A reject whose id and reason, which may quote the text, hold none; unchanged where they are only reported."""
        if self._how == "report":
            return reject
        return Reject(
            id=redacted_id(reject.id, self._regions), rule=reject.rule, reason=self.text(reject.reason)
        )

    def text(self, text: str) -> str:
        """The same for a name, such as that of a category."""
        return text if self._how == "report" else redacted_text(text, self._regions)

    def kinds(self, candidate: Candidate) -> list[str]:
        """The kinds of personal data that a candidate holds."""
        return list(count_personal([candidate.example], regions=self._regions))


def personal_warning(examples: Sequence[Example], regions: Sequence[str] = REGIONS) -> str | None:
    """Which personal data the examples hold, and what to do about them; None where they hold none."""
    counts = count_personal(examples, regions=regions)
    if not counts:
        return None
    found = ", ".join(f"{counts[kind]:,} with {WORDS[kind]}" for kind in KINDS if kind in counts)
    return (
        f"personal data in the {len(examples):,} accepted examples: {found}. A model can learn and repeat them. "
        "--pii redact puts placeholders in their place, --pii drop leaves such examples out."
    )


def _overlaps(found: Found, others: Iterable[Found]) -> bool:
    return any(found.start < other.end and other.start < found.end for other in others)


def _emails(text: str) -> Iterator[Found]:
    if "@" in text:
        for match in EMAIL.finditer(text):
            yield Found(match.start(), match.end(), "email", match[0].casefold())


def _ibans(text: str) -> Iterator[Found]:
    from stdnum import iban

    for match in IBAN.finditer(text):
        # Words may follow without a mark between; the longest beginning with right check digits counts.
        groups = [
            place
            for place in range(match.start() + 15, match.end() + 1)
            if place == match.end() or not text[place].isalnum()
        ]
        for end in reversed(groups):
            value = re.sub(r"\W", "", text[match.start() : end]).upper()
            if iban.is_valid(value, check_country=False):
                yield Found(match.start(), end, "iban", value)
                break


def _cards(text: str) -> Iterator[Found]:
    from stdnum import luhn

    for match in CARD.finditer(text):
        value, before = re.sub(r"\D", "", match[0]), _before(text, match.start())
        if (
            CARD_FORMS.fullmatch(value)
            and luhn.is_valid(value)
            and not NUMBERED.search(before)
            and (len(value) != OLD_VISA or CARD_WORDS.search(before))
        ):
            yield Found(match.start(), match.end(), "card", value)


def _ips(text: str) -> Iterator[Found]:
    """Addresses of machines out in the world: private ranges, masks and versions of four parts are none."""
    for match in IP.finditer(text):
        try:
            address = ipaddress.ip_address(match[0])
        except ValueError:
            continue
        if address.version == 6:
            plausible = address in GLOBAL_UNICAST
        else:
            plausible = not NUMBERED.search(_before(text, match.start())) and max(address.packed) >= 20
        if plausible and address.is_global:
            yield Found(match.start(), match.end(), "ip", str(address))


def _phones(text: str, regions: Sequence[str]) -> Iterator[Found]:
    """Numbers with a country's code, and national ones that are written as their country groups them, or that a word announces."""
    for start, end in _near_digits(text):
        for found in _phones_of(text[start:end], _before(text, start), regions):
            yield replace(found, start=found.start + start, end=found.end + start)


def _near_digits(text: str) -> list[tuple[int, int]]:
    """Where digits stand close to each other, with what is around them: the rest of a text need not be searched for each country."""
    places: list[tuple[int, int]] = []
    for digits in DIGITS.finditer(text):
        start = text.rfind(" ", 0, max(0, digits.start() - LOOK_BACK)) + 1
        end = text.find(" ", digits.end() + LOOK_BACK)
        end = len(text) if end < 0 else end
        if places and start <= places[-1][1]:
            start = places.pop()[0]
        places.append((start, end))
    return places


def _phones_of(text: str, before_it: str, regions: Sequence[str]) -> list[Found]:
    from phonenumbers import Leniency, PhoneNumberMatcher

    taken: list[Found] = []
    for region in regions:
        for match in PhoneNumberMatcher(text, region, Leniency.VALID):
            found = Found(match.start, match.end, "phone", re.sub(r"\D", "", match.raw_string))
            before = _before(before_it + text, len(before_it) + match.start)
            if _overlaps(found, taken) or len(found.value) < 7:
                continue
            abroad = match.raw_string.lstrip("(").startswith("+") or found.value.startswith("00")
            named = CALLED.search(before) is not None
            # without a leading 0 or an area in brackets eight or nine digits may be anything
            plain = len(found.value) < 10 and not match.raw_string.startswith(("0", "("))
            written = not plain and len(found.value) >= 9 and _grouped(match.raw_string, region)
            if abroad or named or (written and not NUMBERED.search(before)):
                taken.append(found)
    return taken


def _grouped(raw: str, region: str) -> bool:
    """Whether a national number is written as its country groups it, with more than one group: dates and order numbers are not."""
    from phonenumbers import (
        NumberParseException,
        PhoneNumberFormat,
        format_number,
        ndd_prefix_for_region,
        parse,
    )

    if len(re.findall(r"\d+", raw)) < 2 or re.fullmatch(r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}(?:\D.*)?", raw):
        return False
    try:
        number = parse(raw, region)
    except NumberParseException:
        return False
    usual = re.findall(r"\d+", format_number(number, PhoneNumberFormat.NATIONAL))
    before = ndd_prefix_for_region(region, True)  # 1-800-375-5283 for (800) 375-5283
    return re.findall(r"\d+", raw) in (usual, [before, *usual])


def _before(text: str, place: int) -> str:
    return text[max(0, place - LOOK_BACK) : place]
