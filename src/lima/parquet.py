"""Examples <-> Parquet, the form of data hubs: a column a field, so that each row shows its licence and its authors."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lima.errors import LimaError
from lima.extras import install
from lima.files import replacing
from lima.records import Example, Message, Meta

COLUMNS = {
    "id": "Stable id of the example.",
    "source": "Where it comes from, such as stackexchange.",
    "messages": "The conversation, each turn with its role and content. One that ends in a user turn is a prompt.",
    "licence": "The licence of the original texts of this row.",
    "authors": "Whom the licence asks to name.",
    "url": "Where the original stands.",
    "transforms": "What was changed on the way from the original, in order.",
    "tags": "Groups such as sensitive or format.",
    "category": "The domain, such as the site of a forum.",
    "score": "Votes of the original.",
    "other": "What else is known of the row, as a JSON object.",
}
"""Of a published data set, with what they mean."""
LISTS = ("authors", "transforms", "tags")


def to_row(example: Example) -> dict[str, Any]:
    """The columns of one example.

    >>> row = to_row(Example(id="a/1", source="a", messages=[{"role": "user", "content": "Hi"}], meta={"licence": "MIT"}))
    >>> row["licence"], row["messages"], row["other"]
    ('MIT', [{'role': 'user', 'content': 'Hi'}], None)
    """
    meta = example.meta
    row: dict[str, Any] = {"id": example.id, "source": example.source}
    row["messages"] = [message.model_dump() for message in example.messages]
    for name in COLUMNS:
        if name in Meta.model_fields:
            value = getattr(meta, name)
            row[name] = list(value) if name in LISTS else value
    further = meta.model_dump(mode="json", include=set(meta.model_extra or ()))
    row["other"] = json.dumps(further, ensure_ascii=False) if further else None
    return {name: row[name] for name in COLUMNS}


def from_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """The object of an Example from such columns; a row of another form comes back as it is."""
    if not {"id", "source", "messages", "licence", "other"} <= row.keys():
        return dict(row)
    meta = {name: row[name] for name in Meta.model_fields if row.get(name) not in (None, [])}
    if isinstance(score := meta.get("score"), float) and score.is_integer():
        meta["score"] = int(score)
    messages = [
        {key: value for key, value in turn.items() if value is not None and (key, value) != ("weight", 1)}
        for turn in row["messages"]
    ]
    meta |= json.loads(row["other"] or "{}")
    return {"id": row["id"], "source": row["source"], "messages": messages, "meta": meta}


def write_examples(path: Path, examples: Iterable[Example]) -> None:
    """Replace a Parquet file; equal examples give equal bytes.

    Raises:
        LimaError: the package pyarrow is missing.
    """
    arrow, parquet = _library(path)
    rows = [to_row(example) for example in examples]
    turn = {"role": arrow.string(), "content": arrow.string()}
    if any("weight" in message for row in rows for message in row["messages"]):
        turn["weight"] = arrow.int8()
        rows = [{**row, "messages": [{"weight": 1, **m} for m in row["messages"]]} for row in rows]
    kinds = dict.fromkeys(COLUMNS, arrow.string()) | dict.fromkeys(LISTS, arrow.list_(arrow.string()))
    kinds |= {"messages": arrow.list_(arrow.struct(turn)), "score": arrow.float64()}
    table = arrow.Table.from_pylist(rows, schema=arrow.schema(kinds))
    with replacing(path) as stream:
        parquet.write_table(table, stream, compression="zstd")


def read_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield ``(row number from 1, row)`` of any Parquet file.

    Raises:
        LimaError: the package pyarrow is missing, or the file is none.
    """
    arrow, parquet = _library(path)
    number = 0
    try:
        for batch in parquet.ParquetFile(path).iter_batches():
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except arrow.ArrowInvalid as error:
        raise LimaError(f"{path}: not Parquet ({str(error).partition(chr(10))[0]}).") from None


def message_fields(examples: Iterable[Example]) -> list[str]:
    """The names within a turn of the column `messages`."""
    weighted = any(not message.weight for example in examples for message in example.messages)
    return [name for name in Message.model_fields if name != "weight" or weighted]


def _library(path: Path) -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise LimaError(f"{path}: Parquet needs the package pyarrow: {install('hub')}") from None
    return pyarrow, pyarrow.parquet
