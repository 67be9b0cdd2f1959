"""Near-duplicates, templates and leaks: texts compared by the word n-grams that they share.

`Duplicates` finds earlier texts of Jaccard similarity >= a threshold, `near_duplicates` all such pairs of a collection: both
look up a few n-grams of each text in an index and compare what they find there exactly. `Leaks` finds training
examples that give away a test prompt. 35 % of the released 300 test prompts have fewer than 13 words and 11 %
fewer than 8, so n-grams alone cannot see them: short prompts have rules of their own.

A text is a set of hashes, the same in every process and in any order of texts. Collections too big to compare exactly go
by MinHash with bands. Two sets have the same smallest value under a random order with probability J, their Jaccard
similarity (Broder, 1997). Of each text `Bands.rows` such values make a band; texts with an equal band are candidates, which
an exact comparison decides.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field

from lima.curate.text.blocks import words_of
from lima.files import read_jsonl
from lima.records import Example
from lima.settings import Settings

FILLED_IN = re.compile(r"(?:\b(?:[^\W\d_]{0,2}\d\w*|[A-ZÀ-ÖØ-ÞΑ-ΩА-ЯЁ]\w*)\b[\s,.:/#-]*)+")
"""What differs between two texts that are made from one template: numbers, and words with a capital. "utf8" is a word."""


EXACT_TEXTS_MAX = 400_000


class DuplicateSettings(Settings):
    """What counts as the same example twice."""

    same_prompt: bool = True
    """Drop an example whose prompt came before, apart from case and punctuation."""
    jaccard: float | None = Field(default=0.7, gt=0, le=1)
    """Drop an example whose text shares this much of its word n-grams with an earlier one; ``None`` switches this off,
    and templates too. [ours]"""
    template: float | None = Field(default=0.8, gt=0, le=1)
    """Drop an example whose answer shares this much of its n-grams with an earlier answer when numbers and names are left
    out: answers that are filled into one template. [ours]"""
    template_words_min: int = Field(default=25, ge=1)
    """Shorter answers are not compared as templates: "The capital of Peru is Lima.\""""
    ngram: int = Field(default=5, ge=1)
    """Words in an n-gram; characters where a script has no blanks between words."""
    exact_texts_max: int = Field(default=EXACT_TEXTS_MAX, ge=0)
    """Among this many texts every near-duplicate is found; in bigger collections candidates come from MinHash, which misses
    0.4 % of those right at the threshold. Either way each is compared exactly. 400,000 texts of 300 words take 6 GB."""

    @property
    def template_used(self) -> float | None:
        """The threshold for templates, where anything near is looked for."""
        return None if self.jaccard is None else self.template


class LeakSettings(Settings):
    """Which training examples give away a prompt of the files in ``against``."""

    against: tuple[Path, ...] = ()
    """Files of Examples whose prompts must stay unseen."""
    ngram: int = Field(default=8, ge=2)
    """A shared run of this many words is a leak; shorter prompts must be contained whole."""
    short_words_min: int = 4
    """Shorter prompts are compared only for equality."""
    jaccard: float | None = Field(default=0.5, gt=0, le=1)
    """Two prompts that share this much of their words ask the same question."""


class Match(NamedTuple):
    """An earlier example that is nearly the same."""

    rule: str
    reason: str
    id: str


