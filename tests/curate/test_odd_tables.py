"""Odd tables and odd JSON Lines as own data: each row is an example that means the same, or is named; so is each odd file."""

from __future__ import annotations

import csv
import gzip
import json
import os
import random
import re
from pathlib import Path
from typing import Any

import pytest

from lima.curate.choose.duplicates import DuplicateSettings
from lima.curate.pipeline import curate
from lima.curate.reading.delimited import TornRow
from lima.curate.reading.tables import read_table
from lima.curate.rules import RuleSettings
from lima.curate.settings import CurateSettings
from lima.curate.sources.table import Table
from lima.errors import LimaError
from lima.files import read_jsonl
from lima.records import Example, Reject

RULES = dict.fromkeys(("score_min", "length_min", "length_max", "prompt_length_max"))
OFF = dict.fromkeys(("first_person", "refers_to_others", "refers_to_site", "self_contained_title", "hollow", "refusal"), False)  # fmt: skip
ANY = RuleSettings.model_validate(RULES | OFF | {"title_words_min": 1})
ONE, TWO = ("Why?", "So."), ("And?", "Thus.")
BOTH = [ONE, TWO]


def own(path: Path, out: Path, **columns: Any) -> tuple[list[tuple[str, ...]], list[tuple[str, str]]]:
    """Texts of the examples in the file's order, and the rule and reason of each row that is none."""
    source = Table.model_validate({"train": 99, "order": "file", "mail": "off", "columns": {"prompt": "q", "answer": "a"}, "rules": ANY} | columns)  # fmt: skip
    off = DuplicateSettings(same_prompt=False, jaccard=None)
    curate(
        CurateSettings(
            recipe="test", input=path, out=out, sources={"mine": source}, duplicates=off, card=False
        )
    )
    examples = sorted(
        read_jsonl(out / "train.jsonl", Example), key=lambda row: int(row.id.rpartition("/")[2])
    )
    rejects = map(Reject.model_validate_json, (out / "rejected.jsonl").read_text().splitlines())
    return [tuple(m.content for m in e.messages) for e in examples], [(r.rule, r.reason) for r in rejects]


def outcome(path: Path, out: Path, **columns: Any) -> tuple[Any, Any]:
    try:
        return own(path, out, **columns)
    except LimaError as error:
        return str(error), None


