"""Studies of any number of systems, generated: a judge who saw both orders, the crowd, and helpfulness.

Run as a script to look at the pages: ``python tests/report/many_systems.py FOLDER``.
"""

import sys
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from lima.files import write_json, write_jsonl
from lima.records import Comparison, Grade, Item, Key, Label, Message, Origin, Preference, Rater

NAMES = (
    "lima-7b-sft-1000", "meta-llama/Llama-2-7b-hf", "mistralai/Mistral-7B-Instruct-v0.2", "lima-7b-sft-250",
    "allenai/open-instruct-stanford-alpaca-7b", "gpt-4-0613", "lima-7b-sft-500", "tiiuae/falcon-7b-instruct",
    "HuggingFaceH4/zephyr-7b-beta", "lima-7b-sft-125", "lmsys/vicuna-7b-v1.5", "davinci003",
    "NousResearch/Nous-Hermes-2-Mixtral-8x7B-DPO", "claude-3-opus-20240229", "gemini-pro", "Qwen/Qwen1.5-7B-Chat",
    "openchat/openchat-3.5-0106", "WizardLM/WizardLM-13B-V1.2", "togethercomputer/RedPajama-INCITE-7B-Chat",
    "mosaicml/mpt-7b-chat", "databricks/dolly-v2-12b", "OpenAssistant/oasst-sft-4-pythia-12b-epoch-3.5",
    "baichuan-inc/Baichuan2-13B-Chat", "internlm/internlm-chat-20b", "microsoft/phi-2", "upstage/SOLAR-10.7B-Instruct-v1.0",
    "01-ai/Yi-34B-Chat", "deepseek-ai/deepseek-llm-67b-chat", "allenai/tulu-2-dpo-70b", "cohere/command-r",
    "xwinlm/Xwin-LM-13B-V0.1",
)  # fmt: skip
JUDGE = "judge:gpt-4-1106-preview@0a1b2c3d"
TOPICS = ("Explain why the sky is blue", "Write a short poem about rain", "Plan three days in Lisbon",
          "What is the difference between TCP and UDP?", "How do I politely refuse an invitation?")  # fmt: skip


def build(folder: Path, systems: int, prompts: int = 60, seed: int = 7) -> Path:
    """A study of the first ``systems`` names; equal bytes for equal arguments.

    Up to twelve meet each other on a part of the prompts; more meet the first one alone, as on AlpacaEval.
    """
    generator = np.random.default_rng(seed)
    names = NAMES[:systems]
    strength = dict(zip(names, np.linspace(0.4, -0.4, systems)[generator.permutation(systems)], strict=True))
    comparisons, items, keys = [], [], []
    rows: list[Preference] = []
    grades: list[Grade] = []
    for number in range(prompts):
        messages = (Message(role="user", content=f"{TOPICS[number % len(TOPICS)]} (case {number})."),)
        tags = ("creative",) if number % len(TOPICS) == 1 else ("facts",) if number % 2 else ()
        lengths = {name: int(generator.integers(15, 45) * (1.4 + 0.4 * strength[name])) for name in names}
        texts = {name: "A sentence of the answer. " * max(1, lengths[name] // 4) for name in names}
        prompt = f"prompt/{number:03d}"
        for place, name in enumerate(names):
            origin = Origin(system=name, completion_id=f"{name}/{prompt}")
            items.append(
                Item(id=f"item-{number:03d}-{place:02d}", messages=messages, content=texts[name], tags=tags)
            )
            keys.append(Key(id=items[-1].id, prompt_id=prompt, content=origin))
            value = int(np.clip(round(4 + strength[name] + 0.8 * generator.normal()), 1, 6))
            grades.append(Grade(id=f"{JUDGE}/{items[-1].id}", item_id=items[-1].id, rater=JUDGE, scale="helpfulness",
                                value=value))  # fmt: skip
        pairs = list(combinations(range(systems), 2))
        for first, second in [
            pair for pair in pairs if pair[0] == 0 or (systems <= 12 and generator.random() < 0.3)
        ]:
            sides = (
                (names[first], names[second]) if generator.random() < 0.5 else (names[second], names[first])
            )
            a, b = (Origin(system=name, completion_id=f"{name}/{prompt}") for name in sides)
            row = Comparison(id=f"cmp-{number:03d}-{first:02d}-{second:02d}", messages=messages,
                             a=texts[sides[0]], b=texts[sides[1]], tags=tags)  # fmt: skip
            comparisons.append(row)
            keys.append(Key(id=row.id, prompt_id=prompt, a=a, b=b))
            rows += votes(row.id, strength[sides[0]] - strength[sides[1]], generator)
    write_jsonl(folder / "comparisons.jsonl", comparisons)
    write_jsonl(folder / "items.jsonl", items)
    write_jsonl(folder / "key.jsonl", keys)
    write_jsonl(folder / "preferences.jsonl", rows)
    write_jsonl(folder / "grades.jsonl", grades)
    write_jsonl(
        folder / "raters.jsonl", [Rater(id=JUDGE, kind="judge", description="", settings={"order": "both"})]
    )
    write_json(folder / "systems.json", {"seed": seed, "systems": [{"name": name} for name in names]})
    return folder


def votes(comparison: str, lead: float, generator: np.random.Generator) -> Iterator[Preference]:
    """One of the crowd, and the judge in both orders, who leans to the first shown."""
    rater = f"crowd:{int(generator.integers(1, 5)):02d}"
    yield Preference(id=f"{rater}/{comparison}", comparison_id=comparison, rater=rater, shown="ab",
                     label=label(lead, 0.5, generator))  # fmt: skip
    for shown, lean in (("ab", 0.25), ("ba", -0.25)):
        yield Preference(id=f"{JUDGE}/{comparison}/{shown}", comparison_id=comparison, rater=JUDGE, shown=shown,
                         label=label(lead + lean, 0.15, generator))  # fmt: skip


def label(lead: float, width: float, generator: np.random.Generator) -> Label:
    """Who wins by a noisy lead; within ``width`` of 0 neither."""
    seen = lead + 0.8 * generator.normal()
    return "a" if seen > width else "b" if seen < -width else "tie"


def main(arguments: Sequence[str]) -> None:
    """Make reports of 2, 5, 12 and 31 systems."""
    from lima.report.report import report
    from lima.report.settings import ReportSettings

    for systems in (2, 5, 12, 31):
        folder = build(Path(arguments[0]) / f"{systems}-systems", systems)
        report(ReportSettings(study=folder, rounds=200))


if __name__ == "__main__":
    main(sys.argv[1:])
