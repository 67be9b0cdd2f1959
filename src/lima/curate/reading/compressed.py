"""Compressed files as bounded streams of bytes: .gz and .zst, and the tables inside a .7z archive, split or not.

Nothing is unpacked to the disk under a name that an archive chooses. A stream ends with a `LimaError` when it is
damaged, or when it grows beyond what real dumps do: a bomb.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from lima.errors import LimaError

ZSTD_WINDOW = 2**31
"""Reddit's archives are written with a window of 2 GiB."""
MAX_RATIO = 250
"""Real dumps shrink to a fifth in gzip and to a tenth in 7z; stacked zeros shrink 1,000 times and more."""
FREE_BYTES = 1 << 30
"""So much may come out of any file, however small it is."""
BUFFER_BYTES = 1 << 18


@contextmanager
def open_bytes(path: Path) -> Iterator[IO[bytes]]:
    """A plain, gzip or Zstandard file as a buffered stream of bytes.

    Raises:
        LimaError: while reading, when the compressed data are damaged, cut off, or a bomb.
    """
    suffix = path.suffix.lower()
    with path.open("rb", buffering=BUFFER_BYTES) as raw:
        if suffix == ".gz":
            yield io.BufferedReader(Bounded(gzip.GzipFile(fileobj=raw).readinto, path), BUFFER_BYTES)
        elif suffix == ".zst":
            import zstandard

            decoder = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW)
            reader = decoder.stream_reader(raw, read_across_frames=True)
            yield io.BufferedReader(Bounded(_whole_frames(reader, raw), path), BUFFER_BYTES)
        else:
            yield raw


def limit(compressed: int) -> int:
    """How many bytes may come out of a compressed file of this size."""
    return max(FREE_BYTES, MAX_RATIO * compressed)


class Bounded(io.RawIOBase):
    """A stream that counts what comes out and speaks of damage in our words."""

    def __init__(self, readinto: Callable[[memoryview], int], path: Path) -> None:
        self._readinto, self._path = readinto, path
        self._limit = limit(path.stat().st_size)
        self._seen = 0

    def readable(self) -> bool:
        """A raw stream says so of itself."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with decompressed bytes; 0 at the end.

        Raises:
            LimaError: damaged or cut off, or over the limit.
        """
        try:
            count = self._readinto(memoryview(buffer))
        except LimaError:
            raise
        except (EOFError, OSError, zlib.error) as error:
            raise self._damaged(error) from None
        except Exception as error:  # zstandard raises a type of its own, which is imported only when needed
            if type(error).__name__ != "ZstdError":
                raise
            raise self._damaged(error) from None
        self._seen += count
        if self._seen > self._limit:
            raise LimaError(
                f"{self._path}: over {MAX_RATIO} times its own size comes out of it. Is it a bomb? No dump is like this."
            )
        return count

    def _damaged(self, error: Exception) -> LimaError:
        return LimaError(
            f"{self._path}: the archive is damaged or cut off after {self._seen / 1e6:.1f} MB ({error}). Get it again."
        )


def _whole_frames(reader: Any, raw: IO[bytes]) -> Callable[[memoryview], int]:
    """`readinto` of a Zstandard reader, which by itself takes a frame that is cut off for the end of the file."""

    def readinto(buffer: memoryview) -> int:
        count: int = reader.readinto(buffer)
        if not count and len(buffer):
            _check_last_frame(raw)
        return count

    return readinto


def _check_last_frame(raw: IO[bytes]) -> None:
    """Walk over the headers of all blocks (RFC 8878, section 3.1), or raise an `EOFError` where they end too soon."""
    import zstandard

    size, place = raw.seek(0, io.SEEK_END), 0
    while place < size:
        raw.seek(place)
        head = raw.read(18)
        if head[:4] >= b"\x50\x2a\x4d\x18" and head[1:4] == b"\x2a\x4d\x18":  # a skippable frame
            place += 8 + int.from_bytes(head[4:8], "little")
            continue
        place += zstandard.frame_header_size(head)
        last = False
        while not last:
            raw.seek(place)
            block = int.from_bytes(raw.read(3), "little") if place + 3 <= size else None
            if block is None:
                raise EOFError("the last frame is not whole")
            last, repeated = bool(block & 1), (block >> 1) & 3 == 1
            place += 3 + (1 if repeated else block >> 3)
        place += 4 * zstandard.get_frame_parameters(head).has_checksum
    if place > size:
        raise EOFError("the last frame is not whole")
