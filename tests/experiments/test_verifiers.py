"""Each verifier on texts that are right and texts that are wrong; the package's prompts and statements are sound."""

from collections import Counter
from typing import Any

import pytest

from lima.experiments.real.form import AnswerForm
from lima.experiments.real.material import spread, statements, structured_examples, verified_prompts
from lima.experiments.real.measures import is_right
from lima.experiments.real.verifiers import VERIFIERS, keeps, kept, sentences, words

TABLE = "| A | B |\n|---|:-:|\n| 1 | 2 |\n| 3 | 4 |"
CASES: list[tuple[str, Any, list[str], list[str]]] = [
    ("items", 2, ["- one\n- two", "Well:\n1. one\n2) two"], ["- one", "- one\n- two\n- three", "one, two"]),
    ("bullets", 2, ["* one\n• two", "Here:\n\n- **a**: x\n  - b"], ["1. one\n2. two", "-one\n-two", "- a"]),
    (
        "numbered",
        3,
        ["1. a\n2. b\n3. c", "So:\n1) a\n2) b\n3) c"],
        ["1. a\n3. b\n2. c", "1. a\n2. b", "- a\n- b\n- c"],
    ),
    ("words", 3, ["Sour, fresh, bright.", "It's well-known here"], ["Sour and very fresh", "sour"]),
    ("words_at_most", 3, ["one two three", "one"], ["one two three four"]),
    ("words_at_least", 3, ["one two three", "1 2 3 4"], ["one two"]),
    (
        "sentences",
        2,
        ["It rains. Why?", "Dr. Lee paid 3.50 for it. Fine", 'He said "No." Then he left.'],
        ["One.", "A b. C d. E f."],
    ),
    ("sentences_at_most", 2, ["One.", "One. Two."], ["One. Two. Three!"]),
    ("paragraphs", 2, ["a\n\nb", "a\nb\n \n\nc"], ["a\nb", "a\n\nb\n\nc"]),
    ("lines", 2, ["a\nb", "a\n\nb\n"], ["a", "a\nb\nc"]),
    ("includes", ["heart", "sugar"], ["Sugar and a Heart."], ["hearty sugar", "heart"]),
    ("excludes", ["fail"], ["You failed.", "Never mind."], ["They fail.", "FAIL!"]),
    ("times", {"happy": 2}, ["Happy dogs are happy."], ["happy", "happy happy happy", "unhappy, happy"]),
    ("starts_with", "In short", ["In short, yes.", "in short: no"], ["Well, in short"]),
    ("ends_with", "Good luck!", ["Smile. Good luck!", "good luck!\n"], ["Good luck! Bye.", "Good luck"]),
    ("one_of", ["yes", "no"], ["Yes.", " no", '"No"'], ["Yes, it is.", "maybe", "y"]),
    (
        "json_keys",
        ["a", "b"],
        ['{"a": 1, "b": 2}', '```json\n{"b": 1, "a": []}\n```'],
        ['{"a": 1}', 'Here: {"a": 1, "b": 2}', '{"a": 1, "b": 2, "c": 3}', "[1]"],
    ),
    ("json_array", 2, ["[1, 2]", '```\n["a", "b"]\n```'], ["[1]", '{"a": 1, "b": 2}', "1, 2"]),
    (
        "table",
        [2, 2],
        [TABLE, "Here it is:\n\n" + TABLE],
        [TABLE + "\n| 5 | 6 |", TABLE.replace("|---|:-:|\n", ""), "| A | B | C |\n|-|-|-|\n|1|2|3|\n|1|2|3|"],
    ),
    ("csv", [2, 2], ["a,b\n1,2", '```csv\na,b\n1,"2,3"\n```'], ["a,b", "a,b\n1,2,3", "Here:\na,b\n1,2"]),
    ("headings", 1, ["# Title\ntext", "text\n## Part"], ["#hashtag", "# A\n# B", "**Title**"]),
    ("bold", 2, ["**a** and **b c**"], ["**a**", "*a* and *b*", "**a** **b** **c**"]),
    (
        "code_block",
        True,
        ["```python\nx\n```", "So:\n```\nls -a\n```\nDone."],
        ["`ls`", "```ls", "def f(): ..."],
    ),
    ("placeholders", 2, ["Dear [name], on [date]"], ["[name] and [name]", "Dear name", "[] []"]),
    ("parts", 2, ["a\n***\nb", "a\n\n ***\n\nb"], ["a\nb", "a *** b", "***\nb", "a\n***\nb\n***\nc"]),
    ("lower_case", True, ["all small, 3 of them."], ["Not all", "123"]),
    ("upper_case", True, ["WET FLOOR!"], ["WET floor", "123"]),
    ("quoted", True, ['"Be patient."', "“Be patient.”"], ['He said "no"', "Be patient.", '"A" and "B"', '"']),
    ("no_commas", True, ["One and two."], ["One, two."]),
    ("no_digits", True, ["six and eight"], ["6 and eight"]),
    (
        "postscript",
        True,
        ["Hi!\nP.S. It rains.", "Hi.\n\nP. S.: Bye now"],
        ["P.S. It rains.", "Hi!\nPS It rains", "P.S. a\nBye"],
    ),
    ("initials", "sun", ["Shine\nUp\nNow", "- sea\n- up\n- no"], ["Shine\nNow\nUp", "Sun", "Sh\nUp\nNo\nTo"]),
    (
        "alphabetical",
        True,
        ["ant\nBee\ncat", "1. ant\n2. bee", "Sorted:\n- ant\n- bee"],
        ["bee\nant", "- b\n- a", "ant"],
    ),
]


