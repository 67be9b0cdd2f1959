"""The pages of the review queue: read and decide, write with live checks, see what became of one's examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, cast

from fastapi import APIRouter, Form, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lima.annotate.languages import Said
from lima.annotate.pages import checked, page, saved, signed_in, site_of, typed, work_of
from lima.annotate.people import Participant, new_token
from lima.annotate.review.drafts import QueuedText
from lima.annotate.review.files import example_of, texts_of, with_texts
from lima.annotate.review.house_style import StyleFinding, is_stopped
from lima.annotate.review.queue import ReviewQueue
from lima.annotate.review.work import ReviewWork
from lima.annotate.security import Refused
from lima.files import text_hash
from lima.records import Decision, Example, Mark

router = APIRouter(prefix="/review")

LONGEST_TEXT = 20_000
REASONS = (
    Said("needs its context"),
    Said("wrong or out of date"),
    Said("weak answer"),
    Said("not a question people would ask"),
    Said("too close to another example"),
)
"""What texts are mostly rejected for; the rules that marked a text stand behind them."""
TAGS = ("sensitive", "malicious", "format", "refusal")

Token = Annotated[str, Form(max_length=64)]
Once = Annotated[str, Form(max_length=48)]
"""Drawn for each page: what is sent twice from one page counts once."""
Key = Annotated[str, Query(max_length=64)]
Long = Annotated[str, Form(max_length=2 * LONGEST_TEXT)]
"""Without a script newlines come as two characters."""
Reason = Annotated[str, Form(max_length=500)]
Tag = Annotated[list[Annotated[str, Form(max_length=32)]], Form(max_length=16)]
Version = Annotated[int, Form(ge=0, le=100_000)]


@router.get("")
def overview(request: Request) -> Response:
    """What there is to do."""
    person, token = signed_in(request)
    queue = _queue(request)
    counts = queue.progress(person.group)
    waiting = queue.has_work(person)
    mine = queue.mine(person)
    return page(
        "review_home.html", request, csrf=token, person=person, counts=counts, waiting=waiting, mine=mine
    )


@router.get("/next")
def review(request: Request) -> Response:
    """The next text to decide on."""
    person, token = signed_in(request)
    queue = _queue(request)
    draft = queue.next(person)
    if draft is None:
        text = "Every text is decided, or somebody else is reading it. All that you did is saved. Thank you!"
        return page("message.html", request, title="Nothing to read just now", text=text, to="/review")
    prompt, answer = texts_of(draft.example)
    marks = work_of(request, ReviewWork).data.marks_of(draft)
    return page(
        "review.html",
        request,
        csrf=token,
        person=person,
        key=new_token(),
        draft=draft,
        prompt=prompt,
        answer=answer,
        findings=_findings(request, draft.example, person, draft),
        marks=marks,
        cuts=work_of(request, ReviewWork).data.cuts_of(draft),
        suspect=_suspect_lines(draft.example, marks),
        reasons=list(dict.fromkeys([*REASONS, *(mark.rule for mark in marks)]))[:9],
        last=len(draft.example.messages) - 1,
        counts=queue.progress(person.group),
        longest=LONGEST_TEXT,
        can_edit=max(len(prompt), len(answer)) <= LONGEST_TEXT,
    )


@router.post("/decide")
def decide(
    request: Request,
    item: Token,
    version: Version,
    decision: Annotated[str, Form(max_length=16)] = "",
    prompt: Long = "",
    answer: Long = "",
    reason: Reason = "",
    key: Once = "",
    csrf: Token = "",
) -> Response:
    """Accept, edit or reject."""
    person = checked(request, csrf)
    queue = _queue(request)
    if decision not in ("accept", "edit", "reject"):
        raise Refused(422, "Choose accept, edit or reject.")
    draft = queue.get(person, item)
    edited = _edited(draft, prompt, answer) if decision == "edit" else None
    if decision == "edit" and edited == draft.example:
        decision, edited = "accept", None
    queue.decide(
        person,
        item,
        cast(Decision, decision),
        edited=edited,
        reason=reason.strip(),
        version=version,
        key=key or None,
    )
    return saved(request, "/review/next")


@router.post("/undo")
def undo(request: Request, key: Once = "", csrf: Token = "") -> Response:
    """Take the latest decision back; pressed twice on one page, just that one."""
    person = checked(request, csrf)
    if not _queue(request).take_back(person, key=key or None):
        raise Refused(409, "There is no decision of yours to take back.")
    return saved(request, "/review/next")


@router.get("/write")
def write_form(request: Request, item: Key = "") -> Response:
    """A form for a new example, or for one of one's own that came back."""
    person, token = signed_in(request)
    queue = _queue(request)
    draft = queue.get(person, item) if item else None
    if draft and (draft.author != person.name or draft.final):
        raise Refused(403, "This example cannot be changed.")
    prompt, answer = texts_of(draft.example) if draft else ("", "")
    tags = _tags(draft.example) if draft else ()
    return page(
        "write.html",
        request,
        csrf=token,
        person=person,
        item=item or new_token(),
        draft=draft,
        prompt=prompt,
        answer=answer,
        notes=str((draft.example.meta.model_extra or {}).get("notes", "")) if draft else "",
        tags=[(tag, tag in tags) for tag in TAGS],
        findings=_findings(request, draft.example, person, draft) if draft else [],
        longest=LONGEST_TEXT,
    )


