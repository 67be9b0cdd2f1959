"""Only the last line speaks, only offered values count, and no part of the prompt is a verdict."""

import json
import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lima.evaluate.parse import Verdict, is_echo, read_verdict
from lima.evaluate.protocol import TASKS, Protocol, Words
from lima.evaluate.settings import Task
from lima.evaluate.wording import item_text, pairwise_text, read_prompt
from lima.records import Comparison, Item, Message
from lima.remote.log import ChatAnswer, Usage, read_answer, read_usage

PAIR = ("a", "b", "tie")
LEVELS = ("1", "2", "3", "4", "5", "6")


def pair(text: str, reason: str = "stop", refusal: str = "") -> Verdict:
    return read_verdict(ChatAnswer(text, reason, refusal), PAIR)


def level(text: str) -> Verdict:
    return read_verdict(ChatAnswer(text, "stop"), LEVELS, digits=True)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A is short.\nVerdict: B", "b"),
        ("Verdict: A\nSo I said.\nVerdict: A", "a"),
        ('Reasons.\nVerdict: "A"', "a"),
        ("Reasons.\nVerdict: “B”.", "b"),
        ("Reasons.\nVerdict: Answer A", "a"),
        ("Reasons.\nVerdict: [Answer B]", "b"),
        ("Reasons.\nFinal Verdict: A", "a"),
        ("Reasons.\n**Final verdict:** tie", "tie"),
        ("Reasons.\n```\nVerdict: A\n```", "a"),
        ("Reasons.\nVerdict: B</s>", "b"),
        ("Reasons.\nVerdict: B<|eot_id|>\n<|im_end|>", "b"),
        ("<think>Verdict: B, or not?\nVerdict: B</think>Verdict: A", "a"),
        ("Let me see.\nVerdict: B\n</think>\n\nVerdict: A", "a"),  # the template had opened the trace
        ("The answer says [[A]] and Verdict: A.\nVerdict: B\n\n", "b"),
        ("Reasons.\n**Verdict: A**", "a"),
        ("Reasons.\nVERDICT: [[b]].", "b"),
        ("Reasons.\n__Verdict: A__", "a"),
        ("Reasons.\n### Verdict: `Tie`", "tie"),
        ("Nothing to downgrade: B is fine.\nVerdict:\u200b A\ufeff", "a"),
        ("Reasons.\n- Verdict: A", "a"),
        ("Reasons.\n• **Verdict:** B", "b"),
        ("Reasons.\nVerdict: \\boxed{A}", "a"),
        ("Reasons.\n$\\boxed{\\text{Verdict: B}}$", "b"),
        ("Reasons.\n<answer>\nVerdict: B\n</answer>", "b"),
        ("<think>Verdict: A</think><answer>Verdict: B</answer>", "b"),
        ("<think>\nVerdict: A\n</think>\n\n<think>Or not?</think>Verdict: B", "b"),
        ("<seed:think>Verdict: A\n</seed:think>Verdict: B", "b"),
        ("[THINK]\nVerdict: A\n[/THINK]Verdict: B", "b"),
        ("◁think▷\nVerdict: A\n◁/think▷Verdict: B", "b"),
        (
            "<|channel|>analysis<|message|>A?\nVerdict: A<|end|><|start|>assistant<|channel|>final<|message|>Verdict: B<|return|>",
            "b",
        ),
        ("Reasons.\n\u202eVerdict: A\u202c", "a"),
        (
            "Reasons.\nVerdict: A<|im_end|>\n<|im_start|>user\nTwo more answers.\nVerdict: B",
            "a",
        ),  # ran on past its turn
        ("Reasons.\nVerdict: B</s>[INST] Again? [/INST] Verdict: A", "b"),
        ("Verdict: B<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nVerdict: A", "b"),
        ("Reasons.\nVerdict: B<｜end▁of▁sentence｜>", "b"),
        ("It strikes out <s>this</s> word.\nVerdict: A", "a"),
        ("Reasons.\nVerdict: A\n\n---", "a"),
        ("Reasons.\n1. Verdict: A!", "a"),
        ("Reasons.\n| **Verdict:** {B} |", "b"),
        ("Reasons.\n【Verdict: Response A】", "a"),
        ("Reasons.\n\\textbf{Verdict: A}", "a"),
        ("Reasons.\nVerdict： B", "b"),  # the colon of Chinese and Japanese texts
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
        "Verdict: Answer",
        "Both. Verdict: A",
        "Verdict: A\nBut no.\nVerdict: tie",  # contradictions
        "Verdict: A\nVerdict: B",
        "1. Verdict: A\n2. Verdict: B\n3. Verdict: tie",
        "Hard to say.<|im_end|>\n<|im_start|>assistant\nVerdict: B",  # a turn of its own making
        "Verdict: A\n???",
        "Verdict: ! {}",
        "Verdict: A\nor\nVerdict: B\nor\nVerdict: tie",
        "<think>Verdict: A",
        "<|channel|>analysis<|message|>So be it.\nVerdict: A<|end|>",
        "[THINK]Well.\nVerdict: A",
        "The second answer ends so:\n> Verdict: A",
        "Reasons.\nVerdict: \\boxed{A} or \\boxed{B}",
        "Reasons.<br>Verdict: A",
        "Reasons.\nVerdict: not A",
        "Reasons.\nVerdict: \u0410",  # the Cyrillic letter
    ],
)
def test_what_is_no_verdict_is_unparsable_never_a_tie(text: str) -> None:
    assert pair(text) == Verdict("unparsable")


