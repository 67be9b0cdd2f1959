"""What stands between a browser and the pages: hosts, sizes, rates, headers, and a log without secrets."""

from __future__ import annotations

import hashlib
import hmac
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import ip_address

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("lima.annotate")

LARGEST_BODY = 512 * 1024
"""Two texts of 20,000 characters, as a form sends them: 9 bytes for one of Chinese."""
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


BY_NUMBER = "<any number>"
"""Among the hosts of a server that listens on every address: each of them, by its number."""


class Refused(Exception):
    """A request that is turned away, with its HTTP status, a sentence for the person, and where to go from there.

    The sentence is English; pages say it in the study's language, with its ``values``.
    """

    def __init__(self, status: int, text: str, to: str | None = None, **values: object) -> None:
        super().__init__(text)
        self.status, self.text, self.to, self.values = status, text, to, values


class Elsewhere(Exception):
    """Another page of the study comes first."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


class Guard:
    """ASGI middleware: known hosts only, bounded bodies, security headers, one log line a request.

    The log names the route, never the path: paths hold invitation codes.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self.app, self.hosts = app, frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _add_headers(scope, status, MutableHeaders(scope=message))
            await send(message)

        try:
            await self._checked(scope, receive, sending)
        finally:
            route = getattr(scope.get("route"), "path", "-")
            milliseconds = 1000 * (time.perf_counter() - started)
            log.info("%s %s %d %.0f ms", scope["method"], route, status, milliseconds)

    async def _checked(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        length = headers.get("content-length", "0")
        if not self._answers(_host_name(headers.get("host", "")).lower()):
            answer = PlainTextResponse("This address is not served here.", 421)
            await answer(scope, receive, send)
        elif not length.isdecimal() or int(length) > LARGEST_BODY:
            await PlainTextResponse("The request is too large.", 413)(scope, receive, send)
        else:
            await self.app(scope, _bounded(receive), send)

    def _answers(self, name: str) -> bool:
        """A number cannot be pointed elsewhere, as the name of a foreign site can."""
        return name in self.hosts or (BY_NUMBER in self.hosts and _is_number(name))


@dataclass(frozen=True)
class _Bucket:
    tokens: float
    at: float


class RateLimit:
    """At most ``burst`` requests at once and ``per_second`` in the long run, for each name (token buckets)."""

    most_names = 10_000

    def __init__(self, per_second: float, burst: float) -> None:
        self.per_second, self.burst = per_second, burst
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._lock = threading.Lock()

    def check(self, name: str, now: float) -> None:
        """Count one request; raises `Refused` (429) when there are too many."""
        with self._lock:
            bucket = self._buckets.pop(name, None) or _Bucket(self.burst, now)
            passed = max(0.0, now - bucket.at)
            tokens = min(self.burst, bucket.tokens + passed * self.per_second)
            allowed = tokens >= 1
            self._buckets[name] = _Bucket(tokens - allowed, now)
            if len(self._buckets) > self.most_names:
                self._buckets.popitem(last=False)
        if not allowed:
            raise Refused(429, "Too many requests. Wait a little and try again.")


def csrf_token(session_token: str) -> str:
    """What a form must send back: only a page of ours, shown to this session, can know it."""
    return hashlib.sha256(f"csrf:{session_token}".encode()).hexdigest()[:32]


def check_csrf(request: Request, session_token: str, given: str) -> None:
    """Raise `Refused` (403) unless the form came from a page of this session."""
    elsewhere = request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")
    if elsewhere or not hmac.compare_digest(csrf_token(session_token).encode(), given.encode()):
        raise Refused(403, "This form is out of date. Open the page again and repeat.")


def _add_headers(scope: Scope, status: int, headers: MutableHeaders) -> None:
    for name, value in HEADERS.items():
        headers[name] = value
    is_static = scope["path"].startswith("/static/") and status < 400
    headers["cache-control"] = "public, max-age=31536000, immutable" if is_static else "no-store"


def _host_name(host: str) -> str:
    """``host:port`` without its port; an IPv6 address keeps its brackets.

    >>> _host_name("127.0.0.1:8400"), _host_name("[::1]:8400")
    ('127.0.0.1', '[::1]')
    """
    return host[: host.find("]") + 1] if host.startswith("[") else host.partition(":")[0]


def _is_number(host: str) -> bool:
    """Whether a host is an address in numbers.

    >>> _is_number("192.0.2.7"), _is_number("[2001:db8::1]"), _is_number("evil.example")
    (True, True, False)
    """
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _bounded(receive: Receive) -> Receive:
    """Cut a body off that grows past its limit (chunked bodies have no length to check)."""
    size = 0

    async def receiving() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        return {"type": "http.disconnect"} if size > LARGEST_BODY else message

    return receiving
