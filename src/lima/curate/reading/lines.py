"""Lines of bytes of a stream: all of them, or those that hold something, with a bound on the length of one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any

from lima.curate.reading.compressed import open_bytes
from lima.errors import InputError

MAX_LINE_BYTES = 64 << 20
BLOCK_BYTES = 2 << 20


def bounded_lines(stream: IO[bytes], path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield ``(line number from 1, line)``.

    Raises:
        InputError: a line of `MAX_LINE_BYTES`.
    """
    for number, line in enumerate(iter(partial(stream.readline, MAX_LINE_BYTES), b""), start=1):
        if len(line) >= MAX_LINE_BYTES:
            raise InputError(path, number, f"a line of over {MAX_LINE_BYTES >> 20} MB.")
        yield number, line


def lines_holding(stream: IO[bytes], path: Path, needle: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield ``(offset in the stream, line)`` of the lines that hold the needle, which has no newline.

    The needle is searched in blocks, so that other lines cost no more than the search.

    Raises:
        InputError: a line of `MAX_LINE_BYTES`.
    """
    readinto: Callable[[Any], int] = stream.readinto  # type: ignore[attr-defined]
    buffer, filled, offset = bytearray(BLOCK_BYTES), 0, 0
    while count := readinto(memoryview(buffer)[filled:]):
        end = buffer.rfind(b"\n", filled, filled + count) + 1
        filled += count
        yield from _holding(buffer, end, needle, offset)
        filled, offset = filled - end, offset + end
        buffer[:filled] = buffer[end : end + filled]
        if filled == len(buffer):
            if filled >= MAX_LINE_BYTES:
                raise InputError(path, line_at(path, offset), f"a line of over {MAX_LINE_BYTES >> 20} MB.")
            buffer = buffer + bytearray(filled)
    yield from _holding(buffer, filled, needle, offset)


def line_at(path: Path, offset: int) -> int:
    """The number of the line at an offset of the uncompressed bytes; reads up to there."""
    number = 1
    with open_bytes(path) as stream:
        while offset > 0 and (block := stream.read(min(offset, BLOCK_BYTES))):
            number += block.count(b"\n")
            offset -= len(block)
    return number


def _holding(block: bytearray, end: int, needle: bytes, offset: int) -> Iterator[tuple[int, bytes]]:
    place = block.find(needle, 0, end)
    while place >= 0:
        start, stop = block.rfind(b"\n", 0, place) + 1, block.find(b"\n", place, end) + 1 or end
        yield offset + start, bytes(block[start:stop])
        place = block.find(needle, stop, end)
