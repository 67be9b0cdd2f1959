from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.generate.conftest import byte_tokenizer, tiny_llama

from lima import model as models_io
from lima.errors import LimaError, SettingsConflict
from lima.files import read_jsonl, write_jsonl
from lima.generate.prompts import PREAMBLE, PromptFormat
from lima.generate.run import generate, system_names
from lima.generate.settings import GenerateSettings
from lima.records import Completion, Example, Message, Reject


def example(number: int, *texts: str) -> Example:
    roles = ("user", "assistant")
    messages = tuple(Message(role=roles[i % 2], content=text) for i, text in enumerate(texts))
    return Example(id=f"test/{number}", source="test", messages=messages)


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    path = tmp_path / "prompts.jsonl"
    write_jsonl(path, [example(i, f"Question {i}: {'why ' * (i % 5)}?") for i in range(12)])
    return path


def settings(system: Path, prompts: Path, out: Path, **changes: Any) -> GenerateSettings:
    return GenerateSettings(system=str(system), prompts=prompts, out=out, **{"max_new_tokens": 12, **changes})


def rows(path: Path) -> list[Completion]:
    return list(read_jsonl(path, Completion))


def test_completions_of_a_tuned_model(tuned_folder: Path, prompts: Path, tmp_path: Path) -> None:
    out = tmp_path / "answers.jsonl"
    assert generate(settings(tuned_folder, prompts, out, samples=2, seed=3)) == [out]
    found = rows(out)
    assert [row.id for row in found] == sorted(
        f"tuned-epoch-02/test/{i}/{k}" for i in range(12) for k in (0, 1)
    )
    assert {(row.system, row.seed, row.status) for row in found} == {("tuned-epoch-02", 3, "ok")}
    assert {row.prompt_id for row in found} == {f"test/{i}" for i in range(12)}
    for row in found:
        assert row.finish_reason in ("length", "eot")
        assert row.tokens == 12 if row.finish_reason == "length" else row.tokens <= 12
        assert "<|eot|>" not in row.content
    first, second = ([row.content for row in found if row.sample == k] for k in (0, 1))
    assert first != second

    record = json.loads((tmp_path / "answers.jsonl.run.json").read_text())
    assert record["inputs"]["prompts:0"]["path"] == str(prompts)
    assert record["facts"]["finish_reasons"] == dict(Counter(row.finish_reason for row in found))
    assert record["facts"]["tokens"] == sum(row.tokens for row in found)


def test_an_answer_to_the_letter(tuned_folder: Path, prompts: Path, tmp_path: Path) -> None:
    """The whole path once more by hand: our template, transformers' own greedy loop, our decoding."""
    out = tmp_path / "answers.jsonl"
    generate(settings(tuned_folder, prompts, out, greedy=True, repetition_penalty=1.0, limit=1))
    model, tokenizer = models_io.load(tuned_folder)
    text = [{"role": "user", "content": "Question 0: ?"}]
    ids = tokenizer.apply_chat_template(text, return_tensors="pt", return_dict=False)
    assert ids[0, -1] == tokenizer.convert_tokens_to_ids("<|eot|>")
    expected = model.generate(ids, do_sample=False, max_new_tokens=12)[0, ids.shape[1] :]
    (row,) = rows(out)
    assert row.content == tokenizer.decode(expected, skip_special_tokens=True).strip()
    assert row.tokens == len(expected)


def test_the_same_bytes_whatever_the_slots_and_the_order(
    tuned_folder: Path, prompts: Path, tmp_path: Path
) -> None:
    generate(settings(tuned_folder, prompts, tmp_path / "one.jsonl", slots=1))
    backwards = tmp_path / "backwards.jsonl"
    write_jsonl(backwards, list(read_jsonl(prompts, Example))[::-1])
    generate(settings(tuned_folder, backwards, tmp_path / "seven.jsonl", slots=7))
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "seven.jsonl").read_bytes()


KILLED = """
import sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
from lima.files import JsonlLog
append = JsonlLog.append
def slowly(self, record):
    append(self, record)
    print("made", record.id, flush=True)
    time.sleep(float(sys.argv[4]))
JsonlLog.append = slowly
from lima.generate.prompts import PREAMBLE, PromptFormat
from lima.generate.run import generate
from lima.generate.settings import GenerateSettings
generate(GenerateSettings(
    system=sys.argv[1], prompts=Path(sys.argv[2]), out=Path(sys.argv[3]), max_new_tokens=12, slots=2))
"""


