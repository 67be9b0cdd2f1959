"""What our own servers (``lima serve`` and ``lima annotate``) have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lima import console

EXIT_INTERRUPTED = 130
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@contextmanager
def until_stopped() -> Iterator[None]:
    """Let Ctrl-C end the server that runs in the block, in words of its own: a server has nothing to resume.

    Raises:
        SystemExit: it was stopped; the code is 130, as after every Ctrl-C.
    """
    try:
        yield
    except KeyboardInterrupt:
        console.note("\nStopped serving.")
        raise SystemExit(EXIT_INTERRUPTED) from None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens on ``host``.

    >>> is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, False)
    """
    return host in LOOPBACK
