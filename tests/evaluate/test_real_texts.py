"""Real prompts and real answers of two systems through compare and judge, recounted by hand."""

import os
from collections import Counter
from pathlib import Path

import orjson
import pytest
from examples.rule_judge import MODEL, Rule, serving

from lima.evaluate.comparisons import compare
from lima.evaluate.judge import judge
from lima.evaluate.settings import CompareSettings, JudgeSettings
from lima.files import read_jsonl, write_jsonl
from lima.records import Completion, Example, Message, Preference

DATA = os.environ.get("LIMA_DATA")


@pytest.mark.skipif(not DATA, reason="LIMA_DATA is not set: the folder of real data")
def test_300_published_pairs(tmp_path: Path) -> None:
    pairs = orjson.loads((Path(str(DATA)) / "preferences/cherry_llm/lima_wrap.json").read_bytes())["data"]
    assert len(pairs) == 300
    prompts = [
        Example(
            id=f"lima/{i}", source="lima", messages=(Message(role="user", content=pair["conversations"]),)
        )
        for i, pair in enumerate(pairs)
    ]
    write_jsonl(tmp_path / "prompts.jsonl", prompts)
    for name in ("Answer1", "Answer2"):
        write_jsonl(tmp_path / f"{name}.jsonl", [completion(name, i, p[name]) for i, p in enumerate(pairs)])
    study = compare(
        CompareSettings(
            answers=(tmp_path / "Answer1.jsonl", tmp_path / "Answer2.jsonl"),
            prompts=tmp_path / "prompts.jsonl",
            out=tmp_path / "study",
        )
    )
    with serving(Rule(garbage=0.02, rate_limit=0.02, server_error=0.02, malformed=0.02)) as url:
        judge(JudgeSettings(study=study.folder, judge=f"{url}#{MODEL}", backoff=0.01))
    texts = {row.id: row for row in study.read_comparisons()}
    rows = list(read_jsonl(study.preferences, Preference))
    statuses = Counter(row.status for row in rows)
    assert statuses.keys() == {"ok", "unparsable"}
    assert sum(statuses.values()) == 600
    for row in rows:
        gap = len(texts[row.comparison_id].a) - len(texts[row.comparison_id].b)
        expected = "tie" if abs(gap) <= 10 else "a" if gap > 0 else "b"
        assert row.label == (expected if row.status == "ok" else None)


def completion(system: str, number: int, content: str) -> Completion:
    return Completion(
        id=f"{system}/{number}",
        prompt_id=f"lima/{number}",
        system=system,
        sample=0,
        content=content,
        finish_reason="stop",
        tokens=1,
        seed=0,
    )
