"""What the pages share: the app's parts, templates, cookies, and who is asking."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from lima.annotate import panel, people
from lima.annotate.database import Database
from lima.annotate.languages import STATIC, Language
from lima.annotate.people import Participant
from lima.annotate.quiz import tries_of
from lima.annotate.render import as_written, to_html
from lima.annotate.security import Elsewhere, RateLimit, Refused, check_csrf, csrf_token
from lima.annotate.settings import AnnotateSettings
from lima.annotate.work import AnnotationWork
from lima.files import text_hash

Cookie = Literal["rater", "lead", "view"]
W = TypeVar("W", bound=AnnotationWork)


@dataclass(frozen=True)
class Site:
    """Everything that the pages of one server work with."""

    settings: AnnotateSettings
    work: AnnotationWork
    base: Database
    clock: Callable[[], float]
    lead_secret: str
    name: str
    """Of the study, in its cookies: browsers send them to every port of a host, where other studies may be served."""
    language: Language = field(default_factory=Language)
    """Of the raters' pages."""
    closed: threading.Event = field(default_factory=threading.Event)
    """Set once the lead has closed the study."""
    entering: RateLimit = field(default_factory=lambda: RateLimit(per_second=20, burst=600))
    """Join and panel, by address: a classroom behind one address comes in together."""
    lead_attempts: RateLimit = field(default_factory=lambda: RateLimit(per_second=0.1, burst=10))
    qualified: set[int] = field(default_factory=set)
    """Raters who are known to have passed the quiz."""
    answering: RateLimit = field(default_factory=lambda: RateLimit(per_second=5, burst=60))
    """Everything else that a rater does, by rater."""

    @property
    def root(self) -> str:
        """The path of ``--public-url``, under which a proxy serves these pages."""
        return urlsplit(self.settings.public_url or "").path.rstrip("/")


def site_of(request: Request) -> Site:
    """The site that serves this request."""
    found = request.app.state.site
    assert isinstance(found, Site)
    return found


def work_of(request: Request, kind: type[W]) -> W:
    """The server's work, which is of the kind whose page was asked for: no other kind's pages are served."""
    found = site_of(request).work
    assert isinstance(found, kind), found
    return found


