from pathlib import Path
from typing import Any

import pytest
from tests.conftest import byte_tokenizer
from transformers import AutoTokenizer

from lima import chat, model
from lima.errors import LimaError
from lima.generate.prompts import PromptFormat
from lima.records import Example, Message

USER, ASSISTANT = "user", "assistant"


def eot_of(tokenizer: Any) -> int:
    eot = chat.eot_id(tokenizer)
    assert eot is not None
    return eot


def says(*texts: str) -> list[Message]:
    return [Message(role=USER if i % 2 == 0 else ASSISTANT, content=text) for i, text in enumerate(texts)]


@pytest.fixture
def tokenizer(tiny_model: Path) -> Any:
    tuned, tokenizer = model.load(tiny_model)
    model.add_eot(tuned, tokenizer)
    return tokenizer


def metaspace_tokenizer() -> Any:
    """Of LLaMA's kind: a blank is put before a text, and, where it begins after a control token, is not."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = [chr(code) for code in range(33, 127)]
    vocabulary = {token: number for number, token in enumerate(["<s>", "</s>", "<unk>", "\u2581", *letters])}
    core = Tokenizer(models.BPE(vocabulary, merges=[], unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    core.decoder = decoders.Metaspace(prepend_scheme="first")
    core.add_special_tokens([AddedToken("<|unnamed|>", special=True)])
    return PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


def test_training_generation_and_the_saved_template_have_the_same_ids(
    tiny_model: Path, tmp_path: Path
) -> None:
    """In memory, where the EOT was just added, after loading again, and as any other tool renders them."""
    base, _ = model.load(tiny_model)
    tokenizer = metaspace_tokenizer()
    model.add_eot(base, tokenizer)
    conversation = says("Hi", "yo", "more", "no")
    trained = chat.encode_prompt(tokenizer, conversation)
    tokenizer.save_pretrained(tmp_path)
    loaded = model.load_tokenizer(tmp_path)
    assert chat.encode_prompt(loaded, conversation) == trained
    messages = [message.model_dump() for message in conversation]
    assert loaded.apply_chat_template(messages, tokenize=True, return_dict=False) == trained
    model.add_eot(base, loaded)  # training goes on from a checkpoint
    assert chat.encode_prompt(loaded, conversation) == trained


@pytest.mark.parametrize("text", ["</s>", "<|unnamed|>", "<|eot|>"])
def test_control_tokens_in_texts_stay_text(tiny_model: Path, text: str) -> None:
    base, _ = model.load(tiny_model)
    tokenizer = metaspace_tokenizer()
    model.add_eot(base, tokenizer)
    ids = chat.encode_prompt(tokenizer, says("Hi", f"use {text} here"))
    assert sum(number in chat.special_tokens(tokenizer) for number in ids) == 3  # BOS and two EOT


def test_system_messages_that_follow_one_another_are_all_kept(tokenizer: Any) -> None:
    system = [Message(role="system", content=text) for text in ("RULE-A", "RULE-B")]
    ids = chat.encode_prompt(tokenizer, [*system, *says("Hi")])
    assert tokenizer.decode(ids) == "<s>RULE-A\n\nRULE-B\n\nHi<|eot|>"


def test_every_utterance_ends_in_eot_after_one_bos(tokenizer: Any) -> None:
    ids = chat.encode_prompt(tokenizer, says("Hi", "Yo", "So?"))
    eot = chat.eot_id(tokenizer)
    byte = {letter: tokenizer.convert_tokens_to_ids(letter) for letter in "HiYoS?"}
    expected = [0, byte["H"], byte["i"], eot, byte["Y"], byte["o"], eot, byte["S"], byte["o"], byte["?"], eot]
    assert ids == expected


def test_loss_covers_exactly_the_assistant_tokens_and_their_eot(tokenizer: Any) -> None:
    tokens = chat.encode_example(tokenizer, says("Hi", "Yo", "So?", "No."))
    text = [
        tokenizer.decode([i]) if label != chat.IGNORE else "_"
        for i, label in zip(tokens.ids, tokens.labels, strict=True)
    ]
    # BOS, "Hi", EOT | "Yo", EOT | "So?", EOT | "No.", EOT
    assert text == ["_"] * 4 + ["Y", "o", "<|eot|>"] + ["_"] * 4 + ["N", "o", ".", "<|eot|>"]
    assert tokens.supervised == 7


@pytest.mark.parametrize("loss_on", ["assistant", "all"])
@pytest.mark.parametrize("own_template", [False, True])
def test_a_turn_of_weight_0_carries_no_loss(tokenizer: Any, loss_on: Any, own_template: bool) -> None:
    """The first answer is not learnt, in the paper's format and in a template of the tokenizer's own (a line feed a turn)."""
    if own_template:
        tokenizer = byte_tokenizer()
        tokenizer.chat_template = (
            "{% for m in messages %}{{ m.role[0] + ':' + m.content + (eos_token if m.role == 'assistant' else '\n') }}{% endfor %}"
            "{% if add_generation_prompt %}a:{% endif %}"
        )
    user, wrong, again, right = says("Hi", "Yo", "So?", "No.")
    unlearnt = wrong.model_copy(update={"weight": 0})
    whole = chat.encode_example(tokenizer, [user, wrong, again, right], loss_on=loss_on)
    tokens = chat.encode_example(tokenizer, [user, unlearnt, again, right], loss_on=loss_on)
    assert tokens.ids == whole.ids
    lost = [i for i, (a, b) in enumerate(zip(whole.labels, tokens.labels, strict=True)) if a != b]
    assert tokenizer.decode([whole.ids[i] for i in lost]).startswith("Yo")
    assert len(lost) == 3  # "Yo" and its end
    assert frozenset(lost) == tokens.unlearnt
    assert tokens.supervised == whole.supervised - 3


def test_a_dialogue_that_ends_on_a_user_turn_trains_on_its_answers(tokenizer: Any) -> None:
    tokens = chat.encode_example(tokenizer, says("Hi", "Yo", "So?"))
    assert tokens.supervised == 3
    assert tokens.labels[-4:] == [chat.IGNORE] * 4


def test_loss_on_all_counts_every_token_but_the_first(tokenizer: Any) -> None:
    tokens = chat.encode_example(tokenizer, says("Hi", "Yo"), loss_on="all")
    assert tokens.labels == tokens.ids
    assert tokens.supervised == len(tokens.ids) - 1


def test_text_that_spells_special_tokens_stays_text(tokenizer: Any) -> None:
    ids = chat.encode_prompt(tokenizer, says("<s>a<|eot|></s>", "b"))
    eot = eot_of(tokenizer)
    assert ids.count(0) == 1
    assert ids.count(1) == 0
    assert ids.count(eot) == 2
    assert len(ids) == 1 + len("<s>a<|eot|></s>") + 1 + 1 + 1
    tokens = chat.encode_example(tokenizer, says("<s>a<|eot|></s>", "b"))
    assert tokens.supervised == 2


@pytest.mark.parametrize(("keep_eot", "last_is_eot"), [(False, False), (True, True)])
def test_trimming(tokenizer: Any, keep_eot: bool, last_is_eot: bool) -> None:
    tokens = chat.encode_example(tokenizer, says("Hi", "A long answer."), max_length=8, keep_eot=keep_eot)
    assert tokens.trimmed
    assert len(tokens.ids) == len(tokens.labels) == 8
    eot = chat.eot_id(tokenizer)
    assert (tokens.ids[-1] == eot) is (tokens.labels[-1] == eot) is last_is_eot


def test_trimming_inside_the_prompt_leaves_nothing_supervised(tokenizer: Any) -> None:
    for keep_eot in (False, True):
        tokens = chat.encode_example(tokenizer, says("A question", "b"), max_length=6, keep_eot=keep_eot)
        assert tokens.supervised == 0


def test_a_system_message_stands_before_the_first_user_text(tokenizer: Any) -> None:
    messages = [Message(role="system", content="Be kind."), *says("Hi", "Yo")]
    assert chat.encode_prompt(tokenizer, messages) == chat.encode_prompt(
        tokenizer, says("Be kind.\n\nHi", "Yo")
    )
    assert chat.encode_example(tokenizer, messages).supervised == 3


def test_a_saved_tokenizer_renders_the_training_ids_in_plain_transformers(
    tokenizer: Any, tmp_path: Path, examples: list[Example]
) -> None:
    tokenizer.save_pretrained(tmp_path)
    plain = AutoTokenizer.from_pretrained(tmp_path)
    for example in examples:
        conversation = [message.model_dump() for message in example.messages]
        rendered = plain.apply_chat_template(conversation, tokenize=True, return_dict=False)
        assert rendered == chat.encode_example(tokenizer, example.messages).ids
    assert chat.eot_id(plain) == chat.eot_id(tokenizer)


def test_an_eot_with_quotes_is_rendered(tiny_model: Path) -> None:
    tuned, tokenizer = model.load(tiny_model)
    model.add_eot(tuned, tokenizer, "<'end'\\>")
    ids = chat.encode_prompt(tokenizer, says("Hi"))
    assert ids[-1] == chat.eot_id(tokenizer)
    assert len(ids) == 4


def test_a_base_without_eot_has_no_chat_format(tiny_model: Path) -> None:
    base = model.load_tokenizer(tiny_model)
    with pytest.raises(LimaError, match="no EOT"):
        chat.encode_prompt(base, says("Hi"))
    assert chat.encode_plain(base, "Hi")[0] == 0


def test_answers_are_decoded_without_special_tokens(tokenizer: Any) -> None:
    ids = [*tokenizer.encode(" Fine, thanks", add_special_tokens=False), chat.eot_id(tokenizer)]
    assert chat.decode_answer(tokenizer, ids) == "Fine, thanks"


def test_other_trainers_put_loss_on_the_same_tokens(tokenizer: Any) -> None:
    """By transformers' own mask, from the marks in the saved template; also after a system message and in a dialogue."""
    system = Message(role="system", content="Be brief.")
    for messages in (says("Hi", "Hello."), [system, *says("Hi", "Hello.", "Why?", "So.")]):
        tokens = chat.encode_example(tokenizer, messages)
        found = tokenizer.apply_chat_template(
            [message.model_dump() for message in messages],
            tokenize=True,
            return_dict=True,
            return_assistant_tokens_mask=True,
        )
        assert found["input_ids"] == tokens.ids
        assert found["assistant_masks"] == [int(label != chat.IGNORE) for label in tokens.labels]


