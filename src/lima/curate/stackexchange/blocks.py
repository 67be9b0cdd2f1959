"""A stream of XML -> blocks of whole pieces, in one buffer that is used again and again.

A piece goes from one ``<`` to the next. Nothing but markup holds a ``<``, so a row of a dump is a piece however its
lines are laid out, and one scan for a single byte cuts the stream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from lima.curate.stackexchange import row_xml as rows
from lima.errors import LimaError

BLOCK_BYTES = 4 << 20
"""Big enough that the cost of a numpy call is spread over thousands of rows."""
PAD_BYTES = 256
"""Behind the last piece, so that whoever reads ahead of a piece's end stays inside the buffer."""
PROGRESS_BYTES = 16 << 20
WORD = 8

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Block:
    """Piece i is ``buffer[starts[i]:ends[i]]``; the first of a stream may begin without ``<``.

    The next block overwrites them.
    """

    buffer: bytearray
    starts: Integers
    ends: Integers
    offset: int
    """Where the buffer begins in the stream."""

    def text(self, place: int) -> bytes:
        """A copy of one piece."""
        return bytes(self.buffer[self.starts[place] : self.ends[place]])

    def newlines(self) -> Integers:
        """Where the lines end in the buffer."""
        return _positions(self.buffer, int(self.ends[-1]), b"\n")


def read_blocks(
    stream: IO[bytes], path: Path, advance: Callable[[int], None] | None = None
) -> Iterator[Block]:
    """Yield the pieces of a stream.

    Args:
        stream: uncompressed bytes.
        path: its name for messages.
        advance: called with the number of bytes read since the last call.

    Raises:
        LimaError: a piece of over `rows.MAX_ROW_BYTES`, before it is held whole.
    """
    readinto: Callable[[Any], int] = stream.readinto  # type: ignore[attr-defined]
    buffer, filled, offset, unseen = bytearray(BLOCK_BYTES + PAD_BYTES), 0, 0, 0
    while True:
        count = readinto(memoryview(buffer)[filled : len(buffer) - PAD_BYTES])
        unseen += count
        if advance and (unseen >= PROGRESS_BYTES or not count):
            advance(unseen)
            unseen = 0
        filled += count
        size = max(0, buffer.rfind(b"<", filled - count, filled)) if count else filled
        if size:
            yield _block(buffer, size, offset)
            offset, filled = offset + size, filled - size
            buffer[:filled] = buffer[size : size + filled]
        if not count:
            return
        if filled > rows.MAX_ROW_BYTES:
            raise LimaError(
                f"{path}: a row of over {rows.MAX_ROW_BYTES >> 20} MB at {place(offset)}. Is this a dump?"
            )
        if filled == len(buffer) - PAD_BYTES:
            buffer = buffer + bytearray(filled)


def place(offset: int) -> str:
    """A place in a stream, for messages."""
    return f"byte {offset + 1:,}"


def _block(buffer: bytearray, size: int, offset: int) -> Block:
    starts = _positions(buffer, size, b"<")
    if not len(starts) or starts[0]:
        starts = np.concatenate([[0], starts])
    return Block(buffer, starts, np.append(starts[1:], size), offset)


def _positions(buffer: bytearray, size: int, byte: bytes) -> Integers:
    """Where a byte stands in ``buffer[:size]``; meant for bytes that are rare.

    Eight comparisons at a time are looked at as one word: twice as fast as `numpy.flatnonzero` on bytes.
    """
    equal = np.frombuffer(buffer, np.uint8, -(-size // WORD) * WORD) == byte[0]
    equal[size:] = False
    words = equal.view("<u8")
    found = np.flatnonzero(words != 0)
    bits = words[found]
    if bool((bits & (bits - np.uint64(1))).any()):  # two in one word
        return np.flatnonzero(equal)
    places: Integers = found * WORD + (np.bitwise_count(~bits & (bits - np.uint64(1))) >> np.uint8(3))
    return places
