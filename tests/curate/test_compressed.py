"""Compressed dumps: every form selects the same examples as the plain file; damage, bombs and climbing paths end."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.curate.calls import Act, Stop, stopping, watched
from tests.curate.dump import answer, posts, question

from lima.curate.choose.duplicates import DuplicateSettings
from lima.curate.pipeline import curate
from lima.curate.reading import compressed
from lima.curate.reading.compressed import open_bytes, zstd
from lima.curate.rules import RuleSettings
from lima.curate.settings import CurateSettings
from lima.curate.stackexchange.archives import unpack
from lima.curate.stackexchange.source import StackExchange
from lima.errors import LimaError
from lima.files import read_jsonl
from lima.records import Example

py7zr = pytest.importorskip("py7zr")

UNPACK = "curate/stackexchange/archives.py unpack"
ROWS = [
    r
    for n in range(1, 13)
    for r in (question(n, f"Why does water boil sooner on mountain number {n}?", Score=n), answer(100 + n, n))
]
XML = posts(*ROWS, question(50, "Not this one"), answer(51, 50, score=1)).encode()
TORN = XML.replace(b' OwnerUserId="103"', b'\n OwnerUserId="103"').replace(b"/>\n  <row", b"/> <row", 3)
"""A row over two lines, and several rows in one."""
USERS = (
    b"<users>\n"
    + b"".join(b'  <row Id="%d" DisplayName="Person %d" />\n' % (n, n) for n in range(100, 240))
    + b"</users>"
)
COMMENTS = b"<comments>\n" + b'  <row Id="1" PostId="2" Text="..." />\n' * 5000 + b"</comments>"


def plain(folder: Path, xml: bytes) -> None:
    put(folder / "cooking" / "Posts.xml", xml)
    put(folder / "cooking" / "Users.xml", USERS)


def gz(folder: Path, xml: bytes) -> None:
    put(folder / "cooking" / "Posts.xml.gz", gzip.compress(xml))
    put(folder / "cooking" / "Users.xml.gz", gzip.compress(USERS))


def zst(folder: Path, xml: bytes) -> None:
    put(folder / "cooking.stackexchange.com-Posts.xml.zst", zstd.compress(xml))
    put(folder / "cooking.stackexchange.com-Users.xml.zst", zstd.compress(USERS))


def solid(folder: Path, xml: bytes) -> None:
    """As the network publishes them: all tables in one solid stream, in the order of their names."""
    put(
        folder / "cooking.stackexchange.com.7z",
        archive({"Comments.xml": COMMENTS, "Posts.xml": xml, "Users.xml": USERS}),
    )


def volumes(folder: Path, xml: bytes) -> None:
    """The archive cut into three."""
    whole = archive({"Comments.xml": COMMENTS, "Posts.xml": xml, "Users.xml": USERS})
    third = len(whole) // 3 + 1
    for number in range(3):
        put(folder / f"cooking.7z.{number + 1:03d}", whole[number * third : (number + 1) * third])


def put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def archive(members: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with py7zr.SevenZipFile(target, "w") as file:
        for name, content in members.items():
            file.writestr(content, name)
    return target.getvalue()


def outputs(folder: Path, out: Path) -> dict[str, bytes]:
    off = DuplicateSettings(same_prompt=False, jaccard=None)
    curate(CurateSettings.from_recipe("stackexchange", input=folder, out=out, quota=16, duplicates=off))
    return {path.name: path.read_bytes() for path in out.iterdir() if path.name[0] not in ".r"}


@pytest.mark.parametrize("xml", [XML, TORN], ids=["rows", "torn rows"])
@pytest.mark.parametrize("form", [gz, zst, solid, volumes])
def test_every_compression_gives_the_same_bytes(
    form: Callable[[Path, bytes], None], xml: bytes, tmp_path: Path
) -> None:
    plain(tmp_path / "plain", xml)
    form(tmp_path / "compressed", xml)
    expected = outputs(tmp_path / "plain", tmp_path / "a")
    assert outputs(tmp_path / "compressed", tmp_path / "b") == expected
    examples = list(read_jsonl(tmp_path / "a" / "train.jsonl", Example))
    assert len(examples) == 8, "half of the quota for the other exchanges"
    assert all(name.startswith("Person") for e in examples for name in e.meta.authors)


def test_a_resumed_run_does_not_decode_again(tmp_path: Path) -> None:
    """Killed when the candidates are judged: the second run reads the spooled rows alone."""
    solid(tmp_path / "dumps", XML)
    expected = outputs(tmp_path / "dumps", tmp_path / "whole")
    unpacked: list[Path] = []
    acts: dict[str, Act] = {UNPACK: lambda given: unpacked.append(given["path"])}
    with watched(acts | {"curate/rules.py first_problem": stopping(0)}), pytest.raises(Stop):
        outputs(tmp_path / "dumps", tmp_path / "killed")
    with watched(acts):
        assert outputs(tmp_path / "dumps", tmp_path / "killed") == expected
    assert len(unpacked) == 1


def test_an_archive_is_decoded_once_for_several_sources(tmp_path: Path) -> None:
    """Two sources with other floors want the same solid archive; each gets what it would get alone."""
    solid(tmp_path / "dumps", XML)
    unpacked: list[Path] = []
    off = DuplicateSettings(same_prompt=False, jaccard=None)

    def found(out: str, **sources: StackExchange) -> dict[str, Any]:
        values = {"input": tmp_path / "dumps", "out": tmp_path / out, "sources": sources, "duplicates": off}
        curate(CurateSettings.from_recipe("stackexchange", **values))
        funnel: dict[str, Any] = json.loads((tmp_path / out / "funnel.json").read_text())["sources"]
        return funnel

    strict = StackExchange(train=4)
    loose = StackExchange(train=50, rules=RuleSettings(score_min=None))
    with watched({UNPACK: lambda given: unpacked.append(given["path"])}):
        both = found("both", strict=strict, loose=loose)
    assert len(unpacked) == 1
    assert both == {**found("one", strict=strict), **found("two", loose=loose)}
    assert both["strict"]["notes"]["answers_below_score"] == 1
    assert both["loose"]["notes"]["answers_below_score"] == 0


def test_damage_is_an_error_not_an_end(tmp_path: Path) -> None:
    content = bytes(range(256)) * 4000
    for name, whole in (("a.gz", gzip.compress(content)), ("a.zst", zstd.compress(content))):
        path = tmp_path / name
        for size in (len(whole) // 2, len(whole) - 2):
            path.write_bytes(whole[:size])
            with (
                pytest.raises(LimaError, match=f"{name}: the archive is damaged or cut off"),
                open_bytes(path) as stream,
            ):
                stream.read()
        path.write_bytes(whole + whole)
        with open_bytes(path) as stream:
            assert stream.read() == content * 2, "two frames, one after the other"


@pytest.mark.parametrize("size", [0.3, 0.9, 0.999])
def test_a_damaged_archive(size: float, tmp_path: Path) -> None:
    whole = archive({"Posts.xml": XML})
    path = tmp_path / "cooking.7z"
    path.write_bytes(whole[: int(len(whole) * size)])
    with pytest.raises(LimaError, match=r"cooking.7z: the archive is damaged or cut off"):
        read(path)
    torn = bytearray(whole)
    torn[len(whole) // 2] ^= 255
    path.write_bytes(torn)
    with pytest.raises(LimaError, match=r"cooking.7z: the archive is damaged or cut off"):
        read(path)


def read(path: Path) -> bytes:
    place = path.with_name("out") / "posts.xml"
    unpack(path, {"posts.xml": place})
    return place.read_bytes()


def test_archives_that_no_dump_is_like(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "cooking.7z"
    path.write_bytes(archive({"Votes.xml": b"<votes/>"}))
    with pytest.raises(LimaError, match=r"no Posts.xml in it. Found: Votes.xml"):
        read(path)
    path.write_bytes(archive({"posts.XML": b"x", "a/Posts.xml": b"y"}))
    with pytest.raises(LimaError, match="two tables"):
        read(path)
    monkeypatch.setattr(compressed, "FREE_BYTES", 100_000)
    path.write_bytes(archive({"Posts.xml": bytes(10_000_000)}))
    with pytest.raises(LimaError, match="Is it a bomb"):
        read(path)
    bomb = tmp_path / "Posts.xml.gz"
    bomb.write_bytes(gzip.compress(bytes(10_000_000)))
    with pytest.raises(LimaError, match="Is it a bomb"), open_bytes(bomb) as stream:
        stream.read()


@pytest.mark.parametrize(
    "name", ["../../Posts.xml", "/etc/Posts.xml", "C:\\Posts.xml", "a\\..\\..\\Posts.xml"]
)
def test_paths_that_climb_out_are_refused(name: str, tmp_path: Path) -> None:
    same_length = "x" * len(name)
    raw = io.BytesIO()
    with py7zr.SevenZipFile(raw, "w", filters=[{"id": py7zr.FILTER_COPY}]) as file:
        file.header_encryption = False
        file.set_encoded_header_mode(False)
        file.writestr(XML, same_length)
    whole = raw.getvalue()
    assert whole.count(same_length.encode("utf-16-le")) == 1
    path = tmp_path / "cooking.7z"
    path.write_bytes(
        with_header_checksum(whole.replace(same_length.encode("utf-16-le"), name.encode("utf-16-le")))
    )
    with pytest.raises(LimaError, match="points out of the archive"):
        read(path)
    assert [p.name for p in tmp_path.iterdir()] == ["cooking.7z"]


def with_header_checksum(whole: bytes) -> bytes:
    """Repair the checksums after a change in the header (7zFormat.txt, SignatureHeader)."""
    import zlib

    offset, size = (int.from_bytes(whole[i : i + 8], "little") for i in (12, 20))
    header = whole[32 + offset : 32 + offset + size]
    start = whole[12:28] + zlib.crc32(header).to_bytes(4, "little")
    return whole[:8] + zlib.crc32(start).to_bytes(4, "little") + start + whole[32:]
