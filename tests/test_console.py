"""What a person sees in a narrow terminal."""

import pytest

from lima import console


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console.results, "width", 60)


def _shown(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_figures_that_do_not_fit_go_into_further_tables_and_are_never_folded(
    capsys: pytest.CaptureFixture[str],
) -> None:
    columns = ["step", *(f"source number {n}" for n in range(9))]
    rows = [["by header: no comments", *(f"-{1000 + n}" for n in range(9))], ["accepted", *"123456789"]]
    console.table("Funnel", columns, rows)
    lines = _shown(capsys)
    assert max(map(len, lines)) <= 60
    text = "\n".join(lines)
    assert all(f"-{1000 + n} " in text for n in range(9))
    parts = text.count("comments")  # the words of a row may be broken, its figures not
    assert parts > 1
    assert lines[0].strip() == "Funnel"
    assert text.count("Funnel, continued") == parts - 1


def test_a_table_that_fits_stays_one(capsys: pytest.CaptureFixture[str]) -> None:
    console.table("Few", ["what", "a", "b"], [["row", 1, 2]])
    assert sum("row" in line for line in _shown(capsys)) == 1


def test_a_single_column_is_shown_however_wide_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    console.table("Wide", ["what", "a", "b"], [["row", "x" * 90, "y"]])
    text = "".join(_shown(capsys))
    assert text.count("x") == 90
    assert "y" in text


def test_a_table_without_figures(capsys: pytest.CaptureFixture[str]) -> None:
    console.table("Empty", ["what"], [["row"]])
    assert any("row" in line for line in _shown(capsys))


def test_prose_is_broken_before_columns_are_moved(capsys: pytest.CaptureFixture[str]) -> None:
    head = ["band", "what", "wanted", "came out", ""]
    words = "right form where nothing was read before"
    console.table("Limits", head, [["W1", words, "at most 0.05", "0.00 [0.00, 0.05]", "met"]])
    text = "\n".join(_shown(capsys))
    assert "continued" in text  # 60 columns are too few for all
    monkey = console.results.width
    console.results.width = 80
    console.table("Limits", head, [["W1", words, "at most 0.05", "0.00 [0.00, 0.05]", "met"]])
    console.results.width = monkey
    lines = _shown(capsys)
    assert "continued" not in "\n".join(lines)
    assert max(map(len, lines)) <= 80
    assert any("0.00 [0.00, 0.05] │ met" in line for line in lines)


def test_further_tables_repeat_all_columns_that_tell_rows_apart(capsys: pytest.CaptureFixture[str]) -> None:
    console.results.width = 60
    rows = [[pair, rater, "[+62.0, +81.3]", "[+54.0, +100.0]", "[−33.8, +14.9]"]
            for pair in ("tuned v base", "tuned v scratch") for rater in ("crowd", "judge m")]  # fmt: skip
    console.table("Gaps", ["pair", "rater", "first", "second", "third"], rows)
    shown = capsys.readouterr().out
    parts = shown.split("Gaps, continued")
    assert len(parts) > 1
    for part in parts:
        for pair, rater in {(row[0], row[1]) for row in rows}:
            assert any(pair in line and rater in line for line in part.splitlines())


def test_a_plain_line_of_progress_says_what_is_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([0.0, 10.0, 10.0, 20.0, 20.0, 30.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    monkeypatch.setattr(console, "PLAIN_LINE_SECONDS", 5)
    tracker = console._PlainTracker("work", 4, "files")
    tracker.advance(1, "note")
    tracker.advance(2)
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["work: 1/4 files, 10 s, 30 s left note", "work: 3/4 files, 20 s, 7 s left note"]


def test_what_an_earlier_run_did_is_no_part_of_the_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([0.0, 10.0, 10.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    monkeypatch.setattr(console, "PLAIN_LINE_SECONDS", 5)
    tracker = console._PlainTracker("train", 100, "steps")
    tracker.resume(80)
    tracker.advance(1)
    assert capsys.readouterr().err.strip() == "train: 81/100 steps, 10 s, 190 s left"


def test_a_bar_forgets_its_rate_where_a_run_is_resumed() -> None:
    with console._bar() as bar:
        tracker = console._BarTracker(bar, bar.add_task("train", total=100, note="", unit="steps"))
        tracker.resume(80)
        (task,) = bar.tasks
        assert (task.completed, task.speed, task.fields["unit"]) == (80, None, "steps")
        tracker.advance(1)
        assert task.completed == 81