def page(name: str, request: Request, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Render a template; its ``show`` makes HTML of a text, as the rater wants to see it."""
    site = site_of(request)
    values |= {"show": show_of(request), "written": sees_written(request), "root": site.root}
    values |= {"protocol": site.work.protocol, "rendered": to_html}
    values |= {"language": site.language, "_": site.language.say}
    values |= {"static": site.root + static_root(), "may_switch": site.work.protocol.display == "rendered"}
    return HTMLResponse(templates().get_template(name).render(request=request, **values), status)


def sees_written(request: Request) -> bool:
    """Whether texts are shown character by character: the protocol says so, or the rater does."""
    return site_of(request).work.protocol.display == "written" or cookie(request, "view") == "written"


def show_of(request: Request) -> Callable[..., Markup]:
    """What makes safe HTML of a text on this request's page."""
    return as_written if sees_written(request) else to_html


def link_of(request: Request, code: str) -> str:
    """The address that an invitation is sent as."""
    base = site_of(request).settings.public_url or str(request.base_url).rstrip("/")
    return f"{base}/join/{code}"


def redirect(request: Request, path: str) -> RedirectResponse:
    """Send the browser on to a page."""
    return RedirectResponse(site_of(request).root + path, 303)


def wants_json(request: Request) -> bool:
    """Whether a script of a page asks, which needs no page in reply."""
    return "application/json" in request.headers.get("accept", "")


def saved(request: Request, to: str) -> Response:
    """The reply to a form that changed something: where to go on."""
    return JSONResponse({"to": site_of(request).root + to}) if wants_json(request) else redirect(request, to)


def signed_in(request: Request) -> tuple[Participant, str]:
    """The rater and the session token; raises `Refused` (401), or `Elsewhere` before the quiz is passed."""
    site, (person, token) = site_of(request), entered(request)
    if site.work.protocol.quiz is not None and not _has_passed(site, person):
        raise Elsewhere("/quiz")
    return person, token


def _has_passed(site: Site, person: Participant) -> bool:
    """Whether the rater has passed the quiz; who has stays in, so each is looked up until then alone."""
    if person.id not in site.qualified and any(one.passed for one in tries_of(site.base, person)):
        site.qualified.add(person.id)
    return person.id in site.qualified


def entered(request: Request) -> tuple[Participant, str]:
    """The rater and the session token, before or after the quiz; raises `Refused` (401)."""
    site, token = site_of(request), cookie(request, "rater")
    person = people.rater_of(site.base, token, site.clock()) if token else None
    if person is None:
        raise Refused(
            401, "You are not signed in. Open your invitation link, or ask the study's lead for one."
        )
    if site.closed.is_set():
        way: panel.WayOut = "completed" if people.has_answered(site.base, person) else "screened"
        to = panel.way_back(site.base, site.settings, person, way, site.clock())
        if request.method == "GET":
            raise Refused(410, "The study is closed. Everything you answered is saved. Thank you!", to)
        raise Refused(
            410, "The study was closed before this arrived. What was saved until then counts. Thank you!", to
        )
    site.answering.check(person.name, site.clock())
    return person, token


def checked(request: Request, csrf: str) -> Participant:
    """The rater who sent a form; raises `Refused` unless it came from a page of its session."""
    person, token = signed_in(request)
    check_csrf(request, token, csrf)
    return person


def signed_in_lead(request: Request) -> str:
    """The lead's session token; raises `Refused` (401)."""
    site, token = site_of(request), cookie(request, "lead")
    if not token or not people.is_lead(site.base, token, site.clock()):
        raise Refused(401, "The lead's console needs its secret.")
    return token


def checked_lead(request: Request, csrf: str) -> str:
    """The lead's session token; raises `Refused` unless a form of that session was sent."""
    token = signed_in_lead(request)
    check_csrf(request, token, csrf)
    return token


def cookie(request: Request, kind: Cookie) -> str:
    """The study's cookie, or the one without a name that former versions set; empty where there is none."""
    found = request.cookies.get(f"lima_{kind}_{site_of(request).name}")
    return found or request.cookies.get(f"lima_{kind}", "")


def set_cookie(response: Response, request: Request, kind: Cookie, value: str, seconds: int) -> None:
    """A cookie that no script reads and no other site sends with a form."""
    site = site_of(request)
    response.set_cookie(
        f"lima_{kind}_{site.name}",
        value,
        max_age=seconds,
        path=site.root or "/",
        httponly=True,
        samesite="strict" if kind == "lead" else "lax",
        secure=request.url.scheme == "https" or (site.settings.public_url or "").startswith("https://"),
    )


def address(request: Request) -> str:
    """The client's address, for rate limits."""
    return request.client.host if request.client else "-"


@lru_cache(maxsize=1)
def templates() -> Environment:
    """The templates, with everything escaped that is not marked as safe by `lima.annotate.render`."""
    environment = Environment(
        loader=PackageLoader("lima.annotate"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,  # an upgrade of lima under a running server must not mix two versions
    )
    environment.globals.update(csrf_token=csrf_token)
    return environment


@lru_cache
def static_root() -> str:
    """Where static files are served: the address changes with any of them, so that browsers can keep them for good."""
    files = sorted(STATIC.iterdir())
    return f"/static/{text_hash(*(file.read_text(encoding='utf-8') for file in files), length=8)}"


def typed(text: str) -> str:
    """A text from a form, with plain newlines: a form that is sent without a script has CR LF."""
    return text.replace("\r\n", "\n").strip()


def spent(text: str) -> float | None:
    """Seconds as a page measured them, or None where it did not."""
    try:
        value = float(text)
    except ValueError:
        return None
    return round(min(max(0.0, value), 86_400.0), 1) if math.isfinite(value) else None
