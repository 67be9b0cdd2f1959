"""Tokenizers of other people, of every kind: training, generation and the saved template see the same ids, or it is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.conftest import byte_tokenizer
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from lima import chat, model
from lima.errors import LimaError
from lima.generate.prompts import PromptFormat
from lima.records import Example, Message
from lima.train.invariants import check_mask, check_template

TEXT = [
    "What is the colour of the sea?",
    "It is blue, and green near the coast.",
    "Who wrote this? A friend of mine did.",
]
LETTERS = [chr(code) for code in range(32, 127)]
ANSWERS = (
    "It is blue.",
    "Two lines:\n\n- one\n- two",
    "Wide   blanks and\ta tab",
    "naïve, 日本, \N{LLAMA}",
    "HTML: <s>struck</s> and <pad>",
    "[INST] no mark [/INST]",
)
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPLIT = r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""


def _fast(core: Tokenizer, **names: str) -> Any:
    return PreTrainedTokenizerFast(tokenizer_object=core, **names)


def _byte_pairs(*, prefix_space: bool = False, special: tuple[str, ...] = ("<s>", "</s>")) -> Tokenizer:
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix_space)
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    core.train_from_iterator(
        TEXT, trainers.BpeTrainer(vocab_size=320, special_tokens=list(special), initial_alphabet=alphabet)
    )
    return core


def _sentencepiece(*, fallback: bool) -> Tokenizer:
    """LLaMA's: blanks are U+2581, one stands before a text, and unknown characters are bytes or <unk>."""
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256) if fallback)]
    vocabulary = {token: number for number, token in enumerate([*special, "\u2581", *LETTERS[1:]])}
    core = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>", byte_fallback=fallback, fuse_unk=True))
    core.normalizer = normalizers.Sequence(
        [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]
    )
    steps = [
        decoders.Replace("\u2581", " "),
        decoders.ByteFallback(),
        decoders.Fuse(),
        decoders.Strip(" ", 1, 0),
    ]
    core.decoder = decoders.Sequence(steps)
    return core


