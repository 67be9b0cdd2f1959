"""The lead's console: raters, invitations, plan, progress, agreement so far, export. It needs its own secret.

It works on the blind texts like the raters' pages: the key of the study is nowhere in this process.
"""

from __future__ import annotations

import hmac
from typing import Annotated, cast

from fastapi import APIRouter, Form, Path
from starlette.requests import Request
from starlette.responses import Response

from lima.annotate import people
from lima.annotate.closing import close_study
from lima.annotate.compare import adjudication, overview
from lima.annotate.lead import lead_files
from lima.annotate.pages import (
    LEAD_COOKIE,
    address,
    page,
    parts,
    redirect,
    set_cookie,
    signed_in_lead,
)
from lima.annotate.people import LEAD_SESSION_SECONDS, new_token
from lima.annotate.review.drafts import withdraw
from lima.annotate.security import Refused, check_csrf
from lima.files import encode
from lima.records import Label

router = APIRouter(prefix="/lead")

Csrf = Annotated[str, Form(max_length=64)]
Text = Annotated[str, Form(max_length=200)]
Reason = Annotated[str, Form(max_length=500)]
RowId = Annotated[int, Path(ge=1, le=2**31 - 1)]
MOST_DISAGREEMENTS = 50


@router.get("")
def console(request: Request) -> Response:
    """Everything on one page."""
    token = request.cookies.get(LEAD_COOKIE, "")
    app = parts(request)
    if not token or not people.is_lead(app.base, token, app.clock()):
        return redirect("/lead/sign-in")
    return _console(request, token)


@router.get("/sign-in")
def sign_in_form(request: Request) -> Response:
    """Ask for the secret."""
    return _sign_in_form(request, "")


@router.post("/sign-in")
def sign_in(request: Request, secret: Text = "", csrf: Csrf = "") -> Response:
    """Check the secret; attempts are limited."""
    app = parts(request)
    app.lead_attempts.check(address(request), app.clock())
    check_csrf(request, request.cookies.get(LEAD_COOKIE, ""), csrf)
    if not hmac.compare_digest(secret.strip().encode(), app.lead_secret.encode()):
        return _sign_in_form(request, "That is not the secret.")
    response = redirect("/lead")
    token = people.sign_in_lead(app.base, app.clock())
    set_cookie(response, request, LEAD_COOKIE, token, LEAD_SESSION_SECONDS)
    return response


@router.post("/sign-out")
def sign_out(request: Request, csrf: Csrf = "") -> Response:
    """End the lead's session."""
    token = checked_lead(request, csrf)
    people.close_session(parts(request).base, token)
    response = redirect("/lead/sign-in")
    response.delete_cookie(LEAD_COOKIE)
    return response


@router.post("/invitations")
def invite(request: Request, group: Text = "", note: Text = "", csrf: Csrf = "") -> Response:
    """Make a one-time link and show it, this once."""
    token, app = checked_lead(request, csrf), parts(request)
    if group not in app.groups:
        raise Refused(422, f"There is no group {group!r}.")
    code = people.invite(app.base, group, note.strip(), app.clock())
    return _console(
        request, token, link=_link(request, code), link_for=note.strip() or f"a new {group} rater"
    )


@router.post("/raters/{rater_id}/invitations")
def invite_again(request: Request, rater_id: RowId, csrf: Csrf = "") -> Response:
    """A way back in for a rater who lost the browser's session."""
    token, app = checked_lead(request, csrf), parts(request)
    found = [row for row in overview.rater_rows(app.base) if row.id == rater_id and row.state == "active"]
    if not found:
        raise Refused(404, "There is no such active rater.")
    code = people.invite(app.base, found[0].group, found[0].note, app.clock(), rater_id=rater_id)
    return _console(request, token, link=_link(request, code), link_for=found[0].name)


@router.post("/invitations/{invitation_id}/revoke")
def revoke_invitation(request: Request, invitation_id: RowId, csrf: Csrf = "") -> Response:
    """An unused link stops working."""
    checked_lead(request, csrf)
    people.revoke_invitation(parts(request).base, invitation_id, parts(request).clock())
    return redirect("/lead#invitations")


@router.post("/raters/{rater_id}/revoke")
def revoke_rater(request: Request, rater_id: RowId, csrf: Csrf = "") -> Response:
    """End a rater's access and keep the answers."""
    return _remove(request, rater_id, csrf, keep_answers=True)


