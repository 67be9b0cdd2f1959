from pathlib import Path
from typing import Any

import pytest
import torch

from lima import model
from lima.chat import IGNORE, Tokens
from lima.records import Example, Message
from lima.train.batches import collate, epoch_batches, micro_batches, tokenize
from lima.train.loop import StepPlan
from lima.train.settings import FitSettings

CPU = torch.device("cpu")


@pytest.fixture
def tokenizer(tiny_model: Path) -> Any:
    base, tokenizer = model.load(tiny_model)
    model.add_eot(base, tokenizer)
    return tokenizer


def test_examples_without_a_supervised_token_are_rejected_by_name(tokenizer: Any) -> None:
    def example(name: str, question: str) -> Example:
        messages = (Message(role="user", content=question), Message(role="assistant", content="Yes."))
        return Example(id=name, source="made", messages=messages)

    data = tokenize([example("short", "a" * 5), example("long", "a" * 50)], tokenizer, max_length=20)
    assert [sequence.id for sequence in data.sequences] == ["short"]
    assert [(reject.id, reject.rule) for reject in data.rejects] == [("long", "no_supervised_token")]
    # BOS, 5 bytes, EOT, "Yes.", EOT
    assert (data.tokens, data.supervised, data.trimmed) == (12, 5, 0)


def test_trimmed_examples_are_counted(tokenizer: Any, examples: list[Example]) -> None:
    whole = tokenize(examples, tokenizer, max_length=256)
    cut = tokenize(examples, tokenizer, max_length=30)
    assert whole.trimmed == 0
    assert cut.trimmed == sum(len(sequence.ids) > 30 for sequence in whole.sequences) > 0


def test_a_thousand_examples_make_32_steps_an_epoch_and_480_in_all() -> None:
    plan = StepPlan.of(1000, FitSettings())
    assert (plan.steps_per_epoch, plan.steps) == (32, 480)
    assert [len(plan.batch(step)) for step in (1, 31, 32)] == [32, 32, 8]  # 31 x 32 + 8 = 1,000
    assert [plan.epoch(step) for step in (1, 32, 33, 480)] == [1, 1, 2, 15]
    assert [step for step in range(481) if plan.ends_epoch(step)] == list(range(32, 481, 32))


def test_steps_override_epochs() -> None:
    plan = StepPlan.of(100, FitSettings(batch_size=40, steps=4))
    assert (plan.steps_per_epoch, plan.steps, plan.epoch(4)) == (3, 4, 2)
    assert [plan.ends_epoch(step) for step in (1, 2, 3, 4)] == [False, False, True, True]


def test_an_epoch_holds_every_example_once_in_an_order_of_its_own() -> None:
    first = epoch_batches(10, 4, seed=0, epoch=1)
    assert sorted(position for batch in first for position in batch) == list(range(10))
    assert first == epoch_batches(10, 4, seed=0, epoch=1)
    assert first != epoch_batches(10, 4, seed=0, epoch=2)
    assert first != epoch_batches(10, 4, seed=1, epoch=1)


def test_micro_batches_keep_the_order_and_the_budget() -> None:
    batch = [Tokens([1] * length, [1] * length) for length in (3, 4, 9, 1, 2, 5)]
    groups = list(micro_batches(batch, 7))
    assert [[len(sequence.ids) for sequence in group] for group in groups] == [[3, 4], [9], [1, 2], [5]]


def test_documents_lie_end_to_end_and_the_first_token_has_no_predictor() -> None:
    first = Tokens([5, 6, 7], [IGNORE, 6, 7])
    second = Tokens([8, 9], [8, 9])  # loss on all tokens
    batch = collate([first, second], CPU)
    assert batch.ids.tolist() == [[5, 6, 7, 8, 9]]
    assert batch.position_ids.tolist() == [[0, 1, 2, 0, 1]]
    assert batch.targets.tolist() == [6, 7, 9]
    assert batch.predictors.tolist() == [0, 1, 3]
    assert batch.weights is None
    assert batch.documents.lengths == (3, 2)
    assert batch.documents.boundaries.tolist() == [0, 3, 5]


def test_prompts_can_carry_a_part_of_the_loss() -> None:
    sequence = Tokens([5, 6, 7, 8], [IGNORE, IGNORE, 7, 8], prompt_weight=0.25)
    batch = collate([sequence, sequence], CPU)
    assert batch.targets.tolist() == [6, 7, 8] * 2
    assert batch.weights is not None
    assert batch.weights.tolist() == [0.25, 1, 1] * 2
    assert sequence.weight == 2.25


def test_a_turn_that_is_not_learnt_has_no_prompt_s_weight_either() -> None:
    sequence = Tokens([5, 6, 7, 8], [IGNORE, IGNORE, IGNORE, 8], prompt_weight=0.25, unlearnt=frozenset({2}))
    batch = collate([sequence], CPU)
    assert batch.targets.tolist() == [6, 8]
    assert batch.weights is not None
    assert batch.weights.tolist() == [0.25, 1]
    assert sequence.weight == 1.25


def test_blank_turns_teach_nothing_and_are_rejected_by_name(tokenizer: Any) -> None:
    def example(name: str, *texts: str) -> Example:
        roles = ("user", "assistant") * 2
        turns = [Message(role=role, content=text) for role, text in zip(roles, texts, strict=False)]
        return Example(id=name, source="made", messages=tuple(turns))

    rows = [
        example("good", "Hi", "Yes."),
        example("no answer", "Hi", ""),
        example("blank", "Hi", " \n"),
        example("no question", "\u200b", "Yes."),
        example("later", "Hi", "Yes.", "So?", "\t"),
    ]
    data = tokenize(rows, tokenizer, max_length=100)
    assert [sequence.id for sequence in data.sequences] == ["good"]
    assert [(reject.id, reject.rule, reject.reason) for reject in data.rejects] == [
        ("no answer", "empty", "turn 2, the assistant's, is blank"),
        ("blank", "empty", "turn 2, the assistant's, is blank"),
        ("no question", "empty", "turn 1, the user's, is blank"),
        ("later", "empty", "turn 4, the assistant's, is blank"),
    ]


def test_a_row_of_turns_that_are_not_learnt_is_rejected(tokenizer: Any) -> None:
    turns = (Message(role="user", content="Hi"), Message(role="assistant", content="Yes.", weight=0))
    data = tokenize([Example(id="a", source="made", messages=turns)], tokenizer, max_length=100)
    assert [reject.rule for reject in data.rejects] == ["no_supervised_token"]
