"""A .7z archive of a Stack Exchange dump -> its Posts table as a stream, and further tables spooled on the way.

An archive is decoded once, from its beginning: in a solid one Posts stand behind Comments and PostHistory. LZMA
decoding runs in a thread of its own beside the reader. Names in the archive are looked at, never used as paths.
"""

from __future__ import annotations

import io
import queue
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import IO, Any

from lima.curate.reading.compressed import BUFFER_BYTES, FREE_BYTES, MAX_RATIO, limit
from lima.curate.reading.volumes import open_volumes, parts
from lima.errors import LimaError
from lima.files import replacing

ARCHIVE = re.compile(r"\.7z(?:\.001)?$", re.IGNORECASE)
BLOCK_BYTES = 1 << 16
"""Of compressed data at a time: what comes out of a block waits in memory."""
WAITING_BLOCKS = 4
ZSTD_LEVEL = 1


@contextmanager
def open_table(path: Path, name: str, spool: Mapping[str, Path] | None = None) -> Iterator[IO[bytes]]:
    """One table of an archive as a stream of bytes; others are written beside, as .zst, while it is decoded.

    Args:
        path: the archive, or the first volume (``.7z.001``) of a split one.
        name: the table, such as ``Posts.xml``, in any case.
        spool: further tables, by name, and where to put them; those that are not in the archive are left out.

    Raises:
        LimaError: no such table, damaged, encrypted, a bomb, or a member whose path climbs out of the archive;
            in part while reading.
    """
    with ExitStack() as stack:
        archive = stack.enter_context(_open(path))
        members = _members(archive, path)
        if name.lower() not in members:
            raise LimaError(
                f"{path}: no {name} in it. Found: {', '.join(sorted(members.values())) or 'nothing'}."
            )
        sinks: dict[str, Any] = {}
        for table, place in (spool or {}).items():
            if table.lower() in members:
                sinks[members[table.lower()]] = _compressing(stack, place)
        pipe = _Pipe(path)
        sinks[members[name.lower()]] = pipe.push
        thread = threading.Thread(target=_decode, args=(archive, sinks, pipe), daemon=True)
        thread.start()
        try:
            yield io.BufferedReader(pipe, BUFFER_BYTES)
            pipe.drain()  # what stands behind is spooled too, and the checksums are looked at
        finally:
            pipe.stop()
            thread.join()


def table_bytes(path: Path, name: str) -> int:
    """The size of a table when it is decoded, as the archive states it; 0 when it is not there."""
    with _open(path) as archive:
        found = _members(archive, path).get(name.lower())
        return next((int(member.uncompressed) for member in archive.list() if member.filename == found), 0)


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    with ExitStack() as stack:
        yield _archive(stack.enter_context(open_volumes(path)), path)


def _archive(stream: IO[bytes], path: Path) -> Any:
    try:
        import py7zr
        from py7zr.exceptions import ArchiveError, PasswordRequired
    except ModuleNotFoundError:
        raise LimaError(f"{path}: .7z needs a package: pip install 'lima-align[curate]'") from None
    encrypted = LimaError(f"{path}: the archive is encrypted. Unpack it first.")
    try:
        archive = py7zr.SevenZipFile(stream, blocksize=BLOCK_BYTES)
    except PasswordRequired:
        raise encrypted from None
    except (ArchiveError, EOFError, OSError, ValueError, LookupError, TypeError, AssertionError) as error:
        raise LimaError(f"{path}: the archive is damaged or cut off ({error}). Get it again.") from None
    if archive.needs_password():
        raise encrypted
    return archive


def _members(archive: Any, path: Path) -> dict[str, str]:
    """The tables by their lower-case names; refuses archives that no dump is like."""
    found: dict[str, str] = {}
    size = 0
    for member in archive.list():
        place = PurePosixPath(member.filename.replace("\\", "/"))
        if place.is_absolute() or ".." in place.parts or ":" in member.filename:
            raise LimaError(
                f"{path}: the member {member.filename!r} points out of the archive. Do not trust it."
            )
        size += int(member.uncompressed or 0)
        if not member.is_directory and place.name.lower().endswith(".xml"):
            if place.name.lower() in found:
                raise LimaError(f"{path}: two tables {place.name} in one archive. Unpack the one you want.")
            found[place.name.lower()] = member.filename
    if size > limit(sum(volume.stat().st_size for volume in parts(path))):
        raise LimaError(
            f"{path}: {size / 1e9:.1f} GB would come out of it, over {MAX_RATIO} times its size "
            f"and {FREE_BYTES >> 30} GiB. Is it a bomb? No dump is like this."
        )
    return found


class _Stopped(Exception):
    """The reader went away."""


class _Pipe(io.RawIOBase):
    """What the decoding thread pushes is read here; a few blocks wait between them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._blocks: queue.Queue[bytes | Exception | None] = queue.Queue(WAITING_BLOCKS)
        self._rest = memoryview(b"")
        self._stopped = threading.Event()
        self._ended = False

    def push(self, block: bytes | Exception | None) -> None:
        """Called by the decoder: bytes, then None at the end or the error that ended it."""
        while not self._stopped.is_set():
            try:
                return self._blocks.put(block, timeout=0.1)
            except queue.Full:
                continue
        raise _Stopped

    def stop(self) -> None:
        """No more is wanted."""
        self._stopped.set()

    def drain(self) -> None:
        """Let the decoder come to its end."""
        while self._next():
            pass

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest and not self._next():
            return 0
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def _next(self) -> bool:
        """Wait for the next block; False at the end."""
        self._rest = memoryview(b"")
        while not self._ended and not self._rest:
            block = self._blocks.get()
            if isinstance(block, Exception):
                self._ended = True
                raise LimaError(
                    f"{self._path}: the archive is damaged or cut off ({block}). Get it again."
                ) from None
            if block is None:
                self._ended = True
            else:
                self._rest = memoryview(block)
        return not self._ended


def _compressing(stack: ExitStack, place: Path) -> Any:
    import zstandard

    stream = stack.enter_context(replacing(place))
    writer = stack.enter_context(
        zstandard.ZstdCompressor(level=ZSTD_LEVEL).stream_writer(stream, closefd=False)
    )
    return writer.write


def _decode(archive: Any, sinks: Mapping[str, Any], pipe: _Pipe) -> None:
    """Push the wanted members through; whatever ends it is handed to the reader."""
    from py7zr.io import Py7zIO, WriterFactory

    class Sink(Py7zIO):  # type: ignore[misc,unused-ignore]
        def __init__(self, write: Any) -> None:
            self._write, self._size = write, 0

        def write(self, block: bytes | bytearray) -> int:
            self._write(bytes(block))
            self._size += len(block)
            return len(block)

        def read(self, size: int | None = None) -> bytes:
            return b""

        def seek(self, offset: int, whence: int = 0) -> int:
            return 0

        def flush(self) -> None:
            """Nothing is kept back."""

        def size(self) -> int:
            return self._size

    class Factory(WriterFactory):  # type: ignore[misc,unused-ignore]
        def create(self, filename: str) -> Py7zIO:
            wanted = PurePosixPath(filename).name
            return Sink(next(write for name, write in sinks.items() if PurePosixPath(name).name == wanted))

    try:
        archive.extract(targets=list(sinks), factory=Factory())
        pipe.push(None)
    except _Stopped:
        pass
    except Exception as error:  # of any kind: the reader raises it in its own thread
        with suppress(_Stopped):
            pipe.push(error)
