"""Every rule has an example that trips it and no other, and neighbours that it lets through."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lima.curate.candidate import Candidate
from lima.curate.rules import (
    RULES,
    UNFILTERED,
    RuleSettings,
    description_problem,
    first_problem,
    title_problem,
)
from lima.curate.text.blocks import WORDS, Phrases
from lima.curate.text.clean import Cleaned
from lima.curate.text.language import detect
from lima.curate.text.phrases import ASKER_OF_SITE, HOLLOW, OTHERS, SITE
from lima.curate.text.prompts import ADDRESSING, POINTER
from lima.records import Example, Message, Meta

SENTENCE = "Water boils at a lower temperature on a mountain, because the air presses less on its surface. "
GOOD = SENTENCE * 14
TITLE = "Why does water boil sooner on a mountain?"
SETTINGS = RuleSettings()


def candidate(
    answer: str = GOOD,
    *,
    prose: str | None = None,
    score: int | None = 15,
    title: str | None = TITLE,
    holes: int = 0,
) -> Candidate:
    messages = (Message(role="user", content=title or "Hi"), Message(role="assistant", content=answer))
    example = Example(id="x/1", source="x", messages=messages, meta=Meta(score=score))
    return Candidate(example, answer, answer if prose is None else prose, holes, title)


def tripped(found: Candidate, settings: RuleSettings = SETTINGS) -> list[str]:
    return [name for name, rule in RULES.items() if rule(found, settings) is not None]


def says(phrase: str) -> Candidate:
    return candidate(f"{GOOD}{phrase} {SENTENCE}")


def test_a_good_candidate_passes() -> None:
    assert tripped(candidate()) == []
    assert first_problem(candidate(), SETTINGS) is None


ONE_OF_EACH = {
    "score": candidate(score=9),
    "self_contained_title": candidate(title="What is wrong with this code?"),
    "length_min": candidate("x" * 1199),
    "length_max": candidate("x" * 4097),
    "first_person": says("In my kitchen it takes longer."),
    "refers_to_others": says("As others mentioned, salt does little."),
    "refers_to_site": says("Stack Exchange has a chart of it."),
    "hollow": says("See the picture below."),
    "fits_prompt": replace(candidate(), misfit="it quotes the description"),
    "prompt_length_max": Candidate(
        Example(
            id="x/2",
            source="x",
            messages=(Message(role="user", content="x" * 2001), Message(role="assistant", content=GOOD)),
            meta=Meta(score=15),
        ),
        GOOD,
        GOOD,
    ),
    "language": candidate(
        "Wasser kocht auf einem Berg bei niedrigerer Temperatur, weil die Luft leichter ist. " * 15
    ),
    "refusal": candidate(f"It would be unethical to answer this. {GOOD}"),
    "house_style": candidate(f"{GOOD}And then the water will"),
}
OPTIONAL: dict[str, Any] = {"language": "en", "refusal": True, "house_style": True}
"""Rules that are off unless set."""


def settings_of(rule: str) -> RuleSettings:
    return SETTINGS.model_copy(update={rule: OPTIONAL[rule]} if rule in OPTIONAL else {})


def test_every_rule_has_its_case() -> None:
    assert list(ONE_OF_EACH) == list(RULES)


@pytest.mark.parametrize("rule", RULES)
def test_each_case_trips_exactly_its_rule(rule: str) -> None:
    assert tripped(ONE_OF_EACH[rule], settings_of(rule)) == [rule]
    assert tripped(candidate(), settings_of(rule)) == []
    problem = first_problem(ONE_OF_EACH[rule], settings_of(rule))
    assert problem is not None
    assert problem[0] == rule


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_can_be_switched_off(rule: str) -> None:
    off = SETTINGS.model_copy(update=dict(UNFILTERED))
    assert tripped(ONE_OF_EACH[rule], off) == []


@pytest.mark.parametrize("length", [1200, 4096])
def test_the_limits_belong_to_the_range(length: int) -> None:
    assert tripped(candidate("x" * length)) == []


def test_a_missing_score_is_no_score() -> None:
    assert tripped(candidate(score=None)) == ["score"]


@pytest.mark.parametrize(
    "phrase",
    [
        "I think so.", "I'm sure.", "I’d wait.", "Believe me.", "My mother did.", "That is mine.",
        "IMHO it is.", "AFAIK it is.", "At our university it is salted.", "Not sure whether salt helps.", "Never tried it with salt.", "The article I found says more.", "For analysis I recommend salt.", "It costs $5 and I paid $6.", 'A 12" pipe I saw.', "A friend and I measured it.", "i'm sure.", "And i think so.", "By myself.", "What we did with some success last term is stir.", "Here in Leeds, we salt it.", "Here in Leeds it is salted.", "We used to salt it as kids.", "We use Help and Manual for it.", "The only one that we know of is tea.", "As a student we salted it.", "The salt we sell is white.", "We suggest salt.", "Our math teacher salts it.", "Some of us still do.", "At the mill they gave us salt.", "It is sold in shops here.", "Can't believe it boils.", "Found this on salt.", "Not have any experience with salt.",
    ],
)  # fmt: skip
def test_first_person(phrase: str) -> None:
    assert tripped(says(phrase)) == ["first_person"]


@pytest.mark.parametrize(
    "phrase",
    [
        "World War I ended.", "A type I error.", "The I/O is slow.", "Parts I and II.", "Elizabeth I ruled.",
        "Meiosis I-II differ.", "Here $I^2 R$ is the power.", "It is mined.", "The mystery of meat.", "I.e. warm.",
        "Myanmar is wet.", "İstanbul is dry.", "Économie is a word.",
        "Let the ideal I be prime.", "The current I is 2 A.", "Here $x \\in I$ holds, and $I$ is open.", "By Knuth, D. I. (1968).",
        'She said "I am here" to them.', "Ask “where am I?” then.", "\n> I think so.\n", "A.I. is old.", "The letter I is thin.", "World War I made it so.", "We use salt here, as we know.", '"We use Salt" is its slogan.', "What we did here is stir, as we do last.", "Our students are many, as our sources are.", "They gave it salt.", "Don't know fear.", "Shops here are closed.", "Salt is found this way.",
    ],
)  # fmt: skip
def test_no_first_person(phrase: str) -> None:
    assert tripped(says(phrase)) == []


def test_first_person_in_code_is_no_first_person() -> None:
    assert tripped(candidate(f"{GOOD}\n\n```\nprint('I am')\n```", prose=GOOD)) == []


@pytest.mark.parametrize(
    "phrase",
    [
        "As others have said, it is.", "As Thomas noted, it is.", "The accepted answer is wrong.",
        "In John's answer there is more.", "The answer above is fine.", "All of these answers are right.",
        "Other answers cover it.", "To add to the answer of Bob, salt helps.",
        "@Thomas is right.", "See another answer.", "And as commented by Bob, no.", "The ways already suggested fail.", "As Bob points out, it is.", "(@Thomas has it.)", "And user12’s suggestion is good.", "The answer by Ann Lee says more.", "So the claim in the answer is right.", "It is what Ann said.", "The user217 has it.", "Ann already gave a reason.", "There Bob posted a very good answer.", "As user7 says, it is.", "It is done as Ann describes.", "As Ann B said, it is.", "Nobody mentioned salt.", "Salt is not mentioned here.", "It was answered in another question.", "It echoes Ann Lee's answer.", "Following Ann's suggestion, salt it.", "The first part has been well answered.",
    ],
)  # fmt: skip
def test_refers_to_others(phrase: str) -> None:
    assert tripped(says(phrase)) == ["refers_to_others"]


@pytest.mark.parametrize(
    "phrase",
    [
        "The answer is no.", "Others have tried it in vain.", "Write to a@example.org for it.", "One can answer it.",
        "There are two answers to an equation.", "As mentioned above, it is.", "As already noted, it is.", "The @media rule does it.",
        "As suggested in Code Complete, it is.", "As Wikipedia says, it is.", "Boyle saw it. As Boyle noted, it is.", "What Boyle saw is steam.", "It already gave a reason.", "Ann's advice is good.", "As you said, it is.", "The right answer here is no.", "Following Boyle's law, it is.",
    ],
)  # fmt: skip
def test_refers_to_no_others(phrase: str) -> None:
    expected = ["refers_to_others"] if "two answers" in phrase else []
    assert tripped(says(phrase)) == expected


@pytest.mark.parametrize(
    ("opening", "rule"),
    [
        ("Another reason is the lid.", True), ("Also watch out for salt.", True), ("In addition to what was said, salt matters.", True),
        ("To add some detail, salt matters.", True), ("Further to that, salt matters.", True), ("Additionally, salt matters.", True),
        ("On top of that, salt matters.", True), ("> Another reason is the lid.", False), ("Ann's advice is good.", True), ("You can also salt it.", True), ("That's definitely a good way.", True), ("Here's another idea.", True), ("Two more examples.", True), ("One other source is the lid.", True), ("However, salt helps.", True), ("Two lids are more than one.", False), ("Here is a lid.", False), ("That is a lid.", False), ("A more general answer is this.", True), ("Here's an idea.", False), ("Today's code is long.", False), ("In addition to boiling it, salt it.", False),
        ("To add salt to water, stir it.", False), ("Anotherwise is no word.", False),
    ],
)  # fmt: skip
def test_an_answer_that_begins_by_adding_to_others(opening: str, rule: bool) -> None:
    assert tripped(candidate(f"{opening} {GOOD}")) == (["refers_to_others"] if rule else [])
    assert tripped(candidate(f"{SENTENCE}\n\n{opening} {GOOD}")) == []


def test_own_words_come_before() -> None:
    """At the beginning of an answer, "as mentioned above" is about another's."""
    early = candidate(f"As mentioned above, it is so. {GOOD}")
    assert tripped(early) == ["refers_to_others"]
    assert tripped(early, SETTINGS.model_copy(update={"own_text_after": 0})) == []
    assert tripped(says("As mentioned."), SETTINGS.model_copy(update={"own_text_after": None})) == [
        "refers_to_others"
    ]


