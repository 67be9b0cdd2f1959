"""Votes of any file by a map: tables, orders that are not known, swapped sides, and the way back."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lima.errors import LimaError
from lima.files import read_jsonl
from lima.formats.convert import export_file, import_file
from lima.formats.mapping import MAPS, Fields, read_map, spoken
from lima.formats.settings import ExportSettings, ImportSettings
from lima.records import Comparison, Completion, Grade, Preference, Rater

TABLE = """question,first,second,model_1,model_2,rater,choice,order
How?,So.,Thus.,m,n,anna,left,1
How?,Thus.,So.,n,m,ben,LEFT,2
"Why,
really?",Because.,No.,m,n,anna,same,?
"Why,
really?",Because.,No.,m,n,ben,,?
"""
MAP = """
prompt: "{question}"
a: {text: "{first}", system: "{model_1}"}
b: {text: "{second}", system: "{model_2}"}
verdicts:
  - rater: "crowd:{rater}"
    value: choice
    choices: {left: a, right: b, same: tie}
    shown: {value: order, choices: {1: ab, 2: ba, "?": unknown}}
write:
  over: verdicts
  row: {question: "{prompt}", said: "{verdict}", by: "{rater}", systems: ["{system_a}", "{system_b}"]}
"""


def written(folder: Path, table: str = TABLE, mapping: str = MAP) -> tuple[Path, Path]:
    (folder / "votes.csv").write_text(table)
    (folder / "map.yaml").write_text(mapping)
    return folder / "votes.csv", folder / "map.yaml"


def imported(folder: Path, table: str = TABLE, mapping: str = MAP) -> list[Preference]:
    votes, place = written(folder, table, mapping)
    import_file(ImportSettings(format="votes", files=(votes,), map=place, out=folder / "study"))
    return list(read_jsonl(folder / "study" / "preferences.jsonl", Preference))


def test_a_table_of_votes(tmp_path: Path) -> None:
    rows = imported(tmp_path)
    pairs = {row.id: row for row in read_jsonl(tmp_path / "study" / "comparisons.jsonl", Comparison)}
    assert len(pairs) == 2  # ben saw the first one with its sides changed
    found = {(row.rater, pairs[row.comparison_id].messages[0].content): row for row in rows}
    assert {place: (row.label, row.shown, row.status) for place, row in found.items()} == {
        ("crowd:anna", "How?"): ("a", "ab", "ok"),
        ("crowd:ben", "How?"): (
            "b",
            "ab",
            "ok",
        ),  # the second of the file's answers, which is b of the pair, came ... first
        ("crowd:anna", "Why,\nreally?"): ("tie", None, "ok"),
        ("crowd:ben", "Why,\nreally?"): (None, None, "error"),
    }
    assert [row.kind for row in read_jsonl(tmp_path / "study" / "raters.jsonl", Rater)] == ["crowd", "crowd"]


def test_the_way_back(tmp_path: Path) -> None:
    imported(tmp_path)
    out = tmp_path / "out.json"
    export_file(ExportSettings(format="votes", file=tmp_path / "study", map=tmp_path / "map.yaml", out=out))
    from lima.files import read_json

    assert sorted(read_json(out), key=str) == sorted(
        [
            {"question": "How?", "said": "left", "by": "anna", "systems": ["m", "n"]},
            {"question": "How?", "said": "right", "by": "ben", "systems": ["m", "n"]},
            {"question": "Why,\nreally?", "said": "same", "by": "anna", "systems": ["m", "n"]},
            {"question": "Why,\nreally?", "said": None, "by": "ben", "systems": ["m", "n"]},
        ],
        key=str,
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("crowd:{rater}", "{rater}"), "the rater 'anna'; an id begins with crowd:"),
        (("{first}", "{frist}"), r"no 'frist'"),
        (("2: ba, ", ""), "order is '2', an order that the map does not name"),
        (("over: verdicts", "over: votes"), "over: Input should be"),
        (("shown:", "showm:"), "showm"),
        (("left: a", "left: c"), "choices.left: Input should be"),
    ],
)
def test_faults_of_a_map_are_named(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    with pytest.raises(LimaError, match=message):
        imported(tmp_path, mapping=MAP.replace(*change))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("a,b\n1,2,3\n", "row 1 has another number of cells"),
        ("a,b\n1\n", "row 1 has another number of cells"),
        ("a,b\n", "no row below the first line"),
        ('a,b\n"1,2\n', "not a table"),
    ],
)
def test_tables_that_are_none(tmp_path: Path, table: str, message: str) -> None:
    with pytest.raises(LimaError, match=message):
        imported(tmp_path, table)


def test_votes_and_a_map_go_together(tmp_path: Path) -> None:
    votes, place = written(tmp_path)
    for values in ({"format": "votes"}, {"format": "pandalm", "map": place}):
        with pytest.raises(LimaError, match="--map MAP belongs to lima import votes"):
            import_file(ImportSettings(files=(votes,), out=tmp_path / "s", **values))


@pytest.mark.parametrize("name", sorted(path.stem for path in MAPS.glob("*.yaml")))
def test_shipped_maps_are_maps(name: str) -> None:
    mapping = read_map(name)
    assert mapping.verdicts or mapping.grades or mapping.b is None


def test_judges_verdicts_in_both_orders_leave_as_one(tmp_path: Path) -> None:
    """AlpacaEval has a row a prompt: 1.5 where the two orders disagree, null where one of them is missing."""
    from lima.files import read_json, write_json, write_jsonl
    from lima.formats.imported import asked, pair_key

    rows, keys, verdicts = [], [], []
    cases: dict[str, tuple[Any, Any]] = {
        "same": ("a", "a"),
        "apart": ("a", "b"),
        "half": ("tie", "b"),
        "gone": ("a", None),
    }
    for name, labels in cases.items():
        rows.append(Comparison(id=name, messages=asked(name), a="x", b="y"))
        keys.append(pair_key(name, name, "tested", "base"))
        for shown, label in zip(("ab", "ba"), labels, strict=True):
            status: Any = "ok" if label else "truncated"
            verdicts.append(
                Preference(
                    id=f"{name}{shown}",
                    comparison_id=name,
                    rater="judge:m",
                    shown=shown,
                    label=label,
                    status=status,
                )
            )
    write_jsonl(tmp_path / "comparisons.jsonl", rows)
    write_jsonl(tmp_path / "key.jsonl", keys)
    write_jsonl(tmp_path / "preferences.jsonl", verdicts)
    write_json(tmp_path / "systems.json", {"seed": 0, "systems": [{"name": "tested"}, {"name": "base"}]})
    out = tmp_path / "annotations.json"
    export_file(ExportSettings(format="alpaca-eval", file=tmp_path, out=out))
    found = {row["instruction"]: row for row in read_json(out)}
    assert {name: row["preference"] for name, row in found.items()} == {
        "same": 2.0, "apart": 1.5, "half": 1.25, "gone": None,
    }  # fmt: skip
    assert (found["same"]["generator_2"], found["same"]["output_2"], found["same"]["annotator"]) == (
        "tested",
        "x",
        "m",
    )


LOG = {
    "status": "success",
    "eval": {"model": "some/model"},
    "samples": [
        {
            "id": 7, "epoch": 1, "input": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}],
            "output": {"model": "some/model", "choices": [{"message": {"content": [{"type": "text", "text": "So."}]}}]},
            "scores": {"one": {"value": "C", "explanation": "Right."}, "two": {"value": 0.5}},
        }
    ],
}  # fmt: skip


def test_a_log_with_messages_and_two_scorers(tmp_path: Path) -> None:
    from lima.files import write_json

    write_json(tmp_path / "log.json", LOG)
    import_file(ImportSettings(format="inspect", files=(tmp_path / "log.json",), out=tmp_path / "study"))
    rows = {row.rater: row for row in read_jsonl(tmp_path / "study" / "grades.jsonl", Grade)}
    assert (rows["judge:one"].value, rows["judge:one"].raw) == ("excellent", "Right.")
    assert (rows["judge:two"].value, rows["judge:two"].status) == (None, "unparsable")
    import_file(
        ImportSettings(format="inspect-outputs", files=(tmp_path / "log.json",), out=tmp_path / "a.jsonl")
    )
    (row,) = read_jsonl(tmp_path / "a.jsonl", Completion)
    assert (row.content, row.system, row.prompt_id) == ("So.", "some/model", "inspect/7")


def test_fields_within_fields() -> None:
    row = Fields(
        {"a.b": 1, "x": {"y": [{"z": 2.0}]}, "n": None}, {"top": {"k": 5}}, {"defaults": {"n": "none"}}
    )
    assert [row.text(t) for t in ("{a.b}", "{x.y.0.z}", "{$.top.k}", "{n}", "{x.y.0.z:03d}")] == [
        "1", "2", "5", "none", "002",
    ]  # fmt: skip
    assert list(row.columns("x.*")) == [("x.y", "y")]
    with pytest.raises(KeyError, match="q"):
        row.text("{x.q}")


@given(
    st.recursive(st.none() | st.text() | st.integers(), lambda x: st.lists(x) | st.dictionaries(st.text(), x))
)
def test_any_content_reads_as_text(value: Any) -> None:
    assert isinstance(spoken([value]), str)


SIMPLE = "question,first,second,model_1,model_2,rater,choice,order\nHow?,So.,Thus.,m,n,anna,left,1\n"


@pytest.mark.parametrize(
    "content",
    [SIMPLE.encode(), SIMPLE.replace(",", ";").encode(), SIMPLE.replace(",", "\t").encode("utf-16"), b"\xef\xbb\xbf" + SIMPLE.encode()],
)  # fmt: skip
def test_tables_as_spreadsheets_save_them(tmp_path: Path, content: bytes) -> None:
    table, mapping = written(tmp_path)
    table.write_bytes(content)
    import_file(ImportSettings(format="votes", files=(table,), map=mapping, out=tmp_path / "study"))
    (row,) = read_jsonl(tmp_path / "study" / "preferences.jsonl", Preference)
    assert (row.rater, row.label, row.shown) == ("crowd:anna", "a", "ab")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (SIMPLE.replace("So.", "Caf\u00e9").encode("latin-1"), r"not UTF-8 \(byte \d+\)\. Save it as UTF-8"),
        (SIMPLE.replace("model_2,rater", "rater,rater").encode(), "two columns are called 'rater'"),
        (SIMPLE.replace(",m,n,", ",m,m,").encode(), "both answers of a row are by 'm'"),
    ],
)
def test_tables_that_would_be_misread_are_refused(tmp_path: Path, content: bytes, words: str) -> None:
    table, mapping = written(tmp_path)
    table.write_bytes(content)
    with pytest.raises(LimaError, match=words):
        import_file(ImportSettings(format="votes", files=(table,), map=mapping, out=tmp_path / "study"))


def test_values_without_a_label_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, mapping = written(
        tmp_path, SIMPLE + "Who?,I.,You.,m,n,anna,first,1\nWhen?,Now.,Then.,m,n,anna,first,1\n"
    )
    import_file(ImportSettings(format="votes", files=(table,), map=mapping, out=tmp_path / "study"))
    assert (
        "no label for these values, so their verdicts are missing: 'first' (2)"
        in capsys.readouterr().err.replace("\n", " ")
    )


def test_a_verdict_of_nan_is_a_missing_one(tmp_path: Path) -> None:
    """Pandas writes a failed annotation of alpaca_eval as NaN, which is no JSON."""
    rows = (
        '{{"instruction": "{}", "output_1": "x", "generator_1": "m", "output_2": "y", "generator_2": "n", "preference": {}}}'.format(
            *place
        )
        for place in (("Who?", "NaN"), ("Why?", "2.0"))
    )
    path = tmp_path / "annotations.json"
    path.write_text(f"[{', '.join(rows)}]")
    import_file(ImportSettings(format="alpaca-eval", files=(path,), out=tmp_path / "study"))
    found = list(read_jsonl(tmp_path / "study" / "preferences.jsonl", Preference))
    assert sorted((row.label or "", row.status) for row in found) == [("", "error"), ("b", "ok")]
