"""Which prompt an answer fits: it does not answer a text that nobody sees."""

from __future__ import annotations

from typing import Any

import pytest

from lima.curate.rules import RuleSettings
from lima.curate.stackexchange.pairs import (
    BOTH,
    DESCRIPTION,
    TITLE,
    FittedPrompt,
    choose_prompt,
    needs_description,
    takes_title_along,
)
from lima.curate.text.clean import clean

HEAD = "How do kettles boil water so fast?"
BODY = "<p>A manual says that steam leaves a kettle only at a hundred degrees. How does a kettle heat water so fast?</p>"
PLAIN = "<p>Its heating element is large, and the walls of the kettle keep the heat.</p>"
RULES = RuleSettings()


def chosen(answer: str, body: str = BODY, title: str = HEAD, **values: Any) -> FittedPrompt:
    options: dict[str, Any] = {"form": "auto", "wants_title": True} | values
    return choose_prompt(title, clean(body, trim=False), clean(answer), RULES, **options)


def needed(answer: str, body: str = BODY, title: str = HEAD) -> str | None:
    return needs_description(clean(answer), clean(body, trim=False), title, RULES)


def test_an_answer_that_stands_alone_leaves_the_choice() -> None:
    assert chosen(PLAIN) == FittedPrompt(HEAD, TITLE)
    assert chosen(PLAIN, wants_title=False).step == DESCRIPTION


def test_an_answer_that_speaks_of_the_asker_s_things() -> None:
    """The description tells of a cover and a stove, the title of a kettle."""
    body = BODY + "<p>Mine has a cover, and stands on a gas stove.</p>"
    both = "<p>Open your cover. If your stove is weak, wait. Your kettle is fine.</p>"
    assert "cover, stove" in str(needed(both, body))
    assert needed("<p>Open your covers. Your kettle is fine.</p>", body) is None, "one thing may be anybody's"
    assert needed(both) is None, "the description has none"


def test_an_answer_to_a_question_that_nobody_asked() -> None:
    other = "<blockquote><p>Which teapots are made of silver or glass?</p></blockquote><p>Few.</p>"
    assert "another question" in str(chosen(other).misfit)
    own = "<blockquote><p>How does a kettle heat water so fast?</p></blockquote><p>By its element.</p>"
    assert chosen(own).misfit is None
    assert chosen("<blockquote><p>Which teapots are of silver.</p></blockquote><p>Few.</p>").misfit is None, (
        "no question"
    )


def test_an_answer_that_speaks_of_what_the_description_shows() -> None:
    """The description has a manual's statement; the title has none."""
    body = BODY.replace("A manual says", "This statement is from a manual:")
    assert "'The statement'" in str(needed("<p>The statement is wrong, for vapour is no steam.</p>", body))
    assert needed("<p>A paper of 1901 is right. The paper says so.</p>", body) is None, "its own paper"
    assert needed("<p>The statement is wrong.</p>", body, "Is this statement on kettles right?") is None
    assert needed("<p>The statement is wrong.</p>") is None, "nor does the description have one"


@pytest.mark.parametrize(
    "words",
    [
        "As you say, they do.", "You mentioned a pot.", "In your second example it is slower.", "Your assumption is wrong.",
        "You are right about steam.", "It sounds like you have a pot.", "To answer the second part of the question: no.",
        "Responding to Q1, no.", "The table in the question is old.", "Are you asking about pots? Did you mean a pan?",
        "Your questions have one answer.", "In your case it is slower.", "The pots you list are old.", "You mention a lid.",
        "Your first and fourth questions are one.", "Does your friend own a lid?", "That is the source of your confusion.", "Second question first: no.", "To answer your question, no.", "You're not alone in that.",
        "The two old pots you list are old.", "The rest of the question is hard.", "You didn't mention a lid.", "For your old example: no.", "You are partly right.",
    ],
)  # fmt: skip
def test_addresses(words: str) -> None:
    assert "addresses the asker" in str(needed(f"<p>Kettles are fast. {words}</p>"))
    assert chosen(f"<p>{words}</p>").step == DESCRIPTION


@pytest.mark.parametrize(
    "words",
    [
        "You can fill your kettle.", "If you said so, nobody would hear.", "Ask your friends.", "Depending on your situation, wait.",
        "You need your own pot.", "The first part of the kettle is its lid.", "When you describe water, be exact.",
    ],
)  # fmt: skip
def test_any_reader_is_no_asker(words: str) -> None:
    assert needed(f"<p>{words}</p>") is None


def test_names_and_numbers_of_the_description_make_it_the_better_prompt() -> None:
    """They need not come from it: where it is no prompt, the title will do."""
    body = BODY + "<p>The brain of Watt runs on 12.6 watts, says Kelvin.</p>"
    for answer in ("<p>On 12.6 of them it heats.</p>", "<p>The rule of Kelvin says so.</p>"):
        assert chosen(answer, body).step == DESCRIPTION
        assert chosen(answer, body + "<p>See the picture below.</p>") == FittedPrompt(HEAD, TITLE)
        assert chosen(answer, body, title="How do Kelvin and 12.6 watts boil water so fast?").step == TITLE
    assert chosen("<p>Watt heats it with $x^{12.6}$.</p>", body).step == TITLE, (
        "a sentence's first word, a formula"
    )


