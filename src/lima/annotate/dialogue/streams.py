"""Systems that talk: each answer grows in a thread of this process and is read, as it grows, by any number of pages.

A page that is loaded anew, or a server that was killed, loses nothing: what was said is in the database, and an
answer that is missing there is asked for again. A slow or dead system is a failed answer that can be retried.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lima.annotate.dialogue.dialogues import Talk, Talks
from lima.annotate.security import log
from lima.errors import LimaError

if TYPE_CHECKING:  # it brings torch, which comparing and rating do not need
    from lima.generate.systems.chat_backends import ChatBackend

POLL_SECONDS = 0.05
LONGEST_QUEUE = 5
"""How many times the patience with one answer an answer waits for those before it."""
LONGEST_REPLY = 100_000


@dataclass
class Growing:
    """An answer under way. ``pieces`` only grows; ``over`` is set last."""

    pieces: list[str] = field(default_factory=list)
    over: bool = False
    failed: bool = False
    settling: bool = False


class Talking:
    """Asks the systems, one answer of a system at a time, and keeps what they say."""

    def __init__(
        self, talks: Talks, speakers: Sequence[Callable[[], ChatBackend]], *, patience: float = 120.0
    ) -> None:
        self.talks, self.patience = talks, patience
        self._makers = list(speakers)
        self._speakers: dict[int, ChatBackend] = {}
        self._turns = [threading.Lock() for _ in speakers]
        self._growing: dict[tuple[int, int, int], Growing] = {}
        self._lock = threading.Lock()

    async def stream(self, talk: Talk, number: int) -> AsyncIterator[str]:
        """The answer to message ``number`` piece by piece, from its start; ends when it is whole or has failed."""
        turn = talk.turns[number]
        if turn.state != "waiting":
            yield turn.reply or ""
            return
        growing = self.begin(talk, number)
        seen = 0
        while True:
            over = growing.over  # before the pieces are read: none can come after it
            fresh = growing.pieces[seen:]
            seen += len(fresh)
            yield "".join(fresh)
            if over:
                return
            await asyncio.sleep(POLL_SECONDS)

    def begin(self, talk: Talk, number: int) -> Growing:
        """Ask for an answer, unless it is under way."""
        key = (talk.id, number, talk.turns[number].attempt)
        with self._lock:
            if key not in self._growing:
                self._growing[key] = Growing()
                work = threading.Thread(
                    target=self._ask, args=(talk, number, self._growing[key]), daemon=True
                )
                work.start()
            return self._growing[key]

    def _ask(self, talk: Talk, number: int, growing: Growing) -> None:
        """Let the system speak; whatever goes wrong ends as a failed answer, never as a hanging page."""
        watch = threading.Timer(self.patience, self._give_up, (talk, number, growing))
        watch.daemon = True
        queue = self._turns[talk.system]
        try:
            if not queue.acquire(timeout=LONGEST_QUEUE * self.patience):
                raise LimaError("it is busy with other answers.")
            try:
                watch.start()
                self._speak(talk, talk.turns[number].attempt, growing)
            finally:
                queue.release()
        except Exception as error:  # a broken model must not take the page with it
            growing.failed = True
            log.warning("system %d gave no answer: %s", talk.system + 1, _reason(error))
        watch.cancel()
        self._settle(talk, number, growing)

    def _speak(self, talk: Talk, attempt: int, growing: Growing) -> None:
        speaker = self._speakers.get(talk.system)
        if speaker is None:
            speaker = self._speakers[talk.system] = self._makers[talk.system]()
        if not speaker.fits(talk.messages):
            raise LimaError("the dialogue has outgrown the model's context.")
        size = 0
        with closing(speaker.say(talk.messages, attempt)) as pieces:
            for piece in pieces:
                size += len(piece)
                if growing.over or size > LONGEST_REPLY:
                    return
                growing.pieces.append(piece)

    def _give_up(self, talk: Talk, number: int, growing: Growing) -> None:
        growing.failed = True
        self._settle(talk, number, growing)

    def _settle(self, talk: Talk, number: int, growing: Growing) -> None:
        with self._lock:
            if growing.settling:
                return
            growing.settling = True
        attempt = talk.turns[number].attempt
        reply = None if growing.failed else _storable("".join(growing.pieces))
        try:
            self.talks.answer(talk, number, reply, attempt)
        except Exception as error:  # the page asks again, whatever the database had
            log.warning("an answer of system %d was not stored: %s", talk.system + 1, _reason(error))
        growing.over = True
        with self._lock:
            self._growing.pop((talk.id, number, attempt), None)


def _storable(text: str) -> str:
    """Without what no database keeps: half of a surrogate pair, NUL."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def _reason(error: Exception) -> str:
    """What went wrong, for the server's own log: no page shows it, since it may name the system."""
    return f"{type(error).__name__}: {error}"[:500]
