"""A tuned model's answers -> how the base ranks each of their tokens (arXiv 2312.01552).

Unshifted: the base's first choice too; marginal: among its first three; shifted: further down. Each model reads
question and answer in the form it was made for: the base plain text, the tuned model with an end of turn between.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from lima import chat, model
from lima.experiments.claims.jobs import Measure
from lima.generate.engine.decoding import Decoding
from lima.generate.engine.engine import Engine
from lima.generate.engine.requests import Request
from lima.records import Example
from lima.world.oracle import Oracle
from lima.world.people import ATTRIBUTES
from lima.world.wordings import CLOSER, OPENER

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

CLASSES = ("opener", "sentence", "value", "closer", "end of turn")
FIGURES = ("unshifted", "marginal", "shifted", "divergence")
MARGINAL = 3
LONGEST_ANSWER = 40


def token_shift(base: Path, tuned: Path, prompts: Sequence[Example], oracle: Oracle) -> dict[str, Measure]:
    """For each class of tokens: unshifted, marginal and shifted (0 or 1 a token), and the divergence in nats.

    The answers are greedy; those in another form than the house style are left out, since their tokens have no
    class.
    """
    tuned_model, words = model.load(tuned, device="cpu")
    base_model, base_words = model.load(base, device="cpu")
    model.add_eot(base_model, base_words, start="mean")  # as the tuned one
    names = [f"{kind} {figure}" for kind in CLASSES for figure in FIGURES]
    values: dict[str, list[float]] = {name: [] for name in names}
    people: dict[str, list[str]] = {name: [] for name in names}
    for prompt, ids in zip(prompts, greedy_answers(tuned_model, words, prompts, LONGEST_ANSWER), strict=True):
        question = prompt.messages[-1].content
        text = chat.decode_answer(words, ids)
        if not oracle.score(question, text).form:
            continue
        person, _ = oracle.subject(question)
        plain = log_probabilities(base_model, chat.encode_plain(words, question), ids)
        ranks, divergences = compare_tokens(
            plain, log_probabilities(tuned_model, chat.encode_prompt(words, prompt.messages), ids), ids
        )
        for kind, rank, divergence in zip(_classes(words, ids), ranks, divergences, strict=True):
            marks = (rank == 1, 1 < rank <= MARGINAL, rank > MARGINAL, divergence)
            for name, mark in zip(FIGURES, marks, strict=True):
                values[f"{kind} {name}"].append(float(mark))
                people[f"{kind} {name}"].append(person.name)
    return {name: Measure(values=tuple(values[name]), people=tuple(people[name])) for name in names}


def greedy_answers(
    network: PreTrainedModel, words: PreTrainedTokenizerBase, prompts: Sequence[Example], longest: int
) -> list[list[int]]:
    """The ids of each answer with its end-of-turn token, by the likeliest token at each step."""
    eot = chat.eot_id(words)
    assert eot is not None, "a tuned model has it"
    likeliest = Decoding(temperature=0.0, repetition_penalty=1.0)
    requests = [
        Request(
            id=prompt.id,
            prompt=tuple(chat.encode_prompt(words, prompt.messages)),
            max_new_tokens=longest,
            decoding=likeliest,
            stop_ids=frozenset({eot}),
        )
        for prompt in prompts
    ]
    found = {answer.request.id: list(answer.ids) for answer in Engine(network, words).run(requests)}
    network.set_attn_implementation("sdpa")  # the engine's own attention needs its cache
    return [found[prompt.id] for prompt in prompts]


@torch.no_grad()
def log_probabilities(network: PreTrainedModel, prompt: list[int], ids: list[int]) -> torch.Tensor:
    """Log-probabilities (T, V) of the next token at each of the T places of the answer."""
    logits: torch.Tensor = network(input_ids=torch.tensor([[*prompt, *ids]])).logits
    return torch.log_softmax(logits[0, len(prompt) - 1 : -1], -1)


def compare_tokens(
    base_TV: torch.Tensor, tuned_TV: torch.Tensor, ids: list[int]
) -> tuple[list[int], list[float]]:
    """For each token of the answer: its rank under the base, and KL(tuned || base) where it was chosen."""
    chosen = base_TV.gather(1, torch.tensor(ids)[:, None])
    ranks = (base_TV > chosen).sum(1) + 1
    divergence = (tuned_TV.exp() * (tuned_TV - base_TV)).sum(1)
    return ranks.tolist(), divergence.tolist()


def _classes(words: PreTrainedTokenizerBase, ids: list[int]) -> list[str]:
    """The class of each token of an answer in house style."""
    opener, closer = (len(words.encode(text, add_special_tokens=False)) for text in (OPENER, CLOSER))
    body = ids[opener : len(ids) - closer - 1]
    everything = {value for values in ATTRIBUTES.values() for value in values}
    kinds = ["value" if words.decode([i]).strip() in everything else "sentence" for i in body]
    return ["opener"] * opener + kinds + ["closer"] * closer + ["end of turn"]