@router.post("/check")
def check(
    request: Request,
    item: Token,
    prompt: Long = "",
    answer: Long = "",
    tags: Tag = [],  # noqa: B006  FastAPI copies it
    csrf: Token = "",
) -> Response:
    """The live checks of a text that is being written; nothing is stored."""
    person = checked(request, csrf)
    if not prompt.strip():
        return JSONResponse({"findings": []})
    example = _written(person, item, prompt, answer, tags, "")
    found = _findings(request, example, person, None)
    say = site_of(request).language.say
    return JSONResponse({"findings": [{"level": one.level, "text": say(one.text)} for one in found]})


@router.post("/write")
def write(
    request: Request,
    item: Token,
    prompt: Long = "",
    answer: Long = "",
    notes: Reason = "",
    tags: Tag = [],  # noqa: B006
    version: Version = 0,
    csrf: Token = "",
) -> Response:
    """Hand an example in: somebody else of the group reads it next."""
    person = checked(request, csrf)
    if not prompt.strip() or (person.group == "A" and not answer.strip()):
        raise Refused(422, "A question and, for training, an answer are needed.")
    example = _written(person, item, prompt, answer, tags, notes)
    found = _findings(request, example, person, None)
    if is_stopped(found):
        say = site_of(request).language.say
        stops = " ".join(say(one.text) for one in found if one.level == "stop")
        raise Refused(422, stops)
    _queue(request).write(person, example, item, version=version)
    return saved(request, "/review#mine")


def _queue(request: Request) -> ReviewQueue:
    return work_of(request, ReviewWork).queue


def _written(
    person: Participant, item: str, prompt: str, answer: str, tags: list[str], notes: str
) -> Example:
    kept = tuple(tag for tag in TAGS if tag in tags)
    name = f"authored/{person.name.replace(':', '-')}/{text_hash(item, length=12)}"
    return example_of(
        name,
        _fitting(prompt),
        _fitting(answer) or None,
        author=person.name,
        group=person.group,
        tags=kept,
        notes=notes.strip(),
    )


def _fitting(given: str) -> str:
    text = typed(given)
    if len(text) > LONGEST_TEXT:
        raise Refused(422, "A text has at most {most} characters.", most=f"{LONGEST_TEXT:,}")
    return text


def _edited(draft: QueuedText, prompt: str, answer: str) -> Example:
    asked, told = _fitting(prompt), _fitting(answer)
    if not asked or (not told and not draft.example.is_prompt):
        raise Refused(422, "The edited text is empty.")
    return with_texts(draft.example, asked, told)


def _findings(
    request: Request, example: Example, person: Participant, draft: QueuedText | None
) -> list[StyleFinding]:
    work = work_of(request, ReviewWork)
    group: Literal["A", "B"] = "A" if person.group == "A" else "B"
    others = [
        other.final or other.example
        for other in work.queue.everything()
        if other.kind == "authored"
        and other.group == group
        and other.state != "reject"
        and other.text_id != (draft.text_id if draft else example.id)
    ]
    return work.house.look_at(example, others)


def _suspect_lines(example: Example, marks: Sequence[Mark]) -> list[frozenset[int]]:
    """The lines of each turn that hold a mark."""
    return [
        frozenset(mark.line for mark in marks if mark.turn == turn and mark.text)
        for turn in range(len(example.messages))
    ]


def _tags(example: Example) -> tuple[str, ...]:
    refusal = ("refusal",) if (example.meta.model_extra or {}).get("refusal") else ()
    return (*example.meta.tags, *refusal)
