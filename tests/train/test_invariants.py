"""Each invariant holds for what we make, and is caught when it is broken on purpose."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.train.test_loss import ARCHITECTURES, build
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, GPT2Config, GPT2LMHeadModel, GraniteConfig, GraniteForCausalLM

from lima import chat, template
from lima import model as models
from lima.errors import LimaError
from lima.records import Example, Message
from lima.train.attention import NAME, document_attention
from lima.train.invariants import check_isolation, check_mask, check_model, check_supervision, check_template


@pytest.fixture
def loaded(tiny_model: Path) -> Any:
    model, tokenizer = models.load(tiny_model, device="cpu")
    models.add_eot(model, tokenizer)
    return model, tokenizer


def encoded(tokenizer: Any, example: Example, **options: Any) -> chat.Tokens:
    return chat.encode_example(tokenizer, example.messages, **options)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_supported_models_pass(name: str) -> None:
    check_model(build(name))
    check_isolation(build(name))
    halves = build(name).to(torch.bfloat16)
    before = {key: weight.clone() for key, weight in halves.state_dict().items()}
    check_model(halves)
    check_isolation(halves)
    assert all(torch.equal(weight, before[key]) for key, weight in halves.state_dict().items())
    assert {p.dtype for p in halves.parameters()} == {torch.bfloat16}


def test_a_model_with_learnt_positions_passes() -> None:
    check_model(GPT2LMHeadModel(GPT2Config(n_layer=2, n_embd=16, n_head=2, vocab_size=50)).eval())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_model_that_scales_its_logits_is_caught(dtype: torch.dtype) -> None:
    """Its loss is 0.05 % off, which rounding to halves would hide."""
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = GraniteConfig(vocab_size=50, logits_scaling=1.1, **sizes)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = GraniteForCausalLM(config).eval().to(dtype)
    with pytest.raises(LimaError, match="'granite' computes a loss of"):
        check_model(model)


def test_attention_across_documents_is_caught(loaded: Any) -> None:
    def leaking(module: Any, query: Any, key: Any, value: Any, mask: Any, **options: Any) -> Any:
        output = scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True)
        return output.transpose(1, 2), None

    AttentionInterface.register(NAME, leaking)
    try:
        with pytest.raises(LimaError, match="attention leaks"):
            check_isolation(loaded[0])
        with pytest.raises(LimaError, match="computes a loss"):
            check_model(loaded[0])
    finally:
        AttentionInterface.register(NAME, document_attention)


@pytest.mark.parametrize("length", [256, 40, 30])
def test_our_masks_and_templates_pass(loaded: Any, examples: list[Example], length: int) -> None:
    _, tokenizer = loaded
    for example in examples:
        for keep_eot in (False, True):
            check_mask(tokenizer, example, encoded(tokenizer, example, max_length=length, keep_eot=keep_eot))
        check_template(tokenizer, example)


def test_an_eot_without_loss_is_caught(loaded: Any, examples: list[Example]) -> None:
    _, tokenizer = loaded
    tokens = encoded(tokenizer, examples[0])
    broken = replace(tokens, labels=[*tokens.labels[:-1], chat.IGNORE])
    with pytest.raises(LimaError, match=r"made/0, answer 1: its EOT carries no loss"):
        check_mask(tokenizer, examples[0], broken)


@pytest.mark.parametrize("shift", [-1, 1])
def test_a_mask_that_begins_at_the_wrong_token_is_caught(
    loaded: Any, examples: list[Example], shift: int
) -> None:
    _, tokenizer = loaded
    tokens = encoded(tokenizer, examples[0])
    start = next(i for i, label in enumerate(tokens.labels) if label != chat.IGNORE) + shift
    broken = replace(tokens, labels=[chat.IGNORE] * start + tokens.ids[start:])
    with pytest.raises(
        LimaError, match=r"made/0, answer 1: after '' the supervised tokens read '.*', the answer goes on 'It"
    ):
        check_mask(tokenizer, examples[0], broken)


def test_where_a_mask_reads_another_text_is_shown(loaded: Any, examples: list[Example]) -> None:
    _, tokenizer = loaded
    said = "word " * 40
    user, answer = examples[0].messages
    longer = examples[0].model_copy(
        update={"messages": (user, answer.model_copy(update={"content": said + "this"}))}
    )
    other = (user, answer.model_copy(update={"content": said + "that"}))
    with pytest.raises(
        LimaError,
        match=r"after 'rdwordwordwordwordth' the supervised tokens read 'at', the answer goes on 'is'",
    ):
        check_mask(tokenizer, longer, chat.encode_example(tokenizer, other))


def test_a_dialogue_without_its_history_is_caught(loaded: Any, examples: list[Example]) -> None:
    _, tokenizer = loaded
    dialogue = examples[-1]
    last_pair = chat.encode_example(tokenizer, dialogue.messages[2:])
    with pytest.raises(LimaError, match=r"made/dialogue: 4 utterances, but 2 EOT"):
        check_mask(tokenizer, dialogue, last_pair)


def test_an_answer_without_loss_is_caught(loaded: Any, examples: list[Example]) -> None:
    _, tokenizer = loaded
    tokens = encoded(tokenizer, examples[-1])
    half = len(tokens.ids) // 2
    broken = replace(tokens, labels=[chat.IGNORE] * half + tokens.labels[half:])
    with pytest.raises(LimaError, match=r"made/dialogue: 2 answers, but 1 supervised"):
        check_mask(tokenizer, examples[-1], broken)


def test_an_edited_template_of_ours_is_trained_and_rendered_as_it_says(
    loaded: Any, examples: list[Example]
) -> None:
    """It is no longer our format: loss is found by rendering, and generation asks in it too."""
    _, tokenizer = loaded
    tokenizer.chat_template = tokenizer.chat_template.replace("{% for", "User: {% for", 1)
    assert chat.eot_id(tokenizer) is None
    tokenizer.chat_template = template.with_marks(tokenizer)
    assert tokenizer.decode(encoded(tokenizer, examples[0]).ids).startswith("<s>User: ")
    check_template(tokenizer, examples[0])


def test_a_template_that_renders_otherwise_each_time_is_caught(loaded: Any, examples: list[Example]) -> None:
    """As one that prints the time of day does."""
    _, tokenizer = loaded
    tokenizer.chat_template = tokenizer.chat_template.replace(
        "{% for", "{{ range(10**5) | random }}{% for", 1
    )
    with pytest.raises(LimaError, match="renders"):
        check_template(tokenizer, examples[0])


def test_a_tokenizer_that_composes_characters_is_no_fault(loaded: Any, examples: list[Example]) -> None:
    from tokenizers import normalizers

    tokenizer = loaded[1]
    tokenizer.backend_tokenizer.normalizer = normalizers.NFC()
    asked = examples[0].messages[0]
    answer = Message(role="assistant", content="cafe\u0301")
    example = examples[0].model_copy(update={"messages": (asked, answer)})
    check_mask(tokenizer, example, encoded(tokenizer, example))


def test_a_row_without_supervised_tokens_is_caught(loaded: Any, examples: list[Example]) -> None:
    tokens = encoded(loaded[1], examples[0], max_length=5)
    with pytest.raises(LimaError, match=r"made/0: no assistant token is left within 5 tokens"):
        check_supervision(replace(tokens, id="made/0"))


def test_text_that_spells_a_special_token_is_no_fault(loaded: Any) -> None:
    messages = (Message(role="user", content="<s>"), Message(role="assistant", content="a</s>b"))
    example = Example(id="html", source="made", messages=messages)
    check_template(loaded[1], example)
    check_mask(loaded[1], example, encoded(loaded[1], example))
    assert torch.tensor(encoded(loaded[1], example).ids).max() == 258
