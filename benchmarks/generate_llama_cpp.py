"""The work of ``benchmarks/generate.py`` by llama.cpp: the same weights, prompts and lengths, slots refilled at once.

Runs in an interpreter of its own (neither is a dependency of lima):

    python -m venv peers && peers/bin/pip install llama-cpp-python gguf
    python benchmarks/generate.py --llama-cpp peers/bin/python

Reads a folder that the benchmark has written (``weights.npz``, ``work.json``), writes the model as GGUF and drives
``llama_decode`` with one token a slot, and a new prompt as soon as a slot is free, as its server does. Every slot has a
sampler of its own: repetition penalty over the whole context, temperature, nucleus. Prints seconds, CPU seconds and the
greedy continuation of the first prompt in float32, by which the benchmark checks that the weights are the same.
"""

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

gguf: Any = importlib.import_module("gguf")
C: Any = importlib.import_module("llama_cpp")
KINDS = {
    "bf16": gguf.GGMLQuantizationType.BF16,
    "f32": gguf.GGMLQuantizationType.F32,
    "q8_0": gguf.GGMLQuantizationType.Q8_0,
}
NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm",
    "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
}  # fmt: skip
NORMS = {
    "llama": {"post_attention_layernorm": "ffn_norm"},
    "gemma3": {
        "post_attention_layernorm": "post_attention_norm",
        "pre_feedforward_layernorm": "ffn_norm",
        "post_feedforward_layernorm": "post_ffw_norm",
    },
}
OUTSIDE = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}


