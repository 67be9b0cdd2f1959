"""Lines of bytes of a stream: all of them, or those that hold something, with a bound on the length of one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO

from lima.curate.compressed import open_bytes
from lima.errors import InputError

MAX_LINE_BYTES = 64 << 20
BLOCK_BYTES = 1 << 20


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
    rest, offset = b"", 0
    while block := stream.read(BLOCK_BYTES):
        block = rest + block
        end = block.rfind(b"\n", len(rest)) + 1
        if not end and len(block) >= MAX_LINE_BYTES:
            raise InputError(path, line_at(path, offset), f"a line of over {MAX_LINE_BYTES >> 20} MB.")
        yield from _holding(block, end, needle, offset)
        rest, offset = block[end:], offset + end
    yield from _holding(rest, len(rest), needle, offset)


def line_at(path: Path, offset: int) -> int:
    """The number of the line at an offset of the uncompressed bytes; reads up to there."""
    number = 1
    with open_bytes(path) as stream:
        while offset > 0 and (block := stream.read(min(offset, BLOCK_BYTES))):
            number += block.count(b"\n")
            offset -= len(block)
    return number


def _holding(block: bytes, end: int, needle: bytes, offset: int) -> Iterator[tuple[int, bytes]]:
    place = block.find(needle, 0, end)
    while place >= 0:
        start, stop = block.rfind(b"\n", 0, place) + 1, block.find(b"\n", place, end) + 1 or end
        yield offset + start, block[start:stop]
        place = block.find(needle, stop, end)
