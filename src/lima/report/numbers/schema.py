"""The JSON schema of ``report.json``, made from the records that it is written from."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from lima.report.numbers.analysis import Numbers

MADE_BY = {"type": "object", "required": ["command", "versions"]}


def report_schema() -> dict[str, Any]:
    """JSON Schema 2020-12. Every field is there in every report; where there is no figure, its reason is.

    An estimate always has ``value``, ``low``, ``high``, ``level``, ``n``, ``clusters`` and ``method``; its inputs, with
    their SHA-256, are in ``inputs``.
    """
    schema = TypeAdapter(Numbers).json_schema(mode="serialization")
    for record in (schema, *schema["$defs"].values()):
        if "properties" in record:  # the records are written whole, defaults included
            record["required"] = sorted(record["properties"])
            record["additionalProperties"] = False
    schema["properties"]["made_by"] = MADE_BY
    schema["required"] = sorted(schema["properties"])
    schema["title"] = "report.json"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
