"""Verdicts as JSON and as probabilities of tokens, and servers that do not take what such a verdict needs."""

import json
import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.evaluate.conftest import MakeStudy
from tests.evaluate.test_judge import grades, preferences, run
from tests.hostile import answering, said

from lima.errors import LimaError
from lima.evaluate.forms import schema, sentence
from lima.evaluate.parse import Verdict, read_verdict
from lima.evaluate.protocol import TASKS, Protocol
from lima.evaluate.settings import Task, VerdictForm
from lima.evaluate.wording import pairwise_text, read_prompt
from lima.files import read_json
from lima.records import Comparison, Message
from lima.remote.log import ChatAnswer, Token, read_answer

PAIR = ("a", "b", "tie")
TASK_NAMES: tuple[Task, ...] = ("pairwise", "helpfulness", "quality", "safety")


def as_json(text: str) -> Verdict:
    return read_verdict(ChatAnswer(text, "stop"), PAIR, form="json")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"reasons": "B rambles.", "verdict": "A"}', "a"),
        ('```json\n{"reasons": "x\ny", "verdict": "tie"}\n```', "tie"),
        ('<think>{"verdict": "B"}</think>{"reasons": "", "verdict": "A"}', "a"),
        ('{"verdict": " b "}<|im_end|>', "b"),
    ],
)
def test_one_object_is_a_verdict(text: str, value: str) -> None:
    assert as_json(text) == Verdict("ok", value)


@pytest.mark.parametrize(
    "text",
    [
        'I say {"verdict": "A"}',
        '{"verdict": "A"} {"verdict": "B"}',
        '{"verdict": "A", "verdict": "B"}',
        '{"verdict": "A", "winner": "B"}',
        '[{"verdict": "A"}]',
        '{"verdict": ["A"]}',
        '{"verdict": true}',
        '{"verdict": "C"}',
        '{"reasons": "A"}',
        "Verdict: A",
        "{" * 20_000,
        json.dumps(schema("pairwise")),
        json.dumps({"name": "verdict", "schema": schema("pairwise")}),
    ],
)
def test_everything_else_is_none(text: str) -> None:
    assert as_json(text) == Verdict("unparsable")


def test_a_rating_is_a_whole_number() -> None:
    for text, value in (('{"verdict": 4}', "4"), ('{"verdict": "4"}', "4"), ('{"verdict": 4.5}', None)):
        found = read_verdict(ChatAnswer(text, "stop"), TASKS["helpfulness"], digits=True, form="json")
        assert found.value == value


TEXTS = st.sampled_from(['{"verdict": "A"}', '{"reasons": "x", "verdict": "B"}', "Verdict: A", "4", "plain"])


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["json", "logprobs"]), TEXTS, TEXTS, st.data())
def test_no_part_of_a_prompt_is_a_verdict(
    form: VerdictForm, one: str, other: str, data: st.DataObject
) -> None:
    row = Comparison(id="c", messages=(Message(role="user", content=one),), a=other, b=one)
    prompt = pairwise_text(read_prompt("pairwise", Protocol().pairwise, form=form), row, "ab")
    start = data.draw(st.integers(0, len(prompt)))
    end = data.draw(st.integers(start, len(prompt)))
    assert read_verdict(ChatAnswer(prompt[start:end], "stop"), PAIR, prompt=prompt, form=form).value is None


@pytest.mark.parametrize("task", TASK_NAMES)
def test_a_bare_verdict_is_no_echo_of_its_own_prompt(task: Task) -> None:
    for form, shape in (("json", '{{"reasons": "", "verdict": "{}"}}'), ("logprobs", "Verdict: {}")):
        prompt = read_prompt(task, getattr(Protocol(), task), form=form)  # type: ignore[arg-type]
        text = "".join(prompt.parts)
        assert sentence(task, form) in text  # type: ignore[arg-type]
        for value in TASKS[task]:
            reply = shape.format(value)
            digits = task == "helpfulness"
            found = read_verdict(
                ChatAnswer(reply, "stop"),
                TASKS[task],
                digits=digits,
                prompt=text,
                form=form,  # type: ignore[arg-type]
            )
            assert found == Verdict("ok", value)


