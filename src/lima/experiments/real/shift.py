"""Token shift on a real base: is the tuned model's token the base's first choice? (arXiv 2312.01552)

Every prompt is answered greedily by the tuned model; the base reads the same texts in its own form and ranks each token.
There is no ground truth here, so tokens are grouped by their place in the answer and by their class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from lima import chat, console, model
from lima.experiments.claims.shift import MARGINAL, compare_tokens, greedy_answers, log_probabilities
from lima.experiments.settings import ExperimentSettings
from lima.files import write_json, write_text
from lima.records import Example
from lima.report.render.tables import TextTable, cell, markdown
from lima.report.render.wording import percent
from lima.runs import git_commit, now
from lima.statistics.intervals import share

LONGEST_ANSWER = 256
PLACES = ("first token", "tokens 2 to 10", "later tokens", "end of turn")
CLASSES = ("function word", "other word", "name or number", "punctuation and layout")
"""Of all tokens but the end of turn; a part of a word counts as another word."""
_FUNCTION_WORDS = """
a about all also an and any are as at be because been but by can could did do does down each for from had
has have he her here him his how i if in into is it its just may me more most must my no nor not of off on
one or our out over own she should so some such than that the their them then there these they this those to
too up us very was we were what when where which while who whom why will with would you your
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
"""Words that carry grammar, not a topic."""
FIGURES = ("unshifted", "marginal", "shifted")


def show_shift(settings: ExperimentSettings, folder: Path, tuned: Path, prompts: Sequence[Example]) -> None:
    """Write ``token-shift.json`` and ``.md``, and print the shares, with intervals by prompt."""
    assert settings.model is not None
    marks = _marks(settings, tuned, prompts)
    shares = {
        place: {
            figure: share([row[1] == figure for row in rows], [row[0] for row in rows]) for figure in FIGURES
        }
        for place, rows in marks.items()
        if rows
    }
    facts = {
        "model": Path(settings.model).name,
        "tuned": tuned.parent.name,
        "prompts": len(prompts),
        "git_commit": git_commit(),
        "at": now(),
    }
    found = {place: {name: asdict(one) for name, one in row.items()} for place, row in shares.items()}
    write_json(folder / "token-shift.json", {**facts, "shares": found})
    header = ["place or class", "tokens", *FIGURES]
    rows = [
        [place, str(len(marks[place])), *(cell(share, percent) for share in found.values())]
        for place, found in shares.items()
    ]
    title = f"how the base ranks the tuned model's tokens: first, among the first {MARGINAL}, further down"
    words = f"{facts['model']}, {len(prompts)} prompts, 95 % intervals by prompt: {title}."
    write_text(folder / "token-shift.md", "# token-shift\n\n" + markdown([TextTable(words, header, rows)]))
    console.table(f"{facts['model']}: {title}", header, rows)
    console.done([folder / "token-shift.md", folder / "token-shift.json"])


def _marks(
    settings: ExperimentSettings, tuned: Path, prompts: Sequence[Example]
) -> dict[str, list[tuple[str, str]]]:
    """Prompt and figure of every token, by its place and by its class."""
    tuned_model, words = model.load(tuned)
    base_model, base_words = model.load(str(settings.model))
    model.add_eot(base_model, base_words)
    longest = min(settings.max_new_tokens or LONGEST_ANSWER, LONGEST_ANSWER)
    eot = chat.eot_id(words)
    marks: dict[str, list[tuple[str, str]]] = {part: [] for part in (*PLACES, *CLASSES)}
    answers = greedy_answers(tuned_model, words, prompts, longest)
    with console.progress("token shift", len(prompts), "prompts") as bar:
        for prompt, ids in zip(prompts, answers, strict=True):
            bar.advance()
            if not ids:
                continue
            plain = "\n\n".join(message.content for message in prompt.messages)
            base = log_probabilities(base_model, chat.encode_plain(base_words, plain), ids)
            own = log_probabilities(tuned_model, chat.encode_prompt(words, prompt.messages), ids)
            for place, rank in enumerate(compare_tokens(base, own, ids)[0]):
                figure = FIGURES[0] if rank == 1 else FIGURES[1] if rank <= MARGINAL else FIGURES[2]
                parts = [_place(place, ids[place] == eot)]
                if ids[place] != eot:
                    parts.append(token_class(words.decode([ids[place]])))
                for part in parts:
                    marks[part].append((prompt.id, figure))
    return marks


def _place(position: int, is_end: bool) -> str:
    if is_end:
        return PLACES[3]
    return PLACES[0] if position == 0 else PLACES[1] if position < 10 else PLACES[2]


def token_class(text: str) -> str:
    """The class of a token by its text alone.

    >>> [token_class(text) for text in (" the", " river", "ing", " Paris", " 1969", ".", "**")]
    ['function word', 'other word', 'other word', 'name or number', 'name or number', 'punctuation and layout', 'punctuation and layout']
    """
    word = text.strip()
    if not any(map(str.isalnum, word)):
        return CLASSES[3]
    if word.lower() in FUNCTION_WORDS:
        return CLASSES[0]
    return CLASSES[2] if word[0].isupper() or any(map(str.isdigit, word)) else CLASSES[1]
