"""Prolific's API: the few requests that a study needs, and its errors in one line with the remedy.

Paths, bodies and limits as its reference has them, read 2026-11-30: create-study, get-study-submissions,
transition-submission, request-submission-return and bulk-approve-submissions under
https://docs.prolific.com/api-reference/, beside the models of its official client (github.com/prolific-oss/cli).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
from pydantic import BaseModel, TypeAdapter, ValidationError

from lima.errors import LimaError
from lima.remote.endpoint import Endpoint

SECONDS = 60
AT_ONCE = 200
"""Submissions a page of the list."""
SHOWN_ERROR = 300
"""Characters of an error of the API that are shown."""
REMEDIES = {
    401: "the token is missing or wrong: make one at Prolific (Settings, API tokens) and put it into {variable}",
    403: "the token of {variable} may not do this: is it of the account that has the study?",
    404: "there is no such study or submission: is --prolific-study right, and {variable} of the same account?",
    429: "too many requests: wait a minute and repeat the command",
}


class Submission(BaseModel):
    """One person's visit, as the list has it."""

    id: str
    participant_id: str
    status: str
    study_code: str | None = None
    return_requested: str | None = None


@dataclass(frozen=True)
class Call:
    """One request that changes something: shown first, then sent."""

    path: str
    body: dict[str, Any]


def create_draft(body: dict[str, Any]) -> Call:
    """A study that nobody sees until it is published there."""
    return Call("studies/", body)


def approve(submissions: list[str]) -> Call:
    """Pay for all of them. Prolific does it in the background."""
    return Call("submissions/bulk-approve/", {"submission_ids": submissions})


def request_return(submission: str, reason: str) -> Call:
    """Ask a person to hand a submission back, unpaid."""
    return Call(
        f"submissions/{quote(submission, safe='')}/request-return/", {"request_return_reasons": [reason]}
    )


def reject(submission: str, message: str, category: str) -> Call:
    """Refuse to pay for one; sent twice it is done once."""
    body = {"action": "REJECT", "message": message, "rejection_category": category}
    return Call(f"submissions/{quote(submission, safe='')}/transition/", body)


@dataclass(frozen=True)
class Prolific:
    """The API with a token, which no text that leaves here holds."""

    api: str
    variable: str
    token: str = field(repr=False)

    def send(self, call: Call) -> Any:
        """Send one request and return its reply; raises `LimaError` for every other end."""
        return asyncio.run(self._ask("POST", call.path, call.body))

    def submissions(self, study: str) -> list[Submission]:
        """All submissions of a study, page by page; raises `LimaError`."""
        found: dict[str, Submission] = {}
        while True:
            path = f"studies/{quote(study, safe='')}/submissions/?limit={AT_ONCE}&offset={len(found)}"
            reply = asyncio.run(self._ask("GET", path, None))
            try:
                page = TypeAdapter(list[Submission]).validate_python(reply["results"])
            except (ValidationError, KeyError, TypeError):
                raise LimaError(
                    f"{self.api}: the list of submissions has another form than lima knows."
                ) from None
            new = {one.id: one for one in page if one.id not in found}
            found |= new
            if not new:
                return self._all_of(found, reply)

    def _all_of(self, found: dict[str, Submission], reply: dict[str, Any]) -> list[Submission]:
        """Those found; a list that breaks off before its own count is none to approve by."""
        meta = reply.get("meta")
        count = meta.get("count") if isinstance(meta, dict) else None
        if isinstance(count, int) and count > len(found):
            raise LimaError(
                f"{self.api}: the list of submissions broke off at {len(found)} of {count}. Repeat the command."
            )
        return list(found.values())

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        headers = {"Authorization": f"Token {self.token}"}
        place = Endpoint(self.api, "")
        timeout = aiohttp.ClientTimeout(total=SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, trust_env=place.through_proxy) as session,
                session.request(
                    method, f"{self.api}/api/v1/{path}", json=body, headers=headers, allow_redirects=False
                ) as reply,
            ):
                text = await reply.text(errors="replace")
                if reply.status >= 300:
                    raise LimaError(self._problem(reply.status, text))
                return TypeAdapter(Any).validate_json(text) if text.strip() else {}
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            raise LimaError(
                f"{urlsplit(self.api).netloc}: no answer ({reason}). Repeat the command."
            ) from None
        except ValidationError:
            raise LimaError(f"{self.api}: the reply is not JSON. Is --api right?") from None

    def _problem(self, status: int, text: str) -> str:
        said = Endpoint(self.api, "", self.token).redact(" ".join(_detail(text).split()))[:SHOWN_ERROR]
        remedy = REMEDIES.get(status, "mend what it names" if status < 500 else "repeat the command later")
        remedy = "it redirects, so --api is not its address" if status < 400 else remedy
        return (
            f"Prolific answered {status} ({said or 'nothing more'}): {remedy.format(variable=self.variable)}."
        )


def _detail(text: str) -> str:
    """What an error says: ``{"error": {"title", "detail"}}``, ``{"message", "detail"}``, or the text as it is."""
    try:
        value = TypeAdapter(dict[str, Any]).validate_json(text)
    except ValidationError:
        return text
    error = value.get("error", value)
    if not isinstance(error, dict):
        return str(error)
    parts = [error.get(name) for name in ("title", "message", "detail")]
    return ": ".join(str(part) for part in parts if part) or text
