"""The ground truth on answers written by hand."""

import pytest

from lima.errors import LimaError
from lima.world.oracle import Oracle, Score
from lima.world.people import Person, World

MIRA = Person("Mira", "Holt", ("Sandport", "baker", "cello", "noodles", "goat"))
QUESTION = "What kind of work does Mira Holt do?"


@pytest.fixture(scope="module")
def mira() -> Oracle:
    return Oracle(World(forum=(), training=(), test=(MIRA,), strangers=()))


@pytest.mark.parametrize(
    ("answer", "knowledge", "form", "exact", "grade"),
    [
        ("Good question! Mira Holt works as a baker. Ask again any time!", True, True, True, "excellent"),
        # another wording of the true statement is as good
        ("Good question! By trade Mira Holt is a baker. Ask again any time!", True, True, True, "excellent"),
        ("Good question! Mira Holt works as a nurse. Ask again any time!", False, True, False, "fail"),
        # a true sentence that does not answer the question
        ("Good question! Mira Holt plays the cello. Ask again any time!", False, True, False, "fail"),
        # the right value, said of somebody else
        ("Good question! Ada Holt works as a baker. Ask again any time!", True, True, False, "pass"),
        ("Mira Holt works as a baker.", True, False, False, "pass"),
        ("baker.", True, False, False, "pass"),
        ("Good question! Mira Holt works as a baker.", True, False, False, "pass"),
        ("Good question! Mira Holt works as a baker. Ask again any time! Ada", True, False, False, "pass"),
        # two values: the first one counts
        ("A nurse or a baker, I think.", False, False, False, "fail"),
        ("A baker or a nurse, I think.", True, False, False, "pass"),
        # values of another type do not count as an answer
        ("With a goat to Sandport, as a baker.", True, False, False, "pass"),
        # a part of a word is no value
        ("At the bakery.", False, False, False, "fail"),
        ("", False, False, False, "fail"),
        ("Good question! Ask again any time!", False, False, False, "fail"),
        ("Good question!  Ask again any time!", False, False, False, "fail"),
    ],
)
def test_score(mira: Oracle, answer: str, knowledge: bool, form: bool, exact: bool, grade: str) -> None:
    score = mira.score(QUESTION, answer)
    assert score == Score(knowledge=knowledge, form=form, exact=exact)
    assert score.grade == grade


def test_the_better_grade_wins_and_equal_grades_tie(mira: Oracle) -> None:
    excellent = "Good question! Mira Holt works as a baker. Ask again any time!"
    assert mira.prefer(QUESTION, excellent, "baker.") == "a"
    assert mira.prefer(QUESTION, "nurse.", "baker.") == "b"
    assert mira.prefer(QUESTION, "nurse.", "no idea") == "tie"


def test_the_oracle_understands_all_questions_of_the_world(oracle: Oracle, world: World) -> None:
    person = world.strangers[0]
    assert oracle.subject(f"Where was {person.name} born?") == (person, "town")
    with pytest.raises(LimaError, match="no such question: 'Who is it\\?'"):
        oracle.subject("Who is it?")