def write_model(folder: Path, config: dict[str, Any], kind: str) -> Path:
    """The model of ``weights.npz`` as a GGUF file without a tokenizer."""
    architecture = {"llama": "llama", "gemma3_text": "gemma3"}[config["model_type"]]
    path, weights = folder / f"model-{kind}.gguf", np.load(folder / "weights.npz")
    writer = gguf.GGUFWriter(path, architecture)
    write_shape(writer, config)
    for name in weights.files:
        data, target = weights[name], tensor_name(name, NAMES | NORMS[architecture])
        heads = config["num_attention_heads" if ".attn_q." in target else "num_key_value_heads"]
        if architecture == "llama" and (".attn_q." in target or ".attn_k." in target):
            # GGUF keeps the two halves of a rotation side by side
            data = data.reshape(heads, 2, -1, data.shape[1]).swapaxes(1, 2).reshape(data.shape)
        if architecture == "gemma3" and "norm" in target:
            data = data + 1
        data = np.ascontiguousarray(data, dtype=np.float32)
        if data.ndim == 1:
            writer.add_tensor(target, data)
        else:
            writer.add_tensor(target, gguf.quants.quantize(data, KINDS[kind]), raw_dtype=KINDS[kind])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_shape(writer: Any, config: dict[str, Any]) -> None:
    """The sizes of the model."""
    heads, width = config["num_attention_heads"], config["hidden_size"]
    size = config.get("head_dim") or width // heads
    rope = config["rope_parameters"]
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(width)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(size)
    writer.add_value_length(size)
    writer.add_rope_dimension_count(size)
    writer.add_rope_freq_base(rope.get("full_attention", rope)["rope_theta"])
    if config.get("sliding_window"):
        writer.add_sliding_window(config["sliding_window"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("no_vocab")


def tensor_name(name: str, names: dict[str, str]) -> str:
    """``model.layers.0.mlp.up_proj.weight`` -> ``blk.0.ffn_up.weight``."""
    if "layers." not in name:
        return OUTSIDE[name]
    number, _, part = name.removeprefix("model.layers.").partition(".")
    return f"blk.{number}.{names[part.removesuffix('.weight')]}.weight"


F32 = 0
"""GGML_TYPE_F32, for a cache without rounding: a random model has near ties, which less would flip."""
SILENT = C.llama_log_callback(lambda level, text, data: None)


class Decoder:
    """A model with its context, and a batch to fill."""

    def __init__(self, path: Path, slots: int, threads: int, *, exact: bool = False) -> None:
        C.llama_log_set(SILENT, None)
        C.llama_backend_init()
        self.model = C.llama_model_load_from_file(str(path).encode(), C.llama_model_default_params())
        settings = C.llama_context_default_params()
        settings.n_ctx, settings.n_batch, settings.n_ubatch, settings.n_seq_max = (
            1024 * slots,
            2048,
            512,
            slots,
        )
        settings.kv_unified = False  # a slot looks at its own cells alone
        if exact:
            settings.type_k = settings.type_v = F32
        settings.n_threads = settings.n_threads_batch = threads
        self.context = C.llama_init_from_model(self.model, settings)
        assert self.context, "llama.cpp made no context"
        self.vocabulary = C.llama_vocab_n_tokens(C.llama_model_get_vocab(self.model))
        self.memory = C.llama_get_memory(self.context)
        self.batch = C.llama_batch_init(4096, 0, 1)

    def close(self) -> None:
        C.llama_free(self.context)
        C.llama_model_free(self.model)

    def clear(self) -> None:
        self.batch.n_tokens = 0

    def add(self, token: int, position: int, slot: int, *, last: bool) -> int:
        n, batch = int(self.batch.n_tokens), self.batch
        batch.token[n], batch.pos[n], batch.n_seq_id[n], batch.logits[n] = token, position, 1, last
        batch.seq_id[n][0] = slot
        batch.n_tokens = n + 1
        return n

    def decode(self) -> None:
        assert C.llama_decode(self.context, self.batch) == 0, "llama_decode failed"

    def forget(self, slot: int) -> None:
        C.llama_memory_seq_rm(self.memory, slot, -1, -1)


def sampler(seed: int, vocabulary: int, *, greedy: bool = False) -> Any:
    chain = C.llama_sampler_chain_init(C.llama_sampler_chain_default_params())
    if greedy:
        C.llama_sampler_chain_add(chain, C.llama_sampler_init_greedy())
        return chain
    C.llama_sampler_chain_add(chain, C.llama_sampler_init_penalties(vocabulary, 1024, 1.2, 0.0, 0.0))
    C.llama_sampler_chain_add(chain, C.llama_sampler_init_temp(0.7))
    C.llama_sampler_chain_add(chain, C.llama_sampler_init_top_p(0.9, 1))
    C.llama_sampler_chain_add(chain, C.llama_sampler_init_dist(seed))
    return chain


def run(decoder: Decoder, work: dict[str, Any], slots: int) -> int:
    """Answer all prompts, longest prompt first, each up to its length or an end token; returns the number of tokens."""
    prompts, lengths, ends = work["prompts"], work["lengths"], set(work["ends"])
    waiting = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))  # taken from the end
    free, made = list(range(slots)), 0
    active: dict[int, dict[str, Any]] = {}
    while waiting or active:
        decoder.clear()
        for slot, state in active.items():
            state["row"] = decoder.add(state["token"], state["position"], slot, last=True)
            state["position"] += 1
        while waiting and free and decoder.batch.n_tokens + len(prompts[waiting[-1]]) <= 2048:
            number, slot = waiting.pop(), free.pop()
            prompt = prompts[number]
            for position, token in enumerate(prompt):
                row = decoder.add(token, position, slot, last=position == len(prompt) - 1)
            active[slot] = {
                "left": lengths[number],
                "position": len(prompt),
                "row": row,
                "sampler": sampler(number, decoder.vocabulary),
            }
        decoder.decode()
        for slot, state in list(active.items()):
            state["token"] = C.llama_sampler_sample(state["sampler"], decoder.context, state["row"])
            state["left"] -= 1
            made += 1
            if state["left"] == 0 or state["token"] in ends:
                C.llama_sampler_free(state["sampler"])
                decoder.forget(slot)
                free.append(slot)
                del active[slot]
    return made


def greedy(decoder: Decoder, prompt: list[int], count: int) -> list[int]:
    """The likeliest continuation."""
    chain, found, position = sampler(0, decoder.vocabulary, greedy=True), [], 0
    fresh = prompt
    for _ in range(count):
        decoder.clear()
        for token in fresh:
            row = decoder.add(token, position, 0, last=True)
            position += 1
        decoder.decode()
        found.append(int(C.llama_sampler_sample(chain, decoder.context, row)))
        fresh = found[-1:]
    decoder.forget(0)
    return found


def main(folder: Path, kind: str, slots: int, threads: int) -> None:
    work = json.loads((folder / "work.json").read_text())
    exact = Decoder(write_model(folder, work["config"], "f32"), 1, threads, exact=True)
    continuation = greedy(exact, work["prompts"][0], 8)
    exact.close()
    decoder = Decoder(write_model(folder, work["config"], kind), slots, threads)
    first = {"prompts": work["prompts"][:slots], "lengths": [8] * slots}
    run(decoder, work | first, slots)  # warm-up
    wall, cpu = time.perf_counter(), time.process_time()
    made = run(decoder, work, slots)
    seconds = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "made": made}
    began = time.perf_counter()
    one = (
        run(decoder, work | {"prompts": work["prompts"][:3], "lengths": [256] * 3}, 1)
        if work["one_stream"]
        else 0
    )
    print(json.dumps(seconds | {"one_stream": one / (time.perf_counter() - began), "greedy": continuation}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
