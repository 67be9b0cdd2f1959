"""What the lead takes out of the console as files: rows, links, the panel's ids, the log."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Path
from starlette.requests import Request
from starlette.responses import Response

from lima.annotate import panel, people
from lima.annotate.lead.log import COLUMNS, lead_log
from lima.annotate.lead.spreadsheet import as_csv, names_of, records_as_csv
from lima.annotate.pages import checked_lead, link_of, page, signed_in_lead, site_of
from lima.annotate.security import Refused
from lima.files import encode

router = APIRouter(prefix="/lead")

MOST_LINKS = 2_000
LONGEST_NAME = 200
Csrf = Annotated[str, Form(max_length=64)]


@router.get("/export/{name}")
def download(request: Request, name: Annotated[str, Path(max_length=32)]) -> Response:
    """The rows that an export writes, as JSON Lines or as CSV."""
    signed_in_lead(request)
    work, lines = site_of(request).work, f"{name.removesuffix('.csv')}.jsonl"
    if name in work.files:
        return _file(b"".join(map(encode, work.rows(name))), name, "application/x-ndjson")
    if name.endswith(".csv") and lines in work.files:
        return _file(records_as_csv(work.rows(lines)), name)
    raise Refused(404, "There is no such file.")


@router.post("/invitations/many")
def invite_many(
    request: Request,
    names: Annotated[str, Form(max_length=MOST_LINKS * LONGEST_NAME)] = "",
    group: Annotated[str, Form(max_length=200)] = "",
    csrf: Csrf = "",
) -> Response:
    """A one-time link for each name, as CSV: the links are shown only this once."""
    checked_lead(request, csrf)
    site, notes = site_of(request), names_of(names)
    if group not in site.work.groups:
        raise Refused(422, "There is no group {group}.", group=group)
    if not notes or len(notes) > MOST_LINKS or max(map(len, notes)) > LONGEST_NAME:
        raise Refused(
            422,
            "Give 1 to {most} names, one a line, each of at most {longest} characters.",
            most=MOST_LINKS,
            longest=LONGEST_NAME,
        )
    codes = people.invite_all(site.base, group, notes, site.clock())
    rows = zip(notes, (link_of(request, code) for code in codes), strict=True)
    return _file(as_csv(("name", "link"), rows), "links.csv")


@router.get("/log")
def log(request: Request) -> Response:
    """What the lead did, the last first."""
    signed_in_lead(request)
    return page("lead_log.html", request, entries=lead_log(site_of(request).base))


@router.get("/log.csv")
def log_rows(request: Request) -> Response:
    """The same as a file."""
    signed_in_lead(request)
    return _file(as_csv(COLUMNS, (row.cells for row in lead_log(site_of(request).base))), "log.csv")


@router.get("/panel.csv")
def panel_rows(request: Request) -> Response:
    """The panel's ids by rater, with what became of each: to approve, to reject, to pay."""
    signed_in_lead(request)
    return _file(as_csv(panel.COLUMNS, panel.visits(site_of(request).base)), "panel.csv")


def _file(content: str | bytes, name: str, kind: str = "text/csv") -> Response:
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=kind, headers=headers)
