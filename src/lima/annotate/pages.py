"""What the pages share: the app's parts, templates, cookies, and who is asking."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from lima.annotate import people
from lima.annotate.compare.assignment import Assignment
from lima.annotate.compare.texts import Texts
from lima.annotate.database import Database
from lima.annotate.dialogue.streams import Talking
from lima.annotate.people import Person
from lima.annotate.render import to_html
from lima.annotate.review.house_style import HouseStyle
from lima.annotate.review.queue import Desk
from lima.annotate.review.review_files import DeskFiles
from lima.annotate.security import RateLimit, Refused, csrf_token
from lima.annotate.settings import AnnotateSettings
from lima.files import text_hash

RATER_COOKIE = "lima_rater"
LEAD_COOKIE = "lima_lead"
STATIC = Path(str(resources.files("lima.annotate"))) / "static"


@dataclass(frozen=True)
class Parts:
    """Everything that the pages of one study work with."""

    settings: AnnotateSettings
    texts: Texts
    base: Database
    work: Assignment
    clock: Callable[[], float]
    lead_secret: str
    talking: Talking | None = None
    """The systems of dialogues, where people talk with systems."""
    desk: Desk | None = None
    """Candidates and drafts, where people write and review examples."""
    house: HouseStyle | None = None
    """What an example that is being written is compared with."""
    files: DeskFiles | None = None
    """Where the desk's texts come from and go to."""
    closed: threading.Event = field(default_factory=threading.Event)
    """Set once the lead has closed the study."""
    entering: RateLimit = field(default_factory=lambda: RateLimit(per_second=20, burst=600))
    """Join and panel, by address: a classroom behind one address comes in together."""
    lead_attempts: RateLimit = field(default_factory=lambda: RateLimit(per_second=0.1, burst=10))
    answering: RateLimit = field(default_factory=lambda: RateLimit(per_second=5, burst=60))
    """Everything else that a rater does, by rater."""

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups that people are invited to: writers of training and of test examples are kept apart."""
        return ("A", "B") if self.desk else self.texts.plan.groups

    @property
    def home(self) -> str:
        """The page where the work of a signed-in person begins."""
        return "/desk" if self.desk else "/talk" if self.talking else "/work"


def parts(request: Request) -> Parts:
    """The parts of the app that serves this request."""
    found = request.app.state.parts
    assert isinstance(found, Parts)
    return found


def page(name: str, request: Request, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Render a template."""
    return HTMLResponse(templates().get_template(name).render(request=request, **values), status)


def redirect(path: str) -> RedirectResponse:
    """Send the browser on to a page."""
    return RedirectResponse(path, 303)


def wants_json(request: Request) -> bool:
    """Whether a script of a page asks, which needs no page in reply."""
    return "application/json" in request.headers.get("accept", "")


def saved(request: Request, to: str) -> Response:
    """The reply to a form that changed something: where to go on."""
    return JSONResponse({"to": to}) if wants_json(request) else redirect(to)


def signed_in(request: Request) -> tuple[Person, str]:
    """The rater and the session token; raises `Refused` (401)."""
    app, token = parts(request), request.cookies.get(RATER_COOKIE, "")
    person = people.rater_of(app.base, token, app.clock()) if token else None
    if person is None:
        raise Refused(
            401, "You are not signed in. Open your invitation link, or ask the study's lead for one."
        )
    if app.closed.is_set():
        raise Refused(410, "The study is closed. Everything you answered is saved. Thank you!")
    app.answering.check(person.name, app.clock())
    return person, token


def signed_in_lead(request: Request) -> str:
    """The lead's session token; raises `Refused` (401)."""
    app, token = parts(request), request.cookies.get(LEAD_COOKIE, "")
    if not token or not people.is_lead(app.base, token, app.clock()):
        raise Refused(401, "The lead's console needs its secret.")
    return token


def set_cookie(response: Response, request: Request, name: str, token: str, seconds: int) -> None:
    """A cookie that no script reads and no other site sends with a form."""
    public = parts(request).settings.public_url or ""
    response.set_cookie(
        name,
        token,
        max_age=seconds,
        httponly=True,
        samesite="lax" if name == RATER_COOKIE else "strict",
        secure=request.url.scheme == "https" or public.startswith("https://"),
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
    )
    environment.globals.update(to_html=to_html, static=static, csrf_token=csrf_token)
    return environment


@lru_cache
def static_root() -> str:
    """Where static files are served: the address changes with any of them, so that browsers can keep them for good."""
    files = sorted(STATIC.iterdir())
    return f"/static/{text_hash(*(file.read_text(encoding='utf-8') for file in files), length=8)}"


def static(name: str) -> str:
    """The address of a static file."""
    return f"{static_root()}/{name}"


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
