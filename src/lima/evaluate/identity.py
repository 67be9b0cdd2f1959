"""Who a judge is: everything that can change its verdicts, hashed into its rater id.

Two judges that differ in model, prompt, words, parameters, parser or order policy are two raters, and never
merge. The hash covers what is asked and how, and names the folder of the raw replies; the version of the
parser stands behind it, because reading the same replies again by a newer parser needs no new call.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import orjson

from lima.errors import LimaError
from lima.evaluate.forms import Beside, fields, offered
from lima.evaluate.parse import PARSER
from lima.evaluate.protocol import Words
from lima.evaluate.settings import JudgeSettings
from lima.evaluate.wording import Prompt
from lima.files import text_hash
from lima.records import Rater
from lima.remote.endpoint import Endpoint
from lima.remote.sampling import Sampling, parameters

FORBIDDEN_EXTRA = {
    "n": "K samples are K requests: use --repeats",
    "model": "the model stands in --judge URL#model",
    "messages": "the text stands in --prompt FILE",
    "stream": "replies are read whole",
}


@dataclass(frozen=True)
class Judge:
    """One judge at one task, ready to be asked."""

    settings: JudgeSettings
    endpoint: Endpoint
    prompt: Prompt
    words: Words
    parameters: dict[str, Any]
    """Request fields, with the base seed; each request has its own."""
    beside: Beside = field(default_factory=Beside)
    """What is asked beside the verdict."""
    dropped: Mapping[str, Any] = field(default_factory=dict)
    """Fields with the values that would have been sent, had the server not refused them by name."""

    @cached_property
    def calls(self) -> str:
        """Hash of what is asked and how: names the folder of the raw replies."""
        return text_hash(_canonical(self.asked), length=8)

    @cached_property
    def rater_id(self) -> str:
        """``judge:<model>@<hash>-p<parser>``: the hash is that of the folder of its replies."""
        return f"judge:{self.endpoint.model}@{self.calls}-p{PARSER}"

    def rater(self, description: str) -> Rater:
        """The row of ``raters.jsonl``; ``description`` is the server's own word on the model."""
        settings = self.asked | {
            "parser": PARSER,
            "prompt": text_hash(self.prompt.text, length=8),
            "words": text_hash(self.words.to_yaml(), length=8),
            "url": self.endpoint.url,
            "calls": self.calls,
        }
        return Rater(id=self.rater_id, kind="judge", description=description, settings=settings)

    @property
    def offered(self) -> tuple[str, ...]:
        """The values that it chooses among."""
        return offered(self.settings.task, self.words)

    @cached_property
    def asked(self) -> dict[str, Any]:
        """What is asked and how: all of the identity but the parser."""
        return {
            "task": self.settings.task,
            "model": self.endpoint.model,
            "label": self.settings.label,
            "order": self.settings.order if self.settings.task == "pairwise" else "single",
            "verdict": self.settings.verdict,
            "prompt": self.prompt.text,
            "fixed": list(self.prompt.fixed),
            "words": self.words.model_dump(),
            "parameters": self.parameters,
            "dropped": dict(self.dropped),
        }


def make_judge(
    settings: JudgeSettings, endpoint: Endpoint, prompt: Prompt, words: Words, beside: Beside | None = None
) -> tuple[Judge, list[str]]:
    """The judge that the settings describe, and what its server will not do as asked."""
    sampling = Sampling(settings.temperature, settings.top_p, settings.max_tokens, settings.seed)
    body, warnings = parameters(sampling, settings.server)
    asked = beside or Beside()
    body |= fields(settings.task, settings.verdict, words, asked)
    for name, value in _extra_fields(settings.extra, list(body)).items():
        if value is None:
            body.pop(name, None)
        else:
            body[name] = value
    return Judge(settings, endpoint, prompt, words, body, asked), warnings


def _extra_fields(pairs: Sequence[str], known: list[str]) -> dict[str, Any]:
    fields = {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        if name in FORBIDDEN_EXTRA:
            raise LimaError(f"--extra {name}: {FORBIDDEN_EXTRA[name]}.")
        try:
            fields[name] = orjson.loads(text)
        except orjson.JSONDecodeError:
            raise LimaError(f"--extra {pair!r}: write NAME=JSON, a text as NAME='\"text\"'.") from None
        if fields[name] is None and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise LimaError(f"--extra {name}=null: no such field is sent.{hint}")
    return fields


def _canonical(value: dict[str, Any]) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
