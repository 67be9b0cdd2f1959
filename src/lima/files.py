"""JSON Lines and other files: read with the place of every error, written so that a kill leaves no half file.

Whole files are replaced atomically. Files that grow while a stage works are append-only logs, whose
last, half-written line after a kill is cut off at the next opening.
"""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Generic, Self, TypeVar

import orjson
from pydantic import ValidationError

from lima.errors import InputError, LimaError
from lima.records import Example, Record

R = TypeVar("R", bound=Record)

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""What some editors put before the first line of a UTF-8 file."""
EDGE_BYTES = 1 << 16
A_JSON_ARRAY = (
    "a JSON array, expected an object a line. 'lima import' reads arrays; or: jq -c '.[]' IN > OUT."
)
CONTAINERS = {
    b"\x1f\x8b": "compressed (gzip). Unpack it: gunzip",
    b"\x28\xb5\x2f\xfd": "compressed (Zstandard). Unpack it: unzstd",
    b"BZh": "compressed (bzip2). Unpack it: bunzip2",
    b"\xfd7zXZ\0": "compressed (xz). Unpack it: unxz",
    b"7z\xbc\xaf\x27\x1c": "compressed (7z). Unpack it.",
    b"PK\x03\x04": "a zip archive or a workbook. 'lima curate own-data' reads workbooks.",
    b"PAR1": "Parquet. 'lima curate own-data' reads it.",
    b"%PDF": "a PDF.",
    b"<?xml": "XML. 'lima curate stackexchange' reads dumps.",
    b"\xd0\xcf\x11\xe0": "an old workbook (.xls) or another file of Office.",
}
"""How files begin that are no text, what they are, and what helps."""
WIDE = {
    b"\xff\xfe": "UTF-16. Convert it: iconv -f utf-16 -t utf-8",
    b"\xfe\xff": "UTF-16. Convert it: iconv -f utf-16 -t utf-8",
    b"{\0": "UTF-16. Convert it: iconv -f utf-16le -t utf-8",
    b"\0{": "UTF-16. Convert it: iconv -f utf-16be -t utf-8",
}
"""How JSON Lines in UTF-16 begin, with and without a mark."""


def read_jsonl(path: Path, record: type[R]) -> Iterator[R]:
    """Yield the records of a JSON Lines file; blank lines are skipped.

    Raises:
        LimaError: the file is missing, a folder or empty.
        InputError: a line is not JSON or not such a record; the text is ``path:line: what is wrong``.
    """
    found = False
    for number, line in enumerate(_lines(path), start=1):
        if line.strip():
            found = True
            yield parse_record(line, record, path, number)
    if not found:
        raise LimaError(f"{path}: the file is empty. Expected one JSON {record.__name__} a line.")


def parse_record(line: bytes, record: type[R], path: Path, number: int) -> R:
    """Decode one line, or raise an `InputError` that names the first field at fault."""
    value = parse_json_object(line, path, number)
    try:
        return record.model_validate(value)
    except ValidationError as error:
        hint = _import_hint(value, path) if record is Example else ""
        raise InputError(path, number, _first_problem(error, record) + hint) from None


def parse_json_object(line: bytes, path: Path, number: int) -> dict[str, Any]:
    """Decode one line that must hold a JSON object."""
    try:
        value = loads(line)
    except orjson.JSONDecodeError as error:
        raise InputError(path, number, _not_json(error, line, number)) from None
    if not isinstance(value, dict):
        array = number == 1 and isinstance(value, list)
        what = A_JSON_ARRAY if array else f"a JSON {type(value).__name__}, expected an object."
        raise InputError(path, number, what)
    return value


def _not_json(error: orjson.JSONDecodeError, line: bytes, number: int) -> str:
    """What a line that is not JSON seems to hold."""
    if number == 1 and line.strip() == b"[":
        return A_JSON_ARRAY
    if line.strip() == b"{":
        return "a JSON object over several lines. Each line must be one JSON object, as 'jq -c .' writes it."
    try:
        line.decode()
    except UnicodeDecodeError as problem:
        byte = line[problem.start]
        return f"not UTF-8 (byte 0x{byte:02x} at column {problem.start + 1}). Convert it, as with iconv -f cp1252 -t utf-8."
    return f"not JSON ({error.msg}, column {error.colno}). Each line must be one JSON object."


def _import_hint(row: Mapping[str, Any], path: Path) -> str:
    """The command that turns a row of another tool into an Example; nothing for a row with our fields."""
    if "id" in row and "source" in row:
        return ""
    turns = row.get("conversations")
    texts = isinstance(turns, list) and all(isinstance(turn, str) for turn in turns)
    kinds = {"messages": "openai", "conversations": "lima" if texts else "sharegpt", "instruction": "alpaca"}
    kind = next((kind for field, kind in kinds.items() if field in row), None)
    if kind is None:
        is_table = {"prompt", "question", "query", "completion", "answer", "response"} & row.keys()
        return (
            " A table of questions and answers? 'lima curate own-data' and 'lima align' read it."
            if is_table
            else ""
        )
    return f" Rows of {kind}? Then first: {shlex.join(['lima', 'import', kind, str(path), '--out', 'data.jsonl'])}"


def loads(data: bytes) -> Any:
    """JSON, in which half of a surrogate pair becomes U+FFFD: no UTF-8 holds it, but some writers of JSON put it in.

    Raises:
        orjson.JSONDecodeError: it is no JSON.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        if "surrogate" not in str(error):
            raise
        try:
            return whole_characters(json.loads(data))
        except (ValueError, RecursionError):
            raise error from None


