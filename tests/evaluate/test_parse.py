"""Only the last line speaks, and only offered values count."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lima.evaluate.parse import Verdict, read_verdict
from lima.remote.log import Answer, read_answer

PAIR = ("a", "b", "tie")
LEVELS = ("1", "2", "3", "4", "5", "6")


def pair(text: str, reason: str = "stop", refusal: str = "") -> Verdict:
    return read_verdict(Answer(text, reason, refusal), PAIR)


def level(text: str) -> Verdict:
    return read_verdict(Answer(text, "stop"), LEVELS, digits=True)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A is short.\nVerdict: B", "b"),
        ("Verdict: A\nBut no.\nVerdict: tie", "tie"),  # the last one counts
        ("The answer says [[A]] and Verdict: A.\nVerdict: B\n\n", "b"),
        ("Reasons.\n**Verdict: A**", "a"),
        ("Reasons.\nVERDICT: [[b]].", "b"),
        ("Reasons.\n__Verdict: A__", "a"),
        ("Reasons.\n### Verdict: `Tie`", "tie"),
    ],
)
def test_verdicts(text: str, value: str) -> None:
    assert pair(text) == Verdict("ok", value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[[A]]",
        "Answer A is better.",
        "Verdict: A\nThough B has a point.",  # the last line is no verdict
        "Verdict: C",
        "Verdict: A or B",
        "My Verdict: A",
        "Verdict: Answer A",
        "Both. Verdict: A",
    ],
)
def test_what_is_no_verdict_is_unparsable_never_a_tie(text: str) -> None:
    assert pair(text) == Verdict("unparsable")


@given(st.text())
def test_any_text_gives_an_offered_value_or_a_reason(text: str) -> None:
    for verdict in (pair(text), level(text)):
        assert (verdict.value is None) == (verdict.status != "ok")
        assert verdict.value is None or verdict.value in PAIR + LEVELS


@given(st.text(), st.sampled_from(["A", "B", "tie"]))
def test_whatever_the_reasoning_holds_the_last_line_decides(reasoning: str, choice: str) -> None:
    assert pair(f"{reasoning}\nVerdict: {choice}") == Verdict("ok", choice.lower())


def test_the_digit_stands_alone_on_the_last_line_twice() -> None:
    assert level("It is fine.\n4\n4") == Verdict("ok", "4")
    assert level("It is fine.\n**5**\n\n**5**\n") == Verdict("ok", "5")
    assert level("Printed once.\n3") == Verdict("ok", "3")
    for text in ("4\n5", "7\n7", "0", "4.5", "Rating: 4", "4/6", "4 5", "14", "4\nbecause"):
        assert level(text) == Verdict("unparsable"), text


def test_no_answer_has_its_reason() -> None:
    assert read_verdict(None, PAIR) == Verdict("error")
    assert pair("Verdict: A", reason="length") == Verdict("truncated")
    assert pair("Verdict: A", reason="content_filter") == Verdict("refused")
    assert pair("", refusal="I cannot judge this.") == Verdict("refused")
    assert pair("I'm sorry, but I can't compare these.") == Verdict("refused")
    assert pair("I cannot say which is better at first. " + "Long reasoning. " * 30) == Verdict("unparsable")
    assert pair("I'm sorry for A's author.\nVerdict: B") == Verdict("ok", "b")


@pytest.mark.parametrize(
    "raw",
    ["", "<html>", "[]", "{}", '{"choices":[]}', '{"choices":[{"message":null}]}',
     '{"choices":[{"message":{"content":5}}]}', '{"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":"9"}}'],
)  # fmt: skip
def test_what_is_no_chat_reply_is_no_answer(raw: str) -> None:
    assert read_answer(raw) is None


def test_chat_replies() -> None:
    raw = '{"choices":[{"message":{"content":null,"refusal":"no"},"finish_reason":null}]}'
    assert read_answer(raw) == Answer("", "", "no")
    raw = '{"choices":[{"message":{"content":"x"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2}}'
    assert read_answer(raw) == Answer("x", "stop", "", 9, 2)