def test_a_name_that_was_asked_for_is_no_neighbour() -> None:
    asked = candidate(f"{GOOD}Write @Override above it.", title="What does @Override do in a class of Java?")
    assert tripped(asked) == []


@pytest.mark.parametrize(
    "phrase",
    [
        "Ask on Stack Overflow.", "Please upvote it.", "The OP wants salt.", "As of the comments below, no.",
        "It was said in the comments, too.", "\nEDIT: salt helps.", "\n**Update 2**: salt helps.", "This site has more.",
        "Hope this helps!", "It is a duplicate of another.", "It was closed as unclear.",
        "\n+1 for salt.", "As this SE question has it.", "It is too long for a comment.", "The question's tags say more.", "On math.SE there is more.", "Can you show us your code?", "\nAnn, your salt is fine.",
        "Please add the height to your question.", "If you rephrase your question, there is more to say.", "The word in the title is wrong.", "This post answers half of it.", "Like the answer for Salt, it is short.", "Salt is a separate question.", "It is to big to be a comment.", "The cooking-pots tag suggests salt.", "It is off topic, but salt helps.", "Every user on here knows.", "In response to the comment, no.",
    ],
)  # fmt: skip
def test_refers_to_site(phrase: str) -> None:
    assert tripped(says(phrase)) == ["refers_to_site"]


