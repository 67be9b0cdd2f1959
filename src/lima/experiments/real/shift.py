"""Token shift on a real base: is the tuned model's token the base's first choice? (arXiv 2312.01552)

Every prompt is answered greedily by the tuned model; the base reads the same texts in its own form and ranks each token.
There is no ground truth here, so tokens are grouped by their place in the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lima import chat, console, model
from lima.experiments.claims.shift import MARGINAL, compare_tokens, greedy_answers, log_probabilities
from lima.experiments.settings import ExperimentSettings
from lima.files import write_json
from lima.records import Example
from lima.report.render.tables import cell
from lima.report.render.wording import percent
from lima.statistics.intervals import share

LONGEST_ANSWER = 256
PLACES = ("first token", "tokens 2 to 10", "later tokens", "end of turn")
FIGURES = ("unshifted", "marginal", "shifted")


def show_shift(settings: ExperimentSettings, folder: Path, tuned: Path, prompts: Sequence[Example]) -> None:
    """Write ``token-shift.json`` and print the shares, with intervals by prompt."""
    assert settings.model is not None
    marks = _marks(settings, tuned, prompts)
    shares = {
        place: {
            figure: share([row[1] == figure for row in rows], [row[0] for row in rows]) for figure in FIGURES
        }
        for place, rows in marks.items()
        if rows
    }
    write_json(
        folder / "token-shift.json",
        {place: {figure: str(share) for figure, share in found.items()} for place, found in shares.items()},
    )
    console.table(
        f"{settings.model}: how the base ranks the tuned model's tokens (first, among {MARGINAL}, further down)",
        ["place in the answer", "tokens", *FIGURES],
        [
            [place, len(marks[place]), *(cell(share, percent) for share in found.values())]
            for place, found in shares.items()
        ],
    )
    console.done([folder / "token-shift.json"])


def _marks(
    settings: ExperimentSettings, tuned: Path, prompts: Sequence[Example]
) -> dict[str, list[tuple[str, str]]]:
    """Prompt and figure of every token, by its place."""
    tuned_model, words = model.load(tuned)
    base_model, base_words = model.load(str(settings.model))
    model.add_eot(base_model, base_words)
    longest = min(settings.max_new_tokens or LONGEST_ANSWER, LONGEST_ANSWER)
    eot = chat.eot_id(words)
    marks: dict[str, list[tuple[str, str]]] = {place: [] for place in PLACES}
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
                marks[_place(place, ids[place] == eot)].append((prompt.id, figure))
    return marks


def _place(position: int, is_end: bool) -> str:
    if is_end:
        return PLACES[3]
    return PLACES[0] if position == 0 else PLACES[1] if position < 10 else PLACES[2]
