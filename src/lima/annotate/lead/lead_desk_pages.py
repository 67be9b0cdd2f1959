"""The lead's pages of the desk: texts that two people decided differently, and everything there is."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import Response

from lima.annotate.lead.lead_pages import Csrf, Reason, checked_lead
from lima.annotate.pages import page, parts, redirect, signed_in_lead
from lima.annotate.review.drafts import LEAD
from lima.annotate.review.queue import Desk
from lima.annotate.security import Refused

router = APIRouter(prefix="/lead")


@router.get("/splits")
def splits(request: Request) -> Response:
    """Texts on which two people disagree."""
    token = signed_in_lead(request)
    found = [draft for draft in _desk(request).everything() if draft.state == "split"]
    return page("splits.html", request, csrf=token, found=found)


@router.post("/settle")
def settle(
    request: Request,
    item: Annotated[str, Form(max_length=64)],
    choice: Annotated[int, Form(ge=0, le=8)],
    reason: Reason = "",
    csrf: Csrf = "",
) -> Response:
    """Take one of the two decisions."""
    checked_lead(request, csrf)
    desk = _desk(request)
    found = [draft for draft in desk.everything() if draft.token == item]
    if found and found[0].outcome and found[0].outcome.rater == LEAD:
        return redirect("/lead/splits")  # pressed twice
    if not found or found[0].state != "split" or choice >= len(found[0].verdicts):
        raise Refused(404, "There is no such open disagreement.")
    taken = found[0].verdicts[choice]
    desk.settle(item, taken.decision, taken.edited, reason.strip() or taken.reason)
    return redirect("/lead/splits")


def _desk(request: Request) -> Desk:
    desk = parts(request).desk
    if desk is None:
        raise Refused(404, "There is no such page.")
    return desk