class Duplicates:
    """The examples accepted so far."""

    def __init__(self, settings: DuplicateSettings) -> None:
        self._settings = settings
        self._prompts: dict[tuple[str, ...], str] = {}
        self._texts = None if settings.jaccard is None else _Index(settings.jaccard, settings)
        self._answers = None if settings.template_used is None else _Index(settings.template_used, settings)

    def find(self, example: Example) -> tuple[str, str] | None:
        """The rule and the reason if the example is there already in nearly the same words."""
        match = next(self.matches(example), None)
        return None if match is None else (match.rule, match.reason)

    def matches(self, example: Example) -> Iterator[Match]:
        """All earlier examples that are nearly the same, each with the first rule that says so."""
        before = self._prompts.get(_prompt_words(example)) if self._settings.same_prompt else None
        if before is not None:
            yield Match("same_prompt", f"the prompt of {before}", before)
        for identifier, similarity in self._texts.similar(full_text(example)) if self._texts else ():
            if identifier != before:
                yield Match("near_duplicate", f"{similarity:.2f} of the n-grams of {identifier}", identifier)
        answer = self._template(example)
        for identifier, similarity in self._answers.similar(answer) if self._answers and answer else ():
            reason = (
                f"but for numbers and names, {similarity:.2f} of the n-grams of the answer of {identifier}"
            )
            yield Match("same_template", reason, identifier)

    def add(self, example: Example) -> None:
        """Remember an accepted example."""
        self._prompts.setdefault(_prompt_words(example), example.id)
        if self._texts:
            self._texts.add(example.id, full_text(example))
        if self._answers and (answer := self._template(example)):
            self._answers.add(example.id, answer)

    def forget(self, examples: Iterable[Example]) -> None:
        """Take back what was added but is not in the data after all."""
        gone = {example.id for example in examples}
        self._prompts = {words: name for words, name in self._prompts.items() if name not in gone}
        for index in (self._texts, self._answers):
            if index:
                index.forget(gone)

    def _template(self, example: Example) -> str | None:
        return template_of(example, self._settings.template_words_min)


class Pair(NamedTuple):
    """Two places in a collection, the earlier first, and their Jaccard similarity."""

    first: int
    second: int
    similarity: float


def near_duplicates(
    texts: Sequence[str], threshold: float = 0.7, ngram: int = 5, exact_texts_max: int = EXACT_TEXTS_MAX
) -> list[Pair]:
    """Every pair of texts whose sets of word n-grams have at least this Jaccard similarity, in order.

    A text shorter than one n-gram is its own. Above ``exact_texts_max`` texts candidates come from MinHash: 0.4 % of the
    pairs right at the threshold are missed, fewer of more similar ones, and n-grams are made anew for candidates alone,
    so that memory stays small. None is reported that is less similar.

    >>> near_duplicates(["a b c d e f", "x", "A b, c d e f."])
    [Pair(first=0, second=2, similarity=1.0)]
    """
    exact, bands = len(texts) <= exact_texts_max, Bands.of(threshold)
    places, kept, pairs = _Places(), list[Hashes](), list[Pair]()
    for grams, sizes in gram_blocks(texts, ngram):
        sketches = [] if exact else bands.keys(grams, sizes).tolist()
        first = len(kept)
        for number, own in enumerate(np.split(grams, np.cumsum(sizes)[:-1])):
            keys = _prefix(own, threshold) if exact else sketches[number]
            for other in places.at(keys):
                similarity = jaccard(own, kept[other] if exact else gram_set(texts[other], ngram))
                if similarity >= threshold - 1e-12:
                    pairs.append(Pair(other, first + number, similarity))
            places.put(keys, first + number)
            kept.append(own if exact else own[:0].copy())
    return sorted(pairs)


class _Places(dict[int, "int | list[int]"]):
    """Places of texts by key. Most keys have a single place, which is kept without a list: a third of the memory."""

    def put(self, keys: Iterable[int], place: int) -> None:
        for key in keys:
            before = self.setdefault(key, place)
            if isinstance(before, list):
                before.append(place)
            elif before != place:
                self[key] = [before, place]

    def at(self, keys: Iterable[int]) -> list[int]:
        """Every place that has one of the keys, in order."""
        found: set[int] = set()
        for key in keys:
            if (places := self.get(key)) is not None:
                found.update(places if isinstance(places, list) else (places,))
        return sorted(found)


def _prefix(grams: Hashes, threshold: float) -> list[int]:
    keys: list[int] = grams[: int(prefix_size(len(grams), threshold))].tolist()
    return keys


