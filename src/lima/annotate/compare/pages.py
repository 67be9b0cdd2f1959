"""The raters' pages: compare, rate, undo (LIMA, section 4.1).

No response says which system wrote a text, how others voted, or which side of the study's files a text has: texts
come in the order drawn for this rater, and choices are named by their place on the screen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lima.annotate.compare.assignment import Nothing
from lima.annotate.compare.presentations import GOLD, TO_SCREEN, TO_STUDY, Answer, Presentation, Remarks
from lima.annotate.compare.work import CompareWork
from lima.annotate.entry_pages import after_failed_checks, last_page, waiting_page
from lima.annotate.pages import checked, page, redirect, saved, signed_in, spent, typed, wants_json, work_of
from lima.annotate.people import Participant
from lima.annotate.security import Refused

router = APIRouter()

LONGEST_REMARK = 4_000
"""Twice what a page lets in: a form that is sent without a script counts a new line as two."""
Token = Annotated[str, Form(max_length=64)]
Short = Annotated[str, Form(max_length=32)]
Attempt = Annotated[int, Form(ge=0, le=100_000)]
Remark = Annotated[str, Form(max_length=LONGEST_REMARK)]

PLACES = {"a": "first", "b": "second", "tie": "tie"}
"""A choice of the protocol, whose words speak of the screen, -> its name in the form."""


@router.get("/work")
def work(request: Request) -> Response:
    """The item in hand, or the next one."""
    here = work_of(request, CompareWork)
    person, token = signed_in(request)
    presentation = here.assignment.next(person)
    if isinstance(presentation, Nothing):
        return _nothing(request, person, presentation)
    return _item(request, person, presentation, token)


@router.get("/saved")
def just_saved(request: Request) -> Response:
    """The item just answered, with the chance to take the answer back (for browsers without scripts)."""
    person, token = signed_in(request)
    presentation = work_of(request, CompareWork).assignment.saved(person)
    return redirect(request, "/work") if presentation is None else _item(request, person, presentation, token)


async def texts_of_form(request: Request) -> dict[str, str]:
    """All fields of the form: scales have the names that the protocol gives them, so no parameter can name them."""
    return {name: text for name, text in (await request.form()).items() if isinstance(text, str)}


@router.post("/answer")
def answer(
    request: Request,
    item: Token,
    attempt: Attempt,
    ratings: Annotated[dict[str, str], Depends(texts_of_form)],
    csrf: Token = "",
    seconds: Short = "",
    pairwise: Short = "",
    both_bad: Short = "",
    strength: Short = "",
    criterion: Annotated[list[str] | None, Form(max_length=40)] = None,
    comment: Remark = "",
) -> Response:
    """Save an answer. A repeated request changes nothing and gets the same reply."""
    here, person = work_of(request, CompareWork), checked(request, csrf)
    chosen = {name: ratings[name] for name in here.texts.scales if name in ratings} | (
        {"pairwise": pairwise} if pairwise else {}
    )
    stored = here.assignment.answer(
        person,
        item,
        lambda presentation: _to_study(here, presentation, chosen),
        attempt=attempt,
        seconds=spent(seconds),
        remarks=_remarks(here, typed(comment), both_bad)
        | (_further(here, pairwise, strength, criterion or []) if pairwise else {}),
    )
    if stored is None:
        raise Refused(404, "There is no such item.")
    if stored.repeat == GOLD and here.assignment.ended(person):
        return saved(request, after_failed_checks(request, person))
    if not wants_json(request):
        return redirect(request, "/saved")
    reply = {"saved": stored.is_answered, "answer": _on_screen(stored), "attempt": stored.attempt}
    return JSONResponse(reply)


@router.post("/skip")
def skip(request: Request, item: Token, attempt: Attempt, csrf: Token = "", reason: Remark = "") -> Response:
    """Leave an item to others, where the protocol allows it, and say why."""
    here, person = work_of(request, CompareWork), checked(request, csrf)
    if "skip" not in here.texts.protocol.people_may:
        raise Refused(404, "There is no such page.")
    if not typed(reason):
        raise Refused(422, "Say why you skip it.")
    skipped = here.assignment.skip(
        person, item, lambda one: dict.fromkeys(_asked(here, one)), attempt=attempt, reason=typed(reason)
    )
    if skipped is None:
        raise Refused(404, "There is no such item.")
    return saved(request, "/work")


@router.post("/undo")
def undo(request: Request, item: Token, attempt: Attempt, csrf: Token = "") -> Response:
    """Take the last answer back, while no later one was given."""
    here, person = work_of(request, CompareWork), checked(request, csrf)
    if here.assignment.take_back(person, item, attempt=attempt) is None:
        raise Refused(409, "Too late: a later item is answered. The answer stays as it is.")
    return saved(request, "/work")


def _item(request: Request, person: Participant, presentation: Presentation, token: str) -> Response:
    here = work_of(request, CompareWork)
    values: dict[str, Any] = {
        "presentation": presentation,
        "progress": here.assignment.progress(person),
        "messages": here.texts.messages(presentation.task, presentation.text_id),
        "chosen": _on_screen(presentation),
        "saved": presentation.is_answered,
        "may": here.texts.protocol.people_may,
        "protocol": here.texts.protocol,
        "places": PLACES,
        "previous": presentation.previous,
        "csrf": token,
    }
    if presentation.task == "pairwise":
        comparison = here.texts.pair(presentation.text_id)
        values["answers"] = [getattr(comparison, side) for side in presentation.shown]
    else:
        values["answers"] = [here.texts.items[presentation.text_id].content]
    values["fields"] = [(name, *_choices(here, name)) for name in _asked(here, presentation)]
    return page("work.html", request, **values)


def _asked(here: CompareWork, presentation: Presentation) -> tuple[str, ...]:
    return ("pairwise",) if presentation.task == "pairwise" else here.texts.scales


def _remarks(here: CompareWork, comment: str, both_bad: str) -> Remarks:
    """What was said beside the answer, as far as the protocol asks for it."""
    may = here.texts.protocol.people_may
    if here.texts.protocol.reasons and not comment:
        raise Refused(422, "Say why, in a few words.")
    wanted = "comment" in may or here.texts.protocol.reasons
    found: Remarks = {"text": comment} if wanted and comment else {}
    return found | ({"both_bad": True} if "call_both_bad" in may and both_bad else {})


def _further(here: CompareWork, chosen: str, strength: str, criteria: list[str]) -> Remarks:
    """Strength and criteria of a comparison, which the protocol asks for, so that all of them must be there."""
    protocol = here.texts.protocol
    found: Remarks = {}
    if protocol.strength and chosen != PLACES["tie"]:
        if strength not in ("slight", "clear"):
            raise Refused(422, "Say how much better it is.")
        found["strength"] = strength
    if protocol.criteria:
        said = dict(one.split(":", 1) for one in criteria if ":" in one)
        if said.keys() != protocol.criteria.keys() or not set(said.values()) <= set(PLACES.values()):
            raise Refused(422, "Answer every question.")
        found["criteria"] = said
    return found


def _choices(here: CompareWork, task: str) -> tuple[str, list[tuple[str, str, str]]]:
    """What is asked, and of each choice its name in the form, its words, and the digit on the keyboard that chooses it."""
    words = here.texts.words(task)
    names = PLACES if task == "pairwise" else {value: value for value in words.choices}
    shown = zip(words.choices.items(), digits_of(list(words.choices)), strict=True)
    return words.question, [(names[value], text, digit) for (value, text), digit in shown]


def digits_of(values: Sequence[str]) -> list[str]:
    """The digit for each choice: the value itself where these are numbers up to 10, else its place; none beyond 9.

    >>> digits_of(["0", "1", "2"]), digits_of(["no", "yes"]), digits_of(["9", "10"])
    (['0', '1', '2'], ['1', '2'], ['9', ''])
    """
    are_digits = all(value.isdecimal() and int(value) <= 10 for value in values)
    found = values if are_digits else [str(place) for place in range(1, len(values) + 1)]
    return [digit if len(digit) == 1 else "" for digit in found]


def _nothing(request: Request, person: Participant, nothing: Nothing) -> Response:
    here = work_of(request, CompareWork)
    if nothing.again_at is not None:
        minutes = max(1, math.ceil((nothing.again_at - here.assignment.clock()) / 60))
        return waiting_page(request, person, minutes)
    thanks = "You answered {answered} items, and all are saved. Thank you!"
    return last_page(request, person, here.assignment.progress(person).answered, thanks)


def _to_study(here: CompareWork, presentation: Presentation, given: dict[str, str]) -> Answer:
    """The form's choices as values of the study's records; raises `Refused` (422) where one is missing."""
    if presentation.task == "pairwise":
        label = TO_STUDY[presentation.shown].get(given.get("pairwise", ""))
        if label is None:
            raise Refused(422, "Choose one of the three answers.")
        return {"pairwise": label}
    found: Answer = {}
    for scale in here.texts.scales:
        values = {str(value): value for value in here.texts.words(scale).values}
        if given.get(scale) not in values:
            raise Refused(422, "Choose a value for {scale}.", scale=scale)
        found[scale] = values[given[scale]]
    return found


def _on_screen(presentation: Presentation) -> dict[str, str]:
    if presentation.answer is None or presentation.state == "skipped":
        return {}
    if presentation.task == "pairwise":
        return {"pairwise": TO_SCREEN[presentation.shown][str(presentation.answer["pairwise"])]}
    return {scale: str(value) for scale, value in presentation.answer.items()}
