"""Which texts are in whose hands now, so that two people do not read the same one for nothing.

Held in memory: a server that was killed forgets it, and then at worst a second reader is told that a text is decided.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable


class Leases:
    """Leases of texts by readers, each for ``seconds``."""

    def __init__(self, clock: Callable[[], float], seconds: float) -> None:
        self._clock, self._seconds = clock, seconds
        self._since: dict[tuple[int, int], float] = {}
        self._lock = threading.Lock()

    def take(self, reader: int, wanted: Iterable[tuple[int, int]]) -> int | None:
        """Hold the reader's own text, or else the first with a place left; None: all are with other people.

        ``wanted`` has for each text how many readers it still needs.
        """
        with self._lock:
            found = self._find(reader, wanted)
            if found is not None:
                self._since[found, reader] = self._clock()
            return found

    def look(self, reader: int, wanted: Iterable[tuple[int, int]]) -> int | None:
        """The text that `take` would find."""
        with self._lock:
            return self._find(reader, wanted)

    def _find(self, reader: int, wanted: Iterable[tuple[int, int]]) -> int | None:
        now = self._clock()
        self._since = {pair: at for pair, at in self._since.items() if 0 <= now - at < self._seconds}
        free = [
            text
            for text, needed in wanted
            if (text, reader) in self._since or sum(held == text for held, _ in self._since) < needed
        ]
        mine = next((text for text in free if (text, reader) in self._since), None)
        return mine if mine is not None else next(iter(free), None)

    def keep(self, reader: int, text: int) -> None:
        """The reader has this text in hand, whoever else has it."""
        with self._lock:
            self._since[text, reader] = self._clock()

    def release(self, reader: int, text: int | None = None) -> None:
        """The reader is through with a text, or with all."""
        with self._lock:
            held = [pair for pair in self._since if pair[1] == reader and text in (None, pair[0])]
            for pair in held:
                del self._since[pair]
