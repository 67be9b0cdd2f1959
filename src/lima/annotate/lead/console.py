"""The lead's console: raters, invitations, plan, progress, agreement so far, export. It needs its own secret.

It works on the blind texts like the raters' pages: the key of the study is nowhere in this process.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Form, Path
from starlette.requests import Request
from starlette.responses import Response

from lima.annotate import panel, people, quiz
from lima.annotate.facts import close_study
from lima.annotate.languages import Said
from lima.annotate.pages import (
    address,
    checked_lead,
    cookie,
    link_of,
    page,
    redirect,
    set_cookie,
    site_of,
)
from lima.annotate.people import LEAD_SESSION_SECONDS, new_token
from lima.annotate.security import Refused, check_csrf
from lima.errors import LimaError

router = APIRouter(prefix="/lead")

Csrf = Annotated[str, Form(max_length=64)]
Text = Annotated[str, Form(max_length=200)]
RowId = Annotated[int, Path(ge=1, le=2**31 - 1)]


@router.get("")
def console(request: Request) -> Response:
    """Everything on one page."""
    token = cookie(request, "lead")
    site = site_of(request)
    if not token or not people.is_lead(site.base, token, site.clock()):
        return redirect(request, "/lead/sign-in")
    return _console(request, token)


@router.get("/sign-in")
def sign_in_form(request: Request) -> Response:
    """Ask for the secret."""
    return _sign_in_form(request, "")


@router.post("/sign-in")
def sign_in(request: Request, secret: Text = "", csrf: Csrf = "") -> Response:
    """Check the secret; attempts are limited."""
    site = site_of(request)
    site.lead_attempts.check(address(request), site.clock())
    check_csrf(request, cookie(request, "lead"), csrf)
    if not hmac.compare_digest(secret.strip().encode(), site.lead_secret.encode()):
        return _sign_in_form(request, Said("That is not the secret."))
    response = redirect(request, "/lead")
    token = people.sign_in_lead(site.base, site.clock())
    set_cookie(response, request, "lead", token, LEAD_SESSION_SECONDS)
    return response


@router.post("/sign-out")
def sign_out(request: Request, csrf: Csrf = "") -> Response:
    """End the lead's session."""
    token = checked_lead(request, csrf)
    people.close_session(site_of(request).base, token)
    response = redirect(request, "/lead/sign-in")
    set_cookie(response, request, "lead", "", 0)
    return response


@router.post("/invitations")
def invite(request: Request, group: Text = "", note: Text = "", csrf: Csrf = "") -> Response:
    """Make a one-time link and show it, this once."""
    token, site = checked_lead(request, csrf), site_of(request)
    if group not in site.work.groups:
        raise Refused(422, "There is no group {group}.", group=group)
    code = people.invite(site.base, group, note.strip(), site.clock())
    return _console(
        request,
        token,
        link=link_of(request, code),
        link_for=note.strip() or Said("a new rater of the group {group}", group=group),
    )


@router.post("/raters/{rater_id}/invitations")
def invite_again(request: Request, rater_id: RowId, csrf: Csrf = "") -> Response:
    """A way back in for a rater who lost the browser's session."""
    token, site = checked_lead(request, csrf), site_of(request)
    found = [row for row in people.raters_joined(site.base) if row.id == rater_id and row.state == "active"]
    if not found:
        raise Refused(404, "There is no such active rater.")
    code = people.invite(site.base, found[0].group, found[0].note, site.clock(), rater_id=rater_id)
    return _console(request, token, link=link_of(request, code), link_for=found[0].name)


@router.post("/invitations/{invitation_id}/revoke")
def revoke_invitation(request: Request, invitation_id: RowId, csrf: Csrf = "") -> Response:
    """An unused link stops working."""
    checked_lead(request, csrf)
    people.revoke_invitation(site_of(request).base, invitation_id, site_of(request).clock())
    return redirect(request, "/lead#invitations")


@router.post("/raters/{rater_id}/revoke")
def revoke_rater(request: Request, rater_id: RowId, csrf: Csrf = "") -> Response:
    """End a rater's access and keep the answers."""
    return _remove(request, rater_id, csrf, keep_answers=True)


