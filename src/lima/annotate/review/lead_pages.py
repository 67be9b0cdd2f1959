"""The lead's pages: texts that two people decided differently, and how often each rule that marks lines was right."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import Response

from lima.annotate.pages import checked_lead, page, redirect, signed_in_lead, work_of
from lima.annotate.review.drafts import LEAD
from lima.annotate.review.work import ReviewWork
from lima.annotate.security import Refused

router = APIRouter(prefix="/lead")


@router.get("/splits")
def splits(request: Request) -> Response:
    """Texts on which two people disagree."""
    token = signed_in_lead(request)
    found = [draft for draft in work_of(request, ReviewWork).queue.everything() if draft.state == "split"]
    return page("splits.html", request, csrf=token, found=found)


@router.get("/rules")
def rules(request: Request) -> Response:
    """By rule, what became of the texts that it marked."""
    from lima.statistics.marks import tally  # takes a second to import

    signed_in_lead(request)
    work = work_of(request, ReviewWork)
    return page("rules.html", request, found=tally(work.data.reviews(work.queue)))


@router.post("/settle")
def settle(
    request: Request,
    item: Annotated[str, Form(max_length=64)],
    choice: Annotated[int, Form(ge=0, le=8)],
    reason: Annotated[str, Form(max_length=500)] = "",
    csrf: Annotated[str, Form(max_length=64)] = "",
) -> Response:
    """Take one of the two decisions."""
    checked_lead(request, csrf)
    queue = work_of(request, ReviewWork).queue
    found = [draft for draft in queue.everything() if draft.token == item]
    if found and found[0].outcome and found[0].outcome.rater == LEAD:
        return redirect(request, "/lead/splits")  # pressed twice
    if not found or found[0].state != "split" or choice >= len(found[0].verdicts):
        raise Refused(404, "There is no such open disagreement.")
    taken = found[0].verdicts[choice]
    queue.settle(item, taken.decision, taken.edited, reason.strip() or taken.reason)
    return redirect(request, "/lead/splits")
