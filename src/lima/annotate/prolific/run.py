"""``lima annotate prolific``: print what would be sent, and with ``--yes`` send it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from lima import console
from lima.annotate.database import Database, sqlite_url
from lima.annotate.facts import database_path
from lima.annotate.migrate import newest, version
from lima.annotate.prolific import client
from lima.annotate.prolific.client import Call, Prolific
from lima.annotate.prolific.draft import (
    FILE_NAME,
    body_of,
    new_draft,
    read_draft,
    serving_command,
    write_draft,
)
from lima.annotate.prolific.review import Reviewed, Visitor, review, visitors
from lima.annotate.prolific.settings import ProlificSettings
from lima.errors import LimaError
from lima.evaluate.study import open_study
from lima.remote.endpoint import read_key


def prolific(settings: ProlificSettings) -> None:
    """Do one action.

    Raises:
        LimaError: no study, no token, nothing to do it to, or what the API answers.
    """
    open_study(settings.study)
    if settings.action == "draft":
        _draft(settings)
        return
    found = _reviewed(settings)
    console.table(
        "submissions",
        ("rater", "submission", "suggestion", "reason"),
        [[one.rater or "–", one.submission.id, one.suggestion, one.reason] for one in found],
        align="left",
    )
    if settings.action != "submissions":
        chosen = _chosen(settings, found)
        _send_all(settings, _calls(settings, chosen))


def _draft(settings: ProlificSettings) -> None:
    draft = read_draft(settings.study) or new_draft()
    if draft.study:
        raise LimaError(
            f"{settings.study}: its draft at Prolific is {draft.study}. For another one remove {FILE_NAME} there."
        )
    call = client.create_draft(body_of(settings, draft))
    write_draft(settings.study, draft)
    assert settings.reward
    assert settings.minutes
    assert settings.places
    hourly, total = 60 * settings.reward / settings.minutes / 100, settings.reward * settings.places / 100
    console.note(
        f"{settings.places} people get {total:,.2f} in all, {hourly:.2f} an hour; Prolific's fee comes on top"
    )
    (reply,) = _send_all(settings, [call]) or [None]
    if reply is not None:
        if not isinstance(reply, dict) or not isinstance(reply.get("id"), str):
            raise LimaError(
                "Prolific made the draft, but its reply has no id: look at it there, and give --prolific-study."
            )
        write_draft(settings.study, draft.model_copy(update={"study": reply["id"]}))
        console.note(
            f"draft {reply['id']}: look at it at Prolific, and publish it there once the study is served"
        )
    console.note(f"serve it:\n{serving_command(settings, draft)}")


def _reviewed(settings: ProlificSettings) -> list[Reviewed]:
    came, draft = _visitors(settings), read_draft(settings.study)
    studies = {visitor.study for visitor in came.values() if visitor.study}
    study = (
        settings.prolific_study
        or (draft.study if draft else None)
        or (studies.pop() if len(studies) == 1 else None)
    )
    if study is None:
        raise LimaError(
            "give --prolific-study, the study's id at Prolific: this study has no draft and nobody came."
        )
    code = draft.codes.get("return") if draft else None
    found = [review(one, came, code) for one in _api(settings).submissions(study)]
    return sorted(found, key=lambda one: (one.suggestion, one.rater, one.submission.id))


def _visitors(settings: ProlificSettings) -> dict[str, Visitor]:
    path = database_path(settings.study)
    if settings.database is None and not path.exists():
        raise LimaError(f"{path}: no database, so nobody has come. Serve the study first (lima annotate).")
    base = Database(settings.database or sqlite_url(path))
    try:
        if version(base) != newest():
            raise LimaError(
                f"{settings.study}: its database is of another version. Start lima annotate on it once."
            )
        return visitors(base)
    finally:
        base.close()


def _chosen(settings: ProlificSettings, found: Sequence[Reviewed]) -> list[Reviewed]:
    """Those that --only names, else those for whom the action is suggested."""
    open_ones = [one for one in found if one.suggestion != "nothing"]
    unknown = set(settings.only) - {name for one in open_ones for name in (one.rater, one.submission.id)}
    if unknown:
        raise LimaError(
            f"--only {' '.join(sorted(unknown))}: no submission of that name waits for a decision."
        )
    if settings.only:
        return [one for one in open_ones if {one.rater, one.submission.id} & set(settings.only)]
    chosen = [one for one in open_ones if one.suggestion == settings.action]
    if not chosen:
        raise LimaError(f"nothing is suggested to {settings.action}. Name people with --only.")
    return chosen


def _calls(settings: ProlificSettings, chosen: Sequence[Reviewed]) -> list[Call]:
    ids = [one.submission.id for one in chosen]
    if settings.action == "approve":
        return [client.approve(ids)]
    if settings.action == "reject":
        assert settings.message
        assert settings.category
        return [client.reject(name, settings.message.strip(), settings.category) for name in ids]
    silent = [one.rater or one.submission.id for one in chosen if not (settings.reason or one.told)]
    if silent:
        raise LimaError(f"return of {' '.join(silent)} needs --reason: the checks have none for the person.")
    return [client.request_return(one.submission.id, settings.reason or one.told) for one in chosen]


def _send_all(settings: ProlificSettings, calls: Sequence[Call]) -> list[object]:
    """Print the requests; with --yes send them. What was sent before an error is said."""
    for call in calls:
        shown = json.dumps(call.body, indent=2, ensure_ascii=False)
        console.results.print(
            console.visible(f"POST {settings.api}/api/v1/{call.path}\n{shown}"), markup=False, soft_wrap=True
        )
    if not settings.yes:
        console.note("nothing was sent; repeat the command with --yes to send this")
        return []
    api, replies = _api(settings), list[object]()
    for call in calls:
        try:
            replies.append(api.send(call))
        except LimaError as error:
            before = (
                f" {len(replies)} of {len(calls)} were sent before; repeating the command goes on."
                if replies
                else ""
            )
            raise LimaError(f"{error}{before}") from None
    console.note(f"sent {len(replies)} {'request' if len(replies) == 1 else 'requests'}")
    return replies


def _api(settings: ProlificSettings) -> Prolific:
    token = read_key(settings.api_key_env)
    if not token:
        raise LimaError(
            f"no token in {settings.api_key_env}. Make one at Prolific (Settings, API tokens), then: "
            f"export {settings.api_key_env}=..."
        )
    return Prolific(settings.api, settings.api_key_env, token)
