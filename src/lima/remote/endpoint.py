"""Where a model answers: ``URL#model`` and the key, which is kept out of everything that is written or printed."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode, urlsplit

from pydantic import AfterValidator

from lima.errors import LimaError

SHORTEST_SECRET = 8
"""A shorter header value is no secret, and would tear holes into any text."""
EXAMPLE = "http://127.0.0.1:8000/v1#my-model"


@dataclass(frozen=True)
class Endpoint:
    """One model on one server. ``repr`` does not show the key."""

    url: str
    """Base of the API, such as ``http://127.0.0.1:8000/v1``; no key, user or query in it."""
    model: str
    key: str = field(default="", repr=False)
    extra_headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Headers beside the usual ones; their values are kept secret as the key is."""
    query: tuple[tuple[str, str], ...] = ()
    """Parameters of every address, such as ``api-version``."""

    @property
    def address(self) -> str:
        """``URL#model``, as the user writes it."""
        return f"{self.url}#{self.model}"

    @property
    def headers(self) -> dict[str, str]:
        """HTTP headers of a request; with the key, so never logged."""
        plain = {"Content-Type": "application/json"}
        keyed = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        return plain | keyed | dict(self.extra_headers)

    def at(self, path: str) -> str:
        """The address of a part of the API, such as ``chat/completions``."""
        return f"{self.url}/{path}" + (f"?{urlencode(self.query)}" if self.query else "")

    @property
    def through_proxy(self) -> bool:
        """Whether HTTP_PROXY, HTTPS_PROXY and NO_PROXY count: this machine itself is never asked through a proxy."""
        host = urlsplit(self.url).hostname or ""
        return not (host == "localhost" or host == "::1" or host.startswith("127."))

    def redact(self, text: str) -> str:
        """``text`` without the key: some servers repeat it in their error messages."""
        for secret in (
            self.key,
            *(value for _, value in self.extra_headers if len(value) >= SHORTEST_SECRET),
        ):
            text = text.replace(secret, "[key]") if secret else text
        return text


def parse_address(address: str, key: str = "") -> Endpoint:
    """Read ``URL#model``; a URL without a path gets ``/v1``.

    Raises:
        LimaError: no scheme, host or model, or a URL that carries a secret (which the text does not repeat).

    >>> parse_address("http://127.0.0.1:8000#tiny").address
    'http://127.0.0.1:8000/v1#tiny'
    """
    url, _, model = address.partition("#")
    parts = urlsplit(url)
    if parts.username or parts.password or parts.query:
        raise LimaError(
            f"the server URL at {parts.hostname} holds a user, a password or a query. Keys go into an "
            "environment variable (--api-key-env NAME) or a file (--api-key-file FILE), never into the URL."
        )
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise LimaError(f"{address!r} is no server address. Write URL#model, for example {EXAMPLE}.")
    if not model:
        raise LimaError(f"{address!r} names no model. Write URL#model, for example {EXAMPLE}.")
    try:
        (parts.hostname or "").encode("idna")
    except UnicodeError:
        raise LimaError(f"{address!r}: {parts.hostname!r} is no host name.") from None
    path = parts.path.rstrip("/") or "/v1"
    return Endpoint(f"{parts.scheme}://{parts.netloc}{path}", model, key)


def check_variable_name(name: str) -> str:
    """Refuse a key given where the NAME of an environment variable belongs, without repeating it."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", name):
        raise LimaError(
            "--api-key-env takes the name of an environment variable, such as OPENAI_API_KEY, not the key."
        )
    return name


KeyVariable = Annotated[str, AfterValidator(check_variable_name)]
"""A setting that names the environment variable of a key."""
ModelAddress = Annotated[str, AfterValidator(lambda text: parse_address(text).address)]
"""A setting that is a ``URL#model``, in one form."""


def read_key(variable: str, file: Path | None = None) -> str:
    """The key from ``file`` if given, else from the environment; empty when there is none."""
    if file is None:
        return os.environ.get(check_variable_name(variable), "").strip()
    try:
        key = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise LimaError(f"{file}: cannot read the key file.") from None
    if not key or len(key.split()) != 1:
        raise LimaError(f"{file}: expected one key on one line.")
    return key


def with_extras(endpoint: Endpoint, headers: Sequence[str], query: Sequence[str]) -> Endpoint:
    """The endpoint with ``NAME=VALUE`` headers and query parameters; a value ``env:VARIABLE`` is read from there.

    Raises:
        LimaError: no ``NAME=VALUE``, a name or value that HTTP does not allow, or an unset variable.
    """
    return replace(
        endpoint,
        extra_headers=tuple(_pair("--header", text) for text in headers),
        query=tuple(_pair("--query", text) for text in query),
    )


def _pair(option: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
        raise LimaError(f"{option} takes NAME=VALUE, such as api-version=2024-06-01 or api-key=env:MY_KEY.")
    if value.startswith("env:"):
        variable = check_variable_name(value.removeprefix("env:"))
        value = os.environ.get(variable, "").strip()
        if not value:
            raise LimaError(f"{option} {name}: the environment variable {variable} is not set.")
    if not value.isprintable():
        raise LimaError(f"{option} {name}: its value holds characters that no header can carry.")
    return name, value
