"""How people come in and go: invitations, panels, a pause, giving a place back, and the last page."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Path
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from lima.annotate import panel, people, quiz
from lima.annotate.pages import (
    Site,
    address,
    checked,
    cookie,
    entered,
    page,
    redirect,
    set_cookie,
    signed_in,
    site_of,
)
from lima.annotate.people import SESSION_SECONDS, Participant, new_token
from lima.annotate.security import Refused, check_csrf
from lima.evaluate.protocol import Quiz

router = APIRouter()

Code = Annotated[str, Path(max_length=128)]
Token = Annotated[str, Form(max_length=64)]

REFUSALS = {
    "unknown": "This invitation is not known. Is the link complete?",
    "used": "This invitation was used already. Ask the study's lead for a new link.",
    "revoked": "This invitation is no longer valid. Ask the study's lead.",
    "full": "All places of this study are taken. Thank you for coming.",
    "unlisted": "This id is not on the study's list. Open the study from the panel's own page.",
    "unqualified": "This study ended for you with its quiz. Thank you for your time.",
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
    response = _welcome(request, token, by_panel=False)
    set_cookie(response, request, "rater", token, SESSION_SECONDS)
    return response


def _welcome(request: Request, token: str, *, by_panel: bool) -> Response:
    """What people read before they begin."""
    work = site_of(request).work
    return page(work.invitation, request, csrf=token, by_panel=by_panel, **work.invitation_values())


@router.post("/join/{code}")
def join(request: Request, code: Code, consent: Token = "", csrf: Token = "") -> Response:
    """Accept an invitation: the browser's token becomes that of a rater."""
    site = site_of(request)
    site.entering.check(address(request), site.clock())
    token = _cookie_back(request)
    check_csrf(request, token, csrf)
    if people.rater_of(site.base, token, site.clock()):
        return redirect(request, site.work.home)  # a second click
    _check_consent(site, consent)
    refusal = people.accept(site.base, code, token, site.clock())
    if isinstance(refusal, str):
        return page("message.html", request, status=410, title="No entry", text=REFUSALS[refusal], to=None)
    return redirect(request, site.work.home)


@router.get("/panel")
def panel_visit(request: Request) -> Response:
    """A panel sends its people here, with their ids in the address: what they will do, before they begin."""
    site = site_of(request)
    site.entering.check(address(request), site.clock())
    visit = _visit(request)
    held, token = cookie(request, "rater"), new_token()
    person = people.rater_of(site.base, held, site.clock()) if held else None
    if person and panel.is_known(site.base, visit, person):
        return redirect(request, site.work.home)  # in another tab: the forms of the first one stay good
    response = _welcome(request, token, by_panel=True)
    set_cookie(response, request, "rater", token, SESSION_SECONDS)
    return response


@router.post("/panel")
def enter_from_panel(request: Request, consent: Token = "", csrf: Token = "") -> Response:
    """Begin: the browser's token becomes that of a rater."""
    site = site_of(request)
    site.entering.check(address(request), site.clock())
    token = _cookie_back(request)
    check_csrf(request, token, csrf)
    _check_consent(site, consent)
    person = panel.admit(site.base, site.settings, _visit(request), token, site.clock())
    if isinstance(person, str):
        ways: dict[str, panel.WayOut] = {"failed": "failed", "full": "screened", "unqualified": "unqualified"}
        to = panel.way_out(site.settings, ways[person]) if person in ways else None
        return page("message.html", request, status=410, title="No entry", text=REFUSALS[person], to=to)
    return redirect(request, site.work.home)


def _cookie_back(request: Request) -> str:
    """The browser's token; raises `Refused` where it sends no cookie back: no form would ever be good."""
    token = cookie(request, "rater")
    if not token:
        raise Refused(403, "This study needs a cookie. Allow cookies for this site and open the link again.")
    return token


def _check_consent(site: Site, given: str) -> None:
    if site.work.protocol.consent and not given:
        raise Refused(
            422, "Your consent is needed to begin. Open the page again, or close it if you do not agree."
        )


def _visit(request: Request) -> panel.Visit:
    settings = site_of(request).settings
    if settings.panel == "none":
        raise Refused(404, "There is no such page.")
    visit = panel.visit_of(settings, request.query_params)
    if visit is None:
        raise Refused(
            422,
            "This address does not say who the panel sent. Open the study from the panel's own page again.",
        )
    return visit


@router.get("/quiz")
def show_quiz(request: Request) -> Response:
    """The questions of the quiz, or the way to the work for those who have passed."""
    site, (person, token) = site_of(request), entered(request)
    asked, tries = site.work.protocol.quiz, quiz.tries_of(site.base, person)
    if asked is None or any(one.passed for one in tries):
        return redirect(request, site.work.home)
    return page(
        "quiz.html", request, csrf=token, quiz=asked, tries=len(tries), last=tries[-1] if tries else None
    )


