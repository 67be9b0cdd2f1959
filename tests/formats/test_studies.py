"""Published judgments as study folders: each source's smallest real rows, and what is wrong with bad ones."""

import json
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from lima.errors import LimaError
from lima.files import read_jsonl
from lima.formats.convert import import_file
from lima.formats.imported import ImportedStudy, asked, pair_key, read_sheet
from lima.formats.settings import ImportSettings, StudyFormat
from lima.formats.studies import narrowed, read_study
from lima.records import Comparison, Key, Preference, Rater


def study_of(
    folder: Path, kind: StudyFormat, rows: list[dict[str, Any]], **later: list[dict[str, Any]]
) -> ImportedStudy:
    """The study of files with these rows, the first named ``first``."""
    files = []
    for name, content in {"first_gpt": rows, **later}.items():
        files.append(folder / f"{name}{'-testset' if kind == 'pandalm' else ''}.json")
        files[-1].write_text(json.dumps(content))
    return read_study(kind, files)


def alpaca_row(preference: float | None, instruction: str = "Name a star.") -> dict[str, Any]:
    return {
        "instruction": instruction, "output_1": "Sirius.", "generator_1": "old", "dataset": "koala",
        "output_2": "Vega, in Lyra.", "generator_2": "new", "annotator": "gpt", "preference": preference,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("preference", "label", "status"),
    [(1, "a", "ok"), (2.0, "b", "ok"), (0, "tie", "ok"), (1.5, "tie", "ok"), (1.2, "a", "ok"),
     (1.8, "b", "ok"), (None, None, "error")],
)  # fmt: skip
def test_alpaca_eval_verdicts(
    tmp_path: Path, preference: float | None, label: str | None, status: str
) -> None:
    (row,) = study_of(tmp_path, "alpaca-eval", [alpaca_row(preference)]).preferences
    assert (row.label, row.status, row.rater) == (label, status, "judge:gpt")


def test_alpaca_eval_weights_are_credits_of_the_first_answer(tmp_path: Path) -> None:
    rows = [alpaca_row(p, f"{p}?") for p in (1, 2, 0, None, 1.25)]
    study = study_of(tmp_path, "alpaca-eval", rows)
    assert [row.credit for row in study.preferences] == [None, None, None, None, 0.75]


def test_alpaca_eval_study(tmp_path: Path) -> None:
    study = study_of(tmp_path, "alpaca-eval", [alpaca_row(2)])
    assert study.systems == ["new", "old"]
    assert study.comparisons[0].tags == ("koala",)
    assert study.keys[0].b is not None
    assert study.keys[0].b.system == "new"


PANDALM = {
    "idx": 3, "motivation_app": "Gmail", "cmp_key": "bloom_llama", "instruction": "Shorten.", "input": "Long.",
    "response1": "L.", "response2": "S.", "annotator1": 0, "annotator2": 1, "annotator3": 2,
}  # fmt: skip


def test_pandalm_people_and_judges(tmp_path: Path) -> None:
    judges = {
        "gpt": [{"idx": 3, "gpt_result": "Tie", "gpt_reason": "Same."}],
        "other": [{"idx": 3, "other_result": "garbage", "other_reason": "?"}],
    }
    study = study_of(tmp_path, "pandalm", [PANDALM], **judges)
    found = {row.rater: (row.label, row.status) for row in study.preferences}
    assert found == {
        "crowd:annotator1": ("tie", "ok"), "crowd:annotator2": ("a", "ok"), "crowd:annotator3": ("b", "ok"),
        "judge:gpt": ("tie", "ok"), "judge:other": (None, "unparsable"),
    }  # fmt: skip
    assert study.comparisons[0].messages[0].content == "Shorten.\n\nLong."


def cherry_row(scores: str, reverse: str) -> dict[str, Any]:
    return {
        "conversations": "Why?", "Answer1": "x", "Answer2": "y", "review": "r", "scores": scores,
        "review_reverse": "rr", "scores_reverse": reverse,
    }  # fmt: skip


def test_alpaca_eval_rows_without_data_set_annotator_or_verdict(tmp_path: Path) -> None:
    row = {
        "instruction": "Why?", "generator_1": "base", "generator_2": "own", "output_1": "x", "output_2": "y",
    }  # fmt: skip
    study = study_of(
        tmp_path, "alpaca-eval", [row, row | {"instruction": "How?", "preference": 2.0, "annotator": "m"}]
    )
    assert [(v.rater, v.label, v.status) for v in study.preferences] == [
        ("judge:alpaca_eval", None, "error"), ("judge:m", "b", "ok"),
    ]  # fmt: skip