def whole_characters(value: Any) -> Any:
    """A value of JSON without halves of surrogate pairs."""
    if isinstance(value, dict):
        return {whole_characters(key): whole_characters(item) for key, item in value.items()}
    if isinstance(value, list):
        return [whole_characters(item) for item in value]
    if not isinstance(value, str):
        return value
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def read_objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield ``(line number, object)`` of a JSON Lines file of any shape (importers)."""
    for number, line in enumerate(_lines(path), start=1):
        if line.strip():
            yield number, parse_json_object(line, path, number)


def write_jsonl(path: Path, records: Iterable[Record]) -> int:
    """Replace ``path`` by the records, atomically; return their number."""
    count = 0
    with replacing(path) as stream:
        for record in records:
            stream.write(encode(record))
            count += 1
    return count


def encode(record: Record) -> bytes:
    """One JSON line in UTF-8, with its newline. Equal records give equal bytes."""
    return orjson.dumps(record.model_dump(mode="json"), option=orjson.OPT_APPEND_NEWLINE)


def write_text(path: Path, text: str) -> None:
    """Replace ``path`` by ``text``, atomically."""
    with replacing(path) as stream:
        stream.write(text.encode())


def write_json(path: Path, value: Any) -> None:
    """Replace ``path`` by indented JSON, atomically. Keys keep their order."""
    option = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS
    with replacing(path) as stream:
        stream.write(orjson.dumps(value, option=option))


def read_json(path: Path) -> Any:
    """The value in a JSON file, or a `LimaError` that names it."""
    try:
        return orjson.loads(path.read_bytes())
    except FileNotFoundError:
        raise LimaError(f"{path}: no such file.") from None
    except orjson.JSONDecodeError as error:
        raise LimaError(f"{path}: not JSON ({error}).") from None


def files_below(folder: Path) -> list[Path]:
    """All files of a folder and of those below it, sorted; folders that are linked in are read too, each once."""
    found: list[Path] = []
    seen: set[str] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(parent)) in seen:  # a link to a folder above would be followed for ever
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        found += (path for name in names if (path := Path(parent, name)).is_file())
    return sorted(found)


def checkpoint_name(folder: Path) -> str:
    """What a model is called by its folder: an epoch together with its run.

    >>> [checkpoint_name(Path(place)) for place in ("runs/lima/epoch-10", "runs/tickets/run/epoch-05", "models/gemma")]
    ['lima-epoch-10', 'tickets-epoch-05', 'gemma']
    """
    run = folder.parent
    if run.name == "run" and run.parent.name:  # `lima align` names the folder above it
        run = run.parent
    return f"{run.name}-{folder.name}" if folder.name.startswith("epoch") and run.name else folder.name


def sibling(path: Path, name: str) -> Path:
    """The file of this name beside another.

    Raises:
        LimaError: the other is a folder by its name (``.``, or nothing at all).
    """
    if not path.name:
        raise LimaError(f"{path}: a folder, expected the name of a file.")
    return path.with_name(name)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file beside ``path`` that takes its place when the block ends well.

    When the block fails (a full disk, Ctrl-C) the temporary file is removed and ``path`` is untouched. What a killed
    process left is removed by the next one that writes here.
    """
    temporary = sibling(path, f".{path.name}.{os.getpid()}.tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_left_behind(path)
    try:
        with temporary.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        raise disk_full(error, path) if isinstance(error, OSError) else error from None


def _remove_left_behind(path: Path) -> None:
    """Remove temporary files of `replacing` whose process has ended."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        number = left.name.removesuffix(".tmp").rpartition(".")[2]
        if number.isdigit() and not _is_running(int(number)):
            left.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def disk_full(error: OSError, path: Path) -> Exception:
    """Turn "no space left" into an error that says what to do; any other error comes back as it is."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        reason = os.strerror(error.errno).lower()
        return LimaError(f"{path}: {reason}. Free some space and run the same command again; it continues.")
    return error


class JsonlLog(Generic[R]):
    """An append-only JSON Lines file that survives a kill at any byte.

    Opening it cuts off a last line without newline (a write that a kill interrupted) and offers the
    rows that are already there in `existing`, so that a stage repeats no finished step.
    """

    def __init__(self, path: Path, record: type[R]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._stream = path.open("a+b", buffering=0)  # a buffer would keep half a row after a failed write
        self._cut_partial_line()
        self.existing: list[R] = [
            parse_record(line, record, path, number)
            for number, line in enumerate(path.read_bytes().splitlines(), start=1)
        ]

    def append(self, record: R) -> None:
        """Write one line and hand it to the operating system, so that a kill of this process keeps it."""
        start = self._stream.seek(0, os.SEEK_END)
        rest = memoryview(encode(record))
        try:
            while rest:
                rest = rest[self._stream.write(rest) or 0 :]
        except OSError as error:
            os.ftruncate(self._stream.fileno(), start)
            raise disk_full(error, self.path) from None

    def _cut_partial_line(self) -> None:
        content = self.path.read_bytes()
        os.ftruncate(self._stream.fileno(), content.rfind(b"\n") + 1)

    def close(self) -> None:
        """Bring the rows to the disk and close."""
        if not self._stream.closed:
            os.fsync(self._stream.fileno())
            self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def sha256(path: Path, only: re.Pattern[str] | None = None) -> str:
    """Hex digest of a file; of a folder: over names and digests of its files, hidden ones left out.

    ``only`` names those that count: of files right in the folder.
    """
    digest = hashlib.sha256()
    if path.is_dir():
        found = path.rglob("*") if only is None else (p for p in path.iterdir() if only.fullmatch(p.name))
        for file in sorted(p for p in found if p.is_file() and not p.name.startswith(".")):
            digest.update(f"{file.relative_to(path).as_posix()}\0{sha256(file)}\n".encode())
        return digest.hexdigest()
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def fingerprint(path: Path) -> str:
    """A hash of a file's size and of its first and last 64 KB: to see that a big file is still the same."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(EDGE_BYTES)
        stream.seek(max(0, size - EDGE_BYTES))
        return text_hash(str(size), head.hex(), stream.read().hex())


def text_hash(*parts: str, length: int = 16) -> str:
    """Hex hash of strings, unambiguous in their boundaries. Seeds, ids and cache keys come from it.

    >>> text_hash("ab", "c") == text_hash("a", "bc")
    False
    """
    digest = hashlib.sha256("".join(f"{len(part)}:{part}" for part in parts).encode())
    return digest.hexdigest()[:length]


def _lines(path: Path) -> Iterator[bytes]:
    return (line for _, line in placed_lines(path))


def placed_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a JSON Lines file, each with the place of its first byte; a byte order mark is left out.

    Raises:
        LimaError: no such file, a folder, a table, or a file in another form; the message names the command that reads it.
    """
    if path.suffix.lower() in (".csv", ".tsv"):
        raise LimaError(
            f"{path}: a table, expected JSON Lines. 'lima curate own-data' makes Examples of tables."
        )
    try:
        with path.open("rb") as stream:
            first = stream.readline()
            text = first.removeprefix(BYTE_ORDER_MARK)
            form = other_form(first, CONTAINERS | WIDE) or other_form(text, CONTAINERS)
            if form:
                raise LimaError(f"{path}: {form} Expected JSON Lines in UTF-8.")
            place = len(first)
            yield place - len(text), text
            for line in stream:
                yield place, line
                place += len(line)
    except FileNotFoundError:
        raise LimaError(f"{path}: no such file.") from None
    except IsADirectoryError:
        raise LimaError(f"{path}: a folder, expected a JSON Lines file.") from None


def other_form(head: bytes, forms: Mapping[bytes, str]) -> str | None:
    """What a file that begins so is, with the remedy, where it has one of these forms."""
    what = next((what for mark, what in forms.items() if head.startswith(mark)), None)
    return what if what is None or what.endswith(".") else f"{what} FILE."


def is_array(path: Path) -> bool:
    """Whether a file begins like a JSON array; not so where it cannot be read."""
    try:
        with path.open("rb") as stream:
            return stream.read(4096).removeprefix(BYTE_ORDER_MARK).lstrip()[:1] == b"["
    except OSError:
        return False


def _first_problem(error: ValidationError, record: type[Record]) -> str:
    problem = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "missing":
        known = ", ".join(record.model_fields)
        return f"no field '{place}' ({record.__name__} has: {known})."
    if problem["type"] == "extra_forbidden":
        article = "an" if record.__name__[0] in "AEIOU" else "a"
        return f"unknown field '{place}' in {article} {record.__name__}."
    message = problem["msg"].removeprefix("Value error, ")
    return f"{place}: {message}." if place else f"{message}."