@pytest.mark.parametrize(("name", "value", "right", "wrong"), CASES, ids=[case[0] for case in CASES])
def test_right_and_wrong_texts(name: str, value: Any, right: list[str], wrong: list[str]) -> None:
    assert {text: keeps(text, name, value) for text in right} == dict.fromkeys(right, True)
    assert {text: keeps(text, name, value) for text in wrong} == dict.fromkeys(wrong, False)


def test_each_verifier_is_tested_and_used() -> None:
    used = {name for one in verified_prompts() for name in one.demands}
    assert {case[0] for case in CASES} == set(VERIFIERS) == used


@pytest.mark.parametrize("name", VERIFIERS)
def test_a_blank_answer_keeps_no_demand(name: str) -> None:
    value = next(case[1] for case in CASES if case[0] == name)
    assert not keeps(" \n", name, value)
    assert kept("", {name: value}) == [False]


def test_numbers_of_a_list_end_no_sentence() -> None:
    assert sentences("1. Fill the kettle.\n2. Boil it.") == 2
    assert sentences("Use e.g. salt. It helps.") == 2
    assert words("") == []


def test_prompts_are_two_hundred_and_differ() -> None:
    asked = verified_prompts()
    assert len(asked) == 200 == len({one.example.id for one in asked})
    assert all(one.demands and one.example.is_prompt for one in asked)
    dialogues = [one for one in asked if len(one.example.turns) > 1]
    assert 20 <= len(dialogues) <= 25
    texts = [" ".join(one.example.messages[-1].content.lower().split()) for one in asked]
    assert max(Counter(texts).values()) == 1
    answered = {one.messages[0].content for one in structured_examples()}
    assert len(answered) == 6
    assert not answered & set(texts)


def test_statements_are_three_hundred_and_their_ends_differ() -> None:
    asked = statements()
    assert len(asked) == 300 == len({one.id for one in asked})
    for one in asked:
        ends = [end.lower() for end in (*one.right, *one.wrong)]
        assert len(set(ends)) == len(ends), one
        assert one.cloze[-1].isalnum() or one.cloze[-1] == ".", one
        assert one.question[-1] in "?.", one


def test_the_right_end_answers_the_question() -> None:
    for one in statements():
        assert all(is_right(one, f"{end}.") for end in one.right), one
        assert not any(is_right(one, f"{end}, or {one.right[0]}.") for end in one.wrong), one


def test_likeness_of_form() -> None:
    answers = [
        f"There are {n} good ways to do this. " * (2 + n % 5) + "I would begin with the first."
        for n in range(40)
    ]
    form = AnswerForm.of(answers)
    assert form.likeness(answers[3]) > 0.8
    assert form.likeness("<div>&nbsp;</div> http://a.b {x} {y}") < 0.6
    assert form.likeness("") == 0.0


def test_spread_is_even() -> None:
    assert spread(tuple(range(10)), 4) == [0, 2, 5, 7]
    assert spread((1, 2), 9) == [1, 2]
