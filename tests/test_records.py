import pytest
from pydantic import ValidationError

from lima.files import encode
from lima.records import Example, Grade, Message, Meta, Preference

USER, ANSWER = Message(role="user", content="Why?"), Message(role="assistant", content="Because.")


def test_an_example_that_ends_in_a_user_turn_is_a_prompt() -> None:
    dialogue = Example(id="x/1", source="x", messages=(USER, ANSWER, USER))
    assert dialogue.is_prompt
    assert dialogue.prompt == dialogue.messages
    assert Example(id="x/2", source="x", messages=(USER, ANSWER)).prompt == (USER,)


def test_a_system_message_does_not_count_as_a_turn() -> None:
    system = Message(role="system", content="Be brief.")
    assert Example(id="x/1", source="x", messages=(system, USER, ANSWER)).turns == (USER, ANSWER)


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        ((), "at least 1"),
        ((ANSWER,), "expected 'user'"),
        ((USER, USER), "turn 2 is 'user'"),
        ((Message(role="system", content="x"),), "no user turn"),
    ],
)
def test_turns_must_alternate(messages: tuple[Message, ...], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        Example(id="x/1", source="x", messages=messages)


def test_a_weight_is_written_only_where_it_is_0() -> None:
    assert b"weight" not in encode(Example(id="x/1", source="x", messages=(USER, ANSWER)))
    unlearnt = ANSWER.model_copy(update={"weight": 0})
    row = encode(Example(id="x/1", source="x", messages=(USER, unlearnt)))
    assert b'{"role":"assistant","content":"Because.","weight":0}' in row
    assert Example.model_validate_json(row).messages == (USER, unlearnt)
    with pytest.raises(ValidationError, match="weight 0 on a user turn"):
        Message(role="user", content="Why?", weight=0)


@pytest.mark.parametrize("text", ["", " \n\t", "\u200b\ufeff", "\xa0"])
def test_a_turn_without_anything_to_see_is_blank(text: str) -> None:
    example = Example(id="x", source="x", messages=(USER, Message(role="assistant", content=text)))
    assert example.blank_turn == "turn 2, the assistant's, is blank"
    assert Example(id="x", source="x", messages=(USER, ANSWER)).blank_turn is None


def test_meta_keeps_unknown_keys_and_leaves_out_empty_ones() -> None:
    meta = Meta.model_validate({"score": 12, "views": 7})
    row = encode(Example(id="x/1", source="x", messages=(USER,), meta=meta))
    assert b'"meta":{"score":12,"views":7}' in row


@pytest.mark.filterwarnings("error")
def test_meta_becomes_a_dictionary_as_it_is() -> None:
    meta = Meta(authors=("Ann",), transforms=("links removed",))
    assert meta.model_dump() == {"authors": ("Ann",), "transforms": ("links removed",)}


def test_a_missing_verdict_is_never_a_tie() -> None:
    row = {"id": "1", "comparison_id": "c", "rater": "judge:m@1", "shown": "ab"}
    with pytest.raises(ValidationError, match="does not go with status 'error'"):
        Preference.model_validate({**row, "label": "tie", "status": "error"})
    with pytest.raises(ValidationError, match="does not go with status 'ok'"):
        Preference.model_validate({**row, "label": None})
    assert Preference.model_validate({**row, "label": None, "status": "refused"}).label is None


def test_a_grade_must_be_on_its_scale() -> None:
    row = {"id": "1", "item_id": "i", "rater": "author:01"}
    assert Grade.model_validate({**row, "scale": "helpfulness", "value": 6}).value == 6
    with pytest.raises(ValidationError, match="value 7 is not on the scale 'helpfulness'"):
        Grade.model_validate({**row, "scale": "helpfulness", "value": 7})
    with pytest.raises(ValidationError, match="value 'good' is not on the scale 'quality'"):
        Grade.model_validate({**row, "scale": "quality", "value": "good"})
