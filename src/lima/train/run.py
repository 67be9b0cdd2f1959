"""``lima train``: a base model and examples become a run folder with one checkpoint an epoch (LIMA, section 3)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from lima import console
from lima import model as models
from lima.chat import Tokens, stop_id
from lima.commands import command
from lima.console import done, note, progress, table, warn
from lima.errors import LimaError
from lima.files import read_jsonl, write_jsonl
from lima.records import Example
from lima.runs import Run, open_run
from lima.train.adapters import (
    adapter_weights,
    add_adapters,
    experts_share,
    merged_weights,
    save_adapters,
)
from lima.train.batches import TrainingSet, tokenize
from lima.train.checkpoints import remove_states
from lima.train.dropout import sublayer_names
from lima.train.four_bit import quantize
from lima.train.invariants import check_context, check_model, check_template
from lima.train.loop import StepPlan, fit, mean_loss
from lima.train.memory import estimate, memory_table
from lima.train.metrics import (
    WORTH_MEASURING,
    Metrics,
    check_installed,
    epoch_table,
    peak_memory,
    reporting,
)
from lima.train.model_card import adapter_card, model_card
from lima.train.parallel import ALONE, Processes, agree_on_head, join, shard, whole_weights
from lima.train.precision import autocast, gains_by_compiling, narrow, narrow_frozen, resolve
from lima.train.replay import Replay, read_replay
from lima.train.save import Disk, average_weights, disk, kept_epochs, save_dtype
from lima.train.save import epoch_folder as epoch_folder  # other stages take it from here
from lima.train.settings import PAPER_WIDTH, FitSettings, TrainSettings

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

EOT_EXAMPLES = 8
"""The shortest examples tell how likely the EOT's first values are where it is wanted."""
MANY_STEPS = 50
"""Fewer are done before a compiler's minute pays."""
SELDOM_STOPS = 4.0
"""Nats. Gemma-3-270m tuned to 7 to 9 ended 1 of 100 answers, tuned to 1 to 4 it ended 18 of 20 (docs/measurements.md)."""
TEMPLATES_CHECKED = 8
"""Examples whose ids are compared with those of the saved template; `lima doctor` compares all."""


def train(settings: TrainSettings) -> None:
    """Tune the model on the examples; the same settings again resume, or find the run finished.

    Raises:
        LimaError: see `prepare` and `lima.train.loop.fit`; or the run folder was made with other settings.
    """
    processes = join()
    if not processes.is_first:
        console.notes.quiet = console.results.quiet = True
    check_installed(settings)
    # before the run is opened, so that a mistake in them leaves no record behind
    inputs = prepare(settings, processes)
    plan = StepPlan.of(len(inputs.data.sequences), settings)
    last_epoch = plan.epoch(plan.steps)
    _check_epochs(settings, plan)
    _summarise(inputs, plan, settings)
    need = disk(inputs.model, settings, last_epoch)
    if settings.dry_run:
        head, *rows = memory_table(inputs.model, inputs.data.sequences, settings)
        table("memory, estimated", head, rows)
        _tell_disk(need)
        note(
            "not checked, as no weights were read: tensors, saving, one step. lima doctor checks them, on two layers."
        )
        return
    if processes.is_first:
        need.check(settings.out)
    with _opened(settings, processes) as run:
        if not processes.agree(run is not None and run.finished):
            _fit(inputs, settings, last_epoch, processes)
            if run and processes.size == 1:
                _compare_memory(inputs, settings)
            if run:
                _average(inputs, settings, last_epoch)
                run.finish(**_facts(inputs, plan, settings))
                _tell_epochs(settings.out / "metrics.jsonl")
        if run:
            remove_states(settings.out / "state")
    last = epoch_folder(settings.out, last_epoch)
    done(
        wrote=[last, settings.out / "metrics.jsonl", settings.out / "rejects.jsonl"],
        next_command=_next(settings, last),
    )


def _next(settings: TrainSettings, last: Path) -> str:
    """What to run after training: with dev prompts at hand, the choice of an epoch."""
    if settings.dev:
        return command("checkpoint", settings.out, "--dev", settings.dev, "--judge", "URL#MODEL")
    return command("generate", last, "PROMPTS.jsonl", "--out", "answers.jsonl")