@router.post("/raters/{rater_id}/exclude")
def exclude_rater(request: Request, rater_id: RowId, csrf: Csrf = "") -> Response:
    """End a rater's access; the answers no longer count and the places go back to the pool."""
    return _remove(request, rater_id, csrf, keep_answers=False)


@router.post("/export")
def export(request: Request, csrf: Csrf = "") -> Response:
    """Write the answers into the study's files."""
    token = checked_lead(request, csrf)
    return _console(request, token, notice=lead_files.export(parts(request)))


@router.post("/close")
def close(request: Request, csrf: Csrf = "") -> Response:
    """Close the study for good: raters are done, and names may be told."""
    token, app = checked_lead(request, csrf), parts(request)
    close_study(app.base, app.clock())
    app.closed.set()
    return _console(request, token, notice=lead_files.close(app))


@router.get("/disagreements")
def disagreements(request: Request) -> Response:
    """Comparisons on which raters chose opposite sides, to read and to decide."""
    token, app = signed_in_lead(request), parts(request)
    found = overview.disagreements(app.base, app.texts)
    shown = found[:MOST_DISAGREEMENTS]
    decisions = adjudication.decided(app.base)
    return page("disagreements.html", request, csrf=token, found=shown, total=len(found), decisions=decisions)


@router.post("/adjudicate")
def adjudicate(
    request: Request,
    comparison: Text,
    label: Annotated[str, Form(max_length=8)] = "",
    reason: Reason = "",
    csrf: Csrf = "",
) -> Response:
    """Record the lead's decision on one comparison."""
    checked_lead(request, csrf)
    app = parts(request)
    if label not in ("a", "b", "tie"):
        raise Refused(422, "Choose one of the three answers.")
    chosen = cast(Label, label)
    if not adjudication.adjudicate(app.base, comparison, chosen, reason.strip(), app.clock()):
        raise Refused(404, "There is no such comparison.")
    return redirect("/lead/disagreements")


@router.get("/export/{name}")
def download(request: Request, name: Annotated[str, Path(max_length=32)]) -> Response:
    """The same rows as a file."""
    signed_in_lead(request)
    rows = lead_files.download(parts(request), name)
    if rows is None:
        raise Refused(404, "There is no such file.")
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(b"".join(map(encode, rows)), media_type="application/x-ndjson", headers=headers)


def _console(
    request: Request, token: str, *, notice: str = "", link: str = "", link_for: str = ""
) -> Response:
    app = parts(request)
    comparisons = len(app.texts.comparisons)
    known = {text_id: gold.label for text_id, gold in app.texts.gold.items()}
    return page(
        "lead.html",
        request,
        csrf=token,
        settings=app.settings,
        mode="desk" if app.desk else "talk" if app.talking else "study",
        comparisons=comparisons,
        plan=app.texts.plan,
        talk_plan=app.talking.talks.plan if app.talking else None,
        groups=app.groups,
        shared=min(app.texts.plan.overlap, comparisons),
        study=app.settings.place.name or "study",
        tiles=lead_files.tiles(app),
        raters=overview.rater_rows(app.base, known),
        has_gold=bool(known),
        invitations=people.invitations_made(app.base),
        agreement=lead_files.agreement(app),
        exports=lead_files.names(app),
        closed=app.closed.is_set(),
        notice=notice,
        link=link,
        link_for=link_for,
    )


def _sign_in_form(request: Request, problem: str) -> Response:
    token = request.cookies.get(LEAD_COOKIE) or new_token()
    response = page("lead_sign_in.html", request, status=401 if problem else 200, csrf=token, problem=problem)
    set_cookie(response, request, LEAD_COOKIE, token, LEAD_SESSION_SECONDS)
    return response


def checked_lead(request: Request, csrf: str) -> str:
    """The lead's session token; raises `Refused` unless a form of that session was sent."""
    token = signed_in_lead(request)
    check_csrf(request, token, csrf)
    return token


def _remove(request: Request, rater_id: int, csrf: str, *, keep_answers: bool) -> Response:
    checked_lead(request, csrf)
    app = parts(request)
    also = withdraw if app.desk else None
    if not people.remove_rater(app.base, rater_id, app.clock(), keep_answers=keep_answers, withdraw=also):
        raise Refused(404, "There is no such rater.")
    if app.desk:
        app.desk.leave(rater_id)
        app.desk.changed()
    return redirect("/lead#raters")


def _link(request: Request, code: str) -> str:
    base = parts(request).settings.public_url or str(request.base_url).rstrip("/")
    return f"{base}/join/{code}"