# name of the file, its content, the examples (or the error), the rules of rows that are none
TABLES: list[tuple[str, str, bytes, Any, list[str]]] = [
    ("plain", "t.csv", b"q,a\nWhy?,So.\nAnd?,Thus.\n", BOTH, []),
    ("no last line end", "t.csv", b"q,a\nWhy?,So.", [ONE], []),
    ("Windows line ends", "t.csv", b"q,a\r\nWhy?,So.\r\nAnd?,Thus.\r\n", BOTH, []),
    ("Macintosh line ends", "t.csv", b"q,a\rWhy?,So.\rAnd?,Thus.\r", BOTH, []),
    ("byte order mark", "t.csv", b"\xef\xbb\xbfq,a\nWhy?,So.\n", [ONE], []),
    ("a mark and quotes", "t.csv", b'\xef\xbb\xbf"q","a"\n"Why?","So."\n', [ONE], []),
    ("UTF-16", "t.csv", "q,a\nWhy?,So.\n".encode("utf-16"), [ONE], []),
    ("UTF-32", "t.csv", "q,a\nWhy?,So.\n".encode("utf-32"), [ONE], []),
    ("cp1252", "t.csv", "q,a\nWhy?,„Über“ – so.\n".encode("cp1252"), [("Why?", "„Über“ – so.")], []),
    ("semicolons", "t.csv", b"q;a\nWhy?;So, yes.\nAnd?;Thus.\n", [("Why?", "So, yes."), TWO], []),
    ("bars", "t.csv", b"q|a\nWhy?|So.\nAnd?|Thus.\n", BOTH, []),
    ("tabs", "t.tsv", b"q\ta\nWhy?\tSo.\nAnd?\tThus.\n", BOTH, []),
    ("a line sep=", "t.csv", b"sep=;\nq;a\nWhy?;So.\n", [ONE], []),
    ("a title above", "t.csv", b"Export of May\n\nq,a\nWhy?,So.\nAnd?,Thus.\n", BOTH, []),
    ("padded headers", "t.csv", b" q , a \nWhy?,So.\n", [ONE], []),
    ("blanks around cells", "t.csv", b"q,a\n  Why?  ,  So.  \n", [ONE], []),
    ("two files joined", "t.csv", b"q,a\nWhy?,So.\nq,a\nAnd?,Thus.\n", BOTH, ["torn-row"]),
    ("blank lines between", "t.csv", b"q,a\n\nWhy?,So.\n\n\nAnd?,Thus.\n\n", BOTH, []),
    ("rows of blank cells", "t.csv", b"q,a\n,\nWhy?,So.\n", [ONE], ["empty"]),
    ("columns in another order", "t.csv", b"a,x,q\nSo.,1,Why?\n", [ONE], []),
    ("row numbers of pandas", "t.csv", b",q,a\n0,Why?,So.\n1,And?,Thus.\n", BOTH, []),
    ("commas at the ends", "t.csv", b"q,a,,\nWhy?,So.,,\nAnd?,Thus.,,\n", BOTH, []),
    ("quoted comma", "t.csv", b'q,a\nWhy?,"So, yes."\n', [("Why?", "So, yes.")], []),
    ("quoted line end", "t.csv", b'q,a\nWhy?,"So.\nYes."\nAnd?,Thus.\n', [("Why?", "So.\nYes."), TWO], []),
    ("quoted quote", "t.csv", b'q,a\nWhy?,"Say ""so""."\n', [("Why?", 'Say "so".')], []),
    ("quotes inside a cell", "t.csv", b'q,a\nWhy?,A 5" pipe.\nAnd?,Thus.\n', [("Why?", 'A 5" pipe.'), TWO], []),
    ("a quoted cell with blank lines", "t.csv", b'q,a\nWhy?,"So.\n\nYes, so.\n"\n', [("Why?", "So.\n\nYes, so.")], []),
    ("a quoted table of commas", "t.csv", b'id,q,a\n1,Why?,"As here:\nx,y,z\n"\n2,And?,Thus.\n', [("Why?", "As here:\nx,y,z"), TWO], []),
    ("an unquoted comma", "t.csv", b"q,a\nWhy?,So, yes.\nAnd?,Thus.\n", [TWO], ["torn-row"]),
    ("two unquoted commas", "t.csv", b"q,a\nAnd?,Thus.\nWhy?,So, yes, so.\n", [TWO], ["torn-row"]),
    ("below a header with a comma at its end", "t.csv", b"q,a,\nWhy?,So, yes.\nAnd?,Thus.,\n", [TWO], ["torn-row"]),
    ("a comma in the question", "t.csv", b"q,a\nWhy, then?,So.\nAnd?,Thus.\n", [TWO], ["torn-row"]),
    ("an unquoted line end", "t.csv", b"q,a\nWhy?,So\nand so.\nAnd?,Thus.\n", [TWO], ["torn-row"] * 2),
    ("two unquoted line ends", "t.csv", b"q,a\nWhy?,So\nand\nso.\nAnd?,Thus.\n", [TWO], ["torn-row"] * 3),
    ("a line end before more cells", "t.csv", b"q,a,d\nWhy?,So\nand so.,1 May\nAnd?,Thus.,2 May\n", [TWO], ["torn-row"] * 2),
    ("a line end in the question", "t.csv", b"q,a\nWhy\nthen?,So.\nAnd?,Thus.\n", [TWO], ["torn-row"] * 2),
    ("last cells left out", "t.csv", b"q,a,d\nWhy?,So.\nAnd?,Thus.,2 May\n", BOTH, []),
    ("text behind a quote", "t.csv", b'q,a\nWhy?,"So" it is.\nAnd?,Thus.\n', [TWO], ["torn-row"]),
    ("a quote that never ends", "t.csv", b'q,a\nAnd?,Thus.\nWhy?,"So.\nThen?,Now.\n', [TWO], ["torn-row"]),
    ("rows inside a quote", "t.tsv", b'q\ta\nAnd?\tThus.\nWhy?\t"So.\nThen?\tNow."\n', [TWO], ["torn-row"]),
    ("numbered rows inside a quote", "t.csv", b'id,q,a\n1,And?,Thus.\n2,Why?,"So.\n3,Then?,Now."\n', [TWO], ["torn-row"]),
    ("dated rows inside a quote", "t.csv", b'd,q,a\n1.5.,And?,Thus.\n2.5.,Why?,"So.\n3.5.,Then?,Now."\n', [TWO], ["torn-row"]),
    ("HTML", "t.csv", b"q,a\nWhy?,<p>So.</p>\n", [ONE], []),
    ("an address in brackets", "t.csv", b"q,a\nWhy?,Ask <a@b.example> so.\n", [("Why?", "Ask <a@b.example> so.")], []),
    ("a zero byte", "t.csv", b"q,a\nWhy?,So.\0\nAnd?,Thus.\n", [("Why?", "So.\0"), TWO], []),
    ("a number", "t.csv", b"q,a\nWhy?,5\n", [("Why?", "5")], []),
    ("NaN is a word here", "t.csv", b"q,a\nWhy?,NaN\n", [("Why?", "NaN")], []),
    ("a formula of Excel", "t.csv", b'q,a\nWhy?,"=""So."""\n', [("Why?", '="So."')], []),
    ("unreadable further down", "t.csv", b"q,a\n" + (b"Why?," + b"So. " * 2500 + b"\n") * 150 + b"\xff\xfe,x\n", r"t.csv:152: not readable as utf-8 .*--curate encoding=cp1252", []),
    ("two columns of one name", "t.csv", b"q,a,q\nWhy?,So.,x\n", [ONE], []),
    ("no such column", "t.csv", b"question,answer\nWhy?,So.\n", r"no column 'q'. There are: question, answer. .*columns.prompt question --sources.mine.columns.answer answer", []),
    ("empty", "t.csv", b"", "no rows in it", []),
    ("only a header", "t.csv", b"q,a\n", "no rows in it", []),
    ("a workbook's name", "t.csv", b"PK\x03\x04....", "a zip archive or a workbook.*the name of a text file", []),
    ("compressed", "t.csv", gzip.compress(b"q,a\nWhy?,So.\n"), r"compressed \(gzip\). Unpack it: gunzip FILE.", []),
    ("compressed and named so", "t.csv.gz", gzip.compress(b"q,a\nWhy?,So.\n"), [ONE], []),
    ("named so and not compressed", "t.csv.gz", b"q,a\nWhy?,So.\n", "the archive is damaged or cut off", []),
    ("compressed and cut off", "t.csv.gz", gzip.compress(b"q,a\nWhy?,So.\n")[:-4], "the archive is damaged or cut off", []),
    ("no workbook", "t.xlsx", b"q,a\nWhy?,So.\n", "cannot be read as a workbook", []),
    ("a chat of WhatsApp, Android", "t.txt", "12/31/23, 9:41\u202fPM - Calls are encrypted.\n12/31/23, 9:42\u202fPM - Ann: Hi, all?\n"
     "12/31/23, 9:43\u202fPM - Shop: Yes.\n31/12/23, 9:44 p. m. - Ann: Thanks\n".encode(),
     r"lines of a chat, as WhatsApp exports it \('12/31/23, 9:42 PM - Ann: Hi, all\?'\), are not read. Read are tables .* make a CSV file", []),
    ("a chat of WhatsApp, iPhone", "t.csv", b"[31.12.23, 21:42:10] Ann: Hi\n[31.12.23, 21:43:00] Shop: Yes\nand more\n", "the lines of a chat", []),
    ("days in a table", "t.csv", b"q,a\nWhy?,12/31/23 9:41 - Ann: so\nAnd?,12/31/23 9:42 - Ann: thus\n", [("Why?", "12/31/23 9:41 - Ann: so"), ("And?", "12/31/23 9:42 - Ann: thus")], []),
    ("a PDF", "t.txt", b"%PDF-1.7 ...", "a PDF. It has the name of a text file", []),
    ("another suffix", "t.docx", b"x", r"cannot read '.docx'", []),
]  # fmt: skip

