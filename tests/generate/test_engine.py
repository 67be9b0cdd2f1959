from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import pytest
import torch
from tests.generate.conftest import byte_tokenizer, tiny_llama
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
    RepetitionPenaltyLogitsProcessor,
)

from lima import model as models_io
from lima.errors import LimaError
from lima.generate.engine import Engine, attention
from lima.generate.engine.attention import worth_compiling
from lima.generate.engine.decoding import Decoding, noise_key
from lima.generate.engine.requests import Answer, Request
from lima.generate.engine.slots import SlotCache

PROMPTS = [
    [256, *b"When does the market open?"],
    [256, *b"Hm"],
    [256, *b"A longer prompt, so that rows of one batch have different lengths. " * 2],
    [256],
    [256, *b"Tell me about the town."],
]
GREEDY = Decoding(temperature=0, repetition_penalty=1.0)
NEW = 40


def gpt2() -> PreTrainedModel:
    torch.manual_seed(0)
    return GPT2LMHeadModel(
        GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=258, n_positions=256, initializer_range=0.4)
    ).eval()


def neox() -> PreTrainedModel:
    torch.manual_seed(0)
    return GPTNeoXForCausalLM(GPTNeoXConfig(**SIZES, initializer_range=0.4)).eval()


def mistral() -> PreTrainedModel:
    torch.manual_seed(0)
    return MistralForCausalLM(
        MistralConfig(**SIZES, num_key_value_heads=2, sliding_window=8, initializer_range=0.4)
    ).eval()


def qwen3() -> PreTrainedModel:
    torch.manual_seed(0)
    return Qwen3ForCausalLM(
        Qwen3Config(**SIZES, num_key_value_heads=2, head_dim=8, initializer_range=0.4)
    ).eval()


def gemma2() -> PreTrainedModel:
    torch.manual_seed(0)
    config = Gemma2Config(**SIZES, num_key_value_heads=2, head_dim=8, sliding_window=8, initializer_range=0.4)
    return Gemma2ForCausalLM._from_config(config, attn_implementation="eager").eval()


def qwen2() -> PreTrainedModel:
    """With biases of queries, keys and values that are not zero, as it makes them."""
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(Qwen2Config(**SIZES, num_key_value_heads=2, initializer_range=0.4)).eval()
    for layer in model.model.layers:
        for part in (layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj):
            torch.nn.init.normal_(part.bias)
    return model


def gemma3() -> PreTrainedModel:
    """A layer with a window and one without, whose positions turn at other rates; norms that are not one."""
    torch.manual_seed(0)
    kinds = ["sliding_attention", "full_attention"]
    config = Gemma3TextConfig(
        **SIZES,
        num_key_value_heads=2,
        head_dim=8,
        sliding_window=8,
        layer_types=kinds,
        initializer_range=0.4,
    )
    model = Gemma3ForCausalLM(config).eval()
    for name, weight in model.named_parameters():
        if "norm" in name:
            torch.nn.init.normal_(weight, std=0.3)
    return model


SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 258,
    "max_position_embeddings": 256,
}
MAKERS: dict[str, Callable[[], PreTrainedModel]] = {
    "llama": tiny_llama,
    "llama-gqa": lambda: tiny_llama(num_key_value_heads=2, tie_word_embeddings=True),
    "llama-mqa": lambda: tiny_llama(num_key_value_heads=1, head_dim=16),
    "gpt2": gpt2,
    "gpt-neox": neox,
    "mistral-window": mistral,
    "qwen3": qwen3,
    "gemma2-softcap": gemma2,
    "qwen2": qwen2,
    "gemma3": gemma3,
}


