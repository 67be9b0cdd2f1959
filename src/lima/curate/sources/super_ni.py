"""Super-NaturalInstructions tasks -> one random example of each generation task (paper, section 2.1).

The prompt is the task's definition, then the instance's input, as the released set has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from lima.curate.candidate import Candidate, Stratum
from lima.curate.choose.sampling import chance
from lima.curate.rules import RuleSettings
from lima.curate.sources.base import SourceSettings, Work, candidate_files, in_strata
from lima.errors import LimaError
from lima.files import read_json
from lima.records import Example, Message, Meta, Reject

GENERATION = (
    "Code to Text", "Data to Text", "Dialogue Generation", "Explanation", "Fill in The Blank", "Grammar Error Correction",
    "Keyword Tagging", "Number Conversion", "Overlap Extraction", "Paraphrasing", "Poem Generation", "Program Execution",
    "Question Decomposition", "Question Generation", "Question Rewriting", "Sentence Composition", "Sentence Compression",
    "Sentence Expansion", "Speaker Identification", "Story Composition", "Style Transfer", "Summarization", "Text Completion",
    "Text Simplification", "Text to Code", "Title Generation", "Word Semantics", "Wrong Candidate Generation",
)  # fmt: skip
"""Categories whose answer is free text. [the paper says "natural language generation tasks"; the list is ours]"""


class SuperNaturalInstructions(SourceSettings):
    """One random instance of each English generation task."""

    kind: Literal["super-ni"] = "super-ni"
    """Which source this is."""
    categories: tuple[str, ...] = GENERATION
    """Task categories to take."""
    per_task: int = 1
    """At most so many examples of one task. [paper: 1]"""
    language: str = "English"
    """Input and output language of the tasks."""
    rules: RuleSettings = RuleSettings(
        score_min=None, length_min=None, first_person=False, refers_to_others=False, refers_to_site=False,
        self_contained_title=False, hollow=False, prompt_length_max=8000,
    )  # fmt: skip
    """The filters; most are off, because inputs and outputs are short texts of any kind."""

    def strata(self, work: Work) -> list[Stratum]:
        """One stratum a task."""
        found: list[Candidate | Reject] = []
        for path in candidate_files(work.path, (".json",)):
            task = read_json(path)
            if not isinstance(task, dict) or not isinstance(task.get("Instances"), list):
                raise LimaError(f"{path}: no list 'Instances'. Is this a Super-NaturalInstructions task?")
            reason = self._unwanted(task)
            if reason:
                work.count(path.stem).dropped_unread[reason] += len(task["Instances"])
                work.count(path.stem).read += len(task["Instances"])
                continue
            for number, instance in enumerate(task["Instances"]):
                found.append(_candidate(task, instance, path, number))
        return in_strata(
            found, work, lambda c: (chance(work.seed, work.name, "instance", c.id),), limit=self.per_task
        )

    def _unwanted(self, task: Mapping[str, Any]) -> str | None:
        if not set(_texts(task.get("Categories"))) & set(self.categories):
            return "category"
        languages = {*_texts(task.get("Input_language")), *_texts(task.get("Output_language"))}
        return "language" if languages - {self.language} else None


def _candidate(
    task: Mapping[str, Any], instance: Mapping[str, Any], path: Path, number: int
) -> Candidate | Reject:
    name = path.stem
    identifier = f"super-ni/{name}/{instance.get('id') or number}"
    outputs, given = _texts(instance.get("output")), instance.get("input")
    definition = " ".join(_texts(task.get("Definition")))
    if not outputs or not outputs[0].strip() or not isinstance(given, str) or not definition.strip():
        return Reject(id=identifier, rule="empty", reason="no definition, input or output")
    messages = (
        Message(role="user", content=f"{definition.strip()}\n\n{given.strip()}"),
        Message(role="assistant", content=outputs[0].strip()),
    )
    meta = Meta.model_validate(
        {
            "url": next(iter(_texts(task.get("URL"))), None),
            "authors": _texts(task.get("Contributors")),
            "licence": " and ".join(_texts(task.get("Instance License"))) or None,
            "category": name,
            "transforms": ["definition and input joined"],
            "domains": _texts(task.get("Domains")),
            "task_categories": _texts(task.get("Categories")),
        }
    )
    example = Example(id=identifier, source="super-ni", messages=messages, meta=meta)
    return Candidate(example, answer=outputs[0].strip(), prose=outputs[0])


def _texts(value: object) -> list[str]:
    """The schema's fields are a text in some tasks and a list of texts in others."""
    if isinstance(value, str):
        return [value]
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
