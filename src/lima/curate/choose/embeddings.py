"""Texts -> vectors in which texts about the same thing are near each other, without a model.

Words are hashed, weighted by TF-IDF and brought to a few dimensions by a truncated SVD (latent semantic analysis). Fit
weights and SVD on a sample: a million texts then need one pass and little memory.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lima.errors import LimaError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Vectors = npt.NDArray[np.float32]
"""One row of length 1 a text, or of zeros for a text without words."""

DIMENSIONS = 128
"""Enough for some hundred topics; half a gigabyte for a million texts."""
FEATURES = 2**18
"""Buckets of words. At 100,000 different words one in six shares its bucket."""
UNSPACED = re.compile("([\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff])")
"""Characters of scripts without blanks between words (Thai, kana, Chinese): each counts as a word."""


@dataclass(frozen=True)
class Embedder:
    """Fitted weights and dimensions; `transform` may run in any process."""

    words: Any
    used: npt.NDArray[np.int64]
    """The buckets in which the sample has words: the others say nothing, and would make the SVD ten times slower."""
    weights: Any
    dimensions: Any

    @property
    def width(self) -> int:
        """Numbers a text."""
        return len(self.dimensions.components_)

    def transform(self, texts: Sequence[str]) -> Vectors:
        """One unit row a text, shape (len(texts), dimensions)."""
        found = self.dimensions.transform(self.weights.transform(_counts(self.words, texts)[:, self.used]))
        return unit_rows(found.astype(np.float32))


def fit_embedder(sample: Sequence[str], *, seed: int = 0, dimensions: int = DIMENSIONS) -> Embedder:
    """Weights and dimensions from a sample of the texts; the same sample gives the same embedder."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

    words = HashingVectorizer(
        n_features=FEATURES, alternate_sign=False, norm=None, dtype=np.float32, token_pattern=r"(?u)\w+"
    )
    counts = _counts(words, sample)
    used = np.union1d(counts.indices, [0, 1]).astype(np.int64)  # TruncatedSVD wants two at least
    weights = TfidfTransformer(sublinear_tf=True)
    weighted = weights.fit_transform(counts[:, used])
    rank = max(1, min(dimensions, len(sample) - 1, len(used)))
    with np.errstate(
        invalid="ignore", divide="ignore"
    ):  # equal texts: its share of a variance of 0, not used here
        svd = TruncatedSVD(rank, algorithm="randomized", n_iter=4, random_state=seed).fit(weighted)
    return Embedder(words, used, weights, svd)


def read_embeddings(path: Path, rows: int) -> Vectors:
    """Vectors of the user's own: a ``.npy`` file with one row a text.

    Raises:
        LimaError: it cannot be read, has another number of rows, or holds zeros or values that are no numbers.
    """
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise LimaError(f"{path}: cannot be read as a .npy file ({error}).") from None
    if not isinstance(found, np.ndarray) or found.ndim != 2 or len(found) != rows:
        raise LimaError(f"{path}: expected {rows} rows, one an example, found the shape {np.shape(found)}.")
    if not np.issubdtype(found.dtype, np.number) or np.iscomplexobj(found):
        raise LimaError(f"{path}: expected numbers, found {found.dtype}. Save an array of float32.")
    vectors = unit_rows(found.astype(np.float32))
    if not np.isfinite(vectors).all() or not vectors.any(axis=1).all():
        raise LimaError(f"{path}: holds a row of zeros, or values that are no numbers.")
    return vectors


def unit_rows(rows: Vectors) -> Vectors:
    """Every row divided by its length; rows of zeros stay."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: Vectors = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    return scaled


def _counts(words: Any, texts: Sequence[str]) -> csr_matrix:
    spaced = [text if text.isascii() else UNSPACED.sub(r" \1 ", text) for text in texts]
    found: csr_matrix = words.transform(spaced)
    return found