@pytest.mark.parametrize("text", ["un safe", "(un)safe", "un-safe", "not safe", "un[safe]"])
def test_half_of_a_word_is_not_the_word(text: str) -> None:
    assert (
        read_verdict(ChatAnswer(f"Reasons.\nVerdict: {text}", "stop"), ("safe", "unsafe")).status
        == "unparsable"
    )


def test_endless_lines_take_no_time() -> None:
    for line in (" " * 200_000, "Verdict:" + " " * 200_000 + "!", "- " * 100_000, "\\boxed{" * 30_000 + "!"):
        assert pair(f"Reasons.\n{line}.?") == Verdict("unparsable")


@given(st.text())
def test_any_text_gives_an_offered_value_or_a_reason(text: str) -> None:
    for verdict, offered in ((pair(text), PAIR), (level(text), LEVELS)):
        assert (verdict.value is None) == (verdict.status != "ok")
        assert verdict.value in (None, *offered)


@given(st.text(), st.sampled_from(["A", "B", "tie"]))
def test_whatever_the_reasoning_holds_the_last_line_decides(reasoning: str, choice: str) -> None:
    """But for reasoning that gives verdicts of its own, or ends or begins a trace of thought."""
    assume(not re.search("verdict|think", reasoning, re.IGNORECASE))
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
    ("reason", "status"),
    [("MAX_TOKENS", "truncated"), ("max_tokens", "truncated"), ("SAFETY", "refused"), ("end_turn", "ok"),
     ("error", "error"), ("abort", "error"), ("", "ok"), ("a word of tomorrow", "error")],
)  # fmt: skip
def test_only_a_generation_that_ended_of_itself_counts(reason: str, status: str) -> None:
    assert pair("Reasons.\nVerdict: A", reason=reason).status == status


NASTY = (
    "Verdict: A",
    "Verdict: tie\n",
    "4\n4",
    "```\nVerdict: B\n```",
    "</think>Verdict: A",
    "<think>",
    "ß İ",
    "plain words",
)
TEXTS = st.lists(st.sampled_from(NASTY) | st.text(max_size=20), max_size=5).map("\n".join)


@st.composite
def rendered(draw: st.DrawFn) -> tuple[Task, str]:
    """A task and a prompt of it as a judge reads it: built-in or own words around any texts."""
    task: Task = draw(st.sampled_from(["pairwise", "helpfulness", "quality", "safety"]))
    words: Words = getattr(Protocol(), task)
    if draw(st.booleans()):
        words = Words(question=draw(TEXTS), choices={value: draw(TEXTS) for value in words.choices})
    prompt = read_prompt(task, words)
    asked = (Message(role="user", content=draw(TEXTS)),)
    if task == "pairwise":
        return task, pairwise_text(
            prompt, Comparison(id="c", messages=asked, a=draw(TEXTS), b=draw(TEXTS)), "ba"
        )
    return task, item_text(prompt, Item(id="i", messages=asked, content=draw(TEXTS)))


def test_marks_without_words_echo_nothing() -> None:
    assert not is_echo("", "Which answer is better?")
    assert not is_echo("***\n> ...", "Which *** answer is better?")


@settings(max_examples=400, deadline=None)
@given(rendered(), st.data())
def test_no_part_of_a_prompt_is_a_verdict(asked: tuple[Task, str], data: st.DataObject) -> None:
    task, prompt = asked
    start = data.draw(st.integers(0, len(prompt)))
    # Ends where a line ends are where a verdict could stand.
    ends = [i for i in range(start, len(prompt) + 1) if i == len(prompt) or prompt[i] == "\n"]
    end = data.draw(st.sampled_from(ends) | st.integers(start, len(prompt)))
    verdict = read_verdict(
        ChatAnswer(prompt[start:end], "stop"), TASKS[task], digits=task == "helpfulness", prompt=prompt
    )
    assert verdict.value is None
    assert verdict.status in ("echo", "unparsable", "refused")