@contextmanager
def _opened(settings: TrainSettings, processes: Processes) -> Iterator[Run | None]:
    """The run's record, which the first process alone keeps."""
    with (
        open_run(settings.out / "run.json", "train", settings) if processes.is_first else nullcontext() as run
    ):
        yield run


def _fit(inputs: Inputs, settings: TrainSettings, last: int, processes: Processes) -> None:
    if processes.is_first:
        write_jsonl(settings.out / "rejects.jsonl", inputs.data.rejects)
    if processes.size > 1:
        processes = shard(inputs.model, processes, models.checked_device(settings.device))
    end_of_epoch = _EndOfEpoch(inputs, settings, last, processes)
    data = inputs.data.sequences
    reporter = reporting(settings) if processes.is_first else nullcontext(lambda row: None)
    with reporter as report:
        fit(
            inputs.model,
            data,
            settings,
            settings.out,
            on_epoch=end_of_epoch,
            report=report,
            replay=inputs.replay,
            processes=processes,
            stop=stop_id(inputs.tokenizer),
        )


def last_epoch(examples: int, settings: FitSettings) -> int:
    """The number of the last epoch of a run over this many examples."""
    plan = StepPlan.of(examples, settings)
    return plan.epoch(plan.steps)


@dataclass(frozen=True)
class Inputs:
    """A model that has its EOT, and the token sequences it trains on and is measured on."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    examples: Sequence[Example]
    data: TrainingSet
    measured: Mapping[str, TrainingSet]
    """``heldout_nll`` and ``dev_nll``, as far as their files are given."""
    replay: Replay | None
    adapters: PeftModel | None
    """What is trained in place of all weights, as peft sees it."""


def prepare(settings: TrainSettings, processes: Processes = ALONE) -> Inputs:
    """Load and check everything that a run needs; writes nothing.

    Raises:
        LimaError: an input is missing or broken, no example has a supervised token (or, with ``strict``, one
            has none), the model has too short a context, or its residual form is unknown.
    """
    _refuse_together(settings, processes)
    examples = list(read_jsonl(settings.data, Example))
    files = {"heldout_nll": settings.heldout, "dev_nll": settings.dev}
    held = {name: list(read_jsonl(path, Example)) for name, path in files.items() if path is not None}
    is_plan = settings.dry_run or not processes.is_first
    model, tokenizer = _load_base(settings, processes, is_plan=is_plan)
    is_new = settings.chat_template == "lima" and settings.eot_token not in tokenizer.get_vocab()
    start: models.EotStart = "mean" if settings.eot_start == "mean" else "eos"
    models.set_template(model, tokenizer, settings.chat_template, settings.eot_token, start)
    if tokenizer.bos_token_id is None:
        note(f"{settings.model} has no BOS token; texts are rendered without one.")
    data = _tokenize(examples, tokenizer, settings, prompt_weight=settings.prompt_loss_weight)
    if settings.eot_start == "auto" and is_new and not is_plan:
        _choose_eot_start(model, stop_id(tokenizer), data.sequences, settings)
    if settings.four_bit and not is_plan:
        device = models.checked_device(settings.device)
        quantize(model, device, getattr(torch, resolve(model, settings.precision)))
    if settings.memory == "low":
        narrow(model)
    adapters = _add_adapters(model, tokenizer, settings) if settings.lora_rank else None
    if adapters and (experts := experts_share(model)):
        note(f"adapters: the experts, {experts:.0%} of the weights, stay as they are.")
    measured = {name: _tokenize(rows, tokenizer, settings) for name, rows in held.items()}
    _check_supervision(data, settings)
    _tell_unknown(data, tokenizer)
    for example in examples[:TEMPLATES_CHECKED]:
        check_template(tokenizer, example)
    for name, part in measured.items():
        if not part.sequences:
            raise LimaError(f"{files[name]}: no example has a supervised token, so it has no loss.")
    for part in (data, *measured.values()):
        for sequence in part.sequences:
            check_context(sequence, models.context_length(model))
    longest = min(settings.max_length, models.context_length(model) or settings.max_length)
    replay = settings.replay and read_replay(
        settings.replay, tokenizer, settings.replay_share, longest=longest, seed=settings.seed
    )
    return Inputs(model, tokenizer, examples, data, measured, replay or None, adapters)


def _refuse_together(settings: TrainSettings, processes: Processes) -> None:
    """Settings that exclude each other."""
    if settings.four_bit and not settings.lora_rank:
        raise LimaError(
            "--four-bit freezes the weights; train adapters on them: --lora-rank 16, or --preset qlora."
        )
    if settings.memory == "low" and settings.lora_rank:
        raise LimaError("--memory low is for tuning all weights; adapters need little memory without it.")
    if processes.size > 1 and (settings.four_bit or settings.memory == "low"):
        raise LimaError(
            "--four-bit and --memory low are for one process; leave torchrun out, or these settings."
        )


def _load_base(
    settings: TrainSettings, processes: Processes, *, is_plan: bool
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The base, checked, in the type that it is held in; without weights for a plan, and in all processes but the first."""
    rounds, is_low = settings.four_bit and not is_plan, settings.memory == "low"
    # shards go to the devices later
    place = "meta" if is_plan else settings.device if processes.size == 1 and not rounds else "cpu"
    # a base that is stored in bfloat16 loses nothing in it, and its frozen matrices are wanted so
    is_frozen = bool(settings.lora_rank) and processes.agree(
        models.is_whole_in(settings.model, torch.bfloat16)
    )
    dtype: models.DType = "bfloat16" if rounds or is_low or is_frozen else "float32"
    model, tokenizer = models.load(settings.model, device=place, dtype=dtype)
    agree_on_head(model, processes)
    if settings.residual_dropout:
        sublayer_names(model)
        _tell_narrow(model, settings.residual_dropout)
    if not is_plan:
        check_model(model)
    if is_frozen and not rounds:
        widest = resolve(model, settings.precision, models.checked_device(settings.device)) == "float32"
        model.float() if widest else narrow_frozen(model)
    return model, tokenizer


