"""A real pretrained model learns to stop: tuned on the released LIMA set, its answers end by EOT (acceptance)."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lima import model
from lima.files import read_jsonl, write_jsonl
from lima.formats.convert import import_file
from lima.formats.settings import ImportSettings
from lima.generate.run import generate
from lima.generate.settings import GenerateSettings
from lima.records import Completion, Example
from lima.train.batches import tokenize
from lima.train.run import train
from lima.train.settings import TrainSettings

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(1_800)]
CONTEXT = 512
EOT = "<|eot|>"


def imported(source: Path, out: Path) -> list[Example]:
    import_file(ImportSettings(format="lima", files=(source,), out=out))
    return list(read_jsonl(out, Example))


@pytest.mark.parametrize(
    ("rows", "settings"),
    [("that fit", {"max_length": CONTEXT}), ("all", {"max_length": 256, "keep_eot": True})],
)
def test_nine_of_ten_answers_end(
    rows: str, settings: dict[str, Any], lima_data: Path, tmp_path: Path
) -> None:
    """3 epochs at 1e-3 with one example a step; 50 test prompts, the paper's decoding, a context of 512 tokens.

    A trimmed text that keeps its EOT teaches how often a text ends, not where: trimmed to 512 tokens, of which the
    context has no more, 30 of 50 answers end; to 256, 47.
    """
    examples = imported(lima_data / "lima" / "train.jsonl", tmp_path / "train.jsonl")
    if rows == "that fit":
        examples = that_fit(examples, lima_data / "models" / "stories260k")
        assert len(examples) == 173
        write_jsonl(tmp_path / "train.jsonl", examples)
    prompts = imported(lima_data / "lima" / "test.jsonl", tmp_path / "test.jsonl")
    short = [prompt for prompt in prompts if len(prompt.messages[0].content) < 250][:50]
    write_jsonl(tmp_path / "prompts.jsonl", short)
    train(
        TrainSettings(
            model=str(lima_data / "models" / "stories260k"),
            data=tmp_path / "train.jsonl",
            out=tmp_path / "run",
            epochs=3,
            keep_epochs=(3,),
            batch_size=1,
            learning_rate=1e-3,
            final_learning_rate=1e-4,
            residual_dropout=0.0,
            device="cpu",
            **settings,
        )
    )
    generate(
        GenerateSettings(
            system=str(tmp_path / "run" / "epoch-03"),
            prompts=tmp_path / "prompts.jsonl",
            out=tmp_path / "answers.jsonl",
            max_length=CONTEXT,
        )
    )
    ends = Counter(row.finish_reason for row in read_jsonl(tmp_path / "answers.jsonl", Completion))
    assert ends.total() == 50
    assert ends["eot"] >= 45, ends


def that_fit(examples: list[Example], base: Path) -> list[Example]:
    """The conversations that are within the context with all their EOTs."""
    loaded, tokenizer = model.load(base, device="meta")
    model.add_eot(loaded, tokenizer, EOT)
    data = tokenize(examples, tokenizer, max_length=CONTEXT)
    whole = {sequence.id for sequence in data.sequences if not sequence.trimmed}
    return [example for example in examples if example.id in whole]
