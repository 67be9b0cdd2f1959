"""The pages of dialogues: talk, rate every answer, finish, and name the better one (LIMA, section 6)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from lima.annotate.dialogue.dialogues import (
    BLIND_NAMES,
    LONGEST_MESSAGE,
    VALUES,
    DueChoice,
    RaterDialogue,
    RaterDialogues,
    places,
)
from lima.annotate.dialogue.streams import ReplyStreams
from lima.annotate.dialogue.work import DialogueWork
from lima.annotate.entry_pages import last_page
from lima.annotate.pages import (
    checked,
    page,
    redirect,
    saved,
    show_of,
    signed_in,
    spent,
    typed,
    wants_json,
    work_of,
)
from lima.annotate.security import Refused

router = APIRouter(prefix="/dialogue")

Token = Annotated[str, Form(max_length=64)]
Number = Annotated[int, Form(ge=0, le=1_000)]
Long = Annotated[str, Form(max_length=2 * LONGEST_MESSAGE)]
Short = Annotated[str, Form(max_length=32)]


@router.get("")
def in_hand(request: Request) -> Response:
    """The dialogue in hand, the choice between dialogues, or the end."""
    person, token = signed_in(request)
    work = work_of(request, DialogueWork)
    dialogues = work.streams.dialogues
    found = dialogues.next(person)
    done, total = dialogues.progress(person)
    values: dict[str, Any] = {
        "csrf": token,
        "done": done,
        "total": total,
        "words": work.protocol.quality,
    }
    if found is None:
        thanks = "You answered {answered} openings, and all are saved. Thank you!"
        return last_page(request, person, done, thanks)
    if isinstance(found, DueChoice):
        return _choice_page(request, found.opening_id, found.dialogues, values)
    if found.turns[-1].state == "waiting":
        work.streams.begin(found, len(found.turns) - 1)  # a browser without scripts never asks for the stream
    plan = dialogues.plan
    limits: dict[str, Any] = {"most": plan.most_turns, "longest": LONGEST_MESSAGE, "systems": plan.systems}
    return page("dialogue.html", request, dialogue=found, values=VALUES, **limits, **values)


@router.get("/stream")
def stream(
    request: Request,
    item: Annotated[str, Query(max_length=64)],
    number: Annotated[int, Query(ge=0, le=1_000)],
) -> Response:
    """An answer as it grows, as plain text. Whether it is whole, `state` tells."""
    person, _ = signed_in(request)
    streams = work_of(request, DialogueWork).streams
    found = streams.dialogues.get(person, item)
    if number >= len(found.turns):
        raise Refused(404, "There is no such turn.")
    return StreamingResponse(_bytes(streams, found, number), media_type="text/plain; charset=utf-8")


@router.get("/state")
def state(
    request: Request,
    item: Annotated[str, Query(max_length=64)],
    number: Annotated[int, Query(ge=0, le=1_000)],
) -> Response:
    """An answer when it has ended: how, and rendered."""
    person, _ = signed_in(request)
    found = _dialogues(request).get(person, item)
    if number >= len(found.turns):
        raise Refused(404, "There is no such turn.")
    turn = found.turns[number]
    return JSONResponse(
        {
            "state": turn.state,
            "attempt": turn.attempt,
            "html": str(show_of(request)(turn.reply or "")),
            "all": found.is_rated,
        }
    )


@router.post("/say")
def say(request: Request, item: Token, number: Number, text: Long = "", csrf: Token = "") -> Response:
    """Send a message. Sent twice, it is there once."""
    person = checked(request, csrf)
    _dialogues(request).say(person, item, number, typed(text))
    return saved(request, "/dialogue")


@router.post("/again")
def again(request: Request, item: Token, number: Number, attempt: Number, csrf: Token = "") -> Response:
    """Ask a system that gave no answer once more."""
    person = checked(request, csrf)
    _dialogues(request).again(person, item, number, attempt)
    return saved(request, "/dialogue")


@router.post("/rate")
def rate(
    request: Request, item: Token, number: Number, value: Short = "", seconds: Short = "", csrf: Token = ""
) -> Response:
    """Rate one answer; it can be changed until the dialogue is finished."""
    person = checked(request, csrf)
    dialogues = _dialogues(request)
    dialogues.rate(person, item, number, value, spent(seconds))
    if wants_json(request):
        return JSONResponse({"saved": True, "all": dialogues.get(person, item).is_rated})
    return saved(request, "/dialogue")


@router.post("/finish")
def finish(request: Request, item: Token, example: Short = "", csrf: Token = "") -> Response:
    """End a dialogue."""
    person = checked(request, csrf)
    _dialogues(request).finish(person, item, example=bool(example))
    return saved(request, "/dialogue")


@router.post("/choose")
def choose(
    request: Request,
    opening: Annotated[str, Form(max_length=200)],
    best: Short = "",
    csrf: Token = "",
) -> Response:
    """Name the better dialogue."""
    person = checked(request, csrf)
    if best != "tie" and not best.isdecimal():
        raise Refused(422, "Choose one of the answers.")
    _dialogues(request).choose(person, opening, None if best == "tie" else int(best[:3]))
    return saved(request, "/dialogue/chosen")


@router.get("/chosen")
def chosen(request: Request) -> Response:
    """What was just chosen, with the chance to take it back."""
    person, token = signed_in(request)
    found = _dialogues(request).chosen(person)
    if found is None:
        return redirect(request, "/dialogue")
    words = _choice_words(request, found.place)
    return page("chosen.html", request, csrf=token, chosen=found, words=words)


@router.post("/undo")
def undo(request: Request, opening: Annotated[str, Form(max_length=200)], csrf: Token = "") -> Response:
    """Take the last choice back, while no later dialogue was begun."""
    person = checked(request, csrf)
    if not _dialogues(request).take_back(person, opening):
        raise Refused(409, "Too late: a later dialogue is open. The choice stays as it is.")
    return saved(request, "/dialogue")


def _choice_page(
    request: Request, opening_id: str, found: Sequence[RaterDialogue], values: dict[str, Any]
) -> Response:
    ordered = places(found)
    choices = [(str(place), _choice_words(request, place)) for place in range(len(ordered))]
    choices.append(("tie", _choice_words(request, None)))
    question = work_of(request, DialogueWork).protocol.pairwise.question
    values |= {"opening_id": opening_id, "dialogues": ordered, "choices": choices, "question": question}
    return page("choose.html", request, **values)


def _choice_words(request: Request, place: int | None) -> str:
    """The protocol's words for a choice; those for A name the third and later dialogues too."""
    words = work_of(request, DialogueWork).protocol.pairwise.choices
    if place is None or place < 2:
        return words["tie" if place is None else "ab"[place]]
    return re.sub(r"\bA\b", BLIND_NAMES[place], words["a"])


async def _bytes(streams: ReplyStreams, found: RaterDialogue, number: int) -> AsyncIterator[bytes]:
    """Empty pieces are left out: an empty chunk would end the response."""
    async for piece in streams.stream(found, number):
        if piece:
            yield piece.encode("utf-8", "replace")


def _dialogues(request: Request) -> RaterDialogues:
    return work_of(request, DialogueWork).streams.dialogues
