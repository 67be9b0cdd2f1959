"""A split archive (``.7z.001``, ``.7z.002`` ...) as one file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import IO, Any

from lima.curate.reading.compressed import BUFFER_BYTES


def parts(path: Path) -> list[Path]:
    """The volumes of an archive in their order; one for an archive that is not split."""
    if not path.name.lower().endswith(".7z.001"):
        return [path]
    stem = path.name[:-3]
    found: list[Path] = []
    while (part := path.with_name(f"{stem}{len(found) + 1:03d}")).exists():
        found.append(part)
    return found


def open_volumes(path: Path) -> IO[bytes]:
    """The archive as one stream that can be moved in, whether it is split or not."""
    paths = parts(path)
    return paths[0].open("rb") if len(paths) == 1 else io.BufferedReader(_Volumes(paths), BUFFER_BYTES)


class _Volumes(io.RawIOBase):
    """The volumes of a split archive as one file."""

    def __init__(self, paths: list[Path]) -> None:
        self._streams = [path.open("rb") for path in paths]
        self._starts = [0]
        for path in paths:
            self._starts.append(self._starts[-1] + path.stat().st_size)
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._starts[-1]}[whence]
        self._place = base + offset
        return self._place

    def readinto(self, buffer: Any) -> int:
        for stream, start, end in zip(self._streams, self._starts, self._starts[1:], strict=True):
            if start <= self._place < end:
                stream.seek(self._place - start)
                count = stream.readinto(buffer)
                self._place += count
                return count
        return 0

    def close(self) -> None:
        for stream in self._streams:
            stream.close()
        super().close()
