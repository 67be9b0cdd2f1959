"""Super-NaturalInstructions tasks -> one random example of each generation task (paper, section 2.1).

The prompt is the task's definition, then the instance's input, as the released set has it. Layouts: a JSON file a task, as
the authors publish them, and the flat tables of data set hubs (JSON Lines or Parquet; columns task_name, definition, inputs,
targets), which do not name a task's category.
"""

from __future__ import annotations

import bisect
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from lima.curate.candidate import Candidate, Stratum, chance, single_turn
from lima.curate.reading.tables import candidate_files, read_table
from lima.curate.rules import RuleSettings
from lima.curate.sources.base import Context, SourceSettings, in_strata
from lima.errors import LimaError
from lima.files import read_json, text_hash
from lima.records import Reject

GENERATION = (
    "Code to Text", "Data to Text", "Dialogue Generation", "Explanation", "Fill in The Blank", "Grammar Error Correction",
    "Keyword Tagging", "Number Conversion", "Overlap Extraction", "Paraphrasing", "Poem Generation", "Program Execution",
    "Question Decomposition", "Question Generation", "Question Rewriting", "Sentence Composition", "Sentence Compression",
    "Sentence Expansion", "Speaker Identification", "Story Composition", "Style Transfer", "Summarization", "Text Completion",
    "Text Simplification", "Text to Code", "Title Generation", "Word Semantics", "Wrong Candidate Generation",
)  # fmt: skip
"""Categories whose answer is free text. [the paper says "natural language generation tasks"; the list is ours]"""
FLAT = (".jsonl", ".ndjson", ".parquet", ".jsonl.gz", ".ndjson.gz", ".jsonl.zst")
FIELDS = {
    "task": ("task_name", "task", "task_id"),
    "definition": ("definition", "Definition", "instruction"),
    "input": ("inputs", "input"),
    "output": ("targets", "target", "outputs", "output"),
}
"""What the columns of flat tables are called."""
SPARE = 20
"""This many instances of a task are kept for each one that is wanted, because the rules may drop some."""


class SuperNaturalInstructions(SourceSettings):
    """One random instance of each English generation task."""

    kind: Literal["super-ni"] = "super-ni"
    """Which source this is."""
    categories: tuple[str, ...] = GENERATION
    """Task categories to take."""
    distinct_min: float = Field(default=0.5, ge=0, le=1)
    """In a table without categories: tasks with a smaller share of different answers choose from a few labels, so they are
    not generation tasks. [ours]"""
    per_task: int = 1
    """At most this many examples of one task. [paper: 1]"""
    language: str = "English"
    """Input and output language of the tasks."""
    rules: RuleSettings = RuleSettings(
        score_min=None, length_min=None, first_person=False, refers_to_others=False, refers_to_site=False,
        self_contained_title=False, hollow=False, prompt_length_max=8000,
    )  # fmt: skip
    """The filters; most are off, because inputs and outputs are short texts of any kind."""

    def strata(self, context: Context) -> list[Stratum]:
        """One stratum a task."""
        found: list[Candidate | Reject] = []
        for path in candidate_files(context.path, (".json", *FLAT)):
            if path.name.lower().endswith(FLAT):
                found += self._from_table(path, context)
                continue
            task = read_json(path)
            if not isinstance(task, dict) or not isinstance(task.get("Instances"), list):
                raise LimaError(f"{path}: no list 'Instances'. Is this a Super-NaturalInstructions task?")
            reason = self._unwanted(task)
            if reason:
                context.count(path.stem).dropped_unread[reason] += len(task["Instances"])
                context.count(path.stem).read += len(task["Instances"])
                continue
            for number, instance in enumerate(task["Instances"]):
                found.append(_candidate(task, instance, path.stem, number))
        return in_strata(
            found,
            context,
            lambda c: (chance(context.seed, context.name, "instance", c.id),),
            limit=self.per_task,
        )

    def _from_table(self, path: Path, context: Context) -> list[Candidate | Reject]:
        """Some instances of each generation task, by the order in which they will be drawn."""
        found: list[Candidate | Reject] = []
        tasks: dict[str, _FlatTask] = {}
        for number, row in read_table(path):
            name, instance = _flat(row, path, context.name)
            place = chance(
                context.seed, context.name, "instance", f"super-ni/{name}/{instance.get('id') or number}"
            )
            tasks.setdefault(name, _FlatTask()).add(place, number, instance, SPARE * self.per_task)
        for name, task in tasks.items():
            kept = sorted(task.kept) if len(task.outputs) >= self.distinct_min * task.read else []
            reason = "not_drawn" if kept else "category"
            context.count(name).dropped_unread[reason] += task.read - len(kept)
            context.count(name).read += task.read - len(kept)
            found += [_candidate(instance, instance, name, number) for _, number, instance in kept]
        return found

    def _unwanted(self, task: Mapping[str, Any]) -> str | None:
        if not set(_texts(task.get("Categories"))) & set(self.categories):
            return "category"
        languages = {*_texts(task.get("Input_language")), *_texts(task.get("Output_language"))}
        return "language" if languages - {self.language} else None


