"""Models that are tuned in a chat template of their own: ids, masks, stop tokens, and the same at generation."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.conftest import byte_tokenizer
from tokenizers import AddedToken, normalizers
from transformers import AutoModelForCausalLM, AutoTokenizer

from lima import chat, template
from lima import model as models
from lima.doctor.doctor import doctor
from lima.doctor.settings import DoctorSettings
from lima.errors import LimaError
from lima.files import read_jsonl, write_jsonl
from lima.generate.prompts import PromptFormat
from lima.generate.run import generate
from lima.generate.settings import GenerateSettings
from lima.records import Completion, Example, Message
from lima.train.invariants import check_mask, check_template
from lima.train.run import train
from lima.train.settings import TrainSettings

START, END = 258, 259
CHATML = (
    "{%- if messages[0]['role'] != 'system' %}{{- '<|im_start|>system\\nBe kind.<|im_end|>\\n' }}{%- endif %}\n"
    "{%- for message in messages %}\n"
    "    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}\n"
    "{%- endfor %}\n"
    "{%- if add_generation_prompt %}\n    {{- '<|im_start|>assistant\\n' }}\n{%- endif %}\n"
)
# of Mistral's and Llama 2's kind: EOS ends an answer, the system message is taken off, roles must alternate
INSTRUCT = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set system = messages[0]['content'] + '\\n\\n' %}"
    "{% set messages = messages[1:] %}{% else %}{% set system = '' %}{% endif %}"
    "{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}{% if message['role'] == 'user' %}"
    "{{ '[INST] ' + (system if loop.first else '') + message['content'] | trim + ' [/INST]' }}"
    "{% else %}{{ ' ' + message['content'] | trim + eos_token }}{% endif %}{% endfor %}"
)
MARKED = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.role == 'assistant' %}{% generation %}{{ message.content }}{% endgeneration %}"
    "{% else %}{{ message.content }}{% endif %}<|im_end|>{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TEMPLATES = {"chatml": CHATML, "instruct": INSTRUCT, "marked": MARKED}


@pytest.fixture
def base(tiny_model: Path, tmp_path: Path) -> Path:
    """The folder of a tiny model that brings ChatML."""
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    tokenizer = byte_tokenizer()
    tokenizer.add_tokens(["<|im_start|>", "<|im_end|>"], special_tokens=True)
    tokenizer.chat_template = CHATML
    model.resize_token_embeddings(260, mean_resizing=False)
    model.save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    return tmp_path / "base"


@pytest.fixture
def choose(base: Path, tmp_path: Path, examples: list[Example]) -> Any:
    write_jsonl(tmp_path / "train.jsonl", examples)

    def settings(**changes: Any) -> TrainSettings:
        values = {
            "model": str(base), "data": tmp_path / "train.jsonl", "out": tmp_path / "run", "steps": 2,
            "batch_size": 4, "learning_rate": 1e-3, "max_length": 256, "device": "cpu", "chat_template": "tokenizer",
        }  # fmt: skip
        return TrainSettings.model_validate(values | changes)

    return settings


def with_template(base: Path, template: str) -> tuple[Any, Any]:
    model, tokenizer = models.load(base)
    tokenizer.chat_template = template
    return model, tokenizer


def dicts(messages: Any) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]


def says(*texts: str, system: str | None = None) -> list[Message]:
    begin = [] if system is None else [Message(role="system", content=system)]
    roles = ("user", "assistant")
    return begin + [Message(role=roles[i % 2], content=text) for i, text in enumerate(texts)]


@pytest.mark.parametrize("name", TEMPLATES)
def test_ids_are_those_of_the_template_and_other_trainers_mask_the_same_tokens(
    base: Path, tmp_path: Path, name: str
) -> None:
    talks = [says("Hi", "Yo"), says("Hi", "Yo", "So?", "No."), says("Hi", "Yo", system="Speak."), says("Hi")]
    model, tokenizer = with_template(base, TEMPLATES[name])
    before = [tokenizer.apply_chat_template(dicts(t), tokenize=True, return_dict=False) for t in talks]
    rows = model.get_input_embeddings().weight.shape[0]
    models.set_template(model, tokenizer, "tokenizer")
    assert (len(tokenizer), model.get_input_embeddings().weight.shape[0]) == (260, rows)
    tokenizer.save_pretrained(tmp_path / "saved")
    plain = AutoTokenizer.from_pretrained(tmp_path / "saved")
    for talk, ids in zip(talks, before, strict=True):
        tokens = chat.encode_example(tokenizer, talk)
        found = plain.apply_chat_template(
            dicts(talk), tokenize=True, return_dict=True, return_assistant_tokens_mask=True
        )
        assert tokens.ids == found["input_ids"] == ids
        assert found["assistant_masks"] == [int(label != chat.IGNORE) for label in tokens.labels]
        assert chat.encode_example(plain, talk) == tokens
        for turn in (number for number, message in enumerate(talk) if message.role == "assistant"):
            prompt = plain.apply_chat_template(
                dicts(talk[:turn]), add_generation_prompt=True, tokenize=True, return_dict=False
            )
            assert tokens.ids[: len(prompt)] == prompt


def test_loss_is_on_the_answers_and_the_tokens_that_end_them(base: Path) -> None:
    model, tokenizer = models.load(base)
    models.set_template(model, tokenizer, "tokenizer")
    tokens = chat.encode_example(tokenizer, says("Hi", "Yo", "So?", "No."))
    supervised = [label for label in tokens.labels if label != chat.IGNORE]
    assert tokenizer.decode(supervised) == "Yo<|im_end|>No.<|im_end|>"
    assert tokens.ids.count(END) == 5  # of the system's and the users' turns too
    assert tokens.ids[-1] == tokenizer.convert_tokens_to_ids("\u010a")  # the line feed behind the last one


def test_the_stop_token_reaches_generation_config_and_tokenizer(base: Path) -> None:
    model, tokenizer = models.load(base)
    models.set_template(model, tokenizer, "tokenizer")
    assert model.generation_config.eos_token_id == [END, 1]
    assert tokenizer.eos_token_id == END
    model, tokenizer = with_template(base, INSTRUCT)
    models.set_template(model, tokenizer, "tokenizer")
    assert tokenizer.eos_token == "</s>"  # which the template renders
    assert chat.stop_id(tokenizer) == 1


@pytest.mark.parametrize("text", ["<|im_end|>", "a<|im_start|>assistant", "</s>"])
def test_special_text_of_users_and_answers_stays_text(base: Path, text: str) -> None:
    model, tokenizer = models.load(base)
    models.set_template(model, tokenizer, "tokenizer")
    tokens = chat.encode_example(tokenizer, says(text, f"So {text}."))
    assert (tokens.ids.count(START), tokens.ids.count(END), tokens.ids.count(1)) == (3, 3, 0)
    assert tokenizer.decode([i for i in tokens.labels if i != chat.IGNORE]) == f"So {text}.<|im_end|>"
    prompt = PromptFormat.of(model, tokenizer).encode(says(text))
    assert prompt == tokens.ids[: len(prompt)]


def test_a_trimmed_answer_may_keep_the_stop_token(base: Path) -> None:
    model, tokenizer = models.load(base)
    models.set_template(model, tokenizer, "tokenizer")
    whole = chat.encode_example(tokenizer, says("Hi", "A long answer."))
    cut = chat.encode_example(
        tokenizer, says("Hi", "A long answer."), max_length=len(whole.ids) - 5, keep_eot=True
    )
    assert cut.ids[-1] == cut.labels[-1] == END


def test_a_run_keeps_the_vocabulary_and_its_model_is_used_with_the_template(
    choose: Any, tmp_path: Path, examples: list[Example]
) -> None:
    train(choose())
    (saved,) = (tmp_path / "run").glob("epoch-*")
    model, tokenizer = models.load(saved)
    assert model.config.vocab_size == 260
    assert chat.eot_id(tokenizer) is None
    form = PromptFormat.of(model, tokenizer)
    assert form.kind == "template"
    assert (
        form.ending
        == "answers end at <|im_end|> (generation_config, tokenizer, chat template), </s> (generation_config)"
    )
    for example in examples:
        check_template(tokenizer, example)
        check_mask(tokenizer, example, chat.encode_example(tokenizer, example.messages))
    card = (saved / "README.md").read_text()
    assert "chat template is that of the base" in card
    write_jsonl(
        tmp_path / "prompts.jsonl", [e.model_copy(update={"messages": e.prompt}) for e in examples[:2]]
    )
    generate(
        GenerateSettings(
            system=str(saved),
            prompts=tmp_path / "prompts.jsonl",
            out=tmp_path / "answers.jsonl",
            max_new_tokens=4,
        )
    )
    assert [row.status for row in read_jsonl(tmp_path / "answers.jsonl", Completion)] == ["ok", "ok"]
    train(choose(model=str(saved), out=tmp_path / "again"))  # and tuning goes on from it
    (again,) = (tmp_path / "again").glob("epoch-*")
    assert models.load_tokenizer(again).chat_template == tokenizer.chat_template


def test_adapters_train_the_stop_token_of_the_template(choose: Any, tmp_path: Path) -> None:
    train(choose(lora_rank=2))
    (saved,) = (tmp_path / "run").glob("epoch-*")
    before = models.load(choose().model)[0].get_input_embeddings().weight
    changed = (models.load(saved)[0].get_input_embeddings().weight != before).any(1).nonzero().flatten()
    assert changed.tolist() == [END]
    assert torch.isfinite(before).all()


def test_a_model_of_our_format_can_change_to_another(choose: Any, tmp_path: Path) -> None:
    (tmp_path / "chatml.jinja").write_text(CHATML)
    train(choose(chat_template="lima", out=tmp_path / "ours"))
    (ours,) = (tmp_path / "ours").glob("epoch-*")
    model, tokenizer = models.load(ours)
    models.set_template(model, tokenizer, "tokenizer")
    assert chat.eot_id(tokenizer) == 260  # its own template is ours
    train(choose(model=str(ours), chat_template=str(tmp_path / "chatml.jinja")))
    (saved,) = (tmp_path / "run").glob("epoch-*")
    model, tokenizer = models.load(saved)
    assert PromptFormat.of(model, tokenizer).kind == "template"
    assert tokenizer.decode(chat.encode_example(tokenizer, says("Hi")).ids[:2]) == "<|im_start|>s"


FAULTS = {
    "no stop token": (
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}",
        "ends an assistant's turn with no",
    ),
    "a rule of its own": ("{{ raise_exception('only tools') }}", r"fails on a conversation \(only tools\)"),
    "no Jinja": ("{% for m in messages %}", "fails on a conversation"),
    "one turn only": (
        "{{ raise_exception('too long') if messages | length > 3 }}{% for m in messages %}{{ m.content }}</s>{% endfor %}",
        "made/dialogue: the chat template fails",
    ),
    "older answers are dropped": (
        "{% for m in messages %}{{ m.content if loop.last or m.role == 'user' }}</s>{% endfor %}",
        "made/dialogue: the chat template renders answer 1 otherwise alone",
    ),
    "an empty thought before each answer": (
        CHATML.replace("message.content", "('<think>\\n\\n</think>\\n\\n' if message.role == 'assistant' else '') + message.content"),
        r"renders answer 1 with '<think>\\n\\n</think>' before it, which generation's prompt has not",
    ),
    "words changed": (
        CHATML.replace("message.content", "message.content | replace('i', 'y')"),
        "renders answer 1 in other words: '.*' for '.*'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_template_that_cannot_be_trained_is_refused_before_the_run(
    choose: Any, tmp_path: Path, fault: str
) -> None:
    template, message = FAULTS[fault]
    (tmp_path / "own.jinja").write_text(template)
    with pytest.raises(LimaError, match=message):
        train(choose(chat_template=str(tmp_path / "own.jinja")))
    assert not (tmp_path / "run").exists()


def test_thoughts_that_the_heading_begins_are_learnt_to_their_end(base: Path) -> None:
    heading = CHATML.replace("'<|im_start|>assistant\\n'", "'<|im_start|>assistant\\n<think>\\n'")
    _, tokenizer = with_template(base, heading)
    tokens = chat.encode_example(tokenizer, says("Hi", "<think>\nhm\n</think>\nYo"))
    assert tokenizer.decode([t for t in tokens.labels if t != chat.IGNORE]) == "hm\n</think>\nYo<|im_end|>"


@pytest.mark.parametrize(
    ("special", "normalizer", "typed"),
    [
        (False, None, "<|im_start|>system"),  # as of a tokenizer whose author added plain tokens
        (True, normalizers.NFKC(), "\uff1c|im_start|\uff1esystem"),
        (True, normalizers.Lowercase(), "<|IM_START|>system"),
    ],
)
def test_what_a_user_types_never_begins_a_turn(
    base: Path, special: bool, normalizer: Any, typed: str
) -> None:
    tokenizer = byte_tokenizer()
    marks = [
        AddedToken("<|im_start|>", special=special, normalized=normalizer is not None),
        AddedToken("<|im_end|>", special=True, normalized=normalizer is not None),
    ]
    tokenizer.add_tokens(marks)
    if normalizer is not None:
        tokenizer.backend_tokenizer.normalizer = normalizer
    tokenizer.chat_template = MARKED
    models.set_template(models.load(base)[0], tokenizer, "tokenizer")
    example = Example(id="made/x", source="made", messages=tuple(says(f"a {typed} b", f"c {typed} d")))
    tokens = chat.encode_example(tokenizer, example.messages)
    assert tokens.ids.count(START) == 2
    assert tokens.labels.count(START) == 0
    prompt = template.encode_prompt(tokenizer, example.messages[:1])
    assert tokens.ids[: len(prompt)] == prompt
    check_template(tokenizer, example)


def test_a_missing_template_is_refused(choose: Any, tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(LimaError, match=r"--chat-template tokenizer: this tokenizer has no chat template"):
        train(choose(model=str(tiny_model)))
    with pytest.raises(LimaError, match=r"--chat-template lost\.jinja: No such file"):
        train(choose(chat_template="lost.jinja"))


def test_an_answer_that_melts_into_its_heading_is_found(base: Path) -> None:
    """With a token of two line feeds, an answer that begins with one has other ids than the prompt before it."""
    from tokenizers import Tokenizer, pre_tokenizers
    from tokenizers import models as cores
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {
        token: i for i, token in enumerate(["<|im_start|>", "<|im_end|>", *alphabet, "\u010a\u010a"])
    }
    core = Tokenizer(cores.BPE(vocabulary, merges=[("\u010a", "\u010a")]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<|im_start|>", eos_token="<|im_end|>", chat_template=CHATML
    )
    models.set_template(models.load(base)[0], tokenizer, "tokenizer")
    good, bad = (
        Example(id=i, source="made", messages=tuple(says("Hi", t)))
        for i, t in (("good", "Yo"), ("bad", "\nYo"))
    )
    check_template(tokenizer, good)
    with pytest.raises(LimaError, match="bad: the prompt of turn 2 has other ids"):
        check_template(tokenizer, bad)


def test_marks_that_differ_from_the_loss_are_found(base: Path, examples: list[Example]) -> None:
    _, tokenizer = with_template(base, MARKED)  # its own marks leave the stop token out
    with pytest.raises(LimaError, match="made/0: the marks of the chat template differ"):
        check_template(tokenizer, examples[0])


def test_the_doctor_says_whether_the_stop_token_is_trained(
    base: Path, tmp_path: Path, examples: list[Example], capsys: pytest.CaptureFixture[str]
) -> None:
    write_jsonl(tmp_path / "train.jsonl", examples)
    doctor(DoctorSettings(model=str(base), data=tmp_path / "train.jsonl", chat_template="tokenizer"))
    printed = " ".join(capsys.readouterr().err.split())
    answers = sum(m.role == "assistant" for e in examples for m in e.messages)
    assert (
        f"stop token: <|im_end|> (259); it carries loss at the end of {answers} of {answers} answers"
        in printed
    )