class _Index:
    """Texts by n-grams.

    An index of few n-grams of each keeps the comparisons few, and what it finds is exact; texts beyond
    `DuplicateSettings.exact_texts_max` are found by MinHash.
    """

    def __init__(self, threshold: float, settings: DuplicateSettings) -> None:
        self._threshold, self._settings = threshold, settings
        self._bands = Bands.of(threshold)
        self._grams: list[Hashes] = []
        self._ids: list[str] = []
        self._places = _Places()
        self._last: tuple[str, Hashes] | None = None  # what is added was mostly looked for just before

    def similar(self, text: str) -> Iterator[tuple[str, float]]:
        """Ids of texts that are as similar as the threshold, in the order in which they were added, with their similarity."""
        grams = gram_set(text, self._settings.ngram)
        self._last = (text, grams)
        keys = _prefix(grams, self._threshold)
        if len(self._grams) > self._settings.exact_texts_max:
            keys += self._sketch(grams)
        for place in self._places.at(keys):
            similarity = jaccard(grams, self._grams[place])
            if similarity >= self._threshold:
                yield self._ids[place], similarity

    def add(self, identifier: str, text: str) -> None:
        last = self._last
        grams = last[1] if last is not None and last[0] == text else gram_set(text, self._settings.ngram)
        place = len(self._grams)
        exact = place < self._settings.exact_texts_max
        self._grams.append(grams)
        self._ids.append(identifier)
        self._places.put(_prefix(grams, self._threshold) if exact else self._sketch(grams), place)

    def forget(self, gone: Container[str]) -> None:
        for place, name in enumerate(self._ids):
            if name in gone:
                self._grams[place] = self._grams[place][:0]

    def _sketch(self, grams: Hashes) -> list[int]:
        keys: list[int] = self._bands.keys(grams, np.array([len(grams)]))[0].tolist()
        return keys


class Leaks:
    """The prompts that training must not have seen."""

    def __init__(self, settings: LeakSettings, prompts: Iterable[Example] | None = None) -> None:
        self._settings = settings
        self._equal: dict[tuple[str, ...], str] = {}
        self._runs: dict[tuple[str, ...], str] = {}
        self._short: dict[tuple[str, ...], str] = {}
        self._words: list[tuple[frozenset[str], str]] = []
        self._ids: set[str] = set()
        for prompt in _read(settings.against) if prompts is None else prompts:
            self._add(prompt)

    def find(self, example: Example, title: str | None = None) -> tuple[str, str] | None:
        """The rule and the reason if the example gives away one of the prompts.

        The rules: ``leak_question`` the same id, so the same question in its other form; ``leak_equal`` the
        same words; ``leak_run`` a shared run of `LeakSettings.ngram` words; ``leak_contained`` a short prompt
        inside the example's; ``leak_similar`` a prompt or title of mostly the same words.
        """
        if not self._ids:
            return None
        if example.id in self._ids:
            return "leak_question", "the same question is a test prompt"
        asked = [_prompt_words(example), *([_words(title)] if title else [])]
        for words in asked:
            if words in self._equal:
                return "leak_equal", f"it is the test prompt {self._equal[words]}"
        for run in _runs(_words(full_text(example)), self._settings.ngram):
            if run in self._runs:
                return "leak_run", f"it shares {' '.join(run)!r} with the test prompt {self._runs[run]}"
        return self._short_leak(asked)

    def _short_leak(self, asked: Sequence[tuple[str, ...]]) -> tuple[str, str] | None:
        for words in asked:
            for length in range(self._settings.short_words_min, self._settings.ngram):
                for run in _runs(words, length):
                    if run in self._short:
                        return "leak_contained", f"it contains the test prompt {self._short[run]}"
            for other, identifier in self._words if self._settings.jaccard else ():
                if _overlap(frozenset(words), other) >= (self._settings.jaccard or 2):
                    return "leak_similar", f"it asks what the test prompt {identifier} asks"
        return None

    def _add(self, prompt: Example) -> None:
        words = _prompt_words(prompt)
        self._ids.add(prompt.id)
        self._equal.setdefault(words, prompt.id)
        for run in _runs(words, self._settings.ngram):
            self._runs.setdefault(run, prompt.id)
        if len(words) < self._settings.short_words_min:
            return
        if len(words) < self._settings.ngram:
            self._short.setdefault(words, prompt.id)
        self._words.append((frozenset(words), prompt.id))