@router.post("/quiz")
async def answer_quiz(request: Request) -> Response:
    """Count a try. The same form sent twice is one try."""
    form = {name: str(value) for name, value in (await request.form(max_fields=200)).items()}
    return await run_in_threadpool(_count_try, request, form)


def _count_try(request: Request, form: Mapping[str, str]) -> Response:
    site, (person, token) = site_of(request), entered(request)
    check_csrf(request, token, form.get("csrf", ""))
    asked = site.work.protocol.quiz
    if asked is None:
        return redirect(request, site.work.home)
    number = int(form["tries"]) if form.get("tries", "").isdecimal() else 0
    made = quiz.attempt(site.base, person, asked, _chosen(asked, form), number=number, now=site.clock())
    if made is None or made.passed or number + 1 < asked.attempts:
        return redirect(request, "/quiz")
    to = panel.way_back(site.base, site.settings, person, "unqualified", site.clock())
    text = "Too few answers were right to take part. Thank you for your time."
    return page("message.html", request, title="This study ends here", text=text, to=to)


def _chosen(asked: Quiz, form: Mapping[str, str]) -> list[str]:
    """The choice for each question; raises `Refused` (422) where one is missing."""
    found = []
    for number, question in enumerate(asked.questions):
        choices = {str(place): choice for place, choice in enumerate(question.choices)}
        if form.get(f"q{number}") not in choices:
            raise Refused(422, "Answer every question.")
        found.append(choices[form[f"q{number}"]])
    return found


@router.get("/pause")
def pause(request: Request) -> Response:
    """A quiet page. Nothing is lost: every answer is saved, and the open item is kept for a while."""
    _, token = entered(request)
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
    person, token = entered(request)
    check_csrf(request, token, csrf)
    way: panel.WayOut = "left" if people.has_answered(site.base, person) else "screened"
    to = panel.way_back(site.base, site.settings, person, way, site.clock())
    people.remove_rater(site.base, person.id, site.clock(), keep_answers=True)
    site.work.left(person.id)
    return page(
        "message.html", request, title="You have left", text="Thank you. What you answered is kept.", to=to
    )


@router.get("/checked")
def failed_checks(request: Request) -> Response:
    """Where those land who missed the checks. They are signed out: the proof in the address is of their own cookie."""
    site = site_of(request)
    proven = hmac.compare_digest(_proof(request).encode(), request.query_params.get("proof", "").encode())
    to = site.settings.panel_failed if proven else None
    return page("message.html", request, title="This study ends here", text=REFUSALS["failed"], to=to)


def after_failed_checks(request: Request, person: Participant) -> str:
    """The page for a rater whose work just ended with the checks; strangers do not get its code."""
    site = site_of(request)
    to = panel.way_back(site.base, site.settings, person, "failed", site.clock())
    return f"/checked?proof={_proof(request)}" if to else "/checked"


def _proof(request: Request) -> str:
    secret, token = site_of(request).lead_secret, cookie(request, "rater")
    return hmac.new(secret.encode(), f"failed:{token}".encode(), "sha256").hexdigest()


def last_page(request: Request, person: Participant, answered: int, thanks: str) -> Response:
    """Nothing is left: ``thanks`` for what was ``answered``, and for a panel's rater the way back, by what there was to do."""
    site = site_of(request)
    began = bool(answered) or people.has_answered(site.base, person)
    to = panel.way_back(site.base, site.settings, person, "completed" if began else "screened", site.clock())
    if not began:
        text = "All places of this study are taken. Thank you for coming."
        return page("message.html", request, title="Nothing is left to do", text=text, to=to)
    if not answered:
        text = "The rest is with other people now. What you answered is saved. Thank you!"
        return page("message.html", request, title="Nothing is left to do", text=text, to=to)
    text = site.language.say(thanks, answered=answered)
    return page("message.html", request, title="That was the last one", text=text, to=to)


def waiting_page(request: Request, person: Participant, minutes: int) -> Response:
    """The rest is in other hands for now: look again later, or, for a panel's rater, end here with a code."""
    site = site_of(request)
    way: panel.WayOut = "completed" if people.has_answered(site.base, person) else "screened"
    back = panel.way_back(site.base, site.settings, person, way, site.clock())
    say = site.language.say
    text = say(
        "All items that are left are with other people now. Look again in {minutes} min.", minutes=minutes
    )
    if back:
        text += " " + say("You need not wait: you can end here, and your work counts.")
    title = "Nothing to do just now"
    return page("message.html", request, title=title, text=text, to=site.work.home, back=back)
