import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.conftest import byte_tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

from lima import cli
from lima import model as models
from lima.chat import encode_example
from lima.errors import LimaError, SettingsConflict
from lima.files import read_jsonl, write_jsonl
from lima.records import Example, Reject
from lima.train.metrics import Metrics
from lima.train.run import prepare, train
from lima.train.settings import TrainSettings


@pytest.fixture
def data(tmp_path: Path, examples: list[Example]) -> Path:
    path = tmp_path / "train.jsonl"
    write_jsonl(path, examples)
    return path


@pytest.fixture
def choose(tmp_path: Path, tiny_model: Path, data: Path) -> Any:
    def settings(**changes: Any) -> TrainSettings:
        values = {
            "model": str(tiny_model),
            "data": data,
            "out": tmp_path / "run",
            "epochs": 2,
            "batch_size": 4,
        }
        values |= {"learning_rate": 1e-3, "max_length": 256, "device": "cpu", **changes}
        return TrainSettings.model_validate(values)

    return settings


def test_a_run_leaves_a_plain_hugging_face_folder_an_epoch(
    choose: Any, tmp_path: Path, examples: list[Example]
) -> None:
    train(choose())
    run = tmp_path / "run"
    names = {path.name for path in run.iterdir() if not path.name.startswith(".")}
    assert names == {"run.json", "metrics.jsonl", "rejects.jsonl", "epoch-01", "epoch-02"}
    model = AutoModelForCausalLM.from_pretrained(run / "epoch-02")
    tokenizer = AutoTokenizer.from_pretrained(run / "epoch-02")
    assert model.config.vocab_size == 259
    for example in examples:
        conversation = [message.model_dump() for message in example.messages]
        rendered = tokenizer.apply_chat_template(conversation, tokenize=True, return_dict=False)
        assert rendered == encode_example(tokenizer, example.messages).ids
    record = json.loads((run / "run.json").read_text())
    assert record["finished"]
    assert record["facts"]["steps"] == 6  # ceil(10 / 4) = 3 steps, 2 epochs


def test_epochs_to_keep_and_the_losses_of_held_out_files(
    choose: Any, tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(choose(epochs=3, keep_epochs=(2,), heldout=data, dev=data))
    assert sorted(path.name for path in (tmp_path / "run").glob("epoch-*")) == ["epoch-02", "epoch-03"]
    found = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    ends = [row for row in found if "loss" not in row]
    assert [row["epoch"] for row in ends] == [1, 2, 3]
    assert ends[0]["heldout_nll"] == ends[0]["dev_nll"] > ends[2]["dev_nll"]
    told = capsys.readouterr()
    assert f"next   lima checkpoint {tmp_path / 'run'} --dev {data}" in told.err
    steps = [row["loss"] for row in found if row["epoch"] == 3 and "loss" in row]
    last = next(line for line in told.out.splitlines() if line.startswith("│ 3 "))
    shown = [cell.strip() for cell in last.strip("│").split("│")]
    assert [shown[1], *shown[4:]] == [
        f"{sum(steps) / len(steps):.3f}",
        *(f"{ends[2][name]:.3f}" for name in ("heldout_nll", "dev_nll")),
    ]


@pytest.mark.parametrize(("rate", "epochs", "runs_on"), [(1e-6, 1, True), (1e-2, 12, False)])
def test_a_model_that_has_not_learnt_to_stop_is_told_of(
    choose: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], rate: float, epochs: int, runs_on: bool
) -> None:
    train(choose(epochs=epochs, keep_epochs=(epochs,), learning_rate=rate))
    rows = [row for row in read_jsonl(tmp_path / "run" / "metrics.jsonl", Metrics) if row.epoch == epochs]
    stops = [row.stop_loss for row in rows if row.stop_loss is not None]
    mean = sum(stops) / len(stops)
    told = capsys.readouterr()
    assert f"{mean:.3f}" in told.out
    assert (f"(stop, in the last epoch: {mean:.1f} nats)" in told.err) == runs_on == (mean > 4)


def test_a_new_eot_starts_where_the_base_finds_it_likelier(
    choose: Any, tiny_model: Path, tmp_path: Path
) -> None:
    """One base expects its EOS at the ends of answers and one never does: its row, turned round, has the opposite logits."""
    found = {}
    for sign in (50, -50):
        base, tokenizer = models.load(tiny_model, device="cpu")
        with torch.no_grad():
            base.get_input_embeddings().weight[tokenizer.eos_token_id] *= sign
        models.save(base, tokenizer, tmp_path / f"base{sign}")
        inputs = prepare(choose(model=str(tmp_path / f"base{sign}")))
        rows = inputs.model.get_input_embeddings().weight.detach()
        row, eos, mean = (
            rows[-1],
            base.get_input_embeddings().weight[tokenizer.eos_token_id],
            rows[:-1].mean(0),
        )
        assert torch.equal(row, eos) != torch.allclose(row, mean)
        found[sign] = torch.equal(row, eos)
    assert set(found.values()) == {True, False}


