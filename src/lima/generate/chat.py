"""``lima chat``: a conversation in the terminal, with one system or with two side by side."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lima import console
from lima.errors import LimaError
from lima.files import JsonlLog, text_hash
from lima.generate.jobs import TooLong
from lima.generate.settings import ChatSettings
from lima.generate.systems.chat_backends import ChatBackend, open_system
from lima.records import Example, Message, Meta

if TYPE_CHECKING:
    from rich.table import Table

WIDE = 90
"""In a terminal at least this wide, in columns, two systems answer side by side."""


def chat(settings: ChatSettings) -> None:
    """Talk until the end of the input or /quit.

    Raises:
        LimaError: no such system.
    """
    systems = [settings.system, *([settings.against] if settings.against else [])]
    sides = [ChatSide(open_system(system, settings)) for system in systems]
    for side in sides:
        console.note(f"{side.system.name}: {side.system.describe()}")
    if settings.dry_run:
        return
    console.note("Type a message, or /help. A line that ends in \\ goes on in the next one.")
    terminal = Terminal(sides, settings)
    for text in _inputs():
        if not terminal.take(text):
            return


@dataclass
class ChatSide:
    """One system and its own view of the conversation."""

    system: ChatBackend
    messages: list[Message] = field(default_factory=list)
    """A system message or none, then turns of user and assistant by turns."""
    attempt: int = 0

    def answer(self) -> Generator[str, None, None]:
        """Stream the reply to the last user turn, and keep what came of it, also when it is broken off.

        Raises:
            LimaError: the system gave no answer.
        """
        pieces: list[str] = []
        failed = False
        shown = list(self.messages)
        while not self.system.fits(shown) and self._drop_oldest(shown):
            pass
        try:
            for piece in self._say(shown):
                pieces.append(piece)
                yield piece
        except LimaError:
            failed = True
            raise
        finally:
            if not failed:
                self.messages.append(Message(role="assistant", content="".join(pieces)))

    def _say(self, shown: list[Message]) -> Iterator[str]:
        """What the system says to as much of the conversation as it reads."""
        while True:
            if len(shown) < len(self.messages):
                console.note(f"({len(self.messages) - len(shown)} old messages do not fit and are not read)")
            try:
                with closing(self.system.say(shown, self.attempt)) as stream:
                    yield from stream
                return
            except TooLong:
                if not self._drop_oldest(shown):
                    raise

    @staticmethod
    def _drop_oldest(messages: list[Message]) -> bool:
        """Take out the oldest exchange, a user turn and its answer; False when only the last turn is left."""
        first = 1 if messages[0].role == "system" else 0
        if len(messages) - first < 3:
            return False
        del messages[first : first + 2]
        return True


class Terminal:
    """Reads what the user types and does it."""

    def __init__(self, sides: list[ChatSide], settings: ChatSettings) -> None:
        self._sides, self._settings = sides, settings
        self._attempts: dict[int, int] = {}
        """How often the message at this place of the conversation was answered before."""
        self._commands: dict[str, tuple[Callable[[str], None], str]] = {
            "/retry": (self._retry, "another answer to the last message"),
            "/undo": (self._undo, "take back the last message and its answer"),
            "/system": (self._system, "TEXT: a system message, put before the first turn; starts anew"),
            "/new": (lambda rest: self._system(""), "forget the conversation"),
            "/save": (
                self._save,
                f"append the conversation as an Example to {settings.save}, or to the FILE that follows",
            ),
            "/help": (self._help, "this list"),
            "/quit": (lambda rest: None, "end; so does the end of the input"),
        }

    def take(self, text: str) -> bool:
        """Do one input; False at the end of the chat."""
        name, _, rest = text.partition(" ")
        if name in ("/quit", "/exit"):
            return False
        try:
            if name in self._commands:
                self._commands[name][0](rest.strip())
            elif name.startswith("/"):
                raise LimaError(f"no command {name!r}. /help lists them.")
            elif text.strip():
                self._say(text)
        except LimaError as error:
            console.note(f"error: {error}")
        except KeyboardInterrupt:
            console.note(" (stopped)")
        return True

    def _say(self, text: str, attempt: int = 0) -> None:
        with self._restored("Your message is taken back."):
            self._attempts[len(self._sides[0].messages)] = attempt
            for side in self._sides:
                side.messages.append(Message(role="user", content=text))
                side.attempt = attempt
            if len(self._sides) > 1 and console.results.is_terminal and console.results.width >= WIDE:
                self._show_beside()
            else:
                self._show_below()

    @contextmanager
    def _restored(self, consequence: str) -> Iterator[None]:
        """Put the conversation back as it was where the block fails."""
        before = [list(side.messages) for side in self._sides]
        try:
            yield
        except (LimaError, KeyboardInterrupt) as error:
            for side, messages in zip(self._sides, before, strict=True):
                side.messages = messages
            if isinstance(error, KeyboardInterrupt):
                raise
            raise LimaError(f"{str(error).rstrip('.')}. {consequence}") from None

    def _show_below(self) -> None:
        """One answer after the other, as it grows."""
        for side in self._sides:
            if len(self._sides) > 1:
                console.note(f"[{side.system.name}]")
            _say_until_stopped(side, lambda piece: print(console.visible(piece), end="", flush=True))
            print(flush=True)

    def _show_beside(self) -> None:
        """Two answers in columns, as they grow."""
        from rich.live import Live

        texts = ["" for _ in self._sides]
        with Live(console=console.results, transient=True, refresh_per_second=12) as live:
            for place, side in enumerate(self._sides):

                def show(piece: str, place: int = place) -> None:
                    texts[place] += console.visible(piece)
                    live.update(self._columns(texts))

                _say_until_stopped(side, show)
        console.results.print(self._columns(texts))

    def _columns(self, texts: list[str]) -> Table:
        from rich.table import Table
        from rich.text import Text

        view = Table(expand=True, header_style="bold")
        for side in self._sides:
            view.add_column(Text(console.visible(side.system.name)), ratio=1)
        view.add_row(*map(Text, texts))
        return view

    def _retry(self, rest: str) -> None:
        text = self._last_text()
        with self._restored("The answer before it stays."):
            self._take_back()
            self._say(text, self._attempts.get(len(self._sides[0].messages), 0) + 1)

    def _undo(self, rest: str) -> None:
        text = self._last_text()
        self._take_back()
        console.note(f"taken back: {text}")

    def _last_text(self) -> str:
        """What the user said last."""
        messages = self._sides[0].messages
        if len(messages) < 2:
            raise LimaError("nothing was said yet.")
        return messages[-2].content

    def _take_back(self) -> None:
        """Forget the last exchange."""
        for side in self._sides:
            del side.messages[-2:]

    def _system(self, rest: str) -> None:
        for side in self._sides:
            side.messages = [Message(role="system", content=rest)] if rest else []
        console.note("a new conversation" + (" with this system message" if rest else ""))

    def _save(self, rest: str) -> None:
        path = Path(rest) if rest else self._settings.save
        with JsonlLog(path, Example) as log:
            there = {example.id for example in log.existing}
            new = [example for side in self._sides if (example := _example(side)).id not in there]
            for example in new:
                log.append(example)
        console.note(f"saved in {path}" if new else f"{path} has it already")

    def _help(self, rest: str) -> None:
        for name, (_, text) in self._commands.items():
            console.note(f"{name:8} {text}")


def _say_until_stopped(side: ChatSide, show: Callable[[str], None]) -> None:
    """Show the pieces of an answer, until it ends or Ctrl-C stops it, whether it comes while a piece is made or shown."""
    try:
        with closing(side.answer()) as pieces:
            for piece in pieces:
                show(piece)
    except KeyboardInterrupt:
        console.note(" (stopped)")


def _example(side: ChatSide) -> Example:
    if len(side.messages) < 2:
        raise LimaError("nothing was said yet.")
    texts = [side.system.name, *(message.content for message in side.messages)]
    meta = Meta.model_validate({"system": side.system.name})
    return Example(id=f"chat/{text_hash(*texts)}", source="chat", messages=tuple(side.messages), meta=meta)


def _inputs() -> Iterator[str]:
    """Lines of the user, continued ones joined; a prompt is shown in a terminal alone. Ctrl-C drops what was typed."""
    shown = sys.stdin.isatty()
    if shown:
        with suppress(ImportError):  # Windows has none
            importlib.import_module("readline")  # input() then edits lines and remembers them
    lines: list[str] = []
    while True:
        try:
            line = input(("> " if not lines else ". ") if shown else "")
        except EOFError:
            return
        except KeyboardInterrupt:
            console.note(" (dropped; /quit or Ctrl-D ends the chat)")
            lines = []
            continue
        line = line.encode("utf-8", "surrogateescape").decode("utf-8", "replace")  # input that is no UTF-8
        lines.append(line.removesuffix("\\"))
        if not line.endswith("\\"):
            yield "\n".join(lines)
            lines = []
