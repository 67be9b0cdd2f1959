"""Lines of bytes of a stream, none longer than memory allows: all of them, or those that hold something."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from lima.curate.reading.compressed import open_bytes
from lima.errors import InputError

MAX_LINE_BYTES = 64 << 20
BLOCK_BYTES = 1 << 15
"""Small enough for the processor's cache, and for memory that is used again at once: blocks of 256 KB are cleared by the
system each time, which makes reading three times as slow."""


def line_blocks(stream: IO[bytes], path: Path) -> Iterator[bytes]:
    """Yield the stream in blocks of whole lines; only the last one may lack its newline.

    Raises:
        InputError: a line of `MAX_LINE_BYTES`, by its number.
    """
    parts: list[bytes] = []  # of a line that is not yet whole
    offset = 0
    while block := stream.read(BLOCK_BYTES):
        end = block.rfind(b"\n") + 1
        if end:
            whole = b"".join((*parts, block[:end]))
            yield whole
            offset += len(whole)
            parts.clear()
        parts.append(block[end:])
        if sum(map(len, parts)) >= MAX_LINE_BYTES:
            raise InputError(path, line_at(path, offset), f"a line of over {MAX_LINE_BYTES >> 20} MB.")
    if last := b"".join(parts):
        yield last


def bounded_lines(stream: IO[bytes], path: Path) -> Iterator[bytes]:
    """Yield all lines; raises as `line_blocks`."""
    for block in line_blocks(stream, path):
        yield from io.BytesIO(block)


def lines_holding(stream: IO[bytes], path: Path, needle: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield ``(offset in the stream, line)`` of the lines that hold the needle, which has no newline.

    The needle is searched in whole blocks, so other lines cost no more than that search. Raises as `line_blocks`.
    """
    offset = 0
    for block in line_blocks(stream, path):
        place = block.find(needle)
        while place >= 0:
            start, stop = block.rfind(b"\n", 0, place) + 1, block.find(b"\n", place) + 1 or len(block)
            yield offset + start, block[start:stop]
            place = block.find(needle, stop)
        offset += len(block)


def line_at(path: Path, offset: int) -> int:
    """The number of the line at an offset of the uncompressed bytes; reads up to there."""
    number = 1
    with open_bytes(path) as stream:
        while offset > 0 and (block := stream.read(min(offset, BLOCK_BYTES))):
            number += block.count(b"\n")
            offset -= len(block)
    return number