def library_greedy(
    model: PreTrainedModel, prompt: Sequence[int], penalty: float = 1.0, *, penalize_prompt: bool = True
) -> list[int]:
    processors = []
    if penalty != 1.0:
        ignored = None if penalize_prompt else len(prompt)
        processors = [RepetitionPenaltyLogitsProcessor(penalty, prompt_ignore_length=ignored)]
    out = model.generate(
        torch.tensor([prompt]),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        do_sample=False,
        max_new_tokens=NEW,
        eos_token_id=257,
        pad_token_id=257,
        logits_processor=processors,
    )
    ids: list[int] = out[0, len(prompt) :].tolist()
    return ids


def requests(
    decoding: Decoding, prompts: Sequence[Sequence[int]] = PROMPTS, samples: int = 1, new: int = NEW
) -> list[Request]:
    return [
        Request(
            id=f"{number}/{sample}",
            prompt=tuple(prompt),
            max_new_tokens=new,
            decoding=decoding,
            noise=noise_key(0, str(number), sample),
            stop_ids=frozenset({257}),
        )
        for number, prompt in enumerate(prompts)
        for sample in range(samples)
    ]


def answers(model: PreTrainedModel, todo: Sequence[Request], slots: int) -> dict[str, Answer]:
    return {a.request.id: a for a in Engine(model, byte_tokenizer(), slots=slots).run(todo)}


def ids_of(found: dict[str, Answer]) -> dict[str, list[int]]:
    return {key: list(found[key].ids) for key in sorted(found)}


@cache
def library_answers(name: str) -> list[list[int]]:
    model = MAKERS[name]()
    return [library_greedy(model, prompt) for prompt in PROMPTS]


@pytest.mark.parametrize("slots", [1, 3, 8])
@pytest.mark.parametrize("name", MAKERS)
def test_greedy_equals_the_library(name: str, slots: int) -> None:
    found = answers(MAKERS[name](), requests(GREEDY), slots)
    assert [list(found[f"{i}/0"].ids) for i in range(len(PROMPTS))] == library_answers(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["llama-gqa", "mistral-window"])
def test_greedy_by_compiled_attention_equals_the_library(name: str) -> None:
    engine = Engine(MAKERS[name](), byte_tokenizer(), slots=8, compiled=True)
    found = {a.request.id: list(a.ids) for a in engine.run(requests(GREEDY))}
    assert [found[f"{i}/0"] for i in range(len(PROMPTS))] == library_answers(name)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("window", [None, 5])
