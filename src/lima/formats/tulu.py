"""The human votes of Tülu 1: pairs of four systems, five-point preferences and acceptability, by 16 people.

Source: Wang et al. 2023 (arXiv 2306.04751), github.com/allenai/open-instruct. "Slightly" and "clearly" better
count alike; an acceptable answer is a ``pass`` on the scale quality, another a ``fail``. Where one person voted
twice on an instance, the newer row supersedes the older.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from lima.errors import LimaError
from lima.files import text_hash
from lima.formats.imported import ImportedStudy, PublishedRow, asked, pair_key
from lima.records import Comparison, Grade, Item, Key, Label, Origin, Preference, Rater, Shown

SIDES: dict[str, Label] = {
    "a-is-better": "a",
    "a-is-slightly-better": "a",
    "tie": "tie",
    "b-is-slightly-better": "b",
    "b-is-better": "b",
}


def read_files(files: Sequence[Path]) -> ImportedStudy:
    """The study in the annotation table."""
    return read(read_sheet(files[0]))


def read_sheet(path: Path) -> list[PublishedRow]:
    """The first sheet of an Excel workbook: cells by the words of the first row, without the empty ones.

    Raises:
        LimaError: no such file, or no workbook.
    """
    from python_calamine import CalamineError, load_workbook

    if not path.is_file():
        raise LimaError(f"{path}: no such file.")
    try:
        head, *rows = load_workbook(path).get_sheet_by_index(0).to_python(skip_empty_area=False)
    except (CalamineError, ValueError) as error:
        raise LimaError(f"{path}: not an Excel workbook with a table ({error}).") from None
    return [
        {str(name): cell for name, cell in zip(head, row, strict=True) if "" not in (name, cell)}
        for row in rows
    ]


def read(rows: Iterable[PublishedRow]) -> ImportedStudy:
    """Comparisons and votes from the rows of the table; blank rows are left out.

    ``a`` of a comparison is the system that comes first by name; ``shown`` tells the order on the screen.
    """
    comparisons: dict[str, Comparison] = {}
    keys: dict[str, Key] = {}
    preferences: list[Preference] = []
    items: dict[str, Item] = {}
    grades: list[Grade] = []
    newest: dict[tuple[str, str], str] = {}
    for row in sorted((row for row in rows if row.get("id")), key=voted_at):
        shown: Shown = "ab" if row["model_a"] < row["model_b"] else "ba"
        comparison = _comparison(row, shown)
        comparisons[comparison.id] = comparison
        first, second = sorted((row["model_a"], row["model_b"]))
        keys[comparison.id] = pair_key(comparison.id, row["instance_id"], first, second)
        place = (row["evaluator"], row["instance_index"])
        preference = _preference(row, comparison.id, shown, newest.get(place))
        newest[place] = preference.id
        preferences.append(preference)
        for side, system in zip("ab", (first, second), strict=True):
            item = Item(
                id=f"{comparison.id}/{side}",
                messages=comparison.messages,
                content=comparison.a if side == "a" else comparison.b,
            )
            items[item.id] = item
            origin = Origin(system=system, completion_id=f"{system}/{row['instance_id']}")
            keys[item.id] = Key(id=item.id, prompt_id=row["instance_id"], content=origin)
            grades.append(_grade(row, preference, item.id, "a" if row["model_a"] == system else "b"))
    raters = [Rater(id=name, kind="crowd") for name in sorted({row.rater for row in preferences})]
    systems = sorted({key.content.system for key in keys.values() if key.content})
    return ImportedStudy(
        list(comparisons.values()),
        list(keys.values()),
        preferences,
        raters,
        systems,
        list(items.values()),
        grades,
    )


def voted_at(row: PublishedRow) -> datetime:
    """The time of a vote; one at midnight stands in the table as a day alone."""
    found: date = row["timestamp"]
    time = found if isinstance(found, datetime) else datetime(found.year, found.month, found.day)
    return time.replace(tzinfo=UTC)


def _comparison(row: PublishedRow, shown: Shown) -> Comparison:
    on_screen = {"a": row.get("completion_a", ""), "b": row.get("completion_b", "")}
    first, second = (on_screen[side] for side in shown)
    systems = sorted((row["model_a"], row["model_b"]))
    digest = text_hash(row["instance_id"], *systems, first, second, length=8)
    return Comparison(
        id=f"tulu/{row['instance_id']}/{digest}", messages=asked(row["prompt"]), a=first, b=second
    )


def _preference(row: PublishedRow, comparison_id: str, shown: Shown, supersedes: str | None) -> Preference:
    label = SIDES[row["preference"]]
    if shown == "ba" and label != "tie":
        label = "b" if label == "a" else "a"
    rater = f"crowd:{row['evaluator']}"
    return Preference(
        id=f"{rater}/{int(row['id']):05d}",
        comparison_id=comparison_id,
        rater=rater,
        shown=shown,
        label=label,
        raw=row["preference"],
        supersedes=supersedes,
        at=voted_at(row).isoformat(),
    )


def _grade(row: PublishedRow, verdict: Preference, item_id: str, on_screen: str) -> Grade:
    """What was said of one answer beside the verdict: acceptable or not."""
    said = str(row.get(f"completion_{on_screen}_is_acceptable"))
    value = {"yes": "pass", "no": "fail"}.get(said)
    side = item_id[-1]
    return Grade(
        id=f"{verdict.id}/{side}",
        item_id=item_id,
        rater=verdict.rater,
        scale="quality",
        value=value,
        status="ok" if value else "unparsable",
        raw=said,
        supersedes=f"{verdict.supersedes}/{side}" if verdict.supersedes else None,
        at=verdict.at,
    )