LINES: list[tuple[str, str, bytes, Any, list[str]]] = [
    ("plain", "t.jsonl", b'{"q": "Why?", "a": "So."}\n{"q": "And?", "a": "Thus."}', BOTH, []),
    ("byte order mark", "t.jsonl", b'\xef\xbb\xbf{"q": "Why?", "a": "So."}', [ONE], []),
    ("blank lines", "t.jsonl", b'\n{"q": "Why?", "a": "So."}\n \n', [ONE], []),
    ("Windows line ends", "t.jsonl", b'{"q": "Why?", "a": "So."}\r\n{"q": "And?", "a": "Thus."}\r\n', BOTH, []),
    ("array", "t.json", b'[{"q": "Why?", "a": "So."}, {"q": "And?", "a": "Thus."}]', BOTH, []),
    ("array with a mark", "t.json", b'\xef\xbb\xbf[{"q": "Why?", "a": "So."}]', [ONE], []),
    ("lines in a .json", "t.json", b'{"q": "Why?", "a": "So."}\n{"q": "And?", "a": "Thus."}', BOTH, []),
    ("bare NaN is nothing", "t.jsonl", b'{"q": "Why?", "a": "So.", "x": NaN}\n{"q": "And?", "a": NaN}', [ONE], ["empty"]),
    ("half a surrogate pair", "t.jsonl", b'{"q": "Why?", "a": "So.\\udcb2"}', [("Why?", "So.\ufffd")], []),
    ("null", "t.jsonl", b'{"q": "Why?", "a": null}\n{"q": "And?", "a": "Thus."}', [TWO], ["empty"]),
    ("a whole number", "t.jsonl", b'{"q": "Why?", "a": 5}', [("Why?", "5")], []),
    ("a fraction", "t.jsonl", b'{"q": "Why?", "a": 1e3}\n{"q": "And?", "a": "Thus."}', [TWO], ["not-text"]),
    ("true", "t.jsonl", b'{"q": "Why?", "a": true}\n{"q": "And?", "a": "Thus."}', [TWO], ["not-text"]),
    ("a list of texts", "t.jsonl", b'{"q": "Why?", "a": ["So.", "Yes."]}\n{"q": "And?", "a": "Thus."}', [TWO], ["not-text"]),
    ("a list of one text", "t.jsonl", b'{"q": "Why?", "a": ["So."]}', [ONE], []),
    ("an empty list", "t.jsonl", b'{"q": "Why?", "a": []}\n{"q": "And?", "a": "Thus."}', [TWO], ["not-text"]),
    ("an object", "t.jsonl", b'{"q": "Why?", "a": {"text": "So."}}\n{"q": "And?", "a": "Thus."}', [TWO], ["not-text"]),
    ("a question that is a list", "t.jsonl", b'{"q": ["Why?"], "a": "So."}\n{"q": "And?", "a": "Thus."}', [TWO], ["not-text"]),
    ("blank", "t.jsonl", b'{"q": " \\n", "a": "So."}\n{"q": "And?", "a": "Thus."}', [TWO], ["empty"]),
    ("other columns further down", "t.jsonl", b'{"q": "Why?", "a": "So."}\n{"x": 1}', "no column 'q'. There are: x", []),
    ("not JSON", "t.jsonl", b'{"q": "Why?", "a": "So."}\n{"q": "And?", \n', r"t.jsonl:2: not JSON", []),
    ("a list below", "t.jsonl", b'{"q": "Why?", "a": "So."}\n["And?", "Thus."]\n', "t.jsonl:2: a JSON list, expected an object", []),
    ("an array in lines", "t.jsonl", b'[{"q": "Why?", "a": "So."}]', "t.jsonl:1: a JSON array", []),
    ("an array over lines", "t.jsonl", b'[\n{"q": "Why?", "a": "So."}\n]', "t.jsonl:1: a JSON array", []),
    ("an object over lines", "t.jsonl", b'{\n "q": "Why?",\n "a": "So."\n}', "t.jsonl:1: a JSON object over several lines", []),
    ("an object over lines in a .json", "t.json", b'{\n "q": "Why?",\n "a": "So."\n}', [ONE], []),
    ("array cut off", "t.json", b'[{"q": "Why?", "a": "So."},\n{"q": ', r"t.json:\d: not JSON", []),
    ("array of texts", "t.json", b'["Why?"]', "element 0 is a str, expected an object", []),
    ("Python's notation", "t.jsonl", b"{'q': 'Why?', 'a': 'So.'}", "t.jsonl:1: not JSON", []),
    ("commas between", "t.jsonl", b'{"q": "Why?", "a": "So."},\n{"q": "And?", "a": "Thus."}', "t.jsonl:1: not JSON", []),
    ("two on a line", "t.jsonl", b'{"q": "Why?", "a": "So."}{"q": "And?", "a": "Thus."}', "t.jsonl:1: not JSON", []),
    ("cp1252", "t.jsonl", b'{"q": "Why?", "a": "\xdcber."}', r"t.jsonl:1: not UTF-8 \(byte 0xdc", []),
    ("UTF-16", "t.jsonl", '{"q": "Why?", "a": "So."}'.encode("utf-16"), "t.jsonl: UTF-16. Convert it", []),
    ("compressed", "t.jsonl", gzip.compress(b'{"q": "Why?", "a": "So."}'), r"compressed \(gzip\)", []),
    ("compressed and named so", "t.jsonl.gz", gzip.compress(b'{"q": "Why?", "a": "So."}'), [ONE], []),
    ("a table", "t.jsonl", b"q,a\nWhy?,So.\n", "t.jsonl:1: not JSON", []),
    ("empty", "t.jsonl", b"", "no rows in it", []),
    ("empty array", "t.json", b"[]", "no rows in it", []),
    ("a number", "t.jsonl", b"5\n", "t.jsonl:1: a JSON int", []),
]  # fmt: skip