def _metaspace() -> Any:
    vocabulary = {
        token: number
        for number, token in enumerate(["<s>", "</s>", "<unk>", "\u2581", *LETTERS[1:], "\n", "\t"])
    }
    core = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    core.decoder = decoders.Metaspace(prepend_scheme="always")
    return _fast(core, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def _unigram() -> Any:
    core = Tokenizer(models.Unigram())
    core.pre_tokenizer = pre_tokenizers.Metaspace()
    core.decoder = decoders.Metaspace()
    core.train_from_iterator(
        TEXT,
        trainers.UnigramTrainer(
            vocab_size=150,
            special_tokens=["<pad>", "</s>", "<unk>"],
            unk_token="<unk>",
            initial_alphabet=LETTERS,
        ),
    )
    return _fast(core, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")


def _twice() -> Any:
    """A BOS of the template, and another of the post-processor, which adds an EOS too."""
    core = _byte_pairs()
    core.post_processor = processors.TemplateProcessing(
        "<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    return _fast(core, bos_token="<s>", eos_token="</s>")


def _own_eot() -> Any:
    tokenizer = _fast(_byte_pairs(special=("<s>", "</s>", "<EOT>")), bos_token="<s>", eos_token="</s>")
    tokenizer.eot_token = tokenizer.init_kwargs["eot_token"] = "<EOT>"
    return tokenizer


def _tiktoken() -> Any:
    core = _byte_pairs(special=("<|endoftext|>", "<|fim_prefix|>"))
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    return _fast(core, eos_token="<|endoftext|>", pad_token="<|endoftext|>")


def _greedy_specials() -> Any:
    """Special tokens that eat the blanks around them, as RoBERTa's <mask> does."""
    tokenizer = byte_tokenizer()
    tokenizer.add_special_tokens(
        {"additional_special_tokens": [AddedToken("<mask>", lstrip=True, rstrip=True, special=True)]}
    )
    return tokenizer


def _lower_case() -> Any:
    core = Tokenizer(
        models.WordPiece(
            {t: n for n, t in enumerate(["[UNK]", "[SEP]", *LETTERS, *(f"##{c}" for c in LETTERS[1:])])},
            unk_token="[UNK]",
        )
    )
    core.normalizer = normalizers.BertNormalizer()
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.decoder = decoders.WordPiece()
    return _fast(core, eos_token="[SEP]", unk_token="[UNK]")


BYTES = len(ANSWERS)
KINDS: dict[str, tuple[Callable[[], Any], int]] = {
    "bytes": (byte_tokenizer, BYTES),
    "byte pairs": (lambda: _fast(_byte_pairs(), bos_token="<s>", eos_token="</s>"), BYTES),
    "a blank before each text": (
        lambda: _fast(_byte_pairs(prefix_space=True), bos_token="<s>", eos_token="</s>"),
        BYTES,
    ),
    "sentencepiece, falls back on bytes": (
        lambda: _fast(_sentencepiece(fallback=True), bos_token="<s>", eos_token="</s>", unk_token="<unk>"),
        BYTES,
    ),
    "sentencepiece, unknown characters": (
        lambda: _fast(_sentencepiece(fallback=False), bos_token="<s>", eos_token="</s>", unk_token="<unk>"),
        3,
    ),
    "metaspace": (_metaspace, 5),
    "unigram": (_unigram, 3),
    "no BOS": (lambda: byte_tokenizer(bos=None), BYTES),
    "BOS twice, and EOS": (_twice, BYTES),
    "pad is EOS": (lambda: _fast(_byte_pairs(), bos_token="<s>", eos_token="</s>", pad_token="</s>"), BYTES),
    "an eot_token of its own": (_own_eot, BYTES),
    "tiktoken": (_tiktoken, BYTES),
    "specials that eat blanks": (_greedy_specials, BYTES),
    "lower case": (_lower_case, 0),
}
"""Each kind, and how many of the answers it can spell: the doctor refuses the others by name."""


def _examples() -> list[Example]:
    def turns(*texts: str) -> tuple[Message, ...]:
        return tuple(Message(role=("user", "assistant")[n % 2], content=text) for n, text in enumerate(texts))

    alone = [
        Example(id=f"t/{n}", source="t", messages=turns("What is it?", text))
        for n, text in enumerate(ANSWERS)
    ]
    return [
        *alone,
        Example(id="t/dialogue", source="t", messages=turns("Hi", "Hello.", "Who is it?", "A friend.")),
    ]


def _ready(kind: str, template: str, folder: Path) -> tuple[Any, Any]:
    """Model and tokenizer as training has them, from a folder as their author would have saved them."""
    tokenizer = KINDS[kind][0]()
    if template == "chatml":
        tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
        tokenizer.chat_template = CHATML
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
    )
    model.save(LlamaForCausalLM(config), tokenizer, folder)
    network, tokenizer = model.load(folder, device="cpu")
    model.set_template(network, tokenizer, "lima" if template == "lima" else "tokenizer")
    return network, tokenizer


def _text(tokenizer: Any, ids: list[int]) -> str:
    return "".join(tokenizer.decode(ids).split())


@pytest.mark.parametrize("template", ["lima", "chatml"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_tokenizer_s_ids_are_one_and_the_same_everywhere(kind: str, template: str, tmp_path: Path) -> None:
    network, tokenizer = _ready(kind, template, tmp_path / "base")
    model.save(network, tokenizer, tmp_path / "tuned")
    _, again = model.load(tmp_path / "tuned", device="cpu")
    form, stop = PromptFormat.of(network, again), chat.stop_id(tokenizer)
    assert stop in form.stop_ids
    sound = 0
    for example in _examples():
        tokens = chat.encode_example(tokenizer, example.messages)
        assert chat.encode_example(again, example.messages) == tokens, "the saved tokenizer gives others"
        prompt = form.encode(example.messages[:-1])
        assert tokens.ids[: len(prompt)] == prompt, "generation asks otherwise than training told"
        assert tokens.ids.count(tokenizer.bos_token_id) <= 1 or tokenizer.bos_token_id is None
        assert tokens.labels.count(stop) == len(example.messages) // 2
        try:
            check_mask(tokenizer, example, tokens)
            check_template(again, example)
        except LimaError:
            continue
        learnt = [token for token in tokens.labels[len(prompt) :] if token not in (chat.IGNORE, stop)]
        assert _text(tokenizer, learnt) == "".join(example.messages[-1].content.split())
        sound += example.id != "t/dialogue"
    assert sound == KINDS[kind][1]


@pytest.mark.parametrize(
    ("template", "says"),
    [
        (
            "{% for m in messages %}{% for part in m.content %}{{ part.text }}{% endfor %}</s>{% endfor %}",
            "leaves out what messages say",
        ),
        ("{{ raise_exception('Roles must alternate') }}", "fails on a conversation .*Roles must alternate"),
        (
            "{% for m in messages %}{{ m.content }}\n{% endfor %}",
            "ends an assistant's turn with no special token",
        ),
        ("{% for m in messages %}{{ m.content }", "fails on a conversation"),
    ],
)
def test_a_template_that_cannot_be_used_is_refused_for_what_it_does(
    tiny_model: Path, template: str, says: str
) -> None:
    network, tokenizer = model.load(tiny_model, device="cpu")
    tokenizer.chat_template = template
    with pytest.raises(LimaError, match=says):
        model.set_template(network, tokenizer, "tokenizer")


def test_a_prompt_without_its_question_is_refused(tiny_model: Path) -> None:
    """Of a model of images: its template goes over the parts of a message, and a text has none."""
    network, tokenizer = model.load(tiny_model, device="cpu")
    tokenizer.chat_template = (
        "{% for m in messages %}{% for part in m.content %}{{ part.text }}{% endfor %}</s>{% endfor %}"
    )
    form = PromptFormat.of(network, tokenizer)
    with pytest.raises(LimaError, match="leaves out what messages say"):
        form.encode([Message(role="user", content="Hi")])


def test_of_several_named_templates_the_default_is_taken(tiny_model: Path, tmp_path: Path) -> None:
    network, tokenizer = model.load(tiny_model, device="cpu")
    plain = "{% for m in messages %}{{ m.content }}</s>{% endfor %}"
    tokenizer.chat_template = {"default": plain, "tool_use": "{{ raise_exception('for tools') }}"}
    model.save(network, tokenizer, tmp_path / "named")
    network, tokenizer = model.load(tmp_path / "named", device="cpu")
    prompt = PromptFormat.of(network, tokenizer).encode([Message(role="user", content="Hi")])
    assert tokenizer.decode(prompt) == "Hi</s>"
    model.set_template(network, tokenizer, "tokenizer")
    for example in _examples()[:2]:
        check_template(tokenizer, example)


def test_several_named_templates_without_a_default_are_refused(tiny_model: Path) -> None:
    network, tokenizer = model.load(tiny_model, device="cpu")
    tokenizer.chat_template = {"rag": "x", "tool_use": "y"}
    for use in (
        lambda: PromptFormat.of(network, tokenizer),
        lambda: model.set_template(network, tokenizer, "tokenizer"),
    ):
        with pytest.raises(LimaError, match="rag, tool_use, and none of them is called default"):
            use()


def test_a_template_that_writes_the_date_is_told(
    tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network, tokenizer = model.load(tiny_model, device="cpu")
    tokenizer.chat_template = "{{ strftime_now('%d') }}{% for m in messages %}{{ m.content }}</s>{% endfor %}"
    model.set_template(network, tokenizer, "tokenizer")
    assert "writes today's date into every prompt" in capsys.readouterr().err


def test_a_tokenizer_without_its_names_of_special_tokens_is_told(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    (folder / "tokenizer_config.json").unlink()
    model.load(folder, device="cpu")
    assert (
        "names neither a first nor a last token of a text; is tokenizer_config.json missing?"
        in capsys.readouterr().err
    )
