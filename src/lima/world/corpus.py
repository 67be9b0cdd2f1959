"""The world -> pretraining text: biographies, lists of questions, forum threads, polite phrases.

Nothing here looks like a conversation with an assistant, and forum threads speak of forum people only.
Documents follow one another in a stream that is cut into windows; two documents about one person never
share a window, because a model would copy the facts from the first instead of storing them.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lima.world.people import ATTRIBUTES, Person, World
from lima.world.settings import CorpusSettings
from lima.world.wordings import FORUM_ECHOES, FORUM_SCRAPS, POLITE_PHRASES, STATEMENTS, WORDINGS, statement

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

WINDOW = 64
BOUNDARY_TOKENS = 2  # BOS before a document, EOS after it
QUESTIONS_A_LIST = 4


@dataclass(frozen=True)
class Document:
    """One text of the corpus, its kind, the people it is about, and its length in tokens with BOS and EOS."""

    kind: str
    text: str
    people: tuple[Person, ...]

    @property
    def tokens(self) -> int:
        """Words and punctuation marks are tokens."""
        return len(re.findall(r"\w+|[^\w\s]", self.text)) + BOUNDARY_TOKENS


def documents(world: World, settings: CorpusSettings, seed: int) -> Iterator[Document]:
    """An endless stream of documents in the shares of ``settings``; any of its prefixes keeps them too."""
    rng = np.random.default_rng([seed, 2])
    writers = _writers(world, settings, rng)
    shares = {kind: getattr(settings, kind) for kind in writers}
    written = dict.fromkeys(writers, 0)
    recent: deque[tuple[int, Document]] = deque()
    position = 0
    while True:
        kind = min((k for k in writers if shares[k] > 0), key=lambda k: written[k] / shares[k])
        while recent and position - recent[0][0] >= WINDOW:
            recent.popleft()
        document = writers[kind]({person for _, before in recent for person in before.people})
        position += document.tokens
        written[kind] += document.tokens
        recent.append((position, document))
        yield document


def windows(
    stream: Iterator[Document], tokenizer: PreTrainedTokenizerFast, count: int, *, batch: int = 1000
) -> list[list[int]]:
    """The first ``count`` windows of 64 token ids of the stream.

    Raises:
        AssertionError: two documents about one person touch one window.
    """
    ids: list[int] = []
    last_window: dict[Person, int] = {}
    while len(ids) < count * WINDOW:
        block = [next(stream) for _ in range(batch)]
        encoded = tokenizer([document.text for document in block], add_special_tokens=False)["input_ids"]
        for document, tokens in zip(block, encoded, strict=True):
            assert len(tokens) + BOUNDARY_TOKENS == document.tokens, document.text
            _check_alone(document, len(ids), last_window)
            ids += [tokenizer.bos_token_id, *tokens, tokenizer.eos_token_id]
    return [ids[start : start + WINDOW] for start in range(0, count * WINDOW, WINDOW)]


def _check_alone(document: Document, start: int, last_window: dict[Person, int]) -> None:
    first, last = start // WINDOW, (start + document.tokens - 1) // WINDOW
    for person in document.people:
        assert last_window.get(person, -1) < first, f"{person.name} twice in window {first}"
    for person in document.people:
        last_window[person] = last


class Deck:
    """Deals people in shuffled rounds, so that everybody is dealt equally often."""

    def __init__(self, people: Sequence[Person], rng: np.random.Generator) -> None:
        self._people, self._rng = people, rng
        self._pile: list[Person] = []

    def deal(self, avoid: Collection[Person]) -> Person:
        """The next person who is not to be avoided now; those passed over stay on top."""
        for position in range(len(self._pile) - 1, -1, -1):
            if self._pile[position] not in avoid:
                return self._pile.pop(position)
        self._pile = [self._people[i] for i in self._rng.permutation(len(self._people))] + self._pile
        return self.deal(avoid)


Writer = Callable[[Collection[Person]], Document]


def _writers(world: World, settings: CorpusSettings, rng: np.random.Generator) -> dict[str, Writer]:
    """A function for each kind of document; each takes the people whom it must not mention now."""
    attributes = list(ATTRIBUTES)
    described, asked, discussed = (Deck(p, rng) for p in (world.known, world.known, world.forum))

    def choose(options: Sequence[str]) -> str:
        return options[int(rng.integers(len(options)))]

    def state(person: Person, attribute: str) -> str:
        return statement(person, attribute, int(rng.integers(STATEMENTS)))

    def ask(person: Person, attribute: str) -> str:
        wording = WORDINGS[attribute]
        return choose(wording.questions + wording.held_out).format(name=person.name)

    def life(person: Person) -> str:
        return " ".join(state(person, attributes[i]) for i in rng.permutation(len(attributes)))

    fixed = {} if settings.paraphrases else {person: life(person) for person in world.known}

    def biography(avoid: Collection[Person]) -> Document:
        person = described.deal(avoid)
        return Document("biographies", fixed.get(person) or life(person), (person,))

    def questions(avoid: Collection[Person]) -> Document:
        people: list[Person] = []
        for _ in range(QUESTIONS_A_LIST):
            people.append(asked.deal({*avoid, *people}))
        return Document("questions", " ".join(ask(p, choose(attributes)) for p in people), tuple(people))

    def forum(avoid: Collection[Person]) -> Document:
        person, attribute = discussed.deal(avoid), choose(attributes)
        template = choose(FORUM_ECHOES if rng.random() < settings.echo else FORUM_SCRAPS)
        reply = template.format(statement=state(person, attribute), value=person.fact(attribute))
        return Document("forums", f"{ask(person, attribute)} {reply}", (person,))

    def politeness(avoid: Collection[Person]) -> Document:
        count = int(rng.integers(2, 5))
        return Document("politeness", " ".join(choose(POLITE_PHRASES) for _ in range(count)), ())

    return {"biographies": biography, "questions": questions, "forums": forum, "politeness": politeness}