CASES = [pytest.param(*case[1:], id=f"{case[1]}, {case[0]}") for case in (*TABLES, *LINES)]


@pytest.mark.parametrize(("name", "content", "wanted", "rules"), CASES)
def test_a_row_keeps_its_meaning_or_is_named(
    name: str, content: bytes, wanted: Any, rules: list[str], tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    found, rejected = outcome(tmp_path / name, tmp_path / "out")
    if isinstance(wanted, str):
        assert isinstance(found, str)
        assert str(tmp_path) in found
        assert re.search(wanted, found), found
    else:
        assert found == wanted
        assert [rule for rule, _ in rejected] == rules
        assert all(reason for _, reason in rejected)


CHATS: list[tuple[str, dict[str, Any], Any]] = [
    ("openai", {"messages": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}]}, [ONE]),
    ("openai", {"messages": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So.", "tool_calls": [{}]}]}, ["meaning"]),
    ("openai", {"messages": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}], "tools": [{}]}, ["meaning"]),
    ("sharegpt", {"conversations": [{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "So."}]}, [ONE]),
    ("sharegpt", {"conversations": [{"from": "human", "value": "Why?"}, {"from": "tool", "value": "So."}]}, ["role"]),
    ("alpaca", {"instruction": "Why?", "output": "So."}, [ONE]),
    ("alpaca", {"instruction": "Why?", "output": ["So."]}, ["type"]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "row", "wanted"), CHATS)
