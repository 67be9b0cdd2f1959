"""Several choices from one pool, side by side: what they cover, how long and how good they are, and what they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import numpy.typing as npt

from lima.curate.card.diversity import effective_number
from lima.curate.choose.embeddings import Vectors
from lima.curate.choose.spread import nearest_similarity
from lima.select.methods import Figures, Numbers

TOPICS = 200
"""Groups of texts that coverage counts, where the pool is large enough."""
TEXTS_A_TOPIC = 10
SAMPLE = 20_000
"""Of larger pools a part, drawn evenly, finds the topics and measures how far the pool lies from a choice."""
NAMES = {"quality-diverse": "quality and diversity", "ifd": "IFD", "rds": "RDS+"}


@dataclass(frozen=True)
class Choice:
    """What one method chose, and what that took."""

    name: str
    places: Sequence[int]
    seconds: float = 0.0
    tokens: int = 0
    """Tokens that the base model read for it."""


@dataclass(frozen=True)
class Line:
    """One choice in the comparison. Cosines are of the embeddings that were used for choosing."""

    method: str
    examples: int
    topics: int
    """Groups of the pool (k-means) from which at least one example was taken."""
    effective_topics: float
    """How many equally frequent groups have the same entropy."""
    reach: float
    """Median cosine of an example of the pool to the nearest chosen one."""
    alike: float
    """Median cosine of a chosen example to the nearest other chosen one."""
    characters: tuple[int, int, int]
    """Quartiles of the length of the answers."""
    likeness: float | None
    """Mean cosine to the nearest target."""
    shared: dict[str, int]
    """How many examples it has in common with each other choice."""
    seconds: float
    tokens: int
    quality: float | None = None
    """Mean quality."""


def compare_choices(
    choices: Sequence[Choice], figures: Figures, quality: Numbers | None, *, seed: int
) -> tuple[list[Line], int]:
    """A line a choice, and the number of topics in the pool; ``quality`` need be known of chosen places alone."""
    sample = np.linspace(0, len(figures.vectors) - 1, min(SAMPLE, len(figures.vectors))).astype(np.int64)
    centres = _topics(figures.vectors[sample], seed)
    lines = [_line(choice, choices, figures, sample, centres) for choice in choices]
    means = [_mean(quality, np.asarray(choice.places, dtype=np.int64)) for choice in choices]
    return [replace(line, quality=mean) for line, mean in zip(lines, means, strict=True)], len(centres)


def _topics(vectors: Vectors, seed: int) -> Vectors:
    """Centres of the pool's topics, by k-means."""
    from sklearn.cluster import MiniBatchKMeans

    number = max(1, min(TOPICS, len(vectors) // TEXTS_A_TOPIC))
    found = MiniBatchKMeans(number, random_state=seed, n_init=3, batch_size=4096).fit(vectors)
    centres: Vectors = found.cluster_centers_.astype(np.float32)
    return centres


def _nearest_centre(vectors: Vectors, centres: Vectors) -> npt.NDArray[np.int64]:
    distances = (centres**2).sum(1) - 2 * vectors @ centres.T  # the rows' own lengths change no order
    nearest: npt.NDArray[np.int64] = np.argmin(distances, axis=1)
    return nearest


def _line(
    choice: Choice,
    others: Sequence[Choice],
    figures: Figures,
    sample: npt.NDArray[np.int64],
    centres: Vectors,
) -> Line:
    places = np.asarray(choice.places, dtype=np.int64)
    vectors = figures.vectors[places]
    counts = np.bincount(_nearest_centre(vectors, centres), minlength=len(centres))
    among = vectors @ vectors.T
    np.fill_diagonal(among, -1)
    low, middle, high = np.percentile(figures.lengths[places], [25, 50, 75])
    return Line(
        method=NAMES.get(choice.name, choice.name),
        examples=len(places),
        topics=int((counts > 0).sum()),
        effective_topics=effective_number(counts.tolist()),
        reach=float(np.median(nearest_similarity(figures.vectors[sample], vectors))),
        alike=float(np.median(among.max(axis=1))) if len(places) > 1 else 0.0,
        characters=(int(low), int(middle), int(high)),
        likeness=_mean(figures.likeness, places),
        shared={
            other.name: len({*choice.places} & {*other.places}) for other in others if other is not choice
        },
        seconds=choice.seconds,
        tokens=choice.tokens,
    )


def _mean(values: npt.NDArray[np.float64] | None, places: npt.NDArray[np.int64]) -> float | None:
    if values is None or np.isnan(values[places]).all():
        return None
    return float(np.nanmean(values[places]))


COLUMNS = [
    "choice",
    "examples",
    "topics",
    "effective topics",
    "reach",
    "alike",
    "characters (quartiles)",
    "quality",
    "likeness",
    "seconds",
    "tokens read",
]
MEANING = (
    "Topics: groups of the pool (k-means over the embeddings) from which the choice took at least one example; effective: how "
    "many equally frequent groups would be as varied. Reach: cosine of an example of the pool to the nearest chosen one "
    "(median; high is good). Alike: cosine of a chosen example to its nearest other (median; high means repetition). No "
    "figure here says how good the tuned model will be: tune on the random choice too, and compare."
)


def cells(line: Line) -> list[str]:
    """A line of the table, as words."""
    return [
        line.method,
        f"{line.examples:,}",
        f"{line.topics}",
        f"{line.effective_topics:.0f}",
        f"{line.reach:.2f}",
        f"{line.alike:.2f}",
        " / ".join(f"{value:,}" for value in line.characters),
        "" if line.quality is None else f"{line.quality:.2f}",
        "" if line.likeness is None else f"{line.likeness:.2f}",
        f"{line.seconds:.1f}",
        f"{line.tokens:,}" if line.tokens else "",  # without a model the column is left out
    ]


def as_markdown(lines: Sequence[Line], facts: Mapping[str, object]) -> str:
    """The page beside the chosen examples."""
    used = [place for place in range(len(COLUMNS)) if any(cells(line)[place] for line in lines)]
    head = "| " + " | ".join(COLUMNS[place] for place in used) + " |"
    rule = "|" + "|".join("---" if place == 0 else "---:" for place in used) + "|"
    body = ["| " + " | ".join(cells(line)[place] for place in used) + " |" for line in lines]
    overlap = [
        f"- {line.method}: "
        + ", ".join(f"{number:,} with {NAMES.get(name, name)}" for name, number in line.shared.items())
        for line in lines
    ]
    known = [f"- {name}: {value}" for name, value in facts.items()]
    return "\n".join(
        [
            "# Choices from one pool",
            "",
            *known,
            "",
            head,
            rule,
            *body,
            "",
            MEANING,
            "",
            "Examples in common:",
            "",
            *overlap,
            "",
        ]
    )


def as_json(lines: Sequence[Line], facts: Mapping[str, object]) -> dict[str, object]:
    """The same figures for programs."""
    return {**facts, "choices": [asdict(line) for line in lines]}
