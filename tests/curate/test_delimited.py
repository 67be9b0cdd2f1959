"""Tables as Excel, help desks and careless scripts write them; torn rows are named, never guessed."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from lima.curate.reading.delimited import HEAD_BYTES, TornRow, header_place
from lima.curate.reading.tables import read_table
from lima.errors import InputError, LimaError

ROWS = [
    ["Frage", "Antwort", "Datum"],
    ["Wie heißt die Straße – „Allee“?", "Sie heißt „Am Müllerplatz“;\nsiehe Plan, Seite 2.", "1.2.2024"],
    ["Geht das, ja?", "Ja, für 5 €.", "2.2.2024"],
]
WANTED = [dict(zip(ROWS[0], row, strict=True)) for row in ROWS[1:]]


def text(delimiter: str, end: str = "\r\n", quoting: int = csv.QUOTE_MINIMAL) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows(ROWS)  # type: ignore[arg-type]
    return out.getvalue()


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize(
    ("name", "delimiter", "encoding", "above"),
    [
        ("a.csv", ",", "utf-8", ""),
        ("a.csv", ",", "utf-8-sig", ""),
        ("a.csv", ";", "cp1252", ""),
        ("a.csv", ";", "utf-8-sig", ""),
        ("a.csv", "\t", "utf-16", ""),
        ("a.txt", "\t", "utf-16", ""),
        ("a.txt", "\t", "utf-16-le", ""),
        ("a.csv", ";", "cp1252", "sep=;\r\n"),
        ("a.csv", ",", "cp1252", ""),
        ("a.csv", ",", "utf-8", "Export vom 1.2.2024\r\n\r\n"),
        ("a.csv", "|", "utf-8", ""),
        ("a.tsv", "\t", "utf-8", ""),
    ],
)
def test_forms_in_which_tables_come(
    name: str, delimiter: str, encoding: str, above: str, quoting: int, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes((above + text(delimiter, quoting=quoting)).encode(encoding))
    assert [row for _, row in read_table(tmp_path / name)] == WANTED


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_end_of_line(end: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(text(",", end, csv.QUOTE_ALL).encode())
    found = [row for _, row in read_table(tmp_path / "a.csv")]
    assert found == WANTED


def test_padded_headers_and_a_given_form(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(' Frage ; Antwort \r\nWarum?;"Dar;um"\r\n'.encode("cp1252"))
    assert [row for _, row in read_table(tmp_path / "a.csv")] == [{"Frage": "Warum?", "Antwort": "Dar;um"}]
    (tmp_path / "b.csv").write_bytes("q,a\nŁ,ó\n".encode("cp1250"))
    (row,) = [row for _, row in read_table(tmp_path / "b.csv", encoding="cp1250")]
    assert row == {"q": "Ł", "a": "ó"}


def test_what_was_assumed_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.csv").write_bytes(("Bericht\r\n" + text(";")).encode("cp1252"))
    list(read_table(tmp_path / "a.csv"))
    said = " ".join(capsys.readouterr().err.split())
    assert "read as cp1252, ';' between cells, the header in row 2" in said


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"q,a\nWhy?,Because of this, that and more\nAnd?,So.\n", "3 cells where the header has 2"),
        (b'q,a\nWhy?,"Be" cause\nAnd?,So.\n', "its quotes do not pair"),
    ],
)
def test_torn_rows_are_named_and_the_next_ones_read(content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    torn, good = [row for _, row in read_table(tmp_path / "a.csv")]
    assert isinstance(torn, TornRow)
    assert reason in torn.reason
    assert good == {"q": "And?", "a": "So."}


def test_an_open_quote_in_a_tab_table_swallows_no_rows_unseen(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text('q\ta\n1\t"open\n2\ttwo\n3\tthree"\n4\tfour\n')
    torn, good = [row for _, row in read_table(tmp_path / "a.tsv")]
    assert isinstance(torn, TornRow)
    assert "a cell holds whole rows" in torn.reason
    assert good == {"q": "4", "a": "four"}


def test_missing_last_cells_are_empty(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("q,a,note\nWhy?,So.\n")
    assert [row for _, row in read_table(tmp_path / "a.csv")] == [{"q": "Why?", "a": "So.", "note": ""}]


def test_errors_name_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"q,a\n" + (b"x" * 500 + b",y\n") * (HEAD_BYTES // 500) + b"\xff,z\n")
    with pytest.raises(
        InputError, match=r"a.csv:\d+: not readable as utf-8 .* --sources.NAME.encoding cp1252"
    ):
        list(read_table(tmp_path / "a.csv"))
    with pytest.raises(LimaError, match="no encoding 'utf-9'"):
        list(read_table(tmp_path / "a.csv", encoding="utf-9"))


def test_columns_of_one_name_are_numbered_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "b.csv").write_text("q,Comment,Comment,Comment 2\n1,2,3,4\nq,Comment,Comment,Comment 2\n")
    first, again = (row for _, row in read_table(tmp_path / "b.csv"))
    assert first == {
        "q": "1",
        "Comment": "2",
        "Comment 2": "3",
        "Comment 2 2": "4",
    }
    assert isinstance(again, TornRow)
    assert "several columns are called 'Comment'" in capsys.readouterr().err


def test_a_workbook(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in [
        ["Export"],
        [],
        ["Frage", " Antwort ", "Nr"],
        ["Warum?", "Darum.\nWirklich.", 7],
        [None, None, None],
    ]:
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    assert [row for _, row in read_table(tmp_path / "a.xlsx")] == [
        {"Frage": "Warum?", "Antwort": "Darum.\nWirklich.", "Nr": "7"}
    ]
    cover, data = openpyxl.Workbook(), [["q", "a"], ["1", "2"]]
    cover.active.append(["Tickets of May"])
    sheet = cover.create_sheet("Data")
    for row in data:
        sheet.append(row)
    cover.save(tmp_path / "c.xlsx")
    assert [row for _, row in read_table(tmp_path / "c.xlsx")] == [{"q": "1", "a": "2"}]
    sheet["B1"] = "q"
    cover.save(tmp_path / "c.xlsx")
    assert [row for _, row in read_table(tmp_path / "c.xlsx")] == [{"q": "1", "q 2": "2"}]
    quarters = openpyxl.Workbook()
    for name, row in (("Q1", ("Sun", "e@x.example", "a")), ("Q2", ("Moon", "", "b"))):
        sheet = quarters.create_sheet(name)
        sheet.append(["Requests of the quarter"])
        sheet.append([])
        sheet.append(["Customer", None, "Reply"])
        sheet.append(["Name", "E-mail"])
        sheet.append(row)
        sheet.merge_cells("A1:C1")
        sheet.merge_cells("A3:B3")
    quarters.create_sheet("Other").append(["q", "a"])
    quarters.save(tmp_path / "d.xlsx")
    assert [row for _, row in read_table(tmp_path / "d.xlsx")] == [
        {"Customer Name": "Sun", "Customer E-mail": "e@x.example", "Reply": "a"},
        {"Customer Name": "Moon", "Customer E-mail": "", "Reply": "b"},
    ]
    topics = openpyxl.Workbook()
    sheet = topics.active
    for row in (["Topic", "Asked", None], [None, "q", "a"], ["Net", 1, 2], [None, 3, 4], [], ["Tea", 5, 6]):
        sheet.append(row)
    for cells in ("A1:A2", "B1:C1", "A3:A5"):  # down over the header, and over rows, the last of them empty
        sheet.merge_cells(cells)
    topics.save(tmp_path / "e.xlsx")
    assert [row for _, row in read_table(tmp_path / "e.xlsx")] == [
        {"Topic": "Net", "Asked q": "1", "Asked a": "2"},
        {"Topic": "Net", "Asked q": "3", "Asked a": "4"},
        {"Topic": "Tea", "Asked q": "5", "Asked a": "6"},
    ]
    (tmp_path / "b.xlsx").write_bytes(b"no workbook")
    with pytest.raises(LimaError, match=r"b.xlsx: cannot be read as a workbook"):
        list(read_table(tmp_path / "b.xlsx"))


def test_the_header_is_the_first_row_of_the_usual_width() -> None:
    assert header_place([["a", "b"], ["1", "2"]]) == 0
    assert header_place([["Title"], ["", ""], ["a", "b"], ["1", ""], ["1", "2"]]) == 2


def test_row_numbers_without_a_name_are_no_title(tmp_path: Path) -> None:
    path = tmp_path / "frame.csv"
    path.write_text(",question,answer\n0,a,b\n1,c,d\n2,e,f\n", "utf-8")
    assert next(row for _, row in read_table(path)) == {"question": "a", "answer": "b"}


def test_a_stray_zero_byte_is_not_utf16(tmp_path: Path) -> None:
    path = tmp_path / "stray.csv"
    path.write_bytes(b"question,answer\nwhat\0ever,this\nwho,that\n")
    assert [row["answer"] for _, row in read_table(path)] == ["this", "that"]
