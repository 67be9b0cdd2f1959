"""How people come in and go: invitations, panels, a pause, giving a place back, and the last page."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Form, Path
from starlette.requests import Request
from starlette.responses import Response

from lima.annotate import people
from lima.annotate.pages import (
    Site,
    address,
    checked,
    cookie,
    page,
    redirect,
    set_cookie,
    signed_in,
    site_of,
)
from lima.annotate.people import SESSION_SECONDS, Participant, new_token
from lima.annotate.security import Refused, check_csrf

router = APIRouter()

Code = Annotated[str, Path(max_length=128)]
Token = Annotated[str, Form(max_length=64)]

REFUSALS = {
    "unknown": "This invitation is not known. Is the link complete?",
    "used": "This invitation was used already. Ask the study's lead for a new link.",
    "revoked": "This invitation is no longer valid. Ask the study's lead.",
    "failed": "Several answers did not match those of comparisons whose answer is known, so this study ends here for you.",
}


@router.get("/")
def home(request: Request) -> Response:
    """To the work, for those who are signed in."""
    signed_in(request)
    return redirect(request, site_of(request).work.home)


@router.get("/join/{code}")
def invitation(request: Request, code: Code) -> Response:
    """Show an invitation. Opening it uses nothing up: mail programs open links too."""
    site = site_of(request)
    site.entering.check(address(request), site.clock())
    token = cookie(request, "rater")
    if token and people.rater_of(site.base, token, site.clock()):
        return page(
            "message.html", request, title="Welcome back", text="You are signed in.", to=site.work.home
        )
    if refusal := people.look_at(site.base, code):
        return page("message.html", request, status=410, title="No entry", text=REFUSALS[refusal], to=None)
    token = new_token()
    response = page(site.work.invitation, request, csrf=token, **site.work.invitation_values())
    set_cookie(response, request, "rater", token, SESSION_SECONDS)
    return response


@router.post("/join/{code}")
def join(request: Request, code: Code, csrf: Token = "") -> Response:
    """Accept an invitation: the browser's token becomes that of a rater."""
    site = site_of(request)
    site.entering.check(address(request), site.clock())
    token = cookie(request, "rater")
    check_csrf(request, token, csrf)
    if people.rater_of(site.base, token, site.clock()):
        return redirect(request, site.work.home)  # a second click
    refusal = people.accept(site.base, code, token, site.clock())
    if isinstance(refusal, str):
        return page("message.html", request, status=410, title="No entry", text=REFUSALS[refusal], to=None)
    return redirect(request, site.work.home)


@router.get("/panel")
def panel(request: Request) -> Response:
    """A panel sends its people here, with their id in the address."""
    site = site_of(request)
    site.entering.check(address(request), site.clock())
    name = {"prolific": "PROLIFIC_PID", "generic": site.settings.panel_id}.get(site.settings.panel)
    external = request.query_params.get(name, "") if name else ""
    if not external or len(external) > 200:
        raise Refused(404, "There is no such page.")
    held, token = cookie(request, "rater"), new_token()
    before = people.rater_of(site.base, held, site.clock()) if held else None
    person = people.admit(site.base, external, site.settings.panel_group, token, site.clock())
    if isinstance(person, str):
        to = site.settings.panel_failed if person == "failed" else None
        return page("message.html", request, status=410, title="No entry", text=REFUSALS[person], to=to)
    response = redirect(request, site.work.home)
    if person == before:
        return response  # in another tab: the forms of the first one stay good
    set_cookie(response, request, "rater", token, SESSION_SECONDS)
    return response


@router.get("/pause")
def pause(request: Request) -> Response:
    """A quiet page. Nothing is lost: every answer is saved, and the open item is kept for a while."""
    _, token = signed_in(request)
    site = site_of(request)
    return page("pause.html", request, csrf=token, minutes=site.settings.lease_minutes, to=site.work.home)


@router.post("/view")
def view(
    request: Request,
    to: Annotated[str, Form(max_length=64, pattern=r"^(/[a-z]+)+$")],
    view: Annotated[Literal["rendered", "written"], Form()],
    csrf: Token = "",
) -> Response:
    """Show texts rendered or as they were written, from now on; which, and since when, is noted."""
    person, site = checked(request, csrf), site_of(request)
    people.note_view(site.base, person, view, site.clock())
    response = redirect(request, to)
    set_cookie(response, request, "view", view, SESSION_SECONDS)
    return response


@router.post("/leave")
def leave(request: Request, csrf: Token = "") -> Response:
    """Stop for good: answers stay, the open place goes back to the others at once."""
    site = site_of(request)
    person, token = signed_in(request)
    check_csrf(request, token, csrf)
    began = people.has_answered(site.base, person)
    from_panel = is_of_panel(site, person)
    people.remove_rater(site.base, person.id, site.clock(), keep_answers=True)
    site.work.left(person.id)
    to = site.settings.panel_screened if from_panel and not began else None
    return page(
        "message.html", request, title="You have left", text="Thank you. What you answered is kept.", to=to
    )


@router.get("/checked")
def failed_checks(request: Request) -> Response:
    """Where those land who missed the checks; they are signed out, so the page knows nobody."""
    site = site_of(request)
    to = site.settings.panel_failed
    return page("message.html", request, title="This study ends here", text=REFUSALS["failed"], to=to)


def last_page(request: Request, person: Participant, answered: int, what: str) -> Response:
    """Nothing is left: thanks, and for a panel's rater the way back, by what there was to do."""
    site = site_of(request)
    panel = is_of_panel(site, person)
    if not answered and people.has_answered(site.base, person):
        to = site.settings.panel_return if panel else None
        text = "The rest is with other people now. What you answered is saved. Thank you!"
        return page("message.html", request, title="Nothing is left to do", text=text, to=to)
    if not answered:
        to = site.settings.panel_screened if panel else None
        text = "All places of this study are taken. Thank you for coming."
        return page("message.html", request, title="Nothing is left to do", text=text, to=to)
    text = f"You answered {answered} {what}, and all are saved. Thank you!"
    to = site.settings.panel_return if panel else None
    return page("message.html", request, title="That was the last one", text=text, to=to)


def is_of_panel(site: Site, person: Participant) -> bool:
    """Whether a rater came through the panel, and so must be sent back to it."""
    return site.settings.panel != "none" and people.came_from_panel(site.base, person)
