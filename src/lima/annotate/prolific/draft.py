"""The draft of a study at Prolific: its address, its completion codes, and what is kept of it beside the study."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ValidationError

from lima.annotate.prolific.settings import ProlificSettings
from lima.console import command
from lima.errors import LimaError
from lima.evaluate.study import Study

FILE_NAME = ".prolific.json"
COMPLETE = "https://app.prolific.com/submissions/complete?cc="
"""The page at Prolific that takes a code from the address."""
IDS = "PROLIFIC_PID={{%PROLIFIC_PID%}}&STUDY_ID={{%STUDY_ID%}}&SESSION_ID={{%SESSION_ID%}}"
"""Prolific fills in the person, its study and the visit (which is the submission's id)."""
Way = Literal["return", "unqualified", "screened", "left", "failed"]
WAYS: dict[Way, tuple[str, dict[str, str]]] = {
    "return": ("COMPLETED", {"action": "MANUALLY_REVIEW"}),
    "unqualified": (
        "OTHER",
        {"action": "REQUEST_RETURN", "return_reason": "Too few answers of the quiz were right."},
    ),
    "screened": ("OTHER", {"action": "REQUEST_RETURN", "return_reason": "There was nothing left to do."}),
    "left": ("OTHER", {"action": "MANUALLY_REVIEW"}),
    "failed": ("FAILED_ATTENTION_CHECK", {"action": "MANUALLY_REVIEW"}),
}
"""The flag of `lima annotate` (``--panel-...``) -> type of the code, and what Prolific does when it comes."""


class PanelDraft(BaseModel):
    """What is kept of a draft (``.prolific.json``, for its owner's eyes: who knows a code can claim to be done)."""

    codes: dict[Way, str]
    study: str | None = None
    """The study's id at Prolific, once the draft was made there."""


def read_draft(folder: Path) -> PanelDraft | None:
    """The draft of a study; raises `LimaError` where its file is broken."""
    path = folder / FILE_NAME
    try:
        return PanelDraft.model_validate_json(path.read_bytes()) if path.exists() else None
    except (ValidationError, OSError):
        raise LimaError(f"{path}: not what lima wrote. Mend it, or remove it to begin a new draft.") from None


def write_draft(folder: Path, draft: PanelDraft) -> None:
    """Keep it; readable by its owner alone."""
    path = folder / FILE_NAME
    new = path.with_suffix(".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(draft.model_dump_json(indent=1) + "\n")
    new.replace(path)


def new_draft() -> PanelDraft:
    """Codes that nobody guesses."""
    return PanelDraft(codes={way: secrets.token_hex(5).upper() for way in get_args(Way)})


def body_of(settings: ProlificSettings, draft: PanelDraft) -> dict[str, Any]:
    """The request that makes the draft; raises `LimaError` where nothing says what people will read."""
    description = settings.description or Study(settings.study).read_protocol().introduction
    if not description:
        raise LimaError("draft needs --description, or an introduction in protocol.yaml.")
    return {
        "name": settings.name,
        "internal_name": settings.study.resolve().name,
        "description": description,
        "external_study_url": f"{settings.public_url}/panel?{IDS}",
        "prolific_id_option": "url_parameters",
        "completion_codes": [
            {"code": code, "code_type": WAYS[way][0], "actions": [WAYS[way][1]]}
            for way, code in draft.codes.items()
        ],
        "total_available_places": settings.places,
        "estimated_completion_time": settings.minutes,
        "reward": settings.reward,
        "device_compatibility": ["desktop", "tablet", "mobile"],
        **({"project": settings.project} if settings.project else {}),
    }


def serving_command(settings: ProlificSettings, draft: PanelDraft) -> str:
    """How to serve the study to the people of this draft."""
    flags = [word for way, code in draft.codes.items() for word in (f"--panel-{way}", COMPLETE + code)]
    most = ["--panel-most", settings.places] if settings.places else []
    return command(
        "annotate", settings.study, "--public-url", settings.public_url, "--panel", "prolific", *flags, *most
    )