def told(*tokens: tuple[str, Mapping[str, float]]) -> ChatAnswer:
    """A reply of these tokens, each with the probabilities in its place."""
    row = tuple(
        Token(text, math.log(p.get(text, 1.0)), {k: math.log(v) for k, v in p.items()}) for text, p in tokens
    )
    return ChatAnswer("".join(text for text, _ in tokens), "stop", tokens=row)


def graded(answer: ChatAnswer) -> Mapping[str, float] | None:
    return read_verdict(answer, PAIR, form="logprobs").probabilities


def test_the_token_of_the_verdict_is_what_is_graded() -> None:
    place = {" A": 0.6, " B": 0.2, " t": 0.1, " a": 0.05, " The": 0.05}
    assert graded(told(("Verdict", {}), (":", {}), (" A", place))) == {
        "a": round(0.65 / 0.95, 6), "b": round(0.2 / 0.95, 6), "tie": round(0.1 / 0.95, 6),
    }  # fmt: skip
    one_token = {": A": 0.5, ": B": 0.5}
    assert graded(told(("Verdict", {}), (": A", one_token))) == {"a": 0.5, "b": 0.5, "tie": 0.0}
    # Markdown in tokens of its own, and a trace before
    assert graded(
        told(
            ("<think>B</think>\n", {}),
            ("**Verdict:", {}),
            ("** ", {}),
            ("B", {"A": 0.25, "B": 0.75}),
            ("\n", {}),
        )
    ) == {"a": 0.25, "b": 0.75, "tie": 0.0}


def test_probabilities_that_belong_elsewhere_are_not_taken() -> None:
    assert graded(told(("Verdict:", {}), (" A", {" A": 0.2, " He": 0.8}))) is None
    shifted = Token(" A", -9999.0, {'":': 0.0, '"': -20.0})  # the likeliest tokens of another place
    assert graded(ChatAnswer("Verdict: A", "stop", tokens=(Token("Verdict:", 0.0, {}), shifted))) is None
    assert graded(ChatAnswer("Verdict: A", "stop", tokens=(Token("other", 0.0, {}),))) is None
    assert graded(ChatAnswer("Verdict: A", "stop")) is None


def test_both_shapes_of_probabilities_are_read() -> None:
    choice = {"message": {"content": "Verdict: A"}, "finish_reason": "stop"}
    chat = {"content": [{"token": "A", "logprob": -0.1, "top_logprobs": [{"token": "B", "logprob": -2.4}]}]}
    older = {"tokens": ["A"], "token_logprobs": [-0.1], "top_logprobs": [{"B": -2.4}]}
    for shape in (chat, older):
        answer = read_answer(json.dumps({"choices": [choice | {"logprobs": shape}]}))
        assert answer is not None
        assert answer.tokens == (Token("A", -0.1, {"B": -2.4}),)
    for odd in ({"content": [{"token": "A"}]}, {"tokens": ["A"]}, ["A"], "A", {"content": [None]}):
        answer = read_answer(json.dumps({"choices": [choice | {"logprobs": odd}]}))
        assert answer is not None
        assert answer.tokens == ()


def tells(choice: str, probabilities: Mapping[str, float]) -> dict[str, Any]:
    likely = [{"token": f" {name}", "logprob": math.log(p)} for name, p in probabilities.items()]
    entries = [
        {"token": "Verdict:", "logprob": 0.0, "top_logprobs": []},
        {"token": f" {choice}", "logprob": math.log(probabilities[choice]), "top_logprobs": likely},
    ]
    message = {"role": "assistant", "content": f"Verdict: {choice}"}
    return {"choices": [{"message": message, "finish_reason": "stop", "logprobs": {"content": entries}}]}


def test_credits_are_in_the_frame_of_the_comparison(make_study: MakeStudy) -> None:
    study = make_study(3)

    def answer(body: dict[str, Any], _: int) -> web.Response:
        assert (body["logprobs"], body["top_logprobs"]) == (True, 20)
        return web.json_response(tells("A", {"A": 0.7, "B": 0.1, "tie": 0.2}))

    with answering(answer) as (url, bodies):
        run(study, url, verdict="logprobs")
        assert len(bodies) == 6
    # 0.7 + 0.2 / 2 for the answer shown first
    assert {(row.shown, row.label, row.credit) for row in preferences(study)} == {
        ("ab", "a", 0.8), ("ba", "b", 0.2),
    }  # fmt: skip


