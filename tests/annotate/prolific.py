"""A stand-in for Prolific's API on loopback: it takes the requests that its reference describes, and no others.

Shapes from https://docs.prolific.com/api-reference/ (studies/create-study, studies/get-study-submissions,
submissions/transition-submission, submissions/request-submission-return, submissions/bulk-approve-submissions) and from
the models of github.com/prolific-oss/cli, read 2026-11-30.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, Self

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, model_validator

TOKEN = "a-token-of-the-lead"


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class ReviewAction(Shape):
    action: Literal["AUTOMATICALLY_APPROVE", "MANUALLY_REVIEW"]


class ReturnAction(Shape):
    action: Literal["REQUEST_RETURN"]
    return_reason: str = Field(min_length=1)


class CompletionCode(Shape):
    code: str = Field(min_length=1)
    code_type: Literal["COMPLETED", "FAILED_ATTENTION_CHECK", "FOLLOW_UP_STUDY", "NO_CONSENT", "OTHER"]
    actions: list[ReviewAction | ReturnAction]
    actor: Literal["participant", "researcher"] = "participant"


class CreateStudy(Shape):
    name: str = Field(min_length=1)
    internal_name: str = ""
    description: str = Field(min_length=1)
    external_study_url: str = Field(pattern=r"^https?://")
    prolific_id_option: Literal["question", "url_parameters", "not_required"]
    completion_codes: list[CompletionCode] = Field(min_length=1)
    total_available_places: int = Field(ge=1)
    estimated_completion_time: int = Field(ge=1)
    maximum_allowed_time: int | None = None
    reward: int = Field(ge=1)
    device_compatibility: list[Literal["desktop", "tablet", "mobile"]] = []
    project: str | None = None

    @model_validator(mode="after")
    def _codes_differ(self) -> Self:
        codes = [one.code for one in self.completion_codes]
        assert len(set(codes)) == len(codes)
        return self


class Transition(Shape):
    action: Literal["APPROVE", "REJECT"]
    message: str | None = None
    rejection_category: Literal["TOO_QUICKLY", "FAILED_CHECK", "LOW_EFFORT", "NO_CODE", "OTHER"] | None = None

    @model_validator(mode="after")
    def _a_rejection_says_why(self) -> Self:
        if self.action == "REJECT":
            assert self.rejection_category
            assert len(self.message or "") >= 100
        return self


class BulkApprove(Shape):
    submission_ids: list[str] = Field(min_length=1)


class RequestReturn(Shape):
    request_return_reasons: list[str] = Field(min_length=1)


class StandIn:
    """What was asked of it, and the submissions of its one study."""

    def __init__(self) -> None:
        self.studies: list[CreateStudy] = []
        self.submissions: dict[str, dict[str, Any]] = {}
        self.rejected: dict[str, Transition] = {}
        self.changes = 0
        self.broken: tuple[int, Any] | None = None
        """A status and a body with which everything is answered instead."""
        self.page = 2
        """Submissions a page, whatever is asked for."""
        self.url = ""

    def handed_in(
        self, name: str, participant: str, code: str | None, status: str = "AWAITING REVIEW"
    ) -> None:
        self.submissions[name] = {
            "id": name,
            "participant_id": participant,
            "status": status,
            "started_at": "2026-11-30T10:00:00Z",
            "completed_at": None,
            "has_siblings": False,
            "study_code": code,
            "return_requested": None,
        }

    def app(self) -> FastAPI:
        app = FastAPI()
        for method, path, page in (
            ("POST", "/api/v1/studies/", self._create),
            ("GET", "/api/v1/studies/{study}/submissions/", self._list),
            ("POST", "/api/v1/submissions/bulk-approve/", self._approve),
            ("POST", "/api/v1/submissions/{name}/transition/", self._transition),
            ("POST", "/api/v1/submissions/{name}/request-return/", self._request_return),
        ):
            app.add_api_route(path, page, methods=[method], response_model=None)
        app.add_exception_handler(RequestValidationError, _malformed)
        app.middleware("http")(self._check)
        return app

    async def _check(self, request: Request, go_on: Any) -> Any:
        if self.broken:
            status, body = self.broken
            return JSONResponse(body, status, headers={"location": "https://elsewhere.example/"})
        given = request.headers.get("authorization", "")
        if given != f"Token {TOKEN}":
            return _problem(401, f"Invalid token: {given}")
        self.changes += request.method == "POST"
        return await go_on(request)

    async def _create(self, body: CreateStudy) -> JSONResponse:
        self.studies.append(body)
        return JSONResponse(
            body.model_dump() | {"id": f"study-{len(self.studies)}", "status": "UNPUBLISHED"}, 201
        )

    async def _list(self, study: str, limit: int = 20, offset: int = 0) -> JSONResponse:
        if study != "study-1":
            return _problem(404, "Not found")
        found = list(self.submissions.values())
        shown = found[offset : offset + min(limit, self.page)]
        return JSONResponse({"results": shown, "meta": {"count": len(found)}})

    async def _approve(self, body: BulkApprove) -> JSONResponse:
        for name in body.submission_ids:
            self.submissions[name]["status"] = "APPROVED"
        return JSONResponse({"message": "The request to bulk approve has been made successfully."}, 202)

    async def _transition(self, name: str, body: Transition) -> JSONResponse:
        self.rejected[name] = body
        self.submissions[name]["status"] = "REJECTED"
        return JSONResponse(self.submissions[name])

    async def _request_return(self, name: str, body: RequestReturn) -> JSONResponse:
        self.submissions[name] |= {
            "return_requested": "2026-11-30T12:00:00Z",
            "told": body.request_return_reasons,
        }
        return JSONResponse({"id": name, "status": "AWAITING REVIEW"})


async def _malformed(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return _problem(400, str(error.errors()))


def _problem(status: int, detail: Any) -> JSONResponse:
    return JSONResponse(
        {"error": {"status": status, "title": "Error", "error_code": 1, "detail": detail}}, status
    )


@contextmanager
def running(port: int) -> Iterator[StandIn]:
    found = StandIn()
    found.url = f"http://127.0.0.1:{port}"
    server = uvicorn.Server(uvicorn.Config(found.app(), port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
    yield found
    server.should_exit = True
    thread.join()
