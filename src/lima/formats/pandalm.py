"""PandaLM's test set: 999 pairs with the verdicts of three people, and of judge models in files beside it.

Source: github.com/WeOpenML/PandaLM. Verdicts are 0 (tie), 1 or 2, in judge files also "Tie" or text that is no verdict.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lima.formats.imported import ImportedStudy, PublishedRow, asked, pair_key, read_rows
from lima.records import Comparison, Label, Preference, Rater

VERDICTS: dict[str, Label] = {"0": "tie", "tie": "tie", "1": "a", "2": "b"}
"""Also as 1.0, where a table was read with missing values."""
ANNOTATOR = "annotator"
"""How the names of the columns of people begin."""


def read_files(files: Sequence[Path]) -> ImportedStudy:
    """The human test set, then any number of judges' result files, named after the part before ``-testset``."""
    judges = {path.stem.partition("-testset")[0]: read_rows(path) for path in files[1:]}
    return read(read_rows(files[0]), judges)


def read(rows: Sequence[PublishedRow], judges: Mapping[str, Sequence[PublishedRow]]) -> ImportedStudy:
    """Comparisons with the verdicts of people, and of ``judges`` by model name."""
    systems = list(dict.fromkeys(name for row in rows for name in str(row["cmp_key"]).split("_")))
    keys, comparisons = [], []
    for row in rows:
        first, second = str(row["cmp_key"]).split("_")
        keys.append(pair_key(_id(row), f"pandalm/{row['motivation_app']}/{row['idx']}", first, second))
        text = f"{row['instruction']}\n\n{row['input']}" if row.get("input") else str(row["instruction"])
        comparisons.append(
            Comparison(id=_id(row), messages=asked(text), a=str(row["response1"]), b=str(row["response2"]))
        )
    raters = [Rater(id=f"crowd:{name}", kind="crowd") for name in annotators(rows)]
    raters += [Rater(id=f"judge:{name}", kind="judge") for name in judges]
    preferences = [*_people(rows), *_judges(judges)]
    return ImportedStudy(comparisons, keys, preferences, raters, systems)


def _people(rows: Sequence[PublishedRow]) -> Iterator[Preference]:
    names = annotators(rows)
    for row in rows:
        for name in names:
            if name in row:
                yield _preference(f"crowd:{name}", row, row[name], None)


def annotators(rows: Sequence[PublishedRow]) -> list[str]:
    """The columns that hold the verdicts of people, however many there are."""
    return sorted({name for row in rows for name in row if name.startswith(ANNOTATOR)})


def _judges(judges: Mapping[str, Sequence[PublishedRow]]) -> Iterator[Preference]:
    for name, rows in judges.items():
        for row in rows:
            prefix = next(key for key in row if key.endswith("_result")).removesuffix("_result")
            yield _preference(f"judge:{name}", row, row[f"{prefix}_result"], row.get(f"{prefix}_reason"))


def _preference(rater: str, row: PublishedRow, value: Any, raw: str | None) -> Preference:
    label = VERDICTS.get(str(value).strip().lower().removesuffix(".0"))
    return Preference(
        id=f"{rater}/{_id(row)}",
        comparison_id=_id(row),
        rater=rater,
        shown=None,
        label=label,
        status="unparsable" if label is None else "ok",
        raw=str(value) if label is None else raw,
    )


def _id(row: PublishedRow) -> str:
    return f"pandalm/{int(row['idx']):04d}"
