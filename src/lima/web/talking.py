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

from lima.errors import LimaError
from lima.web.security import log
from lima.web.talks import Talk, Talks

if TYPE_CHECKING:  # it brings torch, which comparing and rating do not need
    from lima.generate.speakers import Speaker

POLL_SECONDS = 0.05
LONGEST_REPLY = 100_000


@dataclass
class Growing:
    """An answer under way. ``pieces`` only grows; ``over`` is set last."""

    pieces: list[str] = field(default_factory=list)
    over: bool = False
    failed: bool = False


class Talking:
    """Asks the systems, one answer of a system at a time, and keeps what they say."""

    def __init__(
        self, talks: Talks, speakers: Sequence[Callable[[], Speaker]], *, patience: float = 120.0
    ) -> None:
        self.talks, self.patience = talks, patience
        self._makers = list(speakers)
        self._speakers: dict[int, Speaker] = {}
        self._turns = [threading.Lock() for _ in speakers]
        self._growing: dict[tuple[int, int, int], Growing] = {}
        self._lock = threading.Lock()

    async def stream(self, talk: Talk, number: int) -> AsyncIterator[str]:
        """The answer to message ``number`` piece by piece, from its start; ends when it is whole or has failed."""
        turn = talk.turns[number]
        if turn.state != "waiting":
            yield turn.reply or ""
            return
        growing = self._start(talk, number)
        seen = 0
        while True:
            over = growing.over  # before the pieces are read: none can come after it
            fresh = growing.pieces[seen:]
            seen += len(fresh)
            yield "".join(fresh)
            if over:
                return
            await asyncio.sleep(POLL_SECONDS)

    def _start(self, talk: Talk, number: int) -> Growing:
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
        turn = talk.turns[number]
        watch = threading.Timer(self.patience, self._give_up, (talk, number, growing))
        watch.daemon = True
        watch.start()
        try:
            with self._turns[talk.system]:
                self._speak(talk, turn.attempt, growing)
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
            if growing.over:
                return
            reply = None if growing.failed else "".join(growing.pieces)
            self.talks.answer(talk, number, reply, talk.turns[number].attempt)
            growing.over = True
            self._growing.pop((talk.id, number, talk.turns[number].attempt), None)


def _reason(error: Exception) -> str:
    """What went wrong, for the server's own log: no page shows it, since it may name the system."""
    return f"{type(error).__name__}: {error}"[:500]