def test_every_way_of_attending_agrees(dtype: torch.dtype, window: int | None) -> None:
    generator = torch.Generator().manual_seed(0)
    query, keys, values = (
        torch.randn(*shape, generator=generator).to(dtype)
        for shape in ((6, 4, 8), (6, 2, 32, 8), (6, 2, 32, 8))
    )
    lengths = torch.tensor([1, 2, 7, 20, 31, 32])
    scoring = attention.Scoring(1.0, window)
    layout = attention.BatchLayout.of(
        SlotCache(6, capacity=32),
        tuple(attention.Span(slot, n - 1, 1, slot) for slot, n in enumerate(lengths.tolist())),
        torch.device("cpu"),
        attention.by_sdpa,
    )
    bias = layout.bias(window, dtype)
    expected = torch.zeros(6, 4, 8)
    for row, length in enumerate(lengths.tolist()):
        for head in range(4):  # two query heads share each key head
            seen = slice(max(0, length - (window or length)), length)
            weight = (keys[row, head // 2, seen].float() @ query[row, head].float()).softmax(0)
            expected[row, head] = weight @ values[row, head // 2, seen].float()
    found = [
        attend(query, keys, values, bias, scoring)
        for attend in (attention.fastest, attention.by_sdpa, attention.by_products)
    ]
    for out in [*found, attention._sums(query, keys, values, bias)]:
        atol = 2e-2 if dtype == torch.bfloat16 else 1e-5
        torch.testing.assert_close(out.float(), expected, atol=atol, rtol=0)


@pytest.mark.parametrize("penalize_prompt", [False, True])
@pytest.mark.parametrize("slots", [1, 8])
def test_greedy_with_penalty_equals_the_library(penalize_prompt: bool, slots: int) -> None:
    maker = MAKERS["llama-gqa"]
    expected = [library_greedy(maker(), prompt, 1.2, penalize_prompt=penalize_prompt) for prompt in PROMPTS]
    decoding = Decoding(temperature=0, repetition_penalty=1.2, penalize_prompt=penalize_prompt)
    found = answers(maker(), requests(decoding), slots)
    assert [list(found[f"{i}/0"].ids) for i in range(len(PROMPTS))] == expected
    assert expected != [library_greedy(maker(), prompt) for prompt in PROMPTS]


@pytest.mark.parametrize("name", ["llama-gqa", "gpt2"])
def test_an_answer_does_not_depend_on_batch_size_or_order(name: str) -> None:
    todo = requests(Decoding(temperature=1.0, top_p=0.95), PROMPTS * 4, samples=2, new=16)
    one_by_one = ids_of(answers(MAKERS[name](), todo, 1))
    assert len(one_by_one) == 40
    assert len({tuple(ids) for ids in one_by_one.values()}) > 30
    for slots in (7, 32):
        assert ids_of(answers(MAKERS[name](), todo, slots)) == one_by_one
        assert ids_of(answers(MAKERS[name](), todo[::-1], slots)) == one_by_one


def test_a_prompt_is_run_once_for_all_its_samples() -> None:
    engine = Engine(tiny_llama(), byte_tokenizer(), slots=4)
    prompt = tuple(PROMPTS[2])
    todo = requests(Decoding(), [prompt], samples=10)
    assert len(list(engine.run(todo))) == 10
    # All of it once; then the last token alone for each of the other nine, which needs its logits.
    assert engine.prefilled == len(prompt) + 9


def test_a_shared_beginning_is_run_once() -> None:
    shared = [256, *b"Answer as in these examples: one, two, three. "]
    prompts = [[*shared, *question] for question in (b"And four?", b"Five, or six?", b"Seven")]
    engine = Engine(tiny_llama(), byte_tokenizer(), slots=1)
    found = {a.request.id: list(a.ids) for a in engine.run(requests(GREEDY, prompts))}
    assert engine.prefilled == len(shared) + sum(len(prompt) - len(shared) for prompt in prompts)
    assert [found[f"{i}/0"] for i in range(3)] == [library_greedy(tiny_llama(), p) for p in prompts]


def test_stop_strings_end_an_answer_and_are_not_part_of_it(tokenizer: PreTrainedTokenizerFast) -> None:
    free = next(iter(answers(tiny_llama(), requests(GREEDY, PROMPTS[:1]), 1).values()))
    assert free.finish_reason == "length"
    whole = tokenizer.decode(list(free.ids[:12]), skip_special_tokens=True)
    stop = whole[4:6]
    assert "�" not in stop
    request = Request("stop", tuple(PROMPTS[0]), NEW, GREEDY, stop=("no such text", stop), stream=True)
    engine = Engine(tiny_llama(), tokenizer)
    engine.submit(request)
    streamed, last = "", None
    while engine.busy:
        for step in engine.step():
            streamed, last = streamed + step.text, step.answer
    assert last is not None
    assert last.finish_reason == "stop"
    assert streamed == last.text == whole[: whole.index(stop)].strip()
    assert 1 < len(last.ids) < NEW


def test_an_answer_ends_at_its_stop_token_or_its_length(tokenizer: PreTrainedTokenizerFast) -> None:
    free = library_greedy(tiny_llama(), PROMPTS[0])
    stop = free[5]
    todo = [
        Request("eot", tuple(PROMPTS[0]), NEW, GREEDY, stop_ids=frozenset({stop})),
        Request("length", tuple(PROMPTS[0]), 3, GREEDY),
    ]
    found = answers(tiny_llama(), todo, 2)
    first = free.index(stop)
    assert (found["eot"].finish_reason, list(found["eot"].ids)) == ("eot", free[: first + 1])
    assert (found["length"].finish_reason, list(found["length"].ids)) == ("length", free[:3])


def test_streamed_text_is_the_text_of_the_answer(tokenizer: PreTrainedTokenizerFast) -> None:
    engine = Engine(tiny_llama(), tokenizer, slots=2)
    streamed: dict[str, str] = {}
    texts: dict[str, str] = {}
    for request in requests(Decoding(temperature=1.0)):
        engine.submit(Request(**{**vars(request), "stream": True}))
    while engine.busy:
        for step in engine.step():
            streamed[step.request.id] = streamed.get(step.request.id, "") + step.text
            if step.answer:
                texts[step.request.id] = step.answer.text
    complete = {key: text for key, text in texts.items() if not text.endswith("�")}
    assert complete
    assert {key: streamed[key] for key in complete} == complete


def test_a_row_of_nan_is_an_error_and_the_others_finish() -> None:
    poisoned = tiny_llama(tie_word_embeddings=False)
    poisoned.model.embed_tokens.weight.data[ord("#")] = torch.nan
    prompts = [*PROMPTS, [256, *b"Number # one"], *PROMPTS]
    found = answers(poisoned, requests(GREEDY, prompts), 3)
    assert found["5/0"].finish_reason == "error"
    assert found["5/0"].ids == ()
    expected = answers(tiny_llama(tie_word_embeddings=False), requests(GREEDY, prompts), 3)
    fine = {key: ids for key, ids in ids_of(expected).items() if key != "5/0" and ord("#") not in ids}
    assert len(fine) >= 8
    assert {key: list(found[key].ids) for key in fine} == fine


def test_a_cancelled_request_is_not_mentioned_again_and_its_slot_is_used() -> None:
    engine = Engine(tiny_llama(), byte_tokenizer(), slots=2)
    for request in requests(GREEDY):
        engine.submit(request)
    engine.step()
    engine.cancel("0/0")  # running
    engine.cancel("4/0")  # waiting
    finished = set()
    while engine.busy:
        for step in engine.step():
            assert step.request.id not in ("0/0", "4/0")
            finished |= {step.request.id} if step.answer else set()
    assert finished == {"1/0", "2/0", "3/0"}


def test_a_model_without_the_attention_interface_is_refused() -> None:
    class Odd(type(tiny_llama())):  # type: ignore[misc]
        def _can_set_attn_implementation(self) -> bool:
            return False

    with pytest.raises(LimaError, match=r"Odd does not use .* URL#model"):
        Engine(Odd(tiny_llama().config), byte_tokenizer())


def test_a_model_can_go_from_engine_to_engine() -> None:
    model, request = tiny_llama(), Request(id="a", prompt=(256, 72, 105), max_new_tokens=5)
    first, second = (list(Engine(model, byte_tokenizer(), slots=n).run([request])) for n in (2, 3))
    assert [answer.ids for answer in first] == [answer.ids for answer in second]


def test_a_model_with_recurrent_layers_is_refused() -> None:
    from transformers import Lfm2Config, Lfm2ForCausalLM

    config = Lfm2Config(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=258,
        layer_types=["conv", "full_attention"],
    )
    with pytest.raises(LimaError, match=r"cannot run \(conv\)"):
        Engine(Lfm2ForCausalLM(config), byte_tokenizer())


def test_a_model_that_mixes_the_texts_of_a_batch_is_refused() -> None:
    """Whatever its config says: it is compared with itself on single texts."""
    model = tiny_llama()
    model.model.layers[0].mlp.register_forward_hook(lambda module, inputs, output: output.cumsum(1))
    with pytest.raises(LimaError, match="read a batch otherwise than single texts"):
        Engine(model, byte_tokenizer())


def test_stories260k_greedy_equals_the_library(real_data) -> None:  # type: ignore[no-untyped-def]
    place = real_data / "models" / "stories260k"
    reference, tokenizer = models_io.load(place)
    ids = tokenizer.encode("Once upon a time, there was")
    prompts = [ids, tokenizer.encode("Lily and Ben went to the park. They"), ids[:3]]
    model, _ = models_io.load(place)
    engine = Engine(model, tokenizer, slots=2)
    found = {a.request.id: a for a in engine.run(requests(GREEDY, prompts))}
    for number, prompt in enumerate(prompts):
        expected = reference.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=NEW)
        assert list(found[f"{number}/0"].ids) == expected[0, len(prompt) :].tolist()
    assert found["0/0"].text.startswith("a little girl named Lily. She loved to play outside")


def test_compiling_by_itself_only_where_it_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU in bfloat16, with a C++ compiler, for many answers; what the user says goes first."""
    full, half = MAKERS["llama-gqa"](), MAKERS["llama-gqa"]().to(torch.bfloat16)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    assert worth_compiling("auto", half)
    assert worth_compiling("auto", half, answers=128)
    assert not worth_compiling("auto", half, answers=127)
    assert not worth_compiling("auto", full)
    assert worth_compiling("on", full, answers=1)
    assert not worth_compiling("off", half)
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert not worth_compiling("auto", half)


class _Copies(TorchFunctionMode):
    """Copies to the host, which are no operation on a CPU: seen as methods of a tensor."""

    WAITING = frozenset({"tolist", "numpy", "cpu", "__array__"})

    def __init__(self, found: list[str]) -> None:
        super().__init__()
        self.found = found

    def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        if func.__name__ in self.WAITING:
            self.found.append(func.__name__)
        return func(*args, **(kwargs or {}))


class _Questions(TorchDispatchMode):
    """Values and shapes that depend on results: the host waits for a GPU there."""

    WAITING = frozenset({"_local_scalar_dense", "nonzero", "masked_select", "_unique2", "equal"})

    def __init__(self, found: list[str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found = found

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        name = func.overloadpacket.__name__
        by_mask = name in ("index", "index_put", "index_put_", "_index_put_impl_") and any(
            place is not None and place.dtype == torch.bool for place in args[1]
        )
        if name in self.WAITING or by_mask:
            self.found.append(name)
        return func(*args, **(kwargs or {}))


def host_waits(run: Callable[[], object]) -> list[str]:
    found: list[str] = []
    with _Copies(found), _Questions(found):
        run()
    return found


def test_host_waits_are_seen() -> None:
    x = torch.tensor([1.0, 0.0])
    for wait in (
        lambda: x.tolist(),
        lambda: x[0].item(),
        lambda: bool(x.all()),
        lambda: x[x > 0],
        lambda: x.nonzero(),
        lambda: x.cpu(),
        lambda: x.numpy(),
    ):
        assert len(host_waits(wait)) == 1
    assert host_waits(lambda: (x * 2, x[torch.tensor([0])], torch.where(x > 0, x, 1.0))) == []


@pytest.mark.parametrize("name", ["llama-gqa", "mistral-window", "gemma2-softcap"])
@pytest.mark.parametrize(
    "decoding", [Decoding(temperature=0.01), Decoding(temperature=0), Decoding(temperature=0.01, top_k=5)]
)
def test_a_decode_step_waits_for_the_device_once(name: str, decoding: Decoding) -> None:
    engine = Engine(MAKERS[name](), byte_tokenizer(), slots=5)
    for request in requests(decoding):
        engine.submit(request)
    engine.step()
    for _ in range(5):
        assert host_waits(engine.step) == ["tolist"]
    assert engine.running == 5


def test_an_engine_that_was_reset_in_the_midst_of_its_work_begins_anew() -> None:
    engine = Engine(tiny_llama(), byte_tokenizer(), slots=3)
    expected = {a.request.id: a.ids for a in engine.run(requests(GREEDY))}
    for request in requests(GREEDY):
        engine.submit(request)
    for _ in range(4):
        engine.step()
    engine.reset()
    assert not engine.busy
    assert {a.request.id: a.ids for a in engine.run(requests(GREEDY))} == expected