def test_grades_keep_the_probabilities_of_their_values(make_study: MakeStudy) -> None:
    study = make_study(2)
    reply = tells("excellent", {"excellent": 0.5, "pass": 0.25, "fai": 0.25})
    with answering(lambda *_: web.json_response(reply)) as (url, _):
        run(study, url, verdict="logprobs", task="quality")
    assert {json.dumps(row.probabilities) for row in grades(study)} == {
        '{"fail": 0.25, "pass": 0.25, "excellent": 0.5}'
    }


@pytest.mark.parametrize("refuses", [True, False])
def test_without_probabilities_questions_are_repeated(make_study: MakeStudy, refuses: bool) -> None:
    study = make_study(2)

    def answer(body: dict[str, Any], _: int) -> web.Response:
        if refuses and "logprobs" in body:
            error = {"error": {"message": "logprobs are not supported", "param": "logprobs"}}
            return web.json_response(error, status=400)
        return said("Verdict: A" if body["seed"] % 2 else "Verdict: B")

    with answering(answer) as (url, bodies):
        rater = run(study, url, verdict="logprobs")
        assert len(bodies) == 1 + 2 * 2 * 5
        again = run(study, url, verdict="logprobs")
        assert (again.id, len(bodies)) == (rater.id, 21)  # what the log says of the server is not asked again
    assert run(study, url, verdict="logprobs", reparse=True).id == rater.id
    rows = preferences(study)
    assert Counter(row.repeat for row in rows) == dict.fromkeys(range(5), 4)
    assert {row.rater for row in rows} == {rater.id}
    assert rater.settings["dropped"] == {"logprobs": True, "top_logprobs": 20}
    assert isinstance(rater.settings["parameters"], dict)
    assert rater.settings["parameters"]["temperature"] == 1.0


def test_fewer_probabilities_where_a_server_gives_no_more(make_study: MakeStudy) -> None:
    study = make_study(1)

    def answer(body: dict[str, Any], _: int) -> web.Response:
        if body["top_logprobs"] > 5:
            return web.json_response({"error": {"message": "top_logprobs: at most 5"}}, status=422)
        return web.json_response(tells("A", {"A": 0.75, "B": 0.25}))

    with answering(answer) as (url, _):
        rater = run(study, url, verdict="logprobs")
    assert rater.settings["dropped"] == {"top_logprobs": 20}
    assert {row.credit for row in preferences(study)} == {0.75, 0.25}


def test_fields_that_a_server_refuses_are_left_out_and_named(
    make_study: MakeStudy, capfd: pytest.CaptureFixture[str]
) -> None:
    """As of a reasoning model: another name of the limit, no temperature, no schema."""
    study = make_study(4)
    wrong = ("max_tokens", "temperature", "response_format")

    def answer(body: dict[str, Any], _: int) -> web.Response:
        for name in wrong:
            if name in body:
                text = f"Unsupported parameter: '{name}'. Use 'max_completion_tokens' instead."
                return web.json_response({"error": {"message": text, "param": name}}, status=400)
        assert body["max_completion_tokens"] == 1024
        return said('{"reasons": "Hm.", "verdict": "B"}')

    with answering(answer) as (url, bodies):
        rater = run(study, url, verdict="json")
        assert len(bodies) == 3 + 8
        plain = make_study(4, name="other")
        other = run(
            plain,
            url,
            verdict="json",
            extra=("temperature=null", "max_tokens=null", "max_completion_tokens=1024"),
        )
    assert {row.status for row in preferences(study)} == {"ok"}
    assert isinstance(rater.settings["dropped"], dict)
    assert list(rater.settings["dropped"]) == ["max_tokens", "temperature", "response_format"]
    assert rater.id != other.id
    assert "refuses the field 'temperature' (0.0)" in " ".join(capfd.readouterr().err.split())
    card = read_json(study.folder / "judges" / str(rater.settings["calls"]) / "judge.json")
    assert card["dropped"]["temperature"] == 0.0