def test_chats_in_a_table_are_read_as_imports_are(
    kind: str, row: dict[str, Any], wanted: list[Any], tmp_path: Path
) -> None:
    (tmp_path / "t.jsonl").write_text(json.dumps(row))
    found, rejected = outcome(tmp_path / "t.jsonl", tmp_path / "out", format=kind)
    if wanted == [ONE]:
        assert found == [ONE]
    else:
        rules = [
            Reject.model_validate_json(line).rule
            for line in (tmp_path / "out/rejected.jsonl").read_text().splitlines()
        ]
        assert (rejected, rules) == (None, wanted)


def test_cells_of_a_workbook(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for cells in (
        ["q", "a", None],
        ["Why?", "So."],
        ["Half?", 0.5],
        ["True?", True],
        ["Note?", "So.", "see below"],
        ["Seven?", 7],
    ):
        book.active.append(cells)
    book.save(tmp_path / "t.xlsx")
    found, rejected = outcome(tmp_path / "t.xlsx", tmp_path / "out")
    assert found == [ONE, ("Seven?", "7")]
    assert sorted(rule for rule, _ in rejected) == ["not-text", "not-text", "torn-row"]


@pytest.mark.parametrize(
    ("sheets", "found", "lost", "said"),
    [
        ({"One": [("q", "a"), ONE], "Two": [("q", "a"), TWO]}, BOTH, 0, "sheet 'One'.*with 'Two' of the same columns"),
        ({"One": [("q", "a"), ONE], "Two": [("q", "reply"), TWO]}, [ONE], 0, r"sheet 'One'.*not read: 'Two' \(2 rows\)"),
        ({"Codes": [("c", "m"), ("1", "on")], "Two": [("q", "a"), TWO]}, [TWO], 0, "sheet 'Two'.*not read: 'Codes'"),
        ({"One": [("q", "a"), ONE, ("q", "a"), TWO]}, [ONE, TWO], 1, ""),
        ({"One": [("q", "a"), ONE, ("Long?", "x" * 32767), ("Id?", 1234567890123456789)]}, [ONE], 2, ""),
        ({"One": [("q", "a"), TWO, ONE]}, [TWO, ONE], 0, "1 rows are hidden"),
    ],
)  # fmt: skip
def test_sheets_and_rows_of_a_workbook(
    sheets: dict[str, list[Any]],
    found: Any,
    lost: int,
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
        sheet.sheet_state = "hidden" if name == "Codes" else "visible"
        sheet.row_dimensions[3].hidden = "hidden" in said
    book.save(tmp_path / "t.xlsx")
    examples, rejected = outcome(tmp_path / "t.xlsx", tmp_path / "out")
    assert (examples, len(rejected)) == (found, lost)
    assert re.search(said, capsys.readouterr().err)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"<html><table><tr><td>q", "it is text, perhaps a table of HTML or with tabs"),
        (b"q\ta\n", "it is text"),
        (b"\xd0\xcf\x11\xe0" + bytes(99), "it has a password, or is an old workbook"),
    ],
)
def test_what_only_has_the_name_of_a_workbook_is_told(content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "t.xlsx").write_bytes(content)
    found, _ = outcome(tmp_path / "t.xlsx", tmp_path / "out")
    assert says in found