@pytest.mark.parametrize(
    "opening",
    ["Are you looking for a lid?", "Why don't you want to salt it?", "How long do you boil it?", "Because you have a small kettle, wait.", "Given your stove, wait."],
)  # fmt: skip
def test_openings_that_speak_to_the_asker(opening: str) -> None:
    assert needed(f"<p>{opening} It boils.</p>")


def test_they_without_a_word_for_them() -> None:
    assert needed("<p>They treated it as salt.</p>", title="How can salt be used on meat?")
    assert needed("<p>They treated it as salt.</p>") is None, "the kettles of the title"


def test_an_answer_that_opens_by_asking_back() -> None:
    assert "'Have you read'" in str(needed("<p>Have you read of lids? They help.</p>"))
    assert needed("<p>Use a lid. Have you read of one? It helps.</p>") is None


def test_quotations_of_the_description() -> None:
    quote = "<blockquote><p>steam leaves a kettle only at a hundred degrees</p></blockquote>"
    assert "quotes the description" in str(needed(f"{quote}<p>No.</p>"))
    assert "quotes" in str(needed('<p>That "steam leaves a kettle only at" noon is wrong.</p>'))
    assert "quotes" in str(needed('<p>That "leaves a kettle only at" noon is wrong: five words.</p>'))
    assert needed('<p>That "leaves a kettle only" now is wrong: four words.</p>') is None
    assert needed("<blockquote><p>How do kettles boil water so fast?</p></blockquote><p>Well.</p>") is None, (
        "the title"
    )
    assert needed("<blockquote><p>A watched pot never boils, they say.</p></blockquote>") is None, (
        "another's words"
    )
    assert needed("<p>Steam leaves a kettle only at a hundred degrees.</p>") is None, "no quotation"


def test_an_answer_that_begins_with_a_term_of_the_description() -> None:
    body = BODY.replace("A manual says", "A manual on slow kettles says")
    assert "begins with '\"slow kettles\"'" in str(
        needed('<p>"Slow kettles" are rare.</p>'.replace("Slow", "slow"), body)
    )
    assert needed('<p>Some say "slow kettles" are rare.</p>', body) is None, "not at the beginning"
    assert needed('<p>"slow kettles" are rare.</p>') is None, "nor has the description it"


def test_an_answer_that_points_above_itself() -> None:
    assert "speaks of 'the formula above'" in str(needed("<p>By the formula above, it is fast.</p>"))
    assert needed(f"<p>{'Water is wet. ' * 30}By the formula above, it is fast.</p>") is None, (
        "it may be its own"
    )


def test_code_of_the_description() -> None:
    body = (
        "<p>Why is it slow?</p><pre><code>kettleTemp = probe.read()\nfor heater in heaters: pass</code></pre>"
    )
    assert "kettleTemp" in str(needed("<p>Use <code>kettleTemp</code> of <code>heaters</code>.</p>", body))
    assert (
        needed("<p>Use <code>print</code>, <code>return</code>, <code>kettleTemp</code>.</p>", body) is None
    )


def test_a_pronoun_for_what_the_title_does_not_name() -> None:
    assert "begins with 'This is'" in str(
        needed("<p>This is caused by two things.</p>", title="Boiling water in a kettle")
    )
    assert needed("<p>This is caused by two things.</p>") is None


def test_a_yes_to_what_the_title_does_not_ask() -> None:
    assert "begins with 'Yes'" in str(needed("<p>Yes, they do.</p>"))
    assert needed("<p>Yes, they do.</p>", title="Do kettles boil water fast?") is None


@pytest.mark.parametrize(
    "flaw",
    [
        '<p><img src="x"></p>',
        "<p>See <a>this</a>.</p>",
        "<p>It is in another question.</p>",
        "<p>word</p>" * 500,
    ],
)
def test_where_the_description_is_no_prompt_nothing_fits(flaw: str) -> None:
    found = chosen("<p>As you say, they do.</p>", BODY + flaw)
    assert found.text == HEAD
    assert "addresses the asker" in str(found.misfit)
    assert "the description is no prompt" in str(found.misfit)
    assert chosen(PLAIN, BODY + flaw, wants_title=False) == FittedPrompt(HEAD, TITLE)


def test_forms() -> None:
    both = f"{HEAD}\n\n{clean(BODY).text}"
    assert chosen(PLAIN, wants_title=False, form="both") == FittedPrompt(both, BOTH)
    assert chosen(PLAIN, wants_title=False, form="description").step == DESCRIPTION
    assert chosen(PLAIN, title="", wants_title=False).step == DESCRIPTION


@pytest.mark.parametrize(
    ("title", "description", "along"),
    [
        ("How do I read rows with SQLite?", "There are ways to read rows. Which is the best?", True),
        (
            "How do I read rows of a table?",
            "There are ways to read rows of a table. Which is the best?",
            False,
        ),
        ("Why do cats purr?", "They do it all day. Why?", True),
        ("Why do cats purr?", "My cats purr all day.", True),
        ("Why do cats purr?", "My cats purr all day. Why?", False),
        ("Why do Siamese cats purr at night?", "My cats purr. What makes them do so?", True),
    ],
)
def test_the_title_goes_along_where_the_subject_stands_in_it(
    title: str, description: str, along: bool
) -> None:
    assert takes_title_along(description, title, RULES.title_missing_max) == along