@router.post("/raters/{rater_id}/exclude")
def exclude_rater(request: Request, rater_id: RowId, csrf: Csrf = "") -> Response:
    """End a rater's access; the answers no longer count and the places go back to the pool."""
    return _remove(request, rater_id, csrf, keep_answers=False)


@router.post("/raters/{rater_id}/forget")
def forget_person(request: Request, rater_id: RowId, csrf: Csrf = "") -> Response:
    """Delete what says who a rater is; answers stay."""
    checked_lead(request, csrf)
    site = site_of(request)
    if not panel.forget_person(site.base, rater_id, site.clock()):
        raise Refused(404, "There is no such rater.")
    return redirect(request, "/lead#raters")


@router.post("/export")
def export(request: Request, csrf: Csrf = "") -> Response:
    """Write the answers into the study's files."""
    token = checked_lead(request, csrf)
    return _console(request, token, notice=[_export(request)])


@router.post("/close")
def close(request: Request, csrf: Csrf = "") -> Response:
    """Close the study for good: raters are done, and names may be told."""
    token, site = checked_lead(request, csrf), site_of(request)
    close_study(site.base, site.clock())
    site.closed.set()
    return _console(request, token, notice=[Said("The study is closed."), _export(request)])


@router.post("/panel/forget")
def forget_panel(request: Request, csrf: Csrf = "") -> Response:
    """Delete the panel's ids; answers stay."""
    token, site = checked_lead(request, csrf), site_of(request)
    panel.forget(site.base, site.clock())
    return _console(request, token, notice=[Said("The panel's ids are deleted. The answers stay.")])


@router.post("/panel/exclude")
def exclude_idle(
    request: Request, fewest: Annotated[int, Form(ge=1, le=100_000)] = 1, csrf: Csrf = ""
) -> Response:
    """Exclude all raters of the panel with fewer steps than ``fewest``: their places go back at once."""
    token, site = checked_lead(request, csrf), site_of(request)
    idle = people.panel_raters_below(site.base, fewest)
    for rater_id in idle:
        people.remove_rater(
            site.base, rater_id, site.clock(), keep_answers=False, withdraw=site.work.withdraw
        )
        site.work.left(rater_id)
    return _console(
        request, token, notice=[Said("Excluded raters of the panel: {number}.", number=len(idle))]
    )


def _console(
    request: Request, token: str, *, notice: Sequence[str] = (), link: str = "", link_for: str = ""
) -> Response:
    site = site_of(request)
    return page(
        site.work.console,
        request,
        csrf=token,
        settings=site.settings,
        groups=site.work.groups,
        tiles=site.work.tiles(),
        files=site.work.files,
        raters=people.raters_joined(site.base),
        tries=quiz.last_tries(site.base) if site.work.protocol.quiz else {},
        invitations=people.invitations_made(site.base),
        closed=site.closed.is_set(),
        notice=notice,
        link=link,
        link_for=link_for,
        **site.work.console_values(),
    )


def _sign_in_form(request: Request, problem: str) -> Response:
    token = cookie(request, "lead") or new_token()
    response = page("lead_sign_in.html", request, status=401 if problem else 200, csrf=token, problem=problem)
    set_cookie(response, request, "lead", token, LEAD_SESSION_SECONDS)
    return response


def _export(request: Request) -> str:
    site = site_of(request)
    try:
        written = site.work.export(closed=site.closed.is_set())
        people.note_export(site.base, site.clock())
        return written
    except LimaError as error:
        raise Refused(409, "Nothing was written. {problem}", problem=error) from error
    except OSError as error:
        problem = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        text = "Not everything was written ({problem}). Mend that and export again."
        raise Refused(409, text, problem=problem) from error


def _remove(request: Request, rater_id: int, csrf: str, *, keep_answers: bool) -> Response:
    checked_lead(request, csrf)
    site = site_of(request)
    work = site.work
    if not people.remove_rater(
        site.base, rater_id, site.clock(), keep_answers=keep_answers, withdraw=work.withdraw
    ):
        raise Refused(404, "There is no such rater.")
    work.left(rater_id)
    return redirect(request, "/lead#raters")