def _read(paths: Sequence[Path]) -> Iterable[Example]:
    for path in paths:
        yield from read_jsonl(path, Example)


def _words(text: str) -> tuple[str, ...]:
    return tuple(words_of(text))


def _prompt_words(example: Example) -> tuple[str, ...]:
    """The first user turn: later turns of a dialogue depend on it."""
    return _words(example.turns[0].content)


def full_text(example: Example) -> str:
    """All turns, as near-duplicates and leaks compare them."""
    return "\n".join(turn.content for turn in example.turns)


def template_of(example: Example, words_min: int) -> str | None:
    """The last answer with a blank for each run of numbers and capitalised words; None where few words are left."""
    if example.is_prompt:
        return None
    text = FILLED_IN.sub(" _ ", example.turns[-1].content)
    return text if len(words_of(text)) >= words_min else None


def _runs(words: Sequence[str], length: int) -> Iterable[tuple[str, ...]]:
    return (tuple(words[start : start + length]) for start in range(len(words) - length + 1))


def _overlap(first: frozenset[str], second: frozenset[str]) -> float:
    union = len(first | second)
    return len(first & second) / union if union else 0.0


Integers = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]

BLOCK_TEXTS = 4096
"""Texts whose n-grams are hashed together."""
HASH_BITS = np.uint64(52)
"""The other twelve bits hold the place of a text in its block. Of 20 million n-grams one in a thousand million meets another."""
HASH = (np.uint64(1) << HASH_BITS) - np.uint64(1)
KNOWN_WORDS_MAX = 2_000_000
"""Hashes of words that are remembered, some 100 bytes each."""
MISSED = 0.004
"""The share of pairs right at the threshold that no band finds; of more similar ones it is less."""
SLICE_GRAMS = 1 << 16
"""n-grams that are looked at together, so that they stay in the cache."""
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
MIXERS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
"""Of the generator splitmix64 (Steele, Lea and Flood, 2014)."""


class _WordHashes(dict[str, int]):
    def __missing__(self, word: str) -> int:
        if len(self) >= KNOWN_WORDS_MAX:
            self.clear()
        self[word] = found = hash_of(word.encode())
        return found


