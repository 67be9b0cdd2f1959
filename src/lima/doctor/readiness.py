"""Is a base ready to be tuned? Answers before and after a pilot on 64 examples, against the dev references.

The hypothesis of LIMA (section 1) is that tuning brings out what a base knows. So two things are measured: whether the
answers say what the references say (content), and whether they look like them and end (style). The figures are shares of
words, which any data have; they rank bases, and are no marks of quality.
"""

from __future__ import annotations

import math
import re
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lima import console
from lima import model as models
from lima.checkpoint.inputs import check_apart
from lima.doctor.settings import DoctorSettings
from lima.errors import LimaError
from lima.evaluate.study import existing_rows
from lima.files import read_jsonl, write_jsonl
from lima.generate.run import generate
from lima.generate.settings import GenerateSettings
from lima.records import Completion, Example
from lima.train.run import epoch_folder, last_epoch, train
from lima.train.settings import PAPER_WIDTH, FitSettings, TrainSettings

PILOT, STEPS, BATCH = 64, 160, 16
SHOTS = 4
USUAL = 0.5
"""A word in more than this share of the references is style; rarer ones that the prompt does not have are content."""
RATE = 1e-5
"""The paper's learning rate, for models as wide as its own; narrower ones take more, in proportion."""
KNOWS, ENDS, ALIKE = 0.15, 0.5, 0.1
"""Content beyond chance that counts as knowing; answers that end; a difference in style that counts as none."""
STAGES = ("as it is", f"with {SHOTS} examples in the prompt", "after the pilot")


@dataclass(frozen=True)
class StageFigures:
    """How the answers of one stage compare with the references; all figures are in [0, 1]."""

    content: float
    """Mean share of a reference's own words, weighed by their rarity, that its answer has."""
    chance: float
    """The same for another prompt's reference: what an answer has without knowing."""
    style: float
    """Mean of the share of the usual words that an answer has, and of the nearness of its length."""
    ended: float
    """Answers that ended by themselves."""

    @property
    def knowledge(self) -> float:
        """Content beyond chance."""
        return self.content - self.chance


def readiness(settings: DoctorSettings) -> dict[str, StageFigures]:
    """Measure the base at three stages, print figures and verdict, and return the figures by stage.

    Raises:
        LimaError: the dev file has fewer than two answered prompts, or they are in the training data.
    """
    assert settings.dev is not None, settings
    data = [row for row in read_jsonl(settings.data, Example) if not row.is_prompt]
    dev = [row for row in read_jsonl(settings.dev, Example) if not row.is_prompt][: settings.dev_limit]
    if len(dev) < 2:
        raise LimaError(
            f"{settings.dev}: {len(dev)} answered prompts; readiness is measured on references, 50 are usual."
        )
    check_apart(dev, data, dev=settings.dev, data=settings.data)
    with tempfile.TemporaryDirectory() as folder, console.part_of_a_whole():
        found = measure_stages(settings, data, dev, Path(folder))
    _show(found)
    return found


def verdict(stages: Mapping[str, StageFigures]) -> str:
    """What the figures say, in plain words."""
    before, shown, tuned = (stages[stage] for stage in STAGES)
    if tuned.ended < ENDS:
        return (
            f"Too small, or the pilot too short: after {PILOT} examples only {tuned.ended:.0%} of the answers end. "
            "Try a larger base, or a higher --pilot-learning-rate."
        )
    if tuned.knowledge < KNOWS:
        return (
            f"Knowledge gap: after the pilot the answers look right, but have {tuned.knowledge:.0%} of the references' content "
            "beyond chance. Tuning teaches form; choose a base that has read about this."
        )
    if max(before.style, shown.style) >= tuned.style - ALIKE:
        return (
            "Ready: the base knows this, and answers in this style already; tuning will change little of it."
        )
    return (
        "Ready, with a style gap: the base knows this and does not show it in this form yet. That is what "
        "a thousand examples are for."
    )