@pytest.mark.slow
def test_after_kill_9_no_finished_answer_is_made_twice_and_the_bytes_are_the_same(
    tuned_folder: Path, prompts: Path, tmp_path: Path
) -> None:
    undisturbed, killed = tmp_path / "undisturbed.jsonl", tmp_path / "killed.jsonl"
    generate(settings(tuned_folder, prompts, undisturbed, slots=2))

    def command(pause: str) -> list[str]:
        return [sys.executable, "-c", KILLED, str(tuned_folder), str(prompts), str(killed), pause]

    with subprocess.Popen(command("0.3"), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        made = [process.stdout.readline() for _ in range(5)]
        os.kill(process.pid, signal.SIGKILL)
        made += process.stdout.readlines()
    with killed.open("ab") as stream:
        stream.write(b'{"id": "half a l')
    again = subprocess.run(command("0"), stdout=subprocess.PIPE, text=True, check=True)
    made += again.stdout.splitlines(keepends=True)
    made_ids = [line.split()[1] for line in made if line.startswith("made")]
    assert len(made_ids) == len(set(made_ids)) == 12
    assert killed.read_bytes() == undisturbed.read_bytes()
    without_time = [
        {key: value for key, value in record["facts"].items() if key != "seconds"}
        for record in (json.loads(Path(f"{path}.run.json").read_text()) for path in (killed, undisturbed))
    ]
    assert without_time[0] == without_time[1]


def test_a_finished_run_repeats_nothing(tuned_folder: Path, prompts: Path, tmp_path: Path) -> None:
    out = tmp_path / "answers.jsonl"
    generate(settings(tuned_folder, prompts, out))
    before = out.read_bytes(), Path(f"{out}.run.json").read_bytes()
    start = time.monotonic()
    generate(settings(tuned_folder, prompts, out))
    assert (out.read_bytes(), Path(f"{out}.run.json").read_bytes()) == before
    assert time.monotonic() - start < 10
    with pytest.raises(SettingsConflict, match="temperature"):
        generate(settings(tuned_folder, prompts, out, temperature=1.0))


def test_too_long_prompts_are_named_and_the_others_answered(
    tuned_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # BOS + text + EOT: 254 bytes fill 256 positions, 253 leave room for one token.
    path = tmp_path / "prompts.jsonl"
    write_jsonl(path, [example(0, "x" * 254), example(1, "x" * 253), example(2, "x" * 400)])
    out = tmp_path / "answers.jsonl"
    generate(settings(tuned_folder, path, out))
    assert [(row.prompt_id, row.tokens) for row in rows(out)] == [("test/1", 1)]
    rejects = list(read_jsonl(tmp_path / "answers.jsonl.rejects.jsonl", Reject))
    assert [(r.id, r.rule) for r in rejects] == [("test/0", "over-long"), ("test/2", "over-long")]
    assert rejects[0].reason == "256 tokens leave no room for an answer within 256"
    assert "2 prompts leave no room" in capsys.readouterr().err

    with pytest.raises(LimaError, match=r"test/0, test/2.*--strict"):
        generate(settings(tuned_folder, path, tmp_path / "strict.jsonl", strict=True))
    assert not (tmp_path / "strict.jsonl").exists()


def test_a_base_model_continues_the_text_and_that_is_said(
    base_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "prompts.jsonl"
    write_jsonl(path, [example(0, "One", "Two", "Three")])
    out = tmp_path / "base.jsonl"
    generate(settings(base_folder, path, out, greedy=True, repetition_penalty=1.0))
    assert "base: no chat format" in capsys.readouterr().err
    model, tokenizer = models_io.load(base_folder)
    ids = torch.tensor([[256, *tokenizer.encode("One\n\nTwo\n\nThree")]])
    expected = model.generate(ids, do_sample=False, max_new_tokens=12)[0, ids.shape[1] :]
    assert rows(out)[0].content == tokenizer.decode(expected, skip_special_tokens=True).strip()


def test_another_projects_assistant_is_asked_in_its_own_format(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, tokenizer = tiny_llama(seed=2), byte_tokenizer()
    tokenizer.chat_template = (
        "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
        "{% if add_generation_prompt %}[assistant]{% endif %}"
    )
    models_io.save(model, tokenizer, tmp_path / "other")
    path = tmp_path / "prompts.jsonl"
    write_jsonl(path, [example(0, "Hi")])
    generate(settings(tmp_path / "other", path, tmp_path / "o.jsonl", greedy=True, repetition_penalty=1.0))
    assert "its own chat template" in capsys.readouterr().err
    ids = torch.tensor([tokenizer.encode("[user]Hi[assistant]")])
    expected = tiny_llama(seed=2).generate(ids, do_sample=False, max_new_tokens=12)[0, ids.shape[1] :]
    assert (
        rows(tmp_path / "o.jsonl")[0].content == tokenizer.decode(expected, skip_special_tokens=True).strip()
    )


@pytest.mark.parametrize(
    ("configured", "template", "expected"),
    [
        (None, None, {257: "tokenizer"}),
        ([257, 3], None, {257: "generation_config, tokenizer", 3: "generation_config"}),
        (None, "<|m|>\n", {257: "tokenizer", 258: "chat template"}),
        (257, " </s>", {257: "generation_config, tokenizer, chat template"}),
        (257, " and so on <|m|>", {257: "generation_config, tokenizer"}),
        (None, "{{ raise_exception('no') }}", {257: "tokenizer"}),
    ],
)
def test_stop_tokens_come_from_every_place_that_names_one(
    configured: Any, template: str | None, expected: dict[int, str]
) -> None:
    model, tokenizer = tiny_llama(vocab_size=259), byte_tokenizer()
    model.generation_config.eos_token_id = configured
    tokenizer.add_tokens(["<|m|>"], special_tokens=True)
    if template is not None:
        tokenizer.chat_template = (
            "{% for m in messages %}{{ m.role }}: {{ m.content }}" + template + "{% endfor %}"
        )
    form = PromptFormat.of(model, tokenizer)
    assert form.stop_tokens == expected
    assert form.stop_ids == set(expected)
    assert "</s> (" in form.ending
    assert (
        PromptFormat("base", tokenizer).ending == "no token ends an answer: each runs to its longest length"
    )


def test_auto_takes_the_checkpoints_type_where_it_is_fast(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = tmp_path / "prompts.jsonl"
    write_jsonl(asked, [example(0, "Hi")])
    for name in ("bfloat16", "float32", "float16"):
        models_io.save(tiny_llama().to(getattr(torch, name)), byte_tokenizer(), tmp_path / name)
        generate(settings(tmp_path / name, asked, tmp_path / "x", dtype="auto", dry_run=True))
    cpu = torch.cpu
    fast = cpu._is_avx512_bf16_supported() or cpu._is_amx_tile_supported()
    expected = ["bfloat16" if fast else "float32", "float32", "float32"]
    if torch.cuda.is_available():
        expected = ["bfloat16", "float32", "float16"]
    assert re.findall("weights in ([a-z0-9]+)", capsys.readouterr().err) == expected


def test_a_conversation_with_an_answer_is_answered_from_its_prompt(
    tuned_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked, answered = tmp_path / "asked.jsonl", tmp_path / "answered.jsonl"
    write_jsonl(asked, [example(0, "Hi")])
    write_jsonl(answered, [example(0, "Hi", "Good day")])
    generate(settings(tuned_folder, asked, tmp_path / "a.jsonl"))
    generate(settings(tuned_folder, answered, tmp_path / "b.jsonl"))
    assert "1 of 1 conversations end in an assistant turn" in capsys.readouterr().err
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()


def test_several_systems_in_one_call(
    tuned_folder: Path, base_folder: Path, prompts: Path, tmp_path: Path
) -> None:
    out = tmp_path / "answers"
    files = generate(settings(tuned_folder, prompts, out, also=(str(base_folder),), limit=2))
    assert files == [out / "tuned-epoch-02.jsonl", out / "base.jsonl"]
    assert [{row.system for row in rows(file)} for file in files] == [{"tuned-epoch-02"}, {"base"}]
    with pytest.raises(LimaError, match="both be called 'base'"):
        generate(settings(base_folder, prompts, out, also=(str(base_folder),)))


def test_rows_of_nan_are_counted_as_errors(
    prompts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, tokenizer = tiny_llama(tie_word_embeddings=False), byte_tokenizer()
    models_io.add_eot(model, tokenizer)
    # weights are numbers, as others are not loaded; (4 c)^2 = 4.8e38 overflows where a text lies along the row of "7"
    row = model.model.embed_tokens.weight.data[tokenizer.encode("7")[0]]
    for linear in (model.model.layers[0].mlp.gate_proj, model.model.layers[0].mlp.up_proj):
        linear.weight.data[:] = 5.5e18 * row / row.norm()
    models_io.save(model, tokenizer, tmp_path / "poisoned")
    out = tmp_path / "answers.jsonl"
    generate(settings(tmp_path / "poisoned", prompts, out, max_new_tokens=2))
    failed = [row for row in rows(out) if row.status == "error"]
    assert 0 < len(failed) < 12
    assert {row.finish_reason for row in failed} == {"error"}
    assert sum(row.status == "ok" for row in rows(out)) == 12 - len(failed)
    said = capsys.readouterr().err.replace("\n", " ")
    assert all(f"{row.id}: the model's logits are not numbers" in said for row in failed)


def test_a_dry_run_counts_and_writes_nothing(
    tuned_folder: Path, prompts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = set(tmp_path.rglob("*"))
    generate(settings(tuned_folder, prompts, tmp_path / "new" / "a.jsonl", dry_run=True, samples=3))
    assert "36 answers to make, 0 prompts too long" in capsys.readouterr().err
    assert set(tmp_path.rglob("*")) == before


def test_mistakes_are_told_in_one_line(tuned_folder: Path, prompts: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    with pytest.raises(LimaError, match="no such model folder"):
        generate(settings(tmp_path / "nowhere", prompts, out))
    with pytest.raises(LimaError, match="no such file"):
        generate(settings(tuned_folder, tmp_path / "none.jsonl", out))
    twice = tmp_path / "twice.jsonl"
    write_jsonl(twice, [example(0, "Hi"), example(0, "Hi")])
    with pytest.raises(LimaError, match="'test/0' occurs twice"):
        generate(settings(tuned_folder, twice, out))
    out.write_text("mine\n")
    with pytest.raises(LimaError, match="not written by 'lima generate'"):
        generate(settings(tuned_folder, prompts, out))
    assert out.read_text() == "mine\n"


def test_names_of_systems(tmp_path: Path) -> None:
    def name(system: str) -> str:
        return system_names(GenerateSettings(system=system, prompts=tmp_path, out=tmp_path))[0]

    assert name("org/model-7b") == "model-7b"
    assert name("http://localhost:8000/v1#org/model-7b") == "model-7b"
    assert name("runs/lima/epoch-10") == "lima-epoch-10"


def test_real_prompts_on_a_real_model(real_data: Path, tmp_path: Path) -> None:
    texts = [json.loads(line)["conversations"][0] for line in (real_data / "lima/test.jsonl").open()]
    path = tmp_path / "prompts.jsonl"
    write_jsonl(path, [example(i, text) for i, text in enumerate(texts)])
    out = tmp_path / "base.jsonl"
    place = real_data / "models" / "stories260k"
    generate(settings(place, path, out, max_new_tokens=4))
    _, tokenizer = models_io.load(place)
    lengths = [1 + len(tokenizer.encode(text, add_special_tokens=False)) for text in texts]
    too_long = [f"test/{i}" for i, length in enumerate(lengths) if length >= 512]
    rejects = list(read_jsonl(Path(f"{out}.rejects.jsonl"), Reject))
    assert [reject.id for reject in rejects] == too_long
    assert 0 < len(too_long) < 20
    assert len(rows(out)) == 300 - len(too_long)


def test_in_context_examples_stand_before_the_prompt_and_the_next_heading_ends_the_answer(
    base_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown, asked = tmp_path / "shown.jsonl", tmp_path / "asked.jsonl"
    write_jsonl(shown, [example(0, "1+1?", "2")])
    write_jsonl(asked, [example(1, "2+2?")])
    out = tmp_path / "out.jsonl"
    changes = {"greedy": True, "repetition_penalty": 1.0, "max_length": 1024}
    with pytest.raises(LimaError, match="'test/1' has no answer"):
        generate(settings(base_folder, asked, out, in_context=asked, **changes))

    llama, tokenizer = tiny_llama(seed=1, max_position_embeddings=512), byte_tokenizer()
    models_io.save(llama, tokenizer, tmp_path / "long")
    generate(settings(tmp_path / "long", asked, out, in_context=shown, **changes))
    assert "1 answered examples before the prompt" in capsys.readouterr().err
    text = f"{PREAMBLE}### Question\n1+1?\n\n### Answer\n2\n\n### Question\n2+2?\n\n### Answer\n"
    ids = torch.tensor([[256, *tokenizer.encode(text)]])
    expected = tiny_llama(seed=1, max_position_embeddings=512).generate(
        ids, do_sample=False, max_new_tokens=12
    )
    assert (
        rows(out)[0].content
        == tokenizer.decode(expected[0, ids.shape[1] :], skip_special_tokens=True).strip()
    )
    assert PromptFormat("in-context", tokenizer).stop == ("### Question",)