def hash_of(data: bytes) -> int:
    """64 bits that are the same in every process."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


_word_hashes = _WordHashes()


def gram_set(text: str, ngram: int) -> Hashes:
    """The n-grams of one text; a text shorter than one n-gram is its own.

    >>> len(gram_set("a b c d a b c", 3))
    4
    """
    return next(gram_blocks([text], ngram))[0]


def gram_blocks(texts: Sequence[str], ngram: int) -> Iterator[tuple[Hashes, Integers]]:
    """As `gram_set` of many texts, `BLOCK_TEXTS` at a time: the n-grams one text after the other, and how many each has."""
    for start in range(0, len(texts), BLOCK_TEXTS):
        rows = [words_of(text) for text in texts[start : start + BLOCK_TEXTS]]
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        every_word = map(_word_hashes.__getitem__, chain.from_iterable(rows))
        ids = np.fromiter(every_word, np.uint64, int(lengths.sum()))
        keys = np.sort(_keys(ids, lengths, ngram))  # one sort: the text's place stands before the hash
        keys = keys[np.concatenate([[True], keys[1:] != keys[:-1]])]
        yield keys & HASH, np.bincount((keys >> HASH_BITS).astype(np.int64), minlength=len(rows))


def jaccard(first: Hashes, second: Hashes) -> float:
    """The share of two sets that they have in common."""
    if len(first) > len(second):
        first, second = second, first
    if not len(first):
        return 0.0
    places = np.searchsorted(second, first)
    places[places == len(second)] = 0
    shared = int((second[places] == first).sum())
    return shared / (len(first) + len(second) - shared)


def prefix_size(size: Any, threshold: float) -> Any:
    """How many of the first n-grams of a set of this size it takes for two similar sets to share at least one.

    Sets with Jaccard >= t share at least t*|A| elements, so they cannot miss each other among the first
    |A| - ceil(t*|A|) + 1 of each in any fixed order (prefix filtering).
    """
    return np.minimum(size - np.ceil(threshold * size - 1e-9).astype(np.int64) + 1, size)


def mix(values: Any) -> Hashes:
    """Spread 64-bit values evenly (the output function of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * MIXERS[0]
    values = (values ^ (values >> np.uint64(27))) * MIXERS[1]
    mixed: Hashes = values ^ (values >> np.uint64(31))
    return mixed


def _keys(ids: Hashes, lengths: Integers, ngram: int) -> Hashes:
    """Of every n-gram its hash behind the place of its text; texts with fewer words have one n-gram, of all of them."""
    starts = np.cumsum(lengths) - lengths
    sums = np.zeros(max(0, len(ids) - ngram + 1), dtype=np.uint64)
    for step in range(ngram):  # a polynomial in the hashes of the words
        sums = sums * MULTIPLIER + ids[step : step + len(sums)]
    owners = np.repeat(np.arange(len(lengths)), lengths)[: len(sums)]
    within = np.arange(len(sums)) - starts[owners] <= lengths[owners] - ngram
    owners, sums = owners[within], sums[within]
    short = np.flatnonzero(lengths < ngram)
    if len(short):
        spans = zip(starts[short].tolist(), lengths[short].tolist(), strict=True)
        whole = [hash_of(ids[start : start + length].tobytes()) for start, length in spans]
        owners, sums = np.append(owners, short), np.append(sums, np.array(whole, dtype=np.uint64))
    return (owners.astype(np.uint64) << HASH_BITS) | (mix(sums) & HASH)


@dataclass(frozen=True)
class Bands:
    """How many bands of how many values suit a threshold."""

    number: int
    rows: int

    @classmethod
    def of(cls, threshold: float) -> Bands:
        """Short bands find dissimilar texts too, long ones need many."""
        rows = 3 if threshold >= 0.5 else 2 if threshold >= 0.2 else 1
        return cls(math.ceil(math.log(MISSED) / math.log(1 - min(threshold, 0.999) ** rows)), rows)

    def keys(self, grams: Hashes, sizes: Integers) -> Hashes:
        """The bands of texts, each hashed: one row a text.

        Args:
            grams: the n-grams of the texts, one after the other.
            sizes: how many each text has, at least one.
        """
        short = (grams >> (HASH_BITS - np.uint64(32))).astype(np.uint32)
        minima = np.empty((len(sizes), self.number * self.rows), dtype=np.uint32)
        factors = mix(np.arange(1, self.number * self.rows + 1, dtype=np.uint64)).astype(
            np.uint32
        ) | np.uint32(1)
        for first, last, start, end in _slices(sizes):
            part, places = short[start:end], np.cumsum(sizes[first:last]) - sizes[first:last]
            for column, factor in enumerate(factors):
                minima[first:last, column] = np.minimum.reduceat(part * factor, places)
        keys = np.zeros((len(sizes), self.number), dtype=np.uint64)
        bands = minima.reshape(len(sizes), self.number, self.rows)
        for row in range(self.rows):
            keys = mix(keys * MULTIPLIER + bands[:, :, row] + np.arange(1, self.number + 1, dtype=np.uint64))
        return keys


def _slices(sizes: Integers) -> Iterator[tuple[int, int, int, int]]:
    """Texts ``first`` to ``last`` with their n-grams ``start`` to ``end``, about `SLICE_GRAMS` at a time."""
    ends = np.cumsum(sizes)
    first = start = 0
    while first < len(sizes):
        last = max(first + 1, int(np.searchsorted(ends, start + SLICE_GRAMS, side="right")))
        end = int(ends[last - 1])
        yield first, last, start, end
        first, start = last, end
