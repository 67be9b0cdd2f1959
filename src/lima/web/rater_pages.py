"""The raters' pages: join, compare, rate, undo, pause (LIMA, section 4.1).

No response says which system wrote a text, how others voted, or which side of the study's files a text has: texts
come in the order drawn for this rater, and choices are named by their place on the screen.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

from fastapi import APIRouter, Form, Path
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lima.records import SCALE_VALUES
from lima.web import people
from lima.web.assignment import Nothing
from lima.web.pages import (
    RATER_COOKIE,
    Parts,
    address,
    page,
    parts,
    redirect,
    set_cookie,
    signed_in,
)
from lima.web.people import SESSION_SECONDS, Person, new_token
from lima.web.security import Refused, check_csrf
from lima.web.showings import Answer, Showing

router = APIRouter()

Code = Annotated[str, Path(max_length=128)]
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
REFUSALS = {
    "unknown": "This invitation is not known. Is the link complete?",
    "used": "This invitation was used already. Ask the study's lead for a new link.",
    "revoked": "This invitation is no longer valid. Ask the study's lead.",
}


@router.get("/")
def home(request: Request) -> Response:
    """To the work, for those who are signed in."""
    signed_in(request)
    return redirect("/work")


@router.get("/join/{code}")
def invitation(request: Request, code: Code) -> Response:
    """Show an invitation. Opening it uses nothing up: mail programs open links too."""
    app = parts(request)
    app.entering.check(address(request), app.clock())
    token = request.cookies.get(RATER_COOKIE, "")
    if token and people.rater_of(app.base, token, app.clock()):
        return page("message.html", request, title="Welcome back", text="You are signed in.", to="/work")
    if refusal := people.look_at(app.base, code):
        return page("message.html", request, status=410, title="No entry", text=REFUSALS[refusal], to=None)
    token = new_token()
    response = page("join.html", request, csrf=token, texts=app.texts, lease=app.settings.lease_minutes)
    set_cookie(response, request, RATER_COOKIE, token, SESSION_SECONDS)
    return response


@router.post("/join/{code}")
def join(request: Request, code: Code, csrf: Token = "") -> Response:
    """Accept an invitation: the browser's token becomes that of a rater."""
    app = parts(request)
    app.entering.check(address(request), app.clock())
    token = request.cookies.get(RATER_COOKIE, "")
    check_csrf(request, token, csrf)
    if people.rater_of(app.base, token, app.clock()):
        return redirect("/work")  # a second click
    refusal = people.accept(app.base, code, token, app.clock())
    if isinstance(refusal, str):
        return page("message.html", request, status=410, title="No entry", text=REFUSALS[refusal], to=None)
    return redirect("/work")


@router.get("/panel")
def panel(request: Request) -> Response:
    """A panel sends its people here, with their id in the address."""
    app = parts(request)
    app.entering.check(address(request), app.clock())
    name = {"prolific": "PROLIFIC_PID", "generic": app.settings.panel_id}.get(app.settings.panel)
    external = request.query_params.get(name, "") if name else ""
    if not external or len(external) > 200:
        raise Refused(404, "There is no such page.")
    token = new_token()
    person = people.admit(app.base, external, app.settings.panel_group, token, app.clock())
    if isinstance(person, str):
        return page("message.html", request, status=410, title="No entry", text=REFUSALS[person], to=None)
    response = redirect("/work")
    set_cookie(response, request, RATER_COOKIE, token, SESSION_SECONDS)
    return response


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
def saved(request: Request) -> Response:
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
        seconds=_number(seconds),
    )
    if stored is None:
        raise Refused(404, "There is no such item.")
    if "application/json" not in request.headers.get("accept", ""):
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
    return redirect("/work")


@router.get("/pause")
def pause(request: Request) -> Response:
    """A quiet page. Nothing is lost: every answer is saved, and the open item is kept for a while."""
    signed_in(request)
    minutes = parts(request).settings.lease_minutes
    text = (
        "Everything you answered is saved. The item that was open is kept for you for "
        f"{minutes:g} minutes; after that you may get another one."
    )
    return page("message.html", request, title="Paused", text=text, to="/work")


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
        comparison = app.texts.comparisons[showing.text_id]
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
    answered = app.work.progress(person).answered
    text = f"You answered {answered} items, and all are saved. Thank you!"
    to = app.settings.panel_return if person_is_of_panel(app, person) else None
    return page("message.html", request, title="That was the last one", text=text, to=to)


def person_is_of_panel(app: Parts, person: Person) -> bool:
    """Whether a rater came through the panel, and so must be sent back to it."""
    return app.settings.panel != "none" and people.came_from_panel(app.base, person)


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


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
