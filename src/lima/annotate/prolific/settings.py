"""Settings of ``lima annotate prolific``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import tyro
from pydantic import Field, field_validator, model_validator

from lima.remote.endpoint import KeyVariable
from lima.settings import Settings

Action = Literal["draft", "submissions", "approve", "return", "reject"]
Category = Literal[
    "TOO_QUICKLY",
    "TOO_SLOWLY",
    "FAILED_INSTRUCTIONS",
    "INCOMP_LONGITUDINAL",
    "FAILED_CHECK",
    "LOW_EFFORT",
    "MALINGERING",
    "NO_CODE",
    "BAD_CODE",
    "NO_DATA",
    "UNSUPP_DEVICE",
    "OTHER",
]
SHORTEST_REJECTION = 100
"""Characters that Prolific wants of the message to a person whose work is rejected."""
NEEDED: dict[Action, tuple[str, ...]] = {
    "draft": ("name", "reward", "minutes", "places", "public_url"),
    "submissions": (),
    "approve": (),
    "return": (),
    "reject": ("only", "category", "message"),
}
MAY: dict[Action, tuple[str, ...]] = {
    "draft": ("description", "project"),
    "submissions": ("database", "prolific_study"),
    "approve": ("database", "prolific_study", "only"),
    "return": ("database", "prolific_study", "only", "reason"),
    "reject": ("database", "prolific_study"),
}


class ProlificSettings(Settings):
    """Draft a study at Prolific, and approve, ask back or reject what its people handed in.

    What would be sent is printed; nothing is sent without --yes. The token comes from the environment
    (PROLIFIC_TOKEN; Prolific makes one under Settings, API tokens). What approve and return send follows from
    the study's own checks, unless --only names the people.

    Example:
        lima annotate prolific draft studies/first --name "Which answer is better?" --reward 300 --minutes 20 --places 30
        --public-url https://example.org/study
    """

    action: tyro.conf.Positional[Action]
    """Make a draft, list what was handed in with a suggestion, approve (pay), ask people to return, or reject."""
    study: tyro.conf.Positional[Path]
    """The study folder, as given to `lima annotate`."""
    name: str | None = None
    """draft: the title that people at Prolific read."""
    description: str | None = None
    """draft: what they read before they come; simple HTML is shown. Not given: the introduction of protocol.yaml."""
    reward: Annotated[int, Field(ge=1)] | None = None
    """draft: what each person gets, in pence or cents."""
    minutes: Annotated[int, Field(ge=1)] | None = None
    """draft: how long it takes most people."""
    places: Annotated[int, Field(ge=1)] | None = None
    """draft: how many people."""
    public_url: str | None = None
    """draft: the address of the study, as `lima annotate --public-url`."""
    project: str | None = None
    """draft: id of the project at Prolific. Not given: the account's own."""
    only: tuple[str, ...] = ()
    """approve, return, reject: these alone, by the rater's name (crowd:03) or the submission's id."""
    reason: str | None = None
    """return: what people are told. Not given: what the checks found."""
    category: Category | None = None
    """reject: why, in Prolific's categories."""
    message: str | None = None
    """reject: what the person is told, 100 characters or more."""
    prolific_study: str | None = None
    """The study's id at Prolific. Not given: that of the draft."""
    database: str | None = None
    """Where answers are kept, as `lima annotate --database`."""
    api: str = "https://api.prolific.com"
    """Address of Prolific's API."""
    api_key_env: KeyVariable = "PROLIFIC_TOKEN"
    """Environment variable that holds the token."""
    yes: bool = False
    """Send it. Without this it is only printed."""

    @field_validator("api", "public_url")
    @classmethod
    def _web_address(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "https://-")
        is_here = parts.hostname in ("127.0.0.1", "localhost", "::1")
        if parts.scheme != "https" and not (parts.scheme == "http" and is_here):
            raise ValueError("must begin with https:// (http:// on this machine alone)")
        if parts.username or parts.password or parts.query:
            raise ValueError("must hold no user, password or query")
        return value.rstrip("/") if value else value

    @model_validator(mode="after")
    def _what_the_action_needs(self) -> ProlificSettings:
        missing = [name for name in NEEDED[self.action] if not getattr(self, name)]
        if missing:
            raise ValueError(f"{self.action} needs {' '.join(map(_flag, missing))}")
        known = {"action", "study", "api", "api_key_env", "yes", *NEEDED[self.action], *MAY[self.action]}
        for name in sorted(type(self).model_fields.keys() - known):
            if getattr(self, name) != type(self).model_fields[name].get_default():
                raise ValueError(f"{_flag(name)} has no effect on {self.action}")
        if self.message is not None and len(self.message.strip()) < SHORTEST_REJECTION:
            raise ValueError(f"--message must have {SHORTEST_REJECTION} characters or more (Prolific's rule)")
        return self


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