def test_another_s_eot_token_is_no_mark_of_our_format(tiny_model: Path, tmp_path: Path) -> None:
    """CodeLlama's tokenizers have an `eot_token`, for infilling; its chat template is its own, and it can be tuned."""
    network, tokenizer = model.load(tiny_model, device="cpu")
    tokenizer.add_tokens(["<EOT>"], special_tokens=True)
    tokenizer.eot_token = tokenizer.init_kwargs["eot_token"] = "<EOT>"
    tokenizer.chat_template = "{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]{% else %}{{ m.content }}</s>{% endif %}{% endfor %}"
    network.resize_token_embeddings(len(tokenizer))
    model.save(network, tokenizer, tmp_path / "foreign")
    network, tokenizer = model.load(tmp_path / "foreign", device="cpu")
    assert tokenizer.eot_token == "<EOT>"
    assert chat.eot_id(tokenizer) is None
    form = PromptFormat.of(network, tokenizer)
    assert form.kind == "template"
    assert tokenizer.decode(form.encode(says("Hi"))) == "[INST] Hi [/INST]"
    for wanted, kind, stop in (("tokenizer", "template", "</s>"), ("lima", "lima", chat.EOT)):
        network, tokenizer = model.load(tmp_path / "foreign", device="cpu")
        model.set_template(network, tokenizer, wanted)
        model.save(network, tokenizer, tmp_path / wanted)
        network, tokenizer = model.load(tmp_path / wanted, device="cpu")
        assert PromptFormat.of(network, tokenizer).kind == kind
        assert tokenizer.convert_ids_to_tokens(chat.stop_id(tokenizer)) == stop


def test_a_checkpoint_of_ours_in_another_template_is_no_longer_in_our_format(
    tiny_model: Path, tmp_path: Path
) -> None:
    network, tokenizer = model.load(tiny_model, device="cpu")
    model.set_template(network, tokenizer)
    model.save(network, tokenizer, tmp_path / "ours")
    _, tokenizer = model.load(tmp_path / "ours", device="cpu")
    assert chat.eot_token(tokenizer) == chat.EOT
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }}<|eot|>{% endfor %}"
    assert chat.eot_token(tokenizer) is None
