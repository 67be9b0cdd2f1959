"""A .7z archive of a Stack Exchange dump -> its tables as files of our own.

An archive is decoded once, from its beginning: in a solid one Posts stand behind Comments and PostHistory. Names in the
archive are looked at, never used as paths.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from lima.curate.reading.compressed import FREE_BYTES, MAX_RATIO, create_bytes, limit
from lima.errors import LimaError
from lima.extras import install

ARCHIVE = re.compile(r"\.7z(?:\.001)?$", re.IGNORECASE)
DECODED_BYTES = 1 << 16
"""Of compressed data at a time: what comes out of them is held in memory."""


def unpack(path: Path, places: Mapping[str, Path], advance: Callable[[int], None] | None = None) -> None:
    """Write tables of an archive to files of ours; those that are not in it are left out.

    Args:
        path: the archive, or the first volume (``.7z.001``) of a split one.
        places: where each table goes, by its lower-case name. A place that ends in .zst is compressed. The first table
            must be there; its file takes its place last, as the sign that all are whole.
        advance: called with the number of bytes of that first table written since the last call.

    Raises:
        LimaError: no such table; damaged, encrypted, a bomb, or a member whose path leads out of the archive.
    """
    with ExitStack() as stack:
        archive, members = stack.enter_context(_open(path))
        first = next(iter(places))
        if first not in members:
            found = ", ".join(sorted(members.values())) or "nothing"
            raise LimaError(f"{path}: no {first.capitalize()} in it. Found: {found}.")
        writers = {
            members[table]: stack.enter_context(create_bytes(place))
            for table, place in places.items()
            if table in members
        }
        try:
            archive.extract(targets=list(writers), factory=_sinks(writers, members[first], advance))
        except Exception as error:  # py7zr and the decoders below it raise many kinds
            if (
                isinstance(error, OSError) and error.errno
            ):  # the disk is full, say: `replacing` knows what to do
                raise
            raise _damaged(path, error) from None


def table_bytes(path: Path, table: str) -> int:
    """The size of a table when it is decoded, as the archive states it; 0 when it is not there."""
    with _open(path) as (archive, members):
        found = members.get(table)
        return next((int(member.uncompressed) for member in archive.list() if member.filename == found), 0)


@contextmanager
def _open(path: Path) -> Iterator[tuple[Any, dict[str, str]]]:
    """The archive, and its tables by their lower-case names."""
    try:
        import multivolumefile
        import py7zr
        from py7zr.exceptions import ArchiveError, PasswordRequired
    except ModuleNotFoundError:
        raise LimaError(f"{path}: .7z needs a package: {install('curate')}") from None
    encrypted = LimaError(f"{path}: the archive is encrypted. Unpack it first.")
    split = path.suffix == ".001"
    with multivolumefile.open(path.with_suffix(""), "rb") if split else path.open("rb") as stream:
        try:
            archive = py7zr.SevenZipFile(cast(IO[bytes], stream), blocksize=DECODED_BYTES)
        except PasswordRequired:
            raise encrypted from None
        except (ArchiveError, EOFError, OSError, ValueError, LookupError, TypeError, AssertionError) as error:
            raise _damaged(path, error) from None
        if archive.needs_password():
            raise encrypted
        yield archive, _members(archive, path, stream.seek(0, io.SEEK_END))


def _damaged(path: Path, error: Exception) -> LimaError:
    return LimaError(f"{path}: the archive is damaged or cut off ({error}). Get it again.")


def _members(archive: Any, path: Path, compressed: int) -> dict[str, str]:
    """Refuses archives that no dump is like."""
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
    if size > limit(compressed):
        raise LimaError(
            f"{path}: {size / 1e9:.1f} GB would come out of it, over {MAX_RATIO} times its size "
            f"and {FREE_BYTES >> 30} GiB. Is it a bomb? No dump is like this."
        )
    return found


def _sinks(writers: Mapping[str, IO[bytes]], first: str, advance: Callable[[int], None] | None) -> Any:
    """What py7zr writes members to, which it names as they are named in the archive."""
    from py7zr.io import NullIO, WriterFactory

    class Sink(NullIO):  # type: ignore[misc,unused-ignore]
        def __init__(self, name: str) -> None:
            self._stream, self._counted, self._size = writers[name], name == first, 0

        def write(self, block: bytes | bytearray) -> int:
            self._stream.write(block)
            self._size += len(block)
            if advance and self._counted:
                advance(len(block))
            return len(block)

        def size(self) -> int:
            return self._size

    class Factory(WriterFactory):  # type: ignore[misc,unused-ignore]
        def create(self, filename: str) -> Sink:
            wanted = PurePosixPath(filename).name
            return Sink(next(name for name in writers if PurePosixPath(name).name == wanted))

    return Factory()