def test_an_epoch_to_keep_that_there_will_not_be(choose: Any) -> None:
    with pytest.raises(LimaError, match=r"--keep-epochs 9: there is no such epoch, the last is 2"):
        train(choose(keep_epochs=(2, 9)))


def test_a_warm_up_longer_than_the_run_is_refused(choose: Any, tmp_path: Path) -> None:
    with pytest.raises(LimaError, match=r"--warmup-steps 500: the run has only"):
        train(choose(warmup_steps=500))
    assert not (tmp_path / "run").exists()


def test_the_mean_of_the_last_epochs(choose: Any, tmp_path: Path) -> None:
    train(choose(epochs=3, average_last=2))
    run = tmp_path / "run"
    second, third, mean = (
        AutoModelForCausalLM.from_pretrained(run / name).state_dict()
        for name in ("epoch-02", "epoch-03", "average")
    )
    assert "the mean of the 2 epochs up to 3" in (run / "average" / "README.md").read_text()
    for name, value in mean.items():
        torch.testing.assert_close(value, (second[name] + third[name]) / 2)
    with pytest.raises(LimaError, match=r"there are only 3 epochs"):
        train(choose(epochs=3, average_last=4))
    with pytest.raises(LimaError, match=r"--average-last 2 needs epoch 2 in --keep-epochs"):
        train(choose(epochs=3, average_last=2, keep_epochs=(1,)))


def test_a_held_out_file_without_answers(choose: Any, tmp_path: Path, examples: list[Example]) -> None:
    prompts = [example.model_copy(update={"messages": example.messages[:1]}) for example in examples]
    write_jsonl(tmp_path / "prompts.jsonl", prompts)
    with pytest.raises(LimaError, match=r"prompts.jsonl: no example has a supervised token"):
        train(choose(heldout=tmp_path / "prompts.jsonl"))


def test_examples_without_supervised_tokens_are_named_and_strict_refuses_them(
    choose: Any, tmp_path: Path
) -> None:
    # BOS, "What is 0 + 0?" (14 bytes), EOT: 16 tokens come before the first answer token
    train(choose(max_length=17, epochs=1))
    assert (tmp_path / "run" / "rejects.jsonl").read_bytes() == b""
    with pytest.raises(LimaError, match=r"examples cannot be trained on, the first is 'made/0'"):
        train(choose(max_length=16, strict=True, out=tmp_path / "strict"))
    assert not (tmp_path / "strict").exists()
    train(choose(max_length=16, out=tmp_path / "loose", epochs=1))
    rejects = list(read_jsonl(tmp_path / "loose" / "rejects.jsonl", Reject))
    assert [reject.id for reject in rejects] == [f"made/{number}" for number in range(9)]


def test_a_data_set_without_any_supervised_token(choose: Any, tmp_path: Path) -> None:
    with pytest.raises(LimaError, match=r"no example has a supervised token within --max-length 6"):
        train(choose(max_length=6))
    assert not (tmp_path / "run").exists()


def test_a_context_shorter_than_the_data(
    choose: Any, tmp_path: Path, data: Path, examples: list[Example]
) -> None:
    message = examples[0].messages[1].model_copy(update={"content": "a" * 400})
    long = examples[0].model_copy(update={"id": "long", "messages": (examples[0].messages[0], message)})
    write_jsonl(data, [*examples, long])
    with pytest.raises(LimaError, match=r"long: 417 tokens, but .* only 256 positions. Use --max-length 256"):
        train(choose(max_length=2048))  # BOS, 14, EOT, 400, EOT
    train(choose(max_length=256, epochs=1))


def test_other_settings_in_the_same_folder_are_refused_and_the_same_are_finished(
    choose: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(choose(epochs=1))
    before = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    with pytest.raises(SettingsConflict, match=r"learning_rate: 0.001 there, 0.01 here"):
        train(choose(epochs=1, learning_rate=1e-2))
    train(choose(epochs=1))
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == before


def test_a_dry_run_counts_and_writes_nothing(
    choose: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(choose(dry_run=True))
    assert not (tmp_path / "run").exists()
    assert "steps in all" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "tiles", "compiler", "is_told"),
    [
        ({}, True, "/usr/bin/g++", True),
        ({"steps": 49}, True, "/usr/bin/g++", False),
        ({"compile": True}, True, "/usr/bin/g++", False),
        ({"precision": "float32"}, True, "/usr/bin/g++", False),
        ({}, False, "/usr/bin/g++", False),
        ({}, True, None, False),
    ],
)
def test_compiling_is_named_where_it_pays(
    choose: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any],
    tiles: bool,
    compiler: str | None,
    is_told: bool,
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_tile": tiles})
    monkeypatch.setattr("shutil.which", lambda name: compiler)
    train(choose(dry_run=True, **{"steps": 50, "precision": "bfloat16", **changes}))
    assert ("--compile" in "".join(capsys.readouterr())) == is_told


