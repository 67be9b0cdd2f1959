"""TRL masks the tokens that lima masks, from the template that lima saves (acceptance; LIMA_TRL_PYTHON: its interpreter)."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import byte_tokenizer
from tests.train.test_template import TEMPLATES
from transformers import AutoModelForCausalLM

from lima import model as models
from lima.chat import IGNORE, encode_example
from lima.files import read_jsonl
from lima.formats.convert import import_file
from lima.formats.settings import ImportSettings
from lima.records import Example, Message

TRL = os.environ.get("LIMA_TRL_PYTHON")
DATA = os.environ.get("LIMA_DATA")
pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not TRL, reason="LIMA_TRL_PYTHON is not set: no TRL to compare with"),
]
SCRIPT = """
import json, sys
from pathlib import Path
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

folder = Path(sys.argv[1])
rows = [{"messages": messages} for messages in json.loads((folder / "rows.json").read_text())]
settings = SFTConfig(
    output_dir=str(folder / "trl"), assistant_only_loss=True, max_length=None, use_cpu=True, bf16=False, report_to=[]
)
trainer = SFTTrainer(
    model=AutoModelForCausalLM.from_pretrained(folder),
    args=settings,
    train_dataset=Dataset.from_list(rows),
    processing_class=AutoTokenizer.from_pretrained(folder),
)
batches = [trainer.data_collator([row]) for row in trainer.train_dataset]
print(json.dumps([{name: batch[name][0].tolist() for name in ("input_ids", "labels")} for batch in batches]))
"""


def conversations() -> list[list[Message]]:
    """One turn, and one that a user's second follows; Unicode and blanks."""
    said = [["Why?", "Because."], ["Hi", "Hello.\n\u00e9\u4e16 is it?", " A list:\n- x"]]
    roles = ("user", "assistant")
    return [[Message(role=roles[at % 2], content=text) for at, text in enumerate(texts)] for texts in said]


def released(folder: Path) -> list[list[Message]]:
    """Ten short conversations of the released set."""
    if not DATA:
        return []
    source = Path(DATA) / "lima" / "train.jsonl"
    import_file(ImportSettings(format="lima", files=(source,), out=folder / "train.jsonl"))
    found = [list(row.messages) for row in read_jsonl(folder / "train.jsonl", Example)]
    return [row for row in found if sum(len(message.content) for message in row) < 900][:10]


@pytest.mark.parametrize("template", ["lima", *TEMPLATES])
def test_labels_are_trl_s(template: str, tiny_model: Path, tmp_path: Path) -> None:
    model, tokenizer = AutoModelForCausalLM.from_pretrained(tiny_model), byte_tokenizer()
    if template != "lima":
        tokenizer.add_tokens(["<|im_start|>", "<|im_end|>"], special_tokens=True)
        tokenizer.chat_template = TEMPLATES[template]
        model.resize_token_embeddings(260, mean_resizing=False)
    models.set_template(model, tokenizer, "lima" if template == "lima" else "tokenizer")
    folder = tmp_path / "model"
    models.save(model, tokenizer, folder)
    rows = conversations() + released(tmp_path)
    (folder / "rows.json").write_text(json.dumps([[m.model_dump() for m in row] for row in rows]))
    found = in_trl(folder)
    assert len(found) == len(rows)
    for row, theirs in zip(rows, found, strict=True):
        ours = encode_example(tokenizer, row, max_length=sys.maxsize)
        assert theirs == {"input_ids": list(ours.ids), "labels": list(ours.labels)}, row
        assert any(label != IGNORE for label in ours.labels)


def in_trl(folder: Path) -> list[dict[str, Any]]:
    """Ids and labels as TRL's collator gives them."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": ""}
    command = [str(TRL), "-c", SCRIPT, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found