class _EndOfEpoch:
    """Saves the model of an epoch and measures its loss on the held-out files."""

    def __init__(self, inputs: Inputs, settings: TrainSettings, last: int, processes: Processes) -> None:
        self._inputs, self._settings, self._processes = inputs, settings, processes
        self._kept = kept_epochs(settings, last)

    def __call__(self, epoch: int) -> dict[str, float]:
        if epoch in self._kept:
            self._save(epoch)
        return {
            name: mean_loss(
                self._inputs.model,
                held.sequences,
                budget=self._settings.micro_batch_tokens,
                precision=self._settings.precision,
                processes=self._processes,
            )
            for name, held in self._inputs.measured.items()
        }

    def _save(self, epoch: int) -> None:
        model, adapters = self._inputs.model, self._inputs.adapters
        weights = merged_weights(model) if adapters else whole_weights(model)
        trained = adapter_weights(model) if adapters else {}
        if not self._processes.is_first:
            return
        models.save(
            model,
            self._inputs.tokenizer,
            epoch_folder(self._settings.out, epoch),
            weights,
            model_card(self._settings, self._inputs.examples, epoch=epoch),
            dtype=save_dtype(self._settings),
            beside=partial(self._beside, trained),
        )

    def _beside(self, trained: dict[str, torch.Tensor], folder: Path) -> None:
        adapters, tokenizer, place = self._inputs.adapters, self._inputs.tokenizer, folder / "adapter"
        if adapters is not None:
            save_adapters(adapters, tokenizer, place, self._settings.model, trained)
            (place / "README.md").write_text(adapter_card(self._settings), encoding="utf-8")


def _add_adapters(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, settings: TrainSettings
) -> PeftModel:
    return add_adapters(
        model,
        stop_id(tokenizer),
        rank=settings.lora_rank,
        alpha=settings.lora_alpha,
        dropout=settings.lora_dropout,
        seed=settings.seed,
    )


def _tokenize(
    examples: list[Example],
    tokenizer: PreTrainedTokenizerBase,
    settings: TrainSettings,
    *,
    prompt_weight: float = 0.0,
) -> TrainingSet:
    with progress("tokenize", len(examples), "examples") as bar:
        return tokenize(
            examples,
            tokenizer,
            max_length=settings.max_length,
            keep_eot=settings.keep_eot,
            loss_on=settings.loss_on,
            prompt_weight=prompt_weight,
            advance=bar.advance,
        )


