"""One run of TRL's SFTTrainer for ``benchmarks/train.py``, in TRL's own environment.

python benchmarks/train_trl.py WORK STEPS '{"per_device_train_batch_size": 1}'
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from datasets import Dataset
from torch.utils.data import SequentialSampler
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import SFTConfig, SFTTrainer


class InOrder(SFTTrainer):  # type: ignore[misc]
    """Rows in the order of the file, so that steps can be compared with another trainer's."""

    def _get_train_sampler(self, train_dataset: Any = None) -> SequentialSampler:
        return SequentialSampler(train_dataset if train_dataset is not None else self.train_dataset)


class Clock(TrainerCallback):  # type: ignore[misc]
    """CPU seconds from the beginning to the end of each optimiser step."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._began = 0.0

    def on_step_begin(self, *arguments: Any, **options: Any) -> None:
        self._began = time.process_time()

    def on_step_end(self, *arguments: Any, **options: Any) -> None:
        self.seconds.append(time.process_time() - self._began)


def main() -> None:
    work, steps, changes = Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
    rows = json.loads((work / "batch.json").read_text())
    micro_batch = changes.get("per_device_train_batch_size", SFTConfig.per_device_train_batch_size)
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        settings = SFTConfig(
            output_dir=folder,
            max_steps=steps,
            learning_rate=1e-4,
            max_length=None,
            logging_steps=1,
            save_strategy="no",
            report_to=[],
            use_cpu=True,
            adam_beta2=0.95,
            weight_decay=0.1,
            max_grad_norm=1.0,
            lr_scheduler_type="linear",
            **{"gradient_accumulation_steps": len(rows) // micro_batch, **changes},
        )
        trainer = InOrder(
            model=AutoModelForCausalLM.from_pretrained(work / "model", dtype="float32"),
            args=settings,
            train_dataset=Dataset.from_list(rows),
            processing_class=AutoTokenizer.from_pretrained(work / "model"),
            callbacks=[clock],
        )
        trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    seconds = min(clock.seconds[1:] or clock.seconds)
    print(json.dumps({"cpu": seconds, "loss": losses[0], "losses": losses, "peak": peak}))


if __name__ == "__main__":
    main()