def test_with_strict_a_torn_row_ends_the_run(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("q,a\nWhy?,So, yes.\nAnd?,Thus.\n")
    source = Table.model_validate({"train": 1, "columns": {"prompt": "q", "answer": "a"}, "rules": ANY})
    settings = CurateSettings(
        recipe="test",
        input=tmp_path / "t.csv",
        out=tmp_path / "out",
        sources={"mine": source},
        card=False,
        strict=True,
    )
    with pytest.raises(LimaError, match=r"mine/t/1: 3 cells where the header has 2 .*, and --strict is set"):
        curate(settings)


@pytest.mark.skipif("LIMA_DATA" not in os.environ, reason="LIMA_DATA is not set")
def test_real_tables_lose_no_row() -> None:
    """Three published tables, 2,310 rows with quoted commas, quotes and line ends: as Python's reader has them."""
    folder = Path(os.environ["LIMA_DATA"])
    for name in ("wikihow/firstaid_wikihow.csv", "reddit/AskReddit.csv", "reddit/WritingPrompts.csv"):
        with (folder / name).open(newline="", encoding="utf-8-sig") as stream:
            assert [row for _, row in read_table(folder / name)] == list(csv.DictReader(stream))


@pytest.mark.skipif("LIMA_DATA" not in os.environ, reason="LIMA_DATA is not set")
@pytest.mark.parametrize("kind", ["one line", "as it is", "quotes that are not doubled"])
def test_a_careless_writer_loses_rows_by_name(kind: str, tmp_path: Path) -> None:
    """The released set, three in ten rows joined by commas without a thought: what is read is what was meant, but for 1 in 200.

    A torn row whose every line has as many cells as the header looks like several rows.
    """
    source = Path(os.environ["LIMA_DATA"]) / "lima" / "train.jsonl"
    texts = [json.loads(line)["conversations"] for line in source.open()]
    meant: dict[str, tuple[str, str]] = {}
    chance, lines = random.Random(1), ["id,q,a"]
    for number, (asked, told, *_) in enumerate(texts):
        careless = number > 20 and chance.random() < 0.3
        flat = careless and kind == "one line"
        row = [f"t-{number}", *(" ".join(text.split()) if flat else text for text in (asked, told))]
        quoted = [f'"{cell}"' if kind.startswith("quotes") else cell for cell in row]
        proper = ['"' + cell.replace('"', '""') + '"' for cell in row]
        lines.append(",".join(quoted if careless else proper))
        meant[row[0]] = row[1], row[2]
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n", newline="")
    read = [row for _, row in read_table(tmp_path / "t.csv") if not isinstance(row, TornRow)]
    wrong = [row for row in read if meant.get(row["id"]) != (row["q"], row["a"])]
    assert len(read) > 550
    assert len(wrong) <= len(read) / 200