@pytest.mark.parametrize(
    "phrase",
    [
        "The construction site is big.",
        "Edit the file.",
        "Six is the sum. This answer is correct.",
        "The colour of the title bar is blue.",
        "Add comments to code.",
        "\nTL;DR: salt.",
        "It closed as well.",
        "Make a duplicate of it.",
        "See the comments in the code.",
    ],
)
def test_refers_to_no_site(phrase: str) -> None:
    assert tripped(says(phrase)) == []


def on(site: str, prompt: str, answer: str) -> Candidate:
    messages = (Message(role="user", content=prompt), Message(role="assistant", content=answer))
    meta = Meta(score=15, category=site)
    example = Example(id="x/1", source="stackexchange", messages=messages, meta=meta)
    return Candidate(example, answer, answer, 0, prompt)


@pytest.mark.parametrize(
    ("prompt", "phrase"),
    [
        ("What is the tag for kettles about?", ""),
        (TITLE, "The moderators know, and the mods, too."),
        (
            TITLE,
            "A new user posted it, and a member edited it, though a post was closed, a question deleted and its answers, too.",
        ),
        ("How do nominations work in an election?", ""),
        ("Suggest a domain name for kettles", ""),
    ],
)
def test_on_a_meta_site_an_answer_is_mostly_about_the_site(prompt: str, phrase: str) -> None:
    text = f"{GOOD}{phrase} {SENTENCE}"
    assert tripped(on("cooking.meta", prompt, text)) == ["refers_to_site"]
    assert tripped(on("cooking", prompt, text)) == []
    loose = SETTINGS.model_copy(update={"meta_words_max": None})
    assert tripped(on("cooking.meta", prompt, text), loose) == []


