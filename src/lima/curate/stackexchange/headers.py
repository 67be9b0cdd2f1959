"""The headers of a ``Posts.xml``: what one pass keeps of its rows, and how the pass is to read them."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from lima.curate.stackexchange.blocks import Integers

NO_SCORE = -(2**62)
Arrays = dict[str, npt.NDArray[np.int64]]
COLUMNS = ("id", "partner", "score", "offset", "length")
"""The partner of an answer is its question, of a question its accepted answer; 0 for none."""


class Columns:
    """Headers of the questions or of the answers: the five `COLUMNS` of each row."""

    def __init__(self) -> None:
        self._tables: list[Integers] = []
        self._single = array("q")

    def __len__(self) -> int:
        return sum(map(len, self._tables)) + len(self._single) // len(COLUMNS)

    def append(self, row: tuple[int, ...]) -> None:
        """Add one row."""
        self._single.extend(row)

    def add(self, table: Integers) -> None:
        """Add many rows."""
        self._tables.append(table)

    def arrays(self) -> Arrays:
        """The columns for numpy, by name."""
        table = self._table()
        return {name: table[:, position] for position, name in enumerate(COLUMNS)}

    def from_score(self, floor: int) -> Columns:
        """The rows that have at least this score."""
        found, table = Columns(), self._table()
        found.add(table[table[:, COLUMNS.index("score")] >= floor])
        return found

    def _table(self) -> Integers:
        single = np.array(self._single, dtype=np.int64).reshape(-1, len(COLUMNS))
        self._tables, self._single = [np.concatenate([single, *self._tables])], array("q")
        return self._tables[0]


@dataclass
class Headers:
    """What one pass over a ``Posts.xml`` finds."""

    questions: Columns = field(default_factory=Columns)
    """Questions that are open."""
    answers: Columns = field(default_factory=Columns)
    """Answers whose score reaches the floor."""
    question_count: int = 0
    closed: int = 0
    low_answers: int = 0
    other_rows: int = 0
    """Rows of other kinds, such as tag wikis, and rows without a usable id."""
    malformed: list[int] = field(default_factory=list)
    """Numbers of the lines that are no XML."""

    @property
    def answer_count(self) -> int:
        """All answers, whatever their score."""
        return self.low_answers + len(self.answers)

    def narrowed(self, scan: Scan) -> Headers:
        """As if read by a scan with a higher floor."""
        answers = self.answers.from_score(scan.floor)
        low = self.low_answers + len(self.answers) - len(answers)
        return replace(self, answers=answers, low_answers=low)

    @property
    def rows(self) -> int:
        """All rows."""
        return self.question_count + self.answer_count + self.other_rows


@dataclass(frozen=True)
class Scan:
    """How to read the headers: a floor for answers' scores, whether closed questions count."""

    score_min: int | None = 10
    drop_closed: bool = True

    @property
    def floor(self) -> int:
        """The lowest score that is kept."""
        return NO_SCORE if self.score_min is None else self.score_min

    def widest(self, others: Iterable[Scan]) -> Scan:
        """A scan that finds what this one and the others find: `Headers.narrowed` gives each its own."""
        lowest = min([self, *others], key=lambda scan: scan.floor)
        return Scan(lowest.score_min, self.drop_closed)
