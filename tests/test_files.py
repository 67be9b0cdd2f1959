import errno
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lima.errors import InputError, LimaError
from lima.files import (
    JsonlLog,
    files_below,
    placed_lines,
    read_jsonl,
    read_objects,
    replacing,
    sha256,
    write_jsonl,
    write_text,
)
from lima.records import Example, Reject

ROWS = [Reject(id=f"x/{n}", rule="short", reason="7 characters") for n in range(3)]


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    assert write_jsonl(path, ROWS) == 3
    assert list(read_jsonl(path, Reject)) == ROWS
    assert sorted(p.name for p in tmp_path.iterdir()) == ["rows.jsonl"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        ('{"id": "x", "rule": "r", "reason": "s"}\n{"id": ', ":2: not JSON"),
        ("[1]\n", ":1: a JSON array, expected an object a line. 'lima import' reads arrays"),
        ('{"id": "x", "rule": "r"}\n', ":1: no field 'reason' (Reject has: id, rule, reason)"),
        ('{"id": "x", "rule": "r", "reason": "s", "why": 1}\n', ":1: unknown field 'why'"),
        ('{"id": "x", "rule": 3, "reason": "s"}\n', ":1: rule: Input should be a valid string"),
    ],
)
def test_a_bad_file_is_named_with_its_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(content)
    with pytest.raises(LimaError) as caught:
        list(read_jsonl(path, Reject))
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_byte_order_mark_is_no_part_of_the_first_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write_jsonl(path, ROWS)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert list(read_jsonl(path, Reject)) == ROWS