def test_on_a_meta_site_what_is_not_about_it_stays() -> None:
    assert tripped(on("cooking.meta", TITLE, GOOD)) == []
    words = len(f"{TITLE} {GOOD}".split())
    asked = on("cooking.meta", TITLE, f"{GOOD}The question has an answer.")
    tags = on("cooking.meta", TITLE, f"{GOOD}The tag has a name.")
    assert words == 246
    for text in (asked, tags):  # two words that count once, one that counts twice, in 251
        assert tripped(text) == []
        assert tripped(text, SETTINGS.model_copy(update={"meta_words_max": 0.7})) == ["refers_to_site"]
        assert tripped(text, SETTINGS.model_copy(update={"meta_words_max": 0.8})) == []


@pytest.mark.parametrize(
    "phrase",
    [
        "As the diagram above shows, no.",
        "Look at this picture.",
        "More details here.",
        "Here is a link.",
        "Attached is a chart.",
    ],
)
def test_hollow(phrase: str) -> None:
    assert tripped(says(phrase)) == ["hollow"]


def test_a_hole_makes_an_answer_hollow() -> None:
    assert tripped(candidate(holes=1)) == ["hollow"]


@pytest.mark.parametrize(
    "title",
    [
        TITLE, "How do GPS receivers communicate with satellites", "Is it worth patenting an algorithm?",
        "In FTL, what triggers crew experience increases?", "What does `=~` do in Bash?",
        "What does it mean for an album to be remastered?", "Does \"elite\" rhyme with \"beet\"?",
        "What can users achieve in this world?", "What is osmosis?", "Why is it called stout?", "怎样更换打印机的墨盒？",
        "If a plant is watered at noon, does this burn its leaves?", "My cat eats grass every day. Is this healthy?",
        "What do these \"OG\" numbers say?", "How do you explain limits to those who never saw one?", "Is \"this here\" good English?",
        "Why does rain fall when cold air comes from above?", "How are the wings attached to a plane?",
        "Remove rust from a cast iron pan", "Sorting a list by two keys in Lua", "Difference between a crow and a raven",
        "Tabs versus spaces in Python", "The best way to store onions", "Convert a decimal number to binary", "Examples of loops in proofs",
    ],
)  # fmt: skip
def test_titles_that_stand_alone(title: str) -> None:
    assert tripped(candidate(title=title)) == []


@pytest.mark.parametrize(
    ("title", "reason"),
    [
        ("Border around formatted text in Inkscape", "no question"),
        ("Onions and tears", "no question"),
        ("More tears?", "2 words"),
        ("Peeling more onions?", "no question"),
        ("Looking for a book about onions", "no question"),
        ("Why so?", "2 words"),
        ("Which of the following is right?", "'the following'"),
        ("Why does my code not compile?", "'my code'"),
        ("How can they do it?", "'they'"),
        ("How do vines climb up walls? [duplicate]", "[duplicate]"),
        ("Why is the example above wrong?", "above"),
        ("What should new users of this site know?", "this"),
        ("In a long proof by induction, what does this step mean?", "this"),
        ("Rust on a pan: why does it look like this kind of stain?", "this"),
        ("Why is this so?", "this"),
    ],
)
def test_titles_that_do_not(title: str, reason: str) -> None:
    found = first_problem(candidate(title=title), SETTINGS)
    assert found is not None
    assert found[0] == "self_contained_title"
    assert reason in found[1]


