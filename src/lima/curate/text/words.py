"""The words of a text in any script, without case: for n-grams, and to count them.

Chinese, Japanese, Thai, Lao, Khmer and Burmese have no blanks between words. There each character is a word of its own, so
that word n-grams are character n-grams: no dictionary is needed, and a text of two scripts needs no decision.
"""

from __future__ import annotations

import re

NO_BLANKS = (
    "\u0e00-\u0e7f\u0e80-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1780-\u17ff"  # Burmese, Khmer
    "\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f"  # Hiragana, Katakana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
)
"""Ranges of characters, as they stand in a class of a regular expression."""
UNSPACED = re.compile(f"[{NO_BLANKS}]")
WORD = re.compile(rf"[{NO_BLANKS}]|[^\W{NO_BLANKS}]+")
PUNCTUATION = re.compile("[\u0e2f\u0e46\u0e4f\u0e5a\u0e5b\u104a-\u104f\u17d4-\u17da\u3004\u303d\u30fb\u30a0]")
ASCII_WORDS = bytes(
    code if chr(code).isalnum() or chr(code) == "_" else ord(" ") for code in range(128)
).ljust(256)


def words_of(text: str) -> list[str]:
    """The words of a text, twice as fast for plain ASCII.

    >>> words_of("It's a_b, C. 加热水")
    ['it', 's', 'a_b', 'c', '加', '热', '水']
    """
    if text.isascii():
        return text.lower().encode().translate(ASCII_WORDS).decode().split()
    return [word for word in WORD.findall(text.casefold()) if not PUNCTUATION.fullmatch(word)]