def measure_stages(
    settings: DoctorSettings, data: list[Example], dev: list[Example], folder: Path
) -> dict[str, StageFigures]:
    """The figures of each stage; its answers stay in ``folder``: ``0.jsonl``, ``1.jsonl`` and ``2.jsonl``."""
    order = np.random.default_rng([settings.seed, 12]).permutation(len(data)).tolist()
    pilot = [data[i] for i in order[:PILOT]]
    prompts = [row.model_copy(update={"messages": row.prompt}) for row in dev]
    write_jsonl(folder / "prompts.jsonl", prompts)
    write_jsonl(folder / "shots.jsonl", pilot[:SHOTS])
    places = {
        STAGES[0]: (settings.model, None),
        STAGES[1]: (settings.model, folder / "shots.jsonl"),
        STAGES[2]: (str(_tune(settings, pilot, folder)), None),
    }
    found: dict[str, StageFigures] = {}
    for stage, (system, shots) in places.items():
        wanted = GenerateSettings(
            system=system,
            prompts=folder / "prompts.jsonl",
            out=folder / f"{len(found)}.jsonl",
            name="base",
            in_context=shots,
            greedy=True,
            repetition_penalty=1.0,
            max_length=settings.max_length,
            max_new_tokens=settings.max_new_tokens,
        )
        generate(wanted)
        answers = existing_rows(wanted.out, Completion)  # none where no prompt fits
        found[stage] = measure_answers(dev, answers)
    return found


def _tune(settings: DoctorSettings, pilot: list[Example], folder: Path) -> Path:
    width = models.width_of(settings.model)
    write_jsonl(folder / "pilot.jsonl", pilot)
    rate = settings.pilot_learning_rate or RATE * max(1.0, PAPER_WIDTH / width)
    fit = FitSettings(
        steps=STEPS, batch_size=min(BATCH, len(pilot)), learning_rate=rate, final_learning_rate=0.0,
        residual_dropout=0.0, save_every=10**9, seed=settings.seed,
    )  # fmt: skip
    last = last_epoch(len(pilot), fit)
    wanted = TrainSettings(
        **fit.model_dump(),
        model=settings.model,
        data=folder / "pilot.jsonl",
        out=folder / "pilot",
        max_length=settings.max_length,
        keep_eot=True,
        eot_token=settings.eot_token,
        chat_template=settings.chat_template,
        keep_epochs=(last,),
    )
    train(wanted)
    return epoch_folder(wanted.out, last)


def measure_answers(dev: Sequence[Example], answers: Sequence[Completion]) -> StageFigures:
    """Compare answers with the references of their prompts; a prompt without an answer has said nothing."""
    given = {row.prompt_id: row for row in answers if row.status == "ok"}
    said = [_words(given[row.id].content) if row.id in given else [] for row in dev]
    references = [_words(row.messages[-1].content) for row in dev]
    counts = Counter(word for reference in references for word in set(reference))
    usual = {word for word, count in counts.items() if count > USUAL * len(dev)}
    rarity = {word: math.log(len(dev) / count) for word, count in counts.items() if word not in usual}
    own = [
        {word: rarity[word] for word in set(reference) - usual - set(_words(row.messages[-2].content))}
        for reference, row in zip(references, dev, strict=True)
    ]
    return StageFigures(
        content=_recall(own, said),
        chance=_recall([*own[1:], own[0]], said),
        style=float(np.mean([_style(usual, a, r) for a, r in zip(said, references, strict=True)])),
        ended=sum(row.finish_reason in ("eot", "stop") for row in given.values()) / len(dev),
    )


def _recall(wanted: Sequence[Mapping[str, float]], answers: Sequence[list[str]]) -> float:
    """Mean share of the wanted words, a rarer one weighing more (log of how rare: it is what only a knower says)."""
    shares = [
        sum(weight for word, weight in own.items() if word in words) / sum(own.values())
        for own, words in zip(wanted, map(set, answers), strict=True)
        if own
    ]
    return float(np.mean(shares)) if shares else 0.0


def _style(usual: set[str], answer: list[str], reference: list[str]) -> float:
    near = min(len(answer), len(reference)) / max(len(answer), len(reference), 1)
    return (len(usual & set(answer)) / len(usual) + near) / 2 if usual else near


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _show(stages: Mapping[str, StageFigures]) -> None:
    rows = [
        [stage, *(f"{value:.0%}" for value in (one.content, one.chance, one.knowledge, one.style, one.ended))]
        for stage, one in stages.items()
    ]
    head = [
        "the base",
        "content of the references",
        "by chance",
        "beyond chance",
        "style",
        "answers that end",
    ]
    console.table("readiness", head, rows)
    console.results.print(verdict(stages), markup=False, soft_wrap=True)