def test_a_tokenizer_without_bos_trains_without_one_and_says_so_once(
    choose: Any, tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = tmp_path / "no-bos"
    model, _ = models.load(tiny_model)
    models.save(model, byte_tokenizer(bos=None), base)
    train(choose(model=str(base), epochs=1))
    assert capsys.readouterr().err.count("no BOS") == 1
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "run" / "epoch-01")
    ids = tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=True, return_dict=False)
    assert [tokenizer.decode([token]) for token in ids] == ["H", "i", "<|eot|>"]


def test_training_goes_on_from_a_checkpoint_with_its_eot_row(
    choose: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(choose(epochs=1))
    train(choose(model=str(tmp_path / "run" / "epoch-01"), epochs=1, out=tmp_path / "more"))
    assert "its row is kept" in capsys.readouterr().err
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "more" / "epoch-01").config.vocab_size == 259


def test_an_unknown_residual_form_is_refused_before_anything_is_written(choose: Any, tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(n_layer=1, n_embd=16, n_head=2, vocab_size=258, n_positions=256)
    models.save(GPT2LMHeadModel(config), byte_tokenizer(), tmp_path / "gpt2")
    with pytest.raises(LimaError, match=r"--residual-dropout 0"):
        train(choose(model=str(tmp_path / "gpt2")))
    assert not (tmp_path / "run").exists()
    plain = choose(model=str(tmp_path / "gpt2"), residual_dropout=0.0, epochs=1)
    train(plain.model_copy(update={"dry_run": True}))
    assert not (tmp_path / "run").exists()
    train(plain)


def test_presets_and_flags_from_the_command_line(tiny_model: Path, data: Path, tmp_path: Path) -> None:
    def parse(*flags: str) -> TrainSettings:
        arguments = [str(tiny_model), str(data), "--out", str(tmp_path / "run"), *flags]
        found = cli.parse("train", TrainSettings, arguments)
        assert isinstance(found, TrainSettings)
        return found

    paper = parse()
    assert (paper.batch_size, paper.residual_dropout, paper.max_length, paper.keep_eot) == (
        32,
        0.3,
        2048,
        False,
    )
    small = parse("--preset", "lima-7b", "--epochs", "3", "--keep-epochs", "2", "3")
    assert (small.batch_size, small.residual_dropout, small.epochs, small.keep_epochs) == (64, 0.2, 3, (2, 3))
    with pytest.raises(LimaError, match=r"no preset 'lima-8b'. There are: lima-65b"):
        parse("--preset", "lima-8b")


def test_a_broken_line_is_named(choose: Any, data: Path, tmp_path: Path) -> None:
    with data.open("a") as stream:
        stream.write('{"id": "x", "source": "made"}\n')
    with pytest.raises(LimaError, match=r"train.jsonl:11: no field 'messages'"):
        train(choose())
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_the_lima_set_on_a_real_pretrained_llama(lima_data: Path, tmp_path: Path) -> None:
    """Of the 1,030 conversations 42 have no answer token within 512 tokens of the 512-token vocabulary."""
    rows = [json.loads(line) for line in (lima_data / "lima" / "train.jsonl").read_text().splitlines()]
    examples = [
        Example.model_validate(
            {
                "id": f"lima/{number}",
                "source": row["source"],
                "messages": [
                    {"role": ("user", "assistant")[turn % 2], "content": text}
                    for turn, text in enumerate(row["conversations"])
                ],
            }
        )
        for number, row in enumerate(rows)
    ]
    write_jsonl(tmp_path / "lima.jsonl", examples)
    settings = TrainSettings(
        model=str(lima_data / "models" / "stories260k"),
        data=tmp_path / "lima.jsonl",
        out=tmp_path / "run",
        steps=6,
        learning_rate=1e-3,
        max_length=512,
        keep_eot=True,
        device="cpu",
    )
    train(settings)
    assert len(list(read_jsonl(tmp_path / "run" / "rejects.jsonl", Reject))) == 42
    facts = json.loads((tmp_path / "run" / "run.json").read_text())["facts"]
    assert (facts["examples"], facts["trimmed"]) == (988, 815)
    losses = [json.loads(line).get("loss") for line in (tmp_path / "run" / "metrics.jsonl").open()]
    assert losses[0] > losses[5]
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "run" / "epoch-01")
    assert torch.isfinite(plain(torch.tensor([[1, 320, 512]])).logits).all()


@pytest.mark.parametrize("rate", [float("inf"), float("nan")])
def test_a_learning_rate_that_is_no_number_is_refused(choose: Any, rate: float) -> None:
    with pytest.raises(LimaError, match="learning_rate: Input should be a finite number"):
        choose(learning_rate=rate, final_learning_rate=0.0)


def test_a_last_step_that_spoils_the_weights_saves_nothing(choose: Any, tmp_path: Path) -> None:
    """Loss and gradient of the only step are sound; its update takes the weights beyond what float32 holds."""
    with pytest.raises(
        LimaError,
        match=r"run: the model is not saved, .* holds NaN or infinite numbers: try a lower --learning-rate",
    ):
        train(choose(steps=1, learning_rate=1e39, final_learning_rate=0.0, weight_decay=0.5))
    assert not (tmp_path / "run" / "epoch-01").exists()
    assert not json.loads((tmp_path / "run" / "run.json").read_text()).get("finished")
