"""The lead's pages of one rater's answers, and of comparisons on which raters chose opposite sides, to read and to decide."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import APIRouter, Form, Path
from starlette.requests import Request
from starlette.responses import Response

from lima.annotate import people
from lima.annotate.compare import adjudication, overview
from lima.annotate.compare.rater_page import answers_of
from lima.annotate.compare.work import CompareWork
from lima.annotate.pages import checked_lead, page, redirect, signed_in_lead, site_of, work_of
from lima.annotate.security import Refused
from lima.records import Label

router = APIRouter(prefix="/lead")

MOST_DISAGREEMENTS = 50
MOST_ANSWERS = 500


@router.get("/raters/{rater_id}")
def one_rater(request: Request, rater_id: Annotated[int, Path(ge=1, le=2**31 - 1)]) -> Response:
    """All that one rater did, with the figures of the console."""
    token, site, work = signed_in_lead(request), site_of(request), work_of(request, CompareWork)
    person = next((row for row in people.raters_joined(site.base) if row.id == rater_id), None)
    if person is None:
        raise Refused(404, "There is no such rater.")
    given, total = answers_of(site.base, work.texts, rater_id, MOST_ANSWERS)
    values = work.console_values()
    shown = {name: values[name] for name in ("figures", "has_checks", "has_competence", "has_gold")}
    return page("rater.html", request, csrf=token, row=person, given=given, total=total, **shown)


@router.get("/disagreements")
def disagreements(request: Request) -> Response:
    """Those with most votes first."""
    token, site = signed_in_lead(request), site_of(request)
    found = overview.disagreements(site.base, work_of(request, CompareWork).texts)
    shown = found[:MOST_DISAGREEMENTS]
    decisions = adjudication.decided(site.base)
    return page("disagreements.html", request, csrf=token, found=shown, total=len(found), decisions=decisions)


@router.post("/adjudicate")
def adjudicate(
    request: Request,
    comparison: Annotated[str, Form(max_length=200)],
    label: Annotated[str, Form(max_length=8)] = "",
    reason: Annotated[str, Form(max_length=500)] = "",
    csrf: Annotated[str, Form(max_length=64)] = "",
) -> Response:
    """Record the lead's decision on one comparison."""
    checked_lead(request, csrf)
    site = site_of(request)
    if label not in ("a", "b", "tie"):
        raise Refused(422, "Choose one of the three answers.")
    chosen = cast(Label, label)
    if not adjudication.adjudicate(site.base, comparison, chosen, reason.strip(), site.clock()):
        raise Refused(404, "There is no such comparison.")
    return redirect(request, "/lead/disagreements")
