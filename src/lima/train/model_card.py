"""The `README.md` of a saved model: where it comes from, how it was tuned, on what, and how to use it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from lima.files import sha256
from lima.hub import origin
from lima.records import Example
from lima.runs import versions
from lima.train.settings import FitSettings, TrainSettings

NONE_STATED = "none stated"
ADAPTERS = ("lora_rank", "lora_alpha", "lora_dropout", "four_bit")
SHOWN = (
    *FitSettings.model_fields,
    "max_length",
    "keep_eot",
    "loss_on",
    "chat_template",
    "prompt_loss_weight",
    *ADAPTERS,
    "average_last",
)


def model_card(settings: TrainSettings, examples: Sequence[Example], *, epoch: int, averaged: int = 0) -> str:
    """The text of the card; it depends on inputs and settings alone, so that a resumed run writes the same."""
    when = f"the mean of the {averaged} epochs up to {epoch}" if averaged else f"after epoch {epoch}"
    base_licence = licence_of(settings.model)
    sources = Counter(example.source for example in examples)
    licences: Counter[str] = Counter()
    for example in examples:
        licences.update((example.meta.licence or NONE_STATED).split(" and "))
    base = base_name(settings.model)
    facts = {
        "base": base,
        "base_licence": base_licence,
        "examples": len(examples),
        "data_licences": dict(licences),
    }
    return "\n".join(
        [
            "---",
            yaml.safe_dump(_front(settings, base_licence) | {"lima": facts}, sort_keys=False).strip(),
            "---",
            f"# {Path(base).name}, tuned on {len(examples):,} examples",
            "",
            f"`{base}` {when} of supervised fine-tuning with the recipe of LIMA (arXiv 2305.11206), by lima. "
            "It has not been evaluated here: `lima generate`, `compare`, `judge` and `report` do that.",
            "",
            "## Use",
            "",
            _use(settings),
            "",
            "## Data",
            "",
            f"{settings.data.name}, SHA-256 `{sha256(settings.data)}`. {_counts('source', sources)} {_counts('licence', licences)}",
            "",
            "## Licences",
            "",
            f"Base: {base_licence or NONE_STATED}. Data: {', '.join(sorted(licences))}. What both ask of a model made "
            "from them is for its publisher to find out.",
            "",
            "## Training",
            "",
            "| setting | value |",
            "|---|---|",
            *(f"| {name} | `{value}` |" for name in SHOWN if (value := getattr(settings, name)) is not None),
            "",
            ", ".join(f"{name} {version}" for name, version in versions().items()) + ".",
            "",
        ]
    )


def adapter_card(settings: TrainSettings) -> str:
    """The text of the card beside adapters; peft's own is a form to fill in that names a folder of this machine."""
    front = _front(settings, licence_of(settings.model)) | {
        "library_name": "peft",
        "tags": ["lima", "sft", "lora"],
    }
    base = base_name(settings.model)
    rounded = ", whose weights were rounded to 4 bits in training" if settings.four_bit else ""
    return f"""---
{yaml.safe_dump(front, sort_keys=False).strip()}
---
# Adapters of rank {settings.lora_rank} on {Path(base).name}

They go on top of `{base}`{rounded}. The folder above holds both, merged.

```python
from peft import AutoPeftModelForCausalLM
from transformers import AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("PATH")
model = AutoPeftModelForCausalLM.from_pretrained("PATH")
```

By the tokenizer the base gets a row for the token that ends an answer, which was trained too.
"""


def licence_of(base: str) -> str | None:
    """The licence that a base's own card names, where the base is a folder that has one."""
    card = Path(base) / "README.md"
    if not card.is_file():
        return None
    values = front_matter(card.read_text(encoding="utf-8", errors="replace"))
    if values.get("license") == "other" and values.get("license_name"):
        return str(values["license_name"])
    return str(values["license"]) if values.get("license") else None


def front_matter(card: str) -> dict[str, Any]:
    """The YAML at the head of a card; empty where there is none that can be read."""
    front = re.match(r"---\n(.*?)\n---\n", card, re.DOTALL)
    try:
        values: Any = yaml.safe_load(front[1]) if front else None
    except yaml.YAMLError:
        return {}
    return values if isinstance(values, dict) else {}


def base_name(model: str) -> str:
    """A hub id; of a folder its last part, since the rest of a path is this machine's affair."""
    came = origin(model)
    return came[0] if came else Path(model).name if Path(model).exists() else model


def _front(settings: TrainSettings, licence: str | None) -> dict[str, Any]:
    """What the hub reads; a base that is a folder of this machine is no name there."""
    found: dict[str, Any] = {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["lima", "sft"],
    }
    if origin(settings.model) or not Path(settings.model).exists():
        found["base_model"] = base_name(settings.model)
    if came := origin(settings.data):
        found["datasets"] = [came[0]]
    return found | ({"license": licence} if licence else {})


def _use(settings: TrainSettings) -> str:
    eot = settings.eot_token
    form = (
        f"The tokenizer's chat template renders `user text {eot} answer {eot} ...`: no roles, no system prompt. "
        f"Generation\nstops at `{eot}`."
    )
    if settings.chat_template != "lima":
        own = settings.chat_template == "tokenizer"
        form = (
            f"The tokenizer's chat template is {'that of the base' if own else Path(settings.chat_template).name}, with "
            "marks around what the\nassistant writes. Generation stops at the token that ends its turns."
        )
    return f"""{form} With transformers:

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("PATH")
model = AutoModelForCausalLM.from_pretrained("PATH")
chat = [{{"role": "user", "content": "How do I ...?"}}]
ids = tokenizer.apply_chat_template(chat, return_tensors="pt", return_dict=True)
answer = model.generate(**ids, do_sample=True, top_p=0.9, temperature=0.7, max_new_tokens=512)
print(tokenizer.decode(answer[0, ids["input_ids"].shape[1]:], skip_special_tokens=True))
```

With lima: `lima chat PATH`, `lima serve PATH`. With vLLM: `vllm serve PATH`. With llama.cpp or Ollama:
`lima export gguf PATH --out gguf`, then `llama-server -m gguf/NAME.gguf --jinja`, or
`ollama create NAME -f gguf/Modelfile` and `ollama run NAME`."""


def _counts(name: str, counts: Mapping[str, int]) -> str:
    listed = ", ".join(
        f"{key} {number:,}" for key, number in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    )
    return f"By {name}: {listed}."
