"""Files as bounded streams of bytes: plain, .gz and .zst (tables inside a .7z: `stackexchange/archives`).

Nothing is unpacked to the disk under a name that an archive chooses. A stream ends with a `LimaError` when it is
damaged, or when it grows beyond what real dumps do: a bomb.
"""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from lima.errors import LimaError
from lima.files import replacing

if sys.version_info >= (3, 14):
    from compression import zstd as zstd
else:
    from backports import zstd as zstd

ZSTD_WINDOW = {int(zstd.DecompressionParameter.window_log_max): 31}
"""Reddit's archives are written with a window of 2 GiB."""
MAX_RATIO = 250
"""Real dumps shrink to a fifth in gzip and to a tenth in 7z; stacked zeros shrink 1,000 times and more."""
ZSTD_LEVEL = 1
FREE_BYTES = 1 << 30
"""This much may come out of any file, however small it is."""
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
            yield io.BufferedReader(_Bounded(gzip.GzipFile(fileobj=raw), path), BUFFER_BYTES)
        elif suffix == ".zst":
            yield io.BufferedReader(_Bounded(zstd.ZstdFile(raw, options=ZSTD_WINDOW), path), BUFFER_BYTES)
        else:
            yield raw


@contextmanager
def create_bytes(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that takes its place when the block ends well; compressed where its name ends in .zst."""
    with replacing(path) as stream:
        if path.suffix != ".zst":
            yield stream
            return
        with zstd.ZstdFile(stream, "wb", level=ZSTD_LEVEL) as compressing:
            yield cast(IO[bytes], compressing)


def limit(compressed: int) -> int:
    """How many bytes may come out of a compressed file of this size."""
    return max(FREE_BYTES, MAX_RATIO * compressed)


class _Bounded(io.RawIOBase):
    """A stream that counts what comes out and reports damage in our words."""

    def __init__(self, decoder: io.BufferedIOBase, path: Path) -> None:
        self._decoder, self._path = decoder, path
        self._limit = limit(path.stat().st_size)
        self._seen = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            count = self._decoder.readinto(buffer)
        except (EOFError, OSError, zlib.error, zstd.ZstdError) as error:
            raise LimaError(
                f"{self._path}: the archive is damaged or cut off after {self._seen / 1e6:.1f} MB ({error}). Get it again."
            ) from None
        self._seen += count
        if self._seen > self._limit:
            raise LimaError(
                f"{self._path}: over {MAX_RATIO} times its own size comes out of it. Is it a bomb? No dump is like this."
            )
        return count