def test_pandalm_with_other_people_and_verdicts_read_as_floats(tmp_path: Path) -> None:
    row = {
        "idx": 0, "motivation_app": "x", "cmp_key": "one_two", "instruction": "Why?", "response1": "p",
        "response2": "q", "annotator_kim": 2.0, "annotator_lee": "1.0",
    }  # fmt: skip
    rows = [row, row | {"idx": 1, "annotator_lee": None}]
    study = study_of(tmp_path, "pandalm", rows, j=[{"idx": 0, "j_result": 0.0}])
    assert [(v.rater, v.label) for v in study.preferences] == [
        ("crowd:annotator_kim", "b"), ("crowd:annotator_lee", "a"),
        ("crowd:annotator_kim", "b"), ("crowd:annotator_lee", None), ("judge:j", "tie"),
    ]  # fmt: skip


def test_cherry_reverse_scores_are_read_in_shown_order(tmp_path: Path) -> None:
    """[8, 7] then, with Answer2 first, [9, 6]: answer 1 wins, then answer 2: the judge follows the side."""
    rows = [
        cherry_row("[8.0, 7.0]", "[9.0, 6.0]"),
        cherry_row("[5, 5]", "[3, 4]"),
        cherry_row("none", "[-1, -1]"),
    ]
    study = study_of(tmp_path, "cherry", rows)
    assert [row.label for row in study.preferences] == ["a", "b", "tie", "a", None, None]
    assert [row.shown for row in study.preferences] == ["ab", "ba"] * 3


def test_cherry_judges_must_have_seen_the_same_answers(tmp_path: Path) -> None:
    other = cherry_row("[1, 2]", "[1, 2]") | {"Answer2": "z"}
    with pytest.raises(LimaError, match="cherry/000 stands for other answers"):
        study_of(tmp_path, "cherry", [cherry_row("[1, 2]", "[1, 2]")], other=[other])


def tulu_row(number: int, preference: str, swapped: bool, hour: int) -> dict[str, Any]:
    names = ("zulu", "alpha") if swapped else ("alpha", "zulu")
    texts = ("z", "a") if swapped else ("a", "z")
    return {
        "id": float(number), "instance_index": 7.0, "instance_id": "task", "prompt": "Do.",
        "model_a": names[0], "model_b": names[1], "completion_a": texts[0], "completion_b": texts[1],
        "preference": preference, "evaluator": "xy", "timestamp": datetime(2023, 5, 19, hour).isoformat(),
    }  # fmt: skip


def test_tulu_votes_are_in_the_frame_of_the_comparison_and_newer_rows_supersede(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        tulu_row(2, "a-is-slightly-better", True, 5), tulu_row(1, "a-is-better", False, 4), {},
    ]  # fmt: skip
    study = study_of(tmp_path, "tulu", rows)
    (comparison,) = study.comparisons
    assert (comparison.a, comparison.b) == ("a", "z")
    older, newer = study.preferences
    assert (older.label, older.shown, newer.label, newer.shown) == ("a", "ab", "b", "ba")
    assert newer.supersedes == older.id


OOXML = "http://schemas.openxmlformats.org"
PARTS = {
    "[Content_Types].xml": f'''<Types xmlns="{OOXML}/package/2006/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Default Extension="xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>''',
    "_rels/.rels": f'''<Relationships xmlns="{OOXML}/package/2006/relationships"><Relationship Id="r1"
Type="{OOXML}/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>''',
    "xl/_rels/workbook.xml.rels": f'''<Relationships xmlns="{OOXML}/package/2006/relationships">
<Relationship Id="r1" Type="{OOXML}/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/>
<Relationship Id="r2" Type="{OOXML}/officeDocument/2006/relationships/sharedStrings" Target="sharedStrings.xml"/>
<Relationship Id="r3" Type="{OOXML}/officeDocument/2006/relationships/styles" Target="styles.xml"/></Relationships>''',
    "xl/workbook.xml": f'''<workbook xmlns="{OOXML}/spreadsheetml/2006/main"
xmlns:r="{OOXML}/officeDocument/2006/relationships"><sheets><sheet name="s" sheetId="1" r:id="r1"/></sheets></workbook>''',
    "xl/styles.xml": f'''<styleSheet xmlns="{OOXML}/spreadsheetml/2006/main"><cellXfs><xf numFmtId="0"/><xf numFmtId="22"/>
</cellXfs></styleSheet>''',
    "xl/sharedStrings.xml": f'''<sst xmlns="{OOXML}/spreadsheetml/2006/main"><si><t>id</t></si>
<si><r><t>no</t></r><r><t>te</t></r></si></sst>''',
    "xl/worksheets/sheet1.xml": f'''<worksheet xmlns="{OOXML}/spreadsheetml/2006/main"><sheetData>
<row><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c></row>
<row><c r="A2"><v>3.5</v></c><c r="B2" t="inlineStr"><is><t>in line</t></is></c><c r="C2" s="1"><v>45065.5</v></c></row>
<row><c r="B3" s="1"><v>45065.75</v></c></row></sheetData></worksheet>''',
}
"""The least of a workbook (ECMA-376, part 1): numbers, shared and inline strings, times, empty cells."""