def test_a_missing_file_and_a_folder_are_errors(tmp_path: Path) -> None:
    with pytest.raises(LimaError, match="no such file"):
        list(read_jsonl(tmp_path / "none.jsonl", Reject))
    with pytest.raises(LimaError, match="a folder, expected"):
        list(read_jsonl(tmp_path, Reject))


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write_jsonl(path, ROWS)

    def rows() -> object:
        yield ROWS[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_jsonl(path, rows())  # type: ignore[arg-type]
    assert list(read_jsonl(path, Reject)) == ROWS
    assert len(list(tmp_path.iterdir())) == 1


def test_a_log_cuts_the_line_that_a_kill_left_half_written(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    write_jsonl(path, ROWS)
    path.write_bytes(path.read_bytes() + b'{"id": "x/3", "ru')
    with JsonlLog(path, Reject) as log:
        assert log.existing == ROWS
        log.append(ROWS[0])
    assert list(read_jsonl(path, Reject)) == [*ROWS, ROWS[0]]


def test_a_killed_writer_keeps_every_appended_row(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    script = (
        "import os, signal; from pathlib import Path; from lima.files import JsonlLog; from lima.records import Reject\n"
        f"log = JsonlLog(Path({str(path)!r}), Reject)\n"
        "for n in range(5): log.append(Reject(id=str(n), rule='r', reason='s'))\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == -signal.SIGKILL
    assert [row.id for row in read_jsonl(path, Reject)] == ["0", "1", "2", "3", "4"]


def write_beyond_the_limit(path: Path) -> None:
    """A file-size limit stands in for a full disk: the write fails in the middle."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    big = Reject(id="big", rule="r", reason="x" * 10_000)
    with pytest.raises(LimaError, match="Free some space and run the same command again"):
        write_jsonl(path, [big])
    with JsonlLog(path.with_name("log.jsonl"), Reject) as log:
        log.append(ROWS[0])
        with pytest.raises(LimaError, match="Free some space and run the same command again"):
            log.append(big)


def test_a_full_disk_is_a_clear_error_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write_jsonl(path, ROWS)
    pid = os.fork()  # the limit cannot be lifted again in the process that set it
    if pid == 0:
        try:
            write_beyond_the_limit(path)
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
    assert list(read_jsonl(path, Reject)) == ROWS
    assert list(read_jsonl(tmp_path / "log.jsonl", Reject)) == ROWS[:1]


def test_other_system_errors_pass_through(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), replacing(tmp_path / "x"):
        raise PermissionError(errno.EPERM, "no")


def test_the_hash_of_a_folder_depends_on_names_and_contents_only(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").write_text("1")
    assert sha256(tmp_path / "one") == sha256(tmp_path / "two")
    (tmp_path / "two" / "a").rename(tmp_path / "two" / "b")
    assert sha256(tmp_path / "one") != sha256(tmp_path / "two")


def test_a_folder_that_is_linked_in_is_read_once_even_if_it_leads_back(tmp_path: Path) -> None:
    (tmp_path / "dumps").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "b.xml").touch()
    (tmp_path / "dumps" / "a.xml").touch()
    (tmp_path / "dumps" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "dumps")
    (tmp_path / "dumps" / "gone.xml").symlink_to(tmp_path / "nowhere")
    found = files_below(tmp_path / "dumps")
    assert found == [tmp_path / "dumps" / "a.xml", tmp_path / "dumps" / "linked" / "b.xml"]


def test_an_input_error_reads_as_path_line_problem() -> None:
    assert str(InputError("a.jsonl", 3, "bad")) == "a.jsonl:3: bad"


def test_what_a_killed_process_left_is_removed_by_the_next_writer(tmp_path: Path) -> None:
    """Its own temporary file, and no other's: not that of a process at work, nor one of another file."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = tmp_path / f".rows.jsonl.{ended.pid}.tmp"
    kept = [
        tmp_path / name
        for name in (
            f".rows.jsonl.{os.getppid()}.tmp",
            f".others.jsonl.{ended.pid}.tmp",
            ".rows.jsonl.mine.tmp",
        )
    ]
    for file in (left, *kept):
        file.write_text("half a li")
    write_text(tmp_path / "rows.jsonl", "whole\n")
    assert not left.exists()
    assert all(file.exists() for file in kept)
    assert (tmp_path / "rows.jsonl").read_text() == "whole\n"


def test_half_of_a_surrogate_pair_is_no_character(tmp_path: Path) -> None:
    """It becomes U+FFFD; whole pairs stay, and what is no JSON is an error as before."""
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": ["x\\udcb2y", "\\ud83d\\ude00"], "\\ud800": "\\\\ud800"}\n')
    assert [row for _, row in read_objects(path)] == [{"a": ["x\ufffdy", "😀"], "\ufffd": "\\ud800"}]
    path.write_text('{"a": "\\udcb2"\n')
    with pytest.raises(LimaError, match=r"a.jsonl:1: not JSON"):
        list(read_objects(path))


@pytest.mark.parametrize(
    ("row", "form"),
    [
        ({"messages": [{"role": "user", "content": "Hi"}]}, "openai"),
        ({"conversations": [{"from": "human", "value": "Hi"}]}, "sharegpt"),
        ({"conversations": ["Hi", "Hello."], "source": "x"}, "lima"),
        ({"instruction": "Say hi.", "input": "", "output": "Hi."}, "alpaca"),
    ],
)
def test_rows_of_another_tool_are_told_with_the_command_that_reads_them(
    tmp_path: Path, row: dict[str, object], form: str
) -> None:
    path = tmp_path / "my rows.jsonl"
    path.write_text(json.dumps(row) + "\n")
    with pytest.raises(LimaError, match=rf"lima import {form} '.*my rows.jsonl' --out"):
        list(read_jsonl(path, Example))


def test_lines_stand_where_they_begin(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n\n{"b": 2}')
    assert list(placed_lines(path)) == [(3, b'{"a": 1}\r\n'), (13, b"\n"), (14, b'{"b": 2}')]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "Posts.xml",
            b'\xef\xbb\xbf<?xml version="1.0"?>\n<posts/>',
            "XML. 'lima curate stackexchange' reads dumps",
        ),
        ("tickets.csv", b"question,answer\n", "a table, expected JSON Lines. 'lima curate own-data'"),
    ],
)
def test_other_files_are_named_with_what_reads_them(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(LimaError, match=message):
        list(placed_lines(tmp_path / name))
