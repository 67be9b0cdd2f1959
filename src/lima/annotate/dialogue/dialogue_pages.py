"""The pages of dialogues: talk, rate every answer, finish, and name the better one (LIMA, section 6)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from lima.annotate.dialogue.dialogue_files import DIALOGUE_WORDS
from lima.annotate.dialogue.dialogues import LONGEST_MESSAGE, VALUES, Choice, Talk, places
from lima.annotate.dialogue.streams import Talking
from lima.annotate.entry_pages import last_page
from lima.annotate.pages import page, parts, saved, signed_in, spent, typed, wants_json
from lima.annotate.people import Person
from lima.annotate.render import to_html
from lima.annotate.security import Refused, check_csrf

router = APIRouter(prefix="/talk")

Token = Annotated[str, Form(max_length=64)]
Number = Annotated[int, Form(ge=0, le=1_000)]
Long = Annotated[str, Form(max_length=2 * LONGEST_MESSAGE)]
Short = Annotated[str, Form(max_length=32)]


@router.get("")
def talk(request: Request) -> Response:
    """The dialogue in hand, the choice between dialogues, or the end."""
    person, token = signed_in(request)
    held = _held(request)
    found = held.talks.next(person)
    done, total = held.talks.progress(person)
    values: dict[str, Any] = {
        "csrf": token,
        "done": done,
        "total": total,
        "words": parts(request).texts.words("quality"),
    }
    if found is None:
        return last_page(request, person, done, "openings")
    if isinstance(found, Choice):
        ordered = places(found.talks)
        question = DIALOGUE_WORDS.question
        return page("choose.html", request, found=found, talks=ordered, question=question, **values)
    if found.turns[-1].state == "waiting":
        held.begin(found, len(found.turns) - 1)  # a browser without scripts never asks for the stream
    plan = held.talks.plan
    limits: dict[str, Any] = {"most": plan.most_turns, "longest": LONGEST_MESSAGE, "systems": plan.systems}
    return page("talk.html", request, talk=found, values=VALUES, **limits, **values)


@router.get("/stream")
def stream(
    request: Request,
    item: Annotated[str, Query(max_length=64)],
    number: Annotated[int, Query(ge=0, le=1_000)],
) -> Response:
    """An answer as it grows, as plain text. Whether it is whole, `state` tells."""
    person, _ = signed_in(request)
    held = _held(request)
    found = held.talks.get(person, item)
    if number >= len(found.turns):
        raise Refused(404, "There is no such turn.")
    return StreamingResponse(_bytes(held, found, number), media_type="text/plain; charset=utf-8")


@router.get("/state")
def state(
    request: Request,
    item: Annotated[str, Query(max_length=64)],
    number: Annotated[int, Query(ge=0, le=1_000)],
) -> Response:
    """An answer when it has ended: how, and rendered."""
    person, _ = signed_in(request)
    found = _held(request).talks.get(person, item)
    if number >= len(found.turns):
        raise Refused(404, "There is no such turn.")
    turn = found.turns[number]
    return JSONResponse(
        {
            "state": turn.state,
            "attempt": turn.attempt,
            "html": str(to_html(turn.reply or "")),
            "all": found.is_rated,
        }
    )


@router.post("/say")
def say(request: Request, item: Token, number: Number, text: Long = "", csrf: Token = "") -> Response:
    """Send a message. Sent twice, it is there once."""
    person = _checked(request, csrf)
    _held(request).talks.say(person, item, number, typed(text))
    return saved(request, "/talk")


@router.post("/again")
def again(request: Request, item: Token, number: Number, attempt: Number, csrf: Token = "") -> Response:
    """Ask a system that gave no answer once more."""
    person = _checked(request, csrf)
    _held(request).talks.again(person, item, number, attempt)
    return saved(request, "/talk")


@router.post("/rate")
def rate(
    request: Request, item: Token, number: Number, value: Short = "", seconds: Short = "", csrf: Token = ""
) -> Response:
    """Rate one answer; it can be changed until the dialogue is finished."""
    person = _checked(request, csrf)
    talks = _held(request).talks
    talks.rate(person, item, number, value, spent(seconds))
    if wants_json(request):
        return JSONResponse({"saved": True, "all": talks.get(person, item).is_rated})
    return saved(request, "/talk")


@router.post("/finish")
def finish(request: Request, item: Token, example: Short = "", csrf: Token = "") -> Response:
    """End a dialogue."""
    person = _checked(request, csrf)
    _held(request).talks.finish(person, item, example=bool(example))
    return saved(request, "/talk")


@router.post("/choose")
def choose(
    request: Request,
    opening: Annotated[str, Form(max_length=200)],
    best: Short = "",
    csrf: Token = "",
) -> Response:
    """Name the better dialogue."""
    person = _checked(request, csrf)
    if best != "tie" and not best.isdecimal():
        raise Refused(422, "Choose one of the answers.")
    _held(request).talks.choose(person, opening, None if best == "tie" else int(best[:3]))
    return saved(request, "/talk")


async def _bytes(held: Talking, found: Talk, number: int) -> AsyncIterator[bytes]:
    """Empty pieces are left out: an empty chunk would end the response."""
    async for piece in held.stream(found, number):
        if piece:
            yield piece.encode("utf-8", "replace")


def _held(request: Request) -> Talking:
    held = parts(request).talking
    if held is None:
        raise Refused(404, "There is no such page.")
    return held


def _checked(request: Request, csrf: str) -> Person:
    person, token = signed_in(request)
    check_csrf(request, token, csrf)
    _held(request)
    return person