@dataclass
class _FlatTask:
    """A task of a flat table: how many instances were read, their different answers, and those to draw from."""

    read: int = 0
    outputs: set[str] = field(default_factory=set)
    kept: list[tuple[float, int, Mapping[str, Any]]] = field(default_factory=list)

    def add(self, place: float, number: int, instance: Mapping[str, Any], most: int) -> None:
        self.read += 1
        self.outputs.add(text_hash(*_texts(instance["output"])))
        bisect.insort(self.kept, (place, number, instance), key=itemgetter(0, 1))
        del self.kept[most:]


def _flat(row: Mapping[str, Any], path: Path, source: str) -> tuple[str, Mapping[str, Any]]:
    """The task's name, and the row under the names of a task file: it is task and instance in one.

    Raises:
        LimaError: the table has other columns; the text says how to read it.
    """
    names = {known: next((name for name in called if name in row), None) for known, called in FIELDS.items()}
    if names["input"] and names["output"] and not names["definition"]:
        raise LimaError(
            f"{path}: no column 'definition'. Rows with the task in their input are read by kind: table, "
            f"columns: {{prompt: {names['input']}, answer: {names['output']}}} (lima curate own-data)."
        )
    if None in names.values():
        wanted = ", ".join(called[0] for called in FIELDS.values())
        raise LimaError(f"{path}: expected the columns {wanted}; found {', '.join(map(str, row))}.")
    values = {known: row[str(name)] for known, name in names.items()}
    renamed = {"Definition": values["definition"], "input": values["input"], "output": values["output"]}
    return str(values["task"]), {**row, **renamed}


def _candidate(
    task: Mapping[str, Any], instance: Mapping[str, Any], name: str, number: int
) -> Candidate | Reject:
    identifier = f"super-ni/{name}/{instance.get('id') or number}"
    outputs, given = _texts(instance.get("output")), instance.get("input")
    definition = " ".join(_texts(task.get("Definition")))
    if not outputs or not outputs[0].strip() or not isinstance(given, str) or not definition.strip():
        return Reject(id=identifier, rule="empty", reason="no definition, input or output")
    meta = {
        "url": next(iter(_texts(task.get("URL"))), None),
        "authors": _texts(task.get("Contributors")),
        "licence": " and ".join(_texts(task.get("Instance License"))) or None,
        "category": name,
        "transforms": ["definition and input joined"],
        "domains": _texts(task.get("Domains")),
        "task_categories": _texts(task.get("Categories")),
    }
    prompt, answer = f"{definition.strip()}\n\n{given.strip()}", outputs[0].strip()
    return Candidate(single_turn(identifier, "super-ni", prompt, answer, meta), answer, prose=outputs[0])


def _texts(value: object) -> list[str]:
    """The schema's fields are a text in some tasks and a list of texts in others."""
    if isinstance(value, str):
        return [value]
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
