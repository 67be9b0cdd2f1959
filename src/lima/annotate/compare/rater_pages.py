"""The raters' pages: compare, rate, undo (LIMA, section 4.1).

No response says which system wrote a text, how others voted, or which side of the study's files a text has: texts
come in the order drawn for this rater, and choices are named by their place on the screen.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lima.annotate.compare.assignment import Nothing
from lima.annotate.compare.presentations import GOLD, Answer, Showing
from lima.annotate.entry_pages import last_page
from lima.annotate.pages import Parts, page, parts, redirect, saved, signed_in, spent, wants_json
from lima.annotate.people import Person
from lima.annotate.security import Refused, check_csrf
from lima.records import SCALE_VALUES

router = APIRouter()

Token = Annotated[str, Form(max_length=64)]
Short = Annotated[str, Form(max_length=32)]
Attempt = Annotated[int, Form(ge=0, le=100_000)]

TO_STUDY = {
    "ab": {"first": "a", "second": "b", "tie": "tie"},
    "ba": {"first": "b", "second": "a", "tie": "tie"},
}
"""Shown order -> choice on the screen -> label in the frame of comparisons.jsonl."""
TO_SCREEN = {shown: {label: place for place, label in row.items()} for shown, row in TO_STUDY.items()}
PLACES = {"a": "first", "b": "second", "tie": "tie"}
"""A choice of the protocol, whose words speak of the screen, -> its name in the form."""


@router.get("/work")
def work(request: Request) -> Response:
    """The item in hand, or the next one."""
    app = parts(request)
    person, token = signed_in(request)
    showing = app.work.next(person)
    if isinstance(showing, Nothing):
        return _nothing(request, person, showing)
    return _item(request, person, showing, token)


@router.get("/saved")
def just_saved(request: Request) -> Response:
    """The item just answered, with the chance to take the answer back (for browsers without scripts)."""
    person, token = signed_in(request)
    showing = parts(request).work.saved(person)
    return redirect("/work") if showing is None else _item(request, person, showing, token)


@router.post("/answer")
def answer(
    request: Request,
    item: Token,
    attempt: Attempt,
    csrf: Token = "",
    seconds: Short = "",
    pairwise: Short = "",
    quality: Short = "",
    helpfulness: Short = "",
    safety: Short = "",
) -> Response:
    """Save an answer. A repeated request changes nothing and gets the same reply."""
    app = parts(request)
    person, token = signed_in(request)
    check_csrf(request, token, csrf)
    given = {"pairwise": pairwise, "quality": quality, "helpfulness": helpfulness, "safety": safety}
    chosen = {name: text for name, text in given.items() if text}
    stored = app.work.answer(
        person,
        item,
        lambda showing: _to_study(app, showing, chosen),
        attempt=attempt,
        seconds=spent(seconds),
    )
    if stored is None:
        raise Refused(404, "There is no such item.")
    if stored.repeat == GOLD and app.work.ended(person):
        return saved(request, "/checked")
    if not wants_json(request):
        return redirect("/saved")
    reply = {"saved": stored.is_answered, "answer": _on_screen(stored), "attempt": stored.attempt}
    return JSONResponse(reply)


@router.post("/undo")
def undo(request: Request, item: Token, attempt: Attempt, csrf: Token = "") -> Response:
    """Take the last answer back, while no later item was opened."""
    app = parts(request)
    person, token = signed_in(request)
    check_csrf(request, token, csrf)
    if app.work.take_back(person, item, attempt=attempt) is None:
        raise Refused(409, "Too late: a later item is open. The answer stays as it is.")
    return saved(request, "/work")


def _item(request: Request, person: Person, showing: Showing, token: str) -> Response:
    app = parts(request)
    values: dict[str, Any] = {
        "showing": showing,
        "progress": app.work.progress(person),
        "messages": app.texts.messages(showing.task, showing.text_id),
        "chosen": _on_screen(showing),
        "saved": showing.is_answered,
        "csrf": token,
    }
    if showing.task == "pairwise":
        comparison = app.texts.pair(showing.text_id)
        values["answers"] = [getattr(comparison, side) for side in showing.shown]
        values["fields"] = [("pairwise", *_choices(app, "pairwise"))]
    else:
        values["answers"] = [app.texts.items[showing.text_id].content]
        values["fields"] = [(scale, *_choices(app, scale)) for scale in app.texts.scales]
    return page("work.html", request, **values)


def _choices(app: Parts, task: str) -> tuple[str, list[tuple[str, str]]]:
    words = app.texts.words(task)
    names = PLACES if task == "pairwise" else {value: value for value in words.choices}
    return words.question, [(names[value], text) for value, text in words.choices.items()]


def _nothing(request: Request, person: Person, nothing: Nothing) -> Response:
    app = parts(request)
    if nothing.again_at is not None:
        minutes = max(1, math.ceil((nothing.again_at - app.clock()) / 60))
        text = f"All items that are left are with other people now. Look again in {minutes} min."
        return page("message.html", request, title="Nothing to do just now", text=text, to="/work")
    return last_page(request, person, app.work.progress(person).answered, "items")


def _to_study(app: Parts, showing: Showing, given: dict[str, str]) -> Answer:
    """The form's choices as values of the study's records; raises `Refused` (422) where one is missing."""
    if showing.task == "pairwise":
        label = TO_STUDY[showing.shown].get(given.get("pairwise", ""))
        if label is None:
            raise Refused(422, "Choose one of the three answers.")
        return {"pairwise": label}
    found: Answer = {}
    for scale in app.texts.scales:
        values = {str(value): value for value in SCALE_VALUES[scale]}
        if given.get(scale) not in values:
            raise Refused(422, f"Choose a value for {scale}.")
        found[scale] = values[given[scale]]
    return found


def _on_screen(showing: Showing) -> dict[str, str]:
    if showing.answer is None:
        return {}
    if showing.task == "pairwise":
        return {"pairwise": TO_SCREEN[showing.shown][str(showing.answer["pairwise"])]}
    return {scale: str(value) for scale, value in showing.answer.items()}
