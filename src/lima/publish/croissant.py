"""The description of a data set in Croissant (JSON-LD), by the format's own library."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lima.errors import LimaError
from lima.parquet import COLUMNS, LISTS
from lima.publish.licences import read_licence
from lima.publish.settings import PublishSettings
from lima.runs import now

CITE = "@misc{{{key}, title = {{{name}}}, author = {{{user}}}, howpublished = {{https://huggingface.co/datasets/{to}}}, year = {{{year}}}}}"


@dataclass(frozen=True)
class Described:
    """What the description says."""

    settings: PublishSettings
    files: Mapping[str, tuple[Path, str, int]]
    """By split: the Parquet file, its SHA-256 and its rows."""
    licences: Sequence[str]
    turn: Sequence[str]
    """The names within a turn."""
    responsible: Mapping[str, Any]
    """Croissant's fields of responsible AI."""
    made: str | None
    """When the data were curated."""


def croissant(described: Described) -> str:
    """The text of croissant.json.

    Raises:
        LimaError: mlcroissant finds the description wrong.
    """
    import mlcroissant as mlc

    to, today = described.settings.to, now()
    user, _, name = to.partition("/")
    address = f"https://huggingface.co/datasets/{to}"
    total = sum(rows for _, _, rows in described.files.values())
    try:
        metadata = mlc.Metadata(
            name=name,
            description=described.settings.about
            or f"{total:,} conversations for tuning a base model, after LIMA (arXiv 2305.11206).",
            url=address,
            license=[read_licence(words).link or words for words in described.licences],
            creators=[mlc.Organization(name=user, url=f"https://huggingface.co/{user}")],
            date_published=today[:10],
            date_created=(described.made or today)[:10],
            version="1.0.0",
            in_language=list(described.settings.language) or None,
            keywords=["LIMA", "supervised fine-tuning", "conversations"],
            cite_as=CITE.format(key=name, name=name, user=user, to=to, year=today[:4]),
            distribution=[
                _file(mlc, split, file, digest) for split, (file, digest, _) in described.files.items()
            ],
            record_sets=[_rows(mlc, split, described.turn) for split in described.files],
            **described.responsible,
        )
    except mlc.ValidationError as error:
        raise LimaError(
            f"{described.settings.folder}: Croissant: {str(error).splitlines()[-1].strip()}"
        ) from None
    return json.dumps(metadata.to_json(), indent=2, ensure_ascii=False, default=str) + "\n"


def _file(mlc: Any, split: str, file: Path, digest: str) -> Any:
    return mlc.FileObject(
        id=f"{split}-file",
        name=file.name,
        content_url=f"data/{file.name}",
        encoding_formats=["application/x-parquet"],
        content_size=f"{file.stat().st_size} B",
        sha256=digest,
    )


def _rows(mlc: Any, split: str, turn: Sequence[str]) -> Any:
    """The columns of one split; the turns of a conversation are fields within a field."""

    def source(column: str, *steps: Any) -> Any:
        extract = mlc.Extract(column=column)
        return mlc.Source(file_object=f"{split}-file", extract=extract, transforms=list(steps))

    fields = []
    for name, meaning in COLUMNS.items():
        common = {"id": f"{split}/{name}", "name": name, "description": meaning}
        if name == "messages":
            parts = [
                mlc.Field(
                    id=f"{split}/messages/{part}",
                    name=part,
                    data_types=[mlc.DataType.INTEGER if part == "weight" else mlc.DataType.TEXT],
                    source=source("messages", mlc.Transform(json_path=part)),
                )
                for part in turn
            ]
            fields.append(mlc.Field(**common, is_array=True, array_shape="-1", sub_fields=parts))
            continue
        kind = mlc.DataType.FLOAT if name == "score" else mlc.DataType.TEXT
        shape = {"is_array": True, "array_shape": "-1"} if name in LISTS else {}
        fields.append(mlc.Field(**common, **shape, data_types=[kind], source=source(name)))
    return mlc.RecordSet(id=split, name=split, fields=fields)
