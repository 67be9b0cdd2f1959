"""The world's sentences -> a word-level tokenizer: a word or a punctuation mark is one token.

Every name and every value is one token, so the oracle and the token statistics see whole facts.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from lima.world.wordings import training_texts

if TYPE_CHECKING:
    from tokenizers.pre_tokenizers import PreTokenizer
    from transformers import PreTrainedTokenizerFast

BOS, EOS, PAD, UNK = SPECIALS = ("<s>", "</s>", "<pad>", "<unk>")


def make_tokenizer() -> PreTrainedTokenizerFast:
    """A fresh tokenizer with BOS, EOS, PAD and UNK; ``decode(encode(text)) == text`` for the world's texts."""
    from tokenizers import Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    vocabulary = {token: number for number, token in enumerate((*SPECIALS, *_words()))}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token=UNK))
    core.pre_tokenizer = _splitter()
    core.decoder = decoders.Metaspace(prepend_scheme="always")
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        unk_token=UNK,
        clean_up_tokenization_spaces=False,
    )


def _splitter() -> PreTokenizer:
    from tokenizers import pre_tokenizers

    # a word carries the blank before it, the first word of a text too; a mark stands alone
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(prepend_scheme="always", split=True),
            pre_tokenizers.Punctuation(behavior="isolated"),
        ]
    )


@cache
def _words() -> tuple[str, ...]:
    splitter = _splitter()
    found = {piece for text in training_texts() for piece, _ in splitter.pre_tokenize_str(text)}
    return tuple(sorted(found))
