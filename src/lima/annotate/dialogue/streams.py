"""Systems that answer: each answer grows in a thread of this process and is read, as it grows, by any number of pages.

A page that is loaded anew, or a server that was killed, loses nothing: what was said is in the database, and an
answer that is missing there is asked for again. A slow or dead system is a failed answer that can be retried.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lima.annotate.dialogue.dialogues import RaterDialogue, RaterDialogues
from lima.annotate.security import log
from lima.errors import LimaError

if TYPE_CHECKING:  # it brings torch, which comparing and rating do not need
    from lima.generate.systems.chat_backends import ChatPartner

POLL_SECONDS = 0.05
LONGEST_QUEUE = 5
"""How many times the patience with one answer an answer waits for those before it."""
LONGEST_REPLY = 100_000
FIRST_SECONDS = 1.0
"""No answer begins sooner: a quick first word would tell systems apart."""


@dataclass
class GrowingReply:
    """An answer under way. ``pieces`` only grows; ``over`` is set last."""

    pieces: list[str] = field(default_factory=list)
    over: bool = False
    failed: bool = False
    settling: bool = False
    began: float = field(default_factory=time.monotonic)

    def is_shown(self, pace: float) -> bool:
        """Whether nothing of it is left to appear."""
        return self.failed or len(self.shown(pace)) == sum(map(len, self.pieces))

    def shown(self, pace: float) -> str:
        """What may be seen by now, at ``pace`` characters a second after a first pause; 0: everything at once."""
        text = "".join(self.pieces)
        passed = time.monotonic() - self.began - FIRST_SECONDS
        return text[: max(0, int(passed * pace))] if pace else text


class ReplyStreams:
    """Asks the systems and keeps what they say.

    ``at_once`` says how many answers of each system may be under way. Answers appear at the same ``pace`` for all.
    """

    def __init__(
        self,
        dialogues: RaterDialogues,
        backends: Sequence[Callable[[], ChatPartner]],
        *,
        patience: float = 120.0,
        at_once: Sequence[int] = (),
        pace: float = 0.0,
    ) -> None:
        self.dialogues, self.patience, self.pace = dialogues, patience, pace
        self._load = list(backends)
        self._backends: dict[int, ChatPartner] = {}
        self._loading = threading.Lock()
        self._turns = [threading.Semaphore(count) for count in at_once or [1] * len(backends)]
        self._growing: dict[tuple[int, int, int], GrowingReply] = {}
        self._lock = threading.Lock()

    async def stream(self, dialogue: RaterDialogue, number: int) -> AsyncIterator[str]:
        """The answer to message ``number`` piece by piece, from its start; ends when it is whole or has failed."""
        turn = dialogue.turns[number]
        with self._lock:
            growing = self._growing.get((dialogue.id, number, turn.attempt))
        if growing is None and turn.state != "waiting":
            yield turn.reply or ""
            return
        growing = growing or self.begin(dialogue, number)
        seen = 0
        while True:
            over = growing.over  # before the pieces are read: none can come after it
            text = growing.shown(self.pace)
            yield text[seen:]
            seen = len(text)
            if over and growing.is_shown(self.pace):
                return
            await asyncio.sleep(POLL_SECONDS)

    def begin(self, dialogue: RaterDialogue, number: int) -> GrowingReply:
        """Ask for an answer, unless it is under way."""
        key = (dialogue.id, number, dialogue.turns[number].attempt)
        with self._lock:
            kept = {k: one for k, one in self._growing.items() if not (one.over and one.is_shown(self.pace))}
            self._growing = kept
            if key not in self._growing:
                self._growing[key] = GrowingReply()
                work = threading.Thread(
                    target=self._ask, args=(dialogue, number, self._growing[key]), daemon=True
                )
                work.start()
            return self._growing[key]

    def _ask(self, dialogue: RaterDialogue, number: int, growing: GrowingReply) -> None:
        """Let the system speak; whatever goes wrong ends as a failed answer, never as a hanging page."""
        watch = threading.Timer(self.patience, self._give_up, (dialogue, number, growing))
        watch.daemon = True
        queue = self._turns[dialogue.system]
        try:
            if not queue.acquire(timeout=LONGEST_QUEUE * self.patience):
                raise LimaError("it is busy with other answers.")
            try:
                watch.start()
                self._speak(dialogue, dialogue.turns[number].attempt, growing)
            finally:
                queue.release()
        except Exception as error:  # a broken model must not take the page with it
            growing.failed = True
            log.warning("system %d gave no answer: %s", dialogue.system + 1, _reason(error))
        watch.cancel()
        self._settle(dialogue, number, growing)

    def _speak(self, dialogue: RaterDialogue, attempt: int, growing: GrowingReply) -> None:
        with self._loading:
            backend = self._backends.get(dialogue.system)
            if backend is None:
                backend = self._backends[dialogue.system] = self._load[dialogue.system]()
        if not backend.fits(dialogue.messages):
            raise LimaError("the dialogue has outgrown the model's context.")
        size = 0
        with closing(backend.say(dialogue.messages, attempt)) as pieces:
            for piece in pieces:
                size += len(piece)
                if growing.over or size > LONGEST_REPLY:
                    return
                growing.pieces.append(piece)

    def _give_up(self, dialogue: RaterDialogue, number: int, growing: GrowingReply) -> None:
        growing.failed = True
        self._settle(dialogue, number, growing)

    def _settle(self, dialogue: RaterDialogue, number: int, growing: GrowingReply) -> None:
        with self._lock:
            if growing.settling:
                return
            growing.settling = True
        attempt = dialogue.turns[number].attempt
        reply = None if growing.failed else _storable("".join(growing.pieces))
        try:
            self.dialogues.answer(dialogue, number, reply, attempt)
        except Exception as error:  # the page asks again, whatever the database had
            log.warning("an answer of system %d was not stored: %s", dialogue.system + 1, _reason(error))
        growing.over = True


def _storable(text: str) -> str:
    """Without what no database keeps: half of a surrogate pair, NUL."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def _reason(error: Exception) -> str:
    """What went wrong, for the server's own log: no page shows it, since it may name the system."""
    return f"{type(error).__name__}: {error}"[:500]