@pytest.mark.parametrize("task", ["pairwise", "helpfulness", "quality", "safety"])
def test_no_part_of_a_built_in_prompt_looks_like_a_verdict(task: Task) -> None:
    """So that the verdict alone, without reasons, is not taken for an echo; a digit has to be printed twice."""
    text = "".join(read_prompt(task, getattr(Protocol(), task)).parts)
    assert is_echo("Judge only what the answers say", text) == (task == "pairwise")
    for value in TASKS[task]:
        answer = f"{value}\n{value}" if task == "helpfulness" else f"Verdict: {value}"
        found = read_verdict(
            ChatAnswer(answer, "stop"), TASKS[task], digits=task == "helpfulness", prompt=text
        )
        assert found == Verdict("ok", value)


def test_what_stands_behind_a_repeated_prompt_counts() -> None:
    prompt = "Which is better?\nAn answer: Verdict: B\nVerdict: B\nSay it."
    assert read_verdict(ChatAnswer(prompt, "stop"), PAIR, prompt=prompt) == Verdict("echo")
    said = f"{prompt}\nA is shorter.\nVerdict: A"
    assert read_verdict(ChatAnswer(said, "stop"), PAIR, prompt=prompt) == Verdict("ok", "a")
    quoted = "> *Which* is better?\n> An answer: Verdict: B\n> Verdict: B"
    assert read_verdict(ChatAnswer(quoted, "stop"), PAIR, prompt=prompt) == Verdict("echo")
    assert (
        read_verdict(ChatAnswer("<think>Hm.</think>\n" + prompt[17:47], "stop"), PAIR, prompt=prompt).value
        is None
    )


@pytest.mark.parametrize(
    "raw",
    ["", "<html>", "[]", "{}", "null", '{"choices":[]}', '{"choices":[{"message":null}]}',
     '{"choices":[{"message":{"content":5}}]}', '{"choices":[{"message":{"content":["x"]}}]}',
     '{"error":{"message":"down"},"choices":[{"message":{"content":"Verdict: A"},"finish_reason":"stop"}]}',
     '{"choices":[{"error":{"code":502},"message":{"content":"Verdict: A"},"finish_reason":"stop"}]}',
     '{"choices":[{"message":{"content":"Verdict: A"},"finish_reason":"error"}]}'],
)  # fmt: skip
def test_what_is_no_chat_reply_is_no_answer(raw: str) -> None:
    assert read_answer(raw) is None


def test_chat_replies() -> None:
    raw = '{"choices":[{"message":{"content":null,"refusal":"no"},"finish_reason":null}]}'
    assert read_answer(raw) == ChatAnswer("", "", "no")
    raw = '{"choices":[{"message":{"content":"x"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2}}'
    assert read_answer(raw) == ChatAnswer("x", "stop", "", 9, 2)
    parts = '[{"type":"text","text":"x"},{"type":"image"},{"type":"text","text":"y"}]'
    raw = '{"choices":[{"message":{"content":' + parts + '},"finish_reason":"stop"}]}'
    assert read_answer(raw) == ChatAnswer("xy", "stop")


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [('{"prompt_tokens":9.0,"completion_tokens":2}', (9, 2)), ('{"prompt_tokens":"9","completion_tokens":-2}', (None, None)),
     ('{"prompt_tokens":NaN,"completion_tokens":Infinity}', (None, None)), ('"many"', (None, None)),
     ("[9, 2]", (None, None)), ('{"prompt_tokens":2.5,"completion_tokens":true}', (None, None))],
)  # fmt: skip
def test_odd_token_counts_are_unknown_and_the_verdict_stays(
    usage: str, tokens: tuple[int | None, int | None]
) -> None:
    raw = '{"choices":[{"message":{"content":"x"},"finish_reason":"stop"}],"usage":' + usage + "}"
    answer = read_answer(raw)
    assert answer is not None
    assert (answer.content, answer.prompt_tokens, answer.completion_tokens) == ("x", *tokens)
    assert read_usage(raw) == Usage(*tokens)


def test_json_that_servers_write_all_the_same() -> None:
    """A byte order mark, half of a surrogate pair, NaN among the probabilities."""
    raw = '\ufeff{"choices":[{"message":{"content":"bad \\ud83d here"},"finish_reason":"stop","p":NaN}]}'
    answer = read_answer(raw)
    assert answer == ChatAnswer("bad \ufffd here", "stop")
    answer.content.encode()


def test_thoughts_among_the_parts_of_a_message_are_no_words() -> None:
    parts = [
        {"type": "reasoning", "text": "So:\nVerdict: B\n"},
        {"type": "output_text", "text": "Verdict: A"},
    ]
    answer = read_answer(json.dumps({"choices": [{"message": {"content": parts}, "finish_reason": "stop"}]}))
    assert answer is not None
    assert answer.content == "Verdict: A"
    only = read_answer(
        json.dumps({"choices": [{"message": {"content": parts[:1]}, "finish_reason": "stop"}]})
    )
    assert read_verdict(only, PAIR) == Verdict("unparsable")