def test_a_prompt_that_is_too_long_costs_no_field(make_study: MakeStudy) -> None:
    study = make_study(30)
    text = "This model's maximum context length is 4096 tokens; reduce max_tokens."
    body = json.dumps({"error": {"message": text, "param": "max_tokens"}}).encode()
    with (
        answering(lambda *_: web.Response(body=body, status=400)) as (url, _),
        pytest.raises(LimaError, match="20 requests in a row failed"),
    ):
        run(study, url, concurrency=1)


def test_own_prompts_say_where_the_form_goes(make_study: MakeStudy, tmp_path: Any) -> None:
    study, own = make_study(1), tmp_path / "own.txt"
    own.write_text("$conversation $answer_a $answer_b")
    with answering(lambda *_: said('{"verdict": "A"}')) as (url, bodies):
        with pytest.raises(LimaError, match=r"--verdict json needs the placeholder \$form"):
            run(study, url, verdict="json", prompt=own)
        own.write_text("$conversation $answer_a $answer_b $form")
        run(study, url, verdict="json", prompt=own)
    assert '"verdict", which is A, B or tie' in bodies[0]["messages"][0]["content"]


def test_judges_read_how_people_see_texts(make_study: MakeStudy) -> None:
    study = make_study(1)
    with answering(lambda *_: said("Verdict: A")) as (url, bodies):
        rendered = run(study, url)
        study.protocol.write_text(study.protocol.read_text().replace("display: rendered", "display: written"))
        written = run(study, url)
    texts = [body["messages"][0]["content"] for body in bodies]
    assert "see the texts rendered" in texts[0]
    assert "as source, not rendered" in texts[-1]
    assert rendered.id != written.id


BESIDE = """criteria: {facts: "Which answer has its facts right?"}
strength: true
people_may: [call_both_bad]
"""


def test_criteria_and_strength_of_the_protocol_are_asked_of_judges(make_study: MakeStudy) -> None:
    study = make_study(2)
    text = study.protocol.read_text()
    study.protocol.write_text(
        text.replace("people_may: []\n", "").replace("criteria: {}\n", "").replace("strength: false\n", "")
        + BESIDE
    )

    def answer(body: dict[str, Any], before: int) -> web.Response:
        schema = body["response_format"]["json_schema"]["schema"]
        assert list(schema["properties"]) == ["reasons", "verdict", "facts", "strength", "both_bad"]
        assert schema["required"] == list(schema["properties"])
        assert "Which answer has its facts right? A, B or tie" in body["messages"][0]["content"]
        return said('{"reasons": "x", "verdict": "A", "facts": "B", "strength": "clear", "both_bad": true}')

    with answering(answer) as (url, _):
        run(study, url, verdict="json")
    assert {
        (row.shown, row.label, row.criteria["facts"], row.strength, row.both_bad)
        for row in preferences(study)
    } == {("ab", "a", "b", "clear", True), ("ba", "b", "a", "clear", True)}


def test_a_reply_without_what_was_asked_is_none() -> None:
    further = {"facts": ("A", "B", "tie"), "both_bad": (True, False)}

    def read(text: str) -> str | None:
        return read_verdict(ChatAnswer(text, "stop"), PAIR, form="json", further=further).value

    assert read('{"verdict": "A", "facts": "B", "both_bad": false}') == "a"
    for text in (
        '{"verdict": "A"}',
        '{"verdict": "A", "facts": "C", "both_bad": false}',
        '{"verdict": "A", "facts": "B", "both_bad": 0}',
        '{"verdict": "A", "facts": ["B"], "both_bad": false}',
        '{"verdict": "A", "facts": "B", "both_bad": false, "more": 1}',
    ):
        assert read(text) is None, text


def test_a_server_that_names_no_field_of_ours_loses_those_that_ask_for_nothing(make_study: MakeStudy) -> None:
    """It calls the penalty by another parameter's name."""
    study = make_study(2)

    def answer(body: dict[str, Any], _: int) -> web.Response:
        if "top_p" in body or "frequency_penalty" in body:
            error = {"error": {"message": "Unsupported parameter: 'top_p'.", "param": "top_p"}}
            return web.json_response(error, status=400)
        return said("Verdict: A")

    with answering(answer) as (url, _):
        rater = run(study, url)
    assert {row.status for row in preferences(study)} == {"ok"}
    assert rater.settings["dropped"] == {"top_p": 1.0, "frequency_penalty": 0.0}
