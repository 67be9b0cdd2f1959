"""How much a set of texts repeats itself: nearest neighbours and the Vendi score, on TF-IDF or given embeddings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lima.curate.text.blocks import words_of
from lima.errors import LimaError

MOST = 2000
"""Texts that are compared with each other: the Vendi score takes their number cubed in time."""

Vectors = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Diversity:
    """Figures on ``compared`` of the texts."""

    compared: int
    nearest: npt.NDArray[np.float64]
    """Of every text, the cosine similarity to its nearest other one."""
    vendi: float
    """Effective number of different texts, from 1 (all alike) to ``compared`` (nothing in common)."""


def diversity(
    texts: Sequence[str], random: np.random.Generator, embeddings: Vectors | None = None
) -> Diversity:
    """Compare texts with each other; over `MOST` of them a random sample.

    The Vendi score is the exponential of the entropy of the eigenvalues of K/n, K the matrix of cosine similarities
    (Friedman and Dieng, 2023).

    Args:
        texts: at least one.
        random: draws the sample.
        embeddings: one row a text, instead of TF-IDF weights of the words.
    """
    places = np.arange(len(texts))
    if len(texts) > MOST:
        places = np.sort(random.choice(len(texts), MOST, replace=False))
    if embeddings is None:
        similarity = similarities([texts[int(place)] for place in places])
    else:
        rows = unit_rows(embeddings[places])
        similarity = rows @ rows.T
    values = np.linalg.eigvalsh(similarity / len(places))
    values = values[values > 1e-12]
    vendi = float(np.exp(-(values * np.log(values)).sum()))
    np.fill_diagonal(similarity, -1.0)
    nearest = similarity.max(axis=1) if len(places) > 1 else np.zeros(0)
    return Diversity(len(places), nearest, vendi)


def unit_rows(embeddings: Vectors) -> Vectors:
    """Every row divided by its length.

    Raises:
        LimaError: a row of zeros or of values that are no numbers.
    """
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or not lengths.all():
        raise LimaError("the embeddings hold a row of zeros, or values that are no numbers.")
    scaled: Vectors = embeddings / lengths
    return scaled


def effective_number(counts: Sequence[int]) -> float:
    """How many equally frequent categories have the same entropy (Hill number of order 1).

    >>> round(effective_number([50, 50]), 6)
    2.0
    """
    shares = np.asarray([count for count in counts if count], dtype=float)
    shares /= shares.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def similarities(texts: Sequence[str]) -> Vectors:
    """Of every two texts (n, n): cosine similarities of word counts times log((1 + n) / (1 + df)) + 1, as a dense matrix."""
    from scipy import sparse

    vocabulary: dict[str, int] = {}
    rows, columns, counts = [], [], []
    for row, text in enumerate(texts):
        for word, count in Counter(words_of(text)).items():
            rows.append(row)
            columns.append(vocabulary.setdefault(word, len(vocabulary)))
            counts.append(float(count))
    shape = (len(texts), max(1, len(vocabulary)))
    matrix = sparse.csr_matrix((counts, (rows, columns)), shape=shape)
    frequency = np.bincount(np.asarray(columns, dtype=np.int64), minlength=shape[1])
    matrix = matrix @ sparse.diags(np.log((1 + len(texts)) / (1 + frequency)) + 1)
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    matrix = sparse.diags(1 / np.where(lengths > 0, lengths, 1)) @ matrix
    similarity: Vectors = np.asarray((matrix @ matrix.T).todense(), dtype=float)
    np.fill_diagonal(similarity, 1.0)  # a text without words is like itself alone
    return similarity