@torch.no_grad()
def _choose_eot_start(
    model: PreTrainedModel, eot: int, sequences: Sequence[Tokens], settings: TrainSettings
) -> None:
    """Begin the new EOT, which is the base's EOS so far, as the mean of all tokens where that is likelier at the ends of answers.

    A base that never read its EOS, because its texts were parted by BOS, has learnt that it does not come (stories260k: 25 nats, and
    18 for the mean). Logits are linear in the head's rows, so that the mean row's logit is the mean of the logits.
    """
    lead: list[torch.Tensor] = []
    for sequence in sorted(sequences, key=lambda one: len(one.ids))[:EOT_EXAMPLES]:
        before = [place - 1 for place, label in enumerate(sequence.labels) if label == eot]
        with autocast(model, settings.precision):
            logits = model(torch.tensor([sequence.ids], device=model.device)).logits[0, before].float()
        lead.append(logits[:, eot] - logits[:, :eot].mean(1))
    if lead and float(torch.cat(lead).mean()) < 0:
        models.start_row(model, eot, slice(eot))


def _check_supervision(data: TrainingSet, settings: TrainSettings) -> None:
    if not data.sequences:
        why = f" The first, {data.rejects[0].id!r}: {data.rejects[0].reason}." if data.rejects else ""
        raise LimaError(
            f"{settings.data}: no example has a supervised token within --max-length {settings.max_length}.{why}"
        )
    if data.rejects and settings.strict:
        first = data.rejects[0]
        raise LimaError(
            f"{settings.data}: {len(data.rejects)} examples cannot be trained on, the first is "
            f"{first.id!r} ({first.reason}). Without --strict they are named in rejects.jsonl."
        )


def _tell_narrow(model: PreTrainedModel, rate: float) -> None:
    """At the paper's 0.3 the loss of SmolLM2-135M begins at 8 instead of 4.5."""
    width = model.config.get_text_config().hidden_size
    if width < PAPER_WIDTH:
        note(
            f"residual dropout {rate:g} suits models as wide as the paper's ({PAPER_WIDTH:,} and more); this base has {width:,}. "
            "Consider --residual-dropout 0, which 'lima align' takes for such a base."
        )


def _tell_unknown(data: TrainingSet, tokenizer: PreTrainedTokenizerBase) -> None:
    """A tokenizer without bytes to fall back on has one token for all that it cannot spell, which a model then learns to say."""
    unknown = tokenizer.unk_token_id
    if unknown is None or unknown in (tokenizer.bos_token_id, tokenizer.eos_token_id, stop_id(tokenizer)):
        return  # GPT-2's kin name one that they never use
    found = [sequence.id for sequence in data.sequences if unknown in sequence.labels]
    if found:
        warn(
            f"{len(found)} examples, the first is {found[0]!r}, have answers with characters that this tokenizer cannot spell; "
            f"{tokenizer.unk_token} is learnt in their place. lima doctor names them."
        )


def _check_epochs(settings: TrainSettings, plan: StepPlan) -> None:
    last, warmup = plan.epoch(plan.steps), settings.warmup(plan.steps)
    if warmup and warmup >= plan.steps:
        raise LimaError(f"--warmup-steps {warmup}: the run has only {plan.steps} steps.")
    kept = settings.keep_epochs
    wrong = [epoch for epoch in kept if not 0 <= epoch <= last]
    if wrong:
        raise LimaError(f"--keep-epochs {wrong[0]}: there is no such epoch, the last is {last}.")
    if settings.average_last > last:
        raise LimaError(f"--average-last {settings.average_last}: there are only {last} epochs.")
    missing = [
        epoch for epoch in _averaged_epochs(settings, last) if epoch not in kept_epochs(settings, last)
    ]
    if missing:
        raise LimaError(f"--average-last {settings.average_last} needs epoch {missing[0]} in --keep-epochs.")


def _averaged_epochs(settings: TrainSettings, last: int) -> range:
    return range(last - settings.average_last + 1, last + 1)


