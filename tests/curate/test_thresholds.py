"""Where the rules draw their lines: on both sides of every threshold, as it is unless set."""

import pytest
from tests.curate.test_rules import GOOD, SENTENCE, SETTINGS, candidate, tripped

from lima.curate.rules import RuleSettings, description_problem, first_problem, title_problem
from lima.curate.stackexchange.pairs import needs_description
from lima.curate.text.clean import Cleaned, clean
from lima.records import Message

LETTERS = "To boil water, heat it. "
"""24 characters that trip no rule."""


def test_the_thresholds_of_the_paper() -> None:
    assert (SETTINGS.score_min, SETTINGS.length_min, SETTINGS.length_max) == (10, 1200, 4096)
    assert tripped(candidate(score=10)) == []


def test_a_prompt_may_have_2000_characters() -> None:
    found = candidate()
    messages = (Message(role="user", content="x" * 2000), found.example.messages[1])
    long = found.example.model_copy(update={"messages": messages})
    assert tripped(type(found)(long, GOOD, GOOD, 0, found.title)) == []
    assert description_problem(Cleaned("x" * 2000, ""), SETTINGS) is None
    assert description_problem(Cleaned("x" * 2001, ""), SETTINGS) == "2001 characters, over 2000"


def test_a_description_with_one_hole_or_image_is_no_prompt() -> None:
    assert description_problem(Cleaned("text", "text", holes=1), SETTINGS) == "1 places point to a link"
    assert description_problem(Cleaned("text", "text", images=1), SETTINGS) == "it shows an image"


@pytest.mark.parametrize(("before", "rules"), [(300, []), (299, ["refers_to_others"])])
def test_what_was_mentioned_after_300_characters_is_the_answers_own(before: int, rules: list[str]) -> None:
    lead = (LETTERS * 20)[: before - 1].ljust(before - 1, "x") + " "
    assert len(lead) == before
    assert tripped(candidate(f"{lead}as mentioned, heat it. {GOOD}")) == rules


@pytest.mark.parametrize(("place", "rules"), [(226, ["refusal"]), (227, [])])
def test_a_refusal_stands_in_the_first_250_characters(place: int, rules: list[str]) -> None:
    """The words that refuse, "It would be unethical to", have 24."""
    settings = RuleSettings(refusal=True)
    text = f"{(LETTERS * 20)[: place - 1]} It would be unethical to boil it. {GOOD}"
    assert tripped(candidate(text), settings) == rules


@pytest.mark.parametrize(
    ("title", "problem"),
    [
        ("Why boil water?", None),  # three words that begin like a question
        ("Why boil?", "the title has 2 words, under 3"),
        ("Water boils sooner?", "the title is no question"),  # in another form it takes one more
        ("Water boils up sooner?", None),
        ("Ale vs bitter beer", None),
        ("Ale vs bitter", "the title is no question"),
        ("Remove stains from glass", None),
        ("Remove stains quickly", "the title is no question"),
        ("Why does it boil there?", "the title points outside itself: 'it'"),  # five words
        ("Why does water make it boil?", None),
        ("When milk boils over, why is this bad?", None),  # four words before "this"
        ("When milk boils, why is this bad?", "the title points outside itself: 'this'"),
    ],
)
def test_titles_on_both_sides_of_a_line(title: str, problem: str | None) -> None:
    assert title_problem(title, SETTINGS.title_words_min) == problem


def test_two_names_of_the_descriptions_code_bind_an_answer_to_it() -> None:
    description = clean("<pre><code>kettle_heat(pan_lid, stove_top)</code></pre>", trim=False)
    for answer, bound in (("kettle_heat(pan_lid)", True), ("kettle_heat(it)", False)):
        code = clean(f"<p>Use it so.</p><pre><code>{answer}</code></pre>")
        found = needs_description(code, description, "How is water heated?", SETTINGS)
        assert (found is not None) == bound
    assert "kettle_heat, pan_lid" in str(
        needs_description(
            clean("<pre><code>kettle_heat(pan_lid)</code></pre>"),
            description,
            "How is water heated?",
            SETTINGS,
        )
    )


def test_a_reason_quotes_the_words_with_25_characters_on_either_side() -> None:
    before, behind = "b" * 30, "a" * 30
    problem = first_problem(candidate(f"{SENTENCE * 13}{before} upvote {behind}"), SETTINGS)
    assert problem is not None
    assert problem[0] == "refers_to_site"
    assert problem[1].endswith(f"...{'b' * 24} upvote {'a' * 24}...")