def test_first_sheet_of_a_workbook(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "t.xlsx", "w") as book:
        for name, text in PARTS.items():
            book.writestr(name, text)
    # 45,065 days after 1899-12-30; the third column has no name
    assert read_sheet(tmp_path / "t.xlsx") == [
        {"id": 3.5, "note": "in line"},
        {"note": datetime(2023, 5, 19, 18)},
    ]


def import_study(kind: StudyFormat, files: list[Path], out: Path) -> None:
    import_file(ImportSettings(format=kind, files=tuple(files), out=out))


def test_import_writes_a_study_folder(tmp_path: Path) -> None:
    source = tmp_path / "annotations.json"
    source.write_text(json.dumps([alpaca_row(1), alpaca_row(None, "Name a planet.")]))
    out = tmp_path / "study"
    import_study("alpaca-eval", [source], out)
    assert len(list(read_jsonl(out / "comparisons.jsonl", Comparison))) == 2
    assert len(list(read_jsonl(out / "key.jsonl", Key))) == 2
    assert [row.status for row in read_jsonl(out / "preferences.jsonl", Preference)].count("error") == 1
    assert next(read_jsonl(out / "raters.jsonl", Rater)).id == "judge:gpt"
    with pytest.raises(LimaError, match="holds a study already"):
        import_study("alpaca-eval", [source], out)


@pytest.mark.parametrize(
    ("text", "message"),
    [("[{}]", r"not a file of cherry \(no 'Answer1'\)"), ("{", "not JSON"), ("3", "expected a JSON array"),
     ("[]", "expected a JSON array")],
)  # fmt: skip
def test_bad_files(tmp_path: Path, text: str, message: str) -> None:
    source = tmp_path / "x_gpt.json"
    source.write_text(text)
    with pytest.raises(LimaError, match=message):
        import_study("cherry", [source], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_missing_and_wrong_workbooks(tmp_path: Path) -> None:
    (tmp_path / "t.xlsx").write_text("no zip")
    for name, message in (("none.xlsx", "no such file"), ("t.xlsx", "not an Excel workbook")):
        with pytest.raises(LimaError, match=message):
            import_study("tulu", [tmp_path / name], tmp_path / "out")
    with pytest.raises(LimaError, match="no file given"):
        import_study("tulu", [], tmp_path / "out")


def test_narrowed_keeps_the_earliest_raters_and_refuses_strangers() -> None:
    rows = [
        Preference(id=f"{rater}/{n}", comparison_id="c", rater=rater, shown=shown, label="a", at=at)
        for n, (rater, shown, at) in enumerate(
            [("judge:m", "ab", "3"), ("judge:m", "ba", "3"), ("crowd:1", "ab", "1"), ("crowd:2", "ab", "2")]
        )
    ]
    comparison = Comparison(id="c", messages=asked("?"), a="x", b="y")
    study = ImportedStudy(
        [comparison],
        [pair_key("c", "p", "one", "two")],
        rows,
        [Rater(id="crowd:1", kind="crowd")],
        ["one", "two"],
    )
    assert [row.rater for row in narrowed(study, (), 1).preferences] == ["crowd:1"]
    assert [row.rater for row in narrowed(study, (), 3).preferences] == [
        "crowd:1",
        "crowd:2",
        "judge:m",
        "judge:m",
    ]
    assert narrowed(study, ("one", "two"), None).preferences == rows
    with pytest.raises(LimaError, match="name two or more of one, two"):
        narrowed(study, ("one", "three"), None)