def _average(inputs: Inputs, settings: TrainSettings, last: int) -> None:
    if settings.average_last:
        folders = [epoch_folder(settings.out, epoch) for epoch in _averaged_epochs(settings, last)]
        card = model_card(settings, inputs.examples, epoch=last, averaged=settings.average_last)
        models.save(
            inputs.model,
            inputs.tokenizer,
            settings.out / "average",
            average_weights(folders),
            card,
            dtype=save_dtype(settings),
        )


def _summarise(inputs: Inputs, plan: StepPlan, settings: TrainSettings) -> None:
    data, device = inputs.data, models.checked_device(settings.device)
    arithmetic = resolve(inputs.model, settings.precision, device)
    rows = [
        ("examples", f"{len(data.sequences):,}"),
        ("trimmed to --max-length", f"{data.trimmed:,}"),
        ("rejected", f"{len(data.rejects):,}"),
        ("tokens an epoch", f"{data.tokens:,}"),
        ("of them supervised", f"{data.supervised:,}"),
        *([("share of replayed text", f"{settings.replay_share:.0%}")] if inputs.replay else []),
        ("steps an epoch", f"{plan.steps_per_epoch:,}"),
        ("steps in all", f"{plan.steps:,}"),
        ("trainable of all weights", _weights(inputs.model)),
        ("device, arithmetic", f"{device}, {arithmetic}"),
    ]
    table("training", ("", ""), rows)
    if not settings.compile and plan.steps >= MANY_STEPS and gains_by_compiling(arithmetic, device):
        note(
            "this processor multiplies tiles (AMX): --compile takes up to a third off the layers' time, and a minute to begin."
        )
    if data.rejects:
        warn(
            f"{len(data.rejects)} examples cannot be trained on, the first is {data.rejects[0].id!r} ({data.rejects[0].reason}); rejects.jsonl names them."
        )


def _tell_epochs(path: Path) -> None:
    """What each epoch measured, and whether the model has learnt to stop: no other token is wanted once an answer, and nowhere else."""
    rows = list(read_jsonl(path, Metrics))
    head, *body = epoch_table(rows)
    table("nats a token, and the share of tokens predicted", head, body)
    found = [row.stop_loss for row in rows if row.epoch == rows[-1].epoch and row.stop_loss is not None]
    if found and (mean := sum(found) / len(found)) > SELDOM_STOPS:
        warn(
            f"at the ends of answers the model stops with a chance of {math.exp(-mean):.1g} (stop, in the last epoch: {mean:.1f} nats), "
            "so that its answers will run on. Train for more epochs or at a higher --learning-rate."
        )


def _compare_memory(inputs: Inputs, settings: TrainSettings) -> None:
    """Say what the run took beside what `--dry-run` says; tiny models are lost in what the libraries take."""
    if sum(p.numel() for p in inputs.model.parameters()) < WORTH_MEASURING:
        return
    planned = estimate(inputs.model, inputs.data.sequences, settings).total
    peak = peak_memory(inputs.model.device)
    note(f"memory: {peak / 1e9:.1f} GB at most; estimated {planned / 1e9:.1f} GB, libraries not counted.")


def _tell_disk(need: Disk) -> None:
    rows = [
        ("a saved model", f"{need.model / 1e9:,.2f}"),
        ("models to be written", f"{need.models}"),
        ("training states, until the end", f"{need.states / 1e9:,.2f}"),
        ("in all", f"{need.total / 1e9:,.2f}"),
        ("free", f"{need.free / 1e9:,.2f}"),
    ]
    table("disk, GB", ("", ""), rows)
    if need.total > need.free:
        warn("the disk is too small: name fewer --keep-epochs, or take --save-dtype bfloat16.")


def _weights(model: PreTrainedModel) -> str:
    sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
    return f"{sum(n for n, trained in sizes if trained):,} of {sum(n for n, _ in sizes):,}"


def _facts(inputs: Inputs, plan: StepPlan, settings: TrainSettings) -> dict[str, object]:
    data = inputs.data
    return {
        "examples": len(data.sequences),
        "trimmed": data.trimmed,
        "rejected": len(data.rejects),
        "tokens_per_epoch": data.tokens,
        "supervised_per_epoch": data.supervised,
        "steps": plan.steps,
        "precision": resolve(inputs.model, settings.precision),
    }