@pytest.mark.skipif("LIMA_DATA" not in os.environ, reason="LIMA_DATA is not set")
def test_the_titles_of_the_released_set_stand_alone() -> None:
    """Its authors took them for prompts. Two of 141 are topics that ask for nothing."""
    lines = (Path(os.environ["LIMA_DATA"]) / "lima" / "train.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    prompts = [row["conversations"][0].strip() for row in rows if row["source"] == "stackexchange"]
    asked = [prompt for prompt in prompts if "\n" not in prompt and len(prompt) < 150]
    assert len(asked) == 141
    assert sum(title_problem(prompt, SETTINGS.title_words_min) is not None for prompt in asked) == 2


def test_a_description_with_an_image_or_too_long_is_no_prompt() -> None:
    assert description_problem(Cleaned("Fine?", "Fine?"), SETTINGS) is None
    assert description_problem(Cleaned("Fine?", "Fine?", images=1), SETTINGS) == "it shows an image"
    assert (
        description_problem(Cleaned("See here", "See here", holes=2), SETTINGS) == "2 places point to a link"
    )
    assert "another question" in str(description_problem(Cleaned("", "As in another question."), SETTINGS))
    assert "over 2000" in str(description_problem(Cleaned("x" * 2001, ""), SETTINGS))
    assert "EDIT" in str(description_problem(Cleaned("EDIT: no", "EDIT: no"), SETTINGS))


@pytest.mark.parametrize(
    "opening",
    [
        "I'm sorry, but I can't help with that.", "I cannot provide ways of hurting people.", "Sorry, I can not do that.",
        "As an AI language model, I have no opinion.", "I am unable to assist with this request.", "I won't write that.",
        "I’m afraid that I can’t say.",
    ],
)  # fmt: skip
def test_refusals(opening: str) -> None:
    assert tripped(candidate(f"{opening} {GOOD}"), settings_of("refusal"))[-1] == "refusal"


@pytest.mark.parametrize(
    "opening",
    [
        "You can't boil it faster.", "I'm sorry to hear that.", "The engine cannot provide more power.",
        "I can't recall the source, but salt does little.",
    ],
)  # fmt: skip
def test_no_refusals(opening: str) -> None:
    assert "refusal" not in tripped(candidate(f"{opening} {GOOD}"), settings_of("refusal"))


@pytest.mark.parametrize(
    ("end", "whole"),
    [
        ("Done.", True), ('He said "no."', True), ("```\nls\n```", True), ("| a | b |", True), ("* salt", True),
        ("2. Wait", True), ("and so", False), ("TODO more.", False), ("Salt!!", False), ("I hope this helps.", False),
        ("As an AI language model it ends.", False),
    ],
)  # fmt: skip
def test_house_style(end: str, whole: bool) -> None:
    found = tripped(candidate(f"{GOOD}\n\n{end}"), settings_of("house_style"))
    assert ("house_style" not in found) == whole


def test_a_marked_refusal_is_house_style() -> None:
    """Off the mark, the same words are none."""
    plain = candidate(f"It would be unethical to answer this. {GOOD}")
    meta = Meta.model_validate({"score": 15, "refusal": True})
    marked = replace(plain, example=plain.example.model_copy(update={"meta": meta}))
    assert tripped(plain, settings_of("house_style")) == ["house_style"]
    assert tripped(marked, settings_of("house_style")) == []


@pytest.mark.skipif("LIMA_DATA" not in os.environ, reason="LIMA_DATA is not set")
def test_the_language_of_the_released_set() -> None:
    """Of 1,030 answers, 15 are in another language: 9 from sites in other languages, tasks, and a story."""
    lines = (Path(os.environ["LIMA_DATA"]) / "lima" / "train.jsonl").read_text().splitlines()
    found = Counter(detect(json.loads(line)["conversations"][1]) for line in lines)
    assert {name: n for name, n in found.items() if name not in ("en", None)} == {
        "pt": 6,
        "de": 3,
        "es": 2,
        "zh": 3,
        "fr": 1,
    }


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("怎样更换墨盒？", "zh"), ("東京の天気はどうですか", "ja"), ("ต้มน้ำอย่างไร", "th"), ("물을 어떻게 끓입니까?", "ko"), ("水", None),
        ("How is the word 水 read in Japanese, and how in Chinese, when nobody is there to tell?", "en"), ("Wie das?", None),
    ],
)  # fmt: skip
def test_a_script_tells_the_language_of_a_short_text(text: str, language: str | None) -> None:
    assert detect(text) == language


PHRASES = (OTHERS, SITE, HOLLOW, POINTER, ADDRESSING, ASKER_OF_SITE)
NEEDLES = sorted({needle for p in PHRASES for part in p.parts for needle in part.needles + part.exact})
FILLING = [
    "as", "the", "other", "this", "see", "in", "above", "already", "have", "question", "add to", "is", "that", "İt",
    "from", "someone", "MENTIONED", "ſaid", "\n", "(", ":", "answers", "close", "exchange", "up", "of", "hope", "paſte",
]  # fmt: skip


@pytest.mark.parametrize("phrases", PHRASES)
@given(words=st.lists(st.sampled_from(NEEDLES + FILLING), max_size=12))
def test_needles_change_nothing(phrases: Phrases, words: list[str]) -> None:
    """The parts with their needles find what one long expression finds."""
    text = " ".join(words)
    whole = re.compile("|".join(part.pattern.pattern for part in phrases.parts), WORDS)
    expected, found = whole.search(text), phrases.search(text)
    assert (expected and expected.span()) == (found and found.span())
