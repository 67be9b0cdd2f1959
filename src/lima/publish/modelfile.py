"""A chat template in Jinja -> a Modelfile for Ollama, whose templates are in Go's language.

The template is not translated. What it writes around texts is found by rendering, put together in Go's form, and compared with the
template on further conversations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Render = Callable[[Sequence[Mapping[str, str]], bool], str]
"""Messages, and whether the heading of an answer follows -> text."""
USER, ANSWER, SYSTEM, LAST = "First question", "First answer", "A rule", "Second question"
FIRST = {"role": "user", "content": USER}
REPLY = {"role": "assistant", "content": ANSWER}
RULE = {"role": "system", "content": SYSTEM}
SECOND = {"role": "user", "content": LAST}


@dataclass(frozen=True)
class Surroundings:
    """What a template writes around the texts of a conversation."""

    head: str
    """Where there is no system message."""
    system: tuple[str, str] | None
    """Before and behind a system message; None where the template refuses one."""
    user: tuple[str, str]
    assistant: tuple[str, str]

    def text(self, messages: Sequence[Mapping[str, str]]) -> str:
        """A conversation up to the heading of the next answer: what Ollama makes of `go`."""
        parts = [] if messages[0]["role"] == "system" else [self.head]
        for message in messages:
            before, behind = getattr(self, message["role"])
            parts += [before, message["content"], behind]
        return "".join([*parts, self.assistant[0]])

    def go(self) -> str:
        """The template in Go's language. It trims nothing, because line feeds are part of most templates."""
        start = self.head
        if self.system is not None:
            start = (
                "{{ if .System }}"
                + "{{ .System }}".join(self.system)
                + "{{ else }}"
                + self.head
                + "{{ end }}"
            )
        last = "{{ if eq (len (slice $.Messages $i)) 1 }}" + self.assistant[0] + "{{ end }}"
        user = '{{ if eq .Role "user" }}' + "{{ .Content }}".join(self.user) + last
        assistant = '{{ else if eq .Role "assistant" }}' + "{{ .Content }}".join(self.assistant) + "{{ end }}"
        return start + "{{ range $i, $_ := .Messages }}" + user + assistant + "{{ end }}"


def surroundings(render: Render, bos: str) -> Surroundings | None:
    """What the template writes around texts; None where it is not of that form.

    Args:
        render: the template.
        bos: what llama.cpp adds to a prompt by itself; the template must not add it again.
    """
    alone = render([FIRST], False).removeprefix(bos)
    pair = render([FIRST, REPLY], False).removeprefix(bos)
    start, _, user_end = alone.partition(USER)
    heading = render([FIRST], True).removeprefix(bos).partition(USER)[2].removeprefix(user_end)
    reply_end = pair.partition(ANSWER)[2]
    third = render([FIRST, REPLY, SECOND], False).removeprefix(bos).partition(ANSWER)[2]
    user_start = third.removeprefix(reply_end).partition(LAST)[0]
    system = None
    ruled = _or_nothing(render, [RULE, FIRST])
    if ruled is not None and SYSTEM in ruled:
        before, _, rest = ruled.removeprefix(bos).partition(SYSTEM)
        system = before, rest.partition(USER)[0].removesuffix(user_start)
    found = Surroundings(start.removesuffix(user_start), system, (user_start, user_end), (heading, reply_end))
    probes = [[FIRST], [FIRST, REPLY, SECOND], [FIRST, REPLY, SECOND, REPLY, FIRST]]
    probes += [[RULE, *probe] for probe in probes] if system else []
    same = all(found.text(probe) == render(probe, True).removeprefix(bos) for probe in probes)
    return found if same else None


def modelfile(weights: str, around: Surroundings | None, stops: Sequence[str]) -> str:
    """The text of the Modelfile: the weights, the template, the stop texts, and the paper's sampling."""
    lines = [f"FROM ./{weights}"]
    if around is not None:
        lines.append(f'TEMPLATE """{around.go()}"""')
    lines += [f'PARAMETER stop "{stop}"' for stop in stops]
    lines += ["PARAMETER temperature 0.7", "PARAMETER top_p 0.9", "PARAMETER repeat_penalty 1.2"]
    return "\n".join(lines) + "\n"


def _or_nothing(render: Render, messages: Sequence[Mapping[str, str]]) -> str | None:
    try:
        return render(messages, False)
    except Exception:  # templates refuse by raise_exception, in whatever type their engine has
        return None
