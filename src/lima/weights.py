"""The tensors of a checkpoint -> a model that has each of them in its place, or an error that names the first that is not.

Left alone, transformers fills what is missing with random numbers, drops what is left over and only logs it: a checkpoint
saved from inside another program's wrapper would be tuned, and would answer, as a random network.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers
from huggingface_hub import ModelCard
from safetensors import safe_open
from transformers import AutoModelForCausalLM
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, WEIGHTS_NAME
from transformers.utils.hub import cached_file

from lima.console import note
from lima.errors import LimaError
from lima.extras import install
from lima.files import read_json

if TYPE_CHECKING:
    from transformers import PreTrainedModel

WRAPPERS = {
    r"(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.": "",
    r"^(?:module\.)+": "",
    r"^base_model\.model\.": "",
}
"""What torch.compile, FSDP, DistributedDataParallel and peft put into the names of the tensors of a model that they wrap."""

ELSEWHERE = {
    "zero_to_fp32.py": "shards of DeepSpeed; run its zero_to_fp32.py",
    "*fsdp*": "shards of FSDP; merge them: accelerate merge-weights",
    "*.distcp": "shards of FSDP; merge them: accelerate merge-weights",
    "*.gguf": "GGUF, which llama.cpp reads; take the model that it was made from",
    "*.fp16.safetensors": "a variant; call it model.safetensors",
}
"""What a folder without weights may hold in their place, and what to do."""

WEIGHTS = tuple(name + end for name in (SAFE_WEIGHTS_NAME, WEIGHTS_NAME) for end in ("", ".index.json"))

Report = Mapping[str, Any]
"""What transformers says of a loading: ``missing_keys``, ``unexpected_keys``, ``mismatched_keys``."""


def read_model(
    place: str | Path,
    config: Any,
    dtype: torch.dtype,
    *,
    device: str | None = None,
    layers: int | None = None,
) -> PreTrainedModel:
    """The model of a checkpoint, with every tensor of the one in the other.

    Args:
        place: a folder or hub id.
        config: its config.
        dtype: type of the weights in memory.
        device: "meta" reads names and shapes alone, so that any size fits.
        layers: keep only this many layers, the first ones; tensors of the others are then not looked at.

    Raises:
        LimaError: tensors are missing, left over or of other shapes, hold NaN, or are quantised in a way that is not read.
    """
    method = refuse_quantised(place, config)
    if layers is not None:
        config = shortened(config, layers)
    known: dict[str, Any] = {"config": config, "dtype": dtype}
    if (
        device and method is None
    ):  # quantised weights are small, and their parts are put together by what they hold
        known["device_map"] = device
    model, report = _read(place, known)
    if wrapped := _wrappers(report):
        model, report = _read(place, known | {"key_mapping": WRAPPERS})
    _refuse_partial(place, model, report, whole=layers is None)
    if device != "meta":
        if wrapped:
            note(
                f"{place}: the tensors' names begin with {wrapped!r}, of a program that wrapped the model; it is left out."
            )
        if method is not None:
            _dequantise(place, model, method, dtype)
        _refuse_not_numbers(place, model.named_parameters())
    # Saving would put the names, or the rounding, back; newer transformers' dequantize() removes it itself.
    if (wrapped or method) and hasattr(model, "_weight_conversions"):
        del model._weight_conversions
    _tell_untied(place, model)
    return model


def shortened(config: Any, layers: int) -> Any:
    """The config of the same model with its first layers alone; settings that list a value for each layer are cut, too."""
    config = deepcopy(config)
    part = config.get_text_config()
    depth = part.num_hidden_layers
    if depth > layers:
        for name, value in part.to_dict().items():
            if isinstance(value, list) and len(value) == depth:
                setattr(part, name, value[:layers])
        part.num_hidden_layers = layers
    return config


def refuse_quantised(place: str | Path, config: Any) -> str | None:
    """How the weights are quantised, where they can be read (bitsandbytes), or None: they are whole.

    Raises:
        LimaError: they cannot.
    """
    settings = getattr(config, "quantization_config", None)
    if settings is None:
        return None
    found = settings if isinstance(settings, dict) else settings.to_dict()
    method = str(getattr(found.get("quant_method"), "value", found.get("quant_method")) or "without a name")
    if method.startswith("bitsandbytes") or found.get("load_in_4bit") or found.get("load_in_8bit"):
        if find_spec("bitsandbytes") is None:
            raise LimaError(
                f"{place}: its weights are quantised, which needs the package 'bitsandbytes'. Install it: {install('qlora')}"
            )
        return "bitsandbytes, 4 bits" if found.get("load_in_4bit") else "bitsandbytes, 8 bits"
    raise LimaError(
        f"{place}: its weights are quantised ({method}), which is not read here. Take the full model"
        f"{_full_model(place)}; --preset qlora tunes it in 4 bits."
    )


def not_numbers(tensors: Iterable[tuple[str, torch.Tensor]]) -> str | None:
    """The name of the first tensor that holds a NaN or an infinity, or None.

    One pass of a sum finds nearly all: it is no number where a summand is none.
    """
    for name, tensor in tensors:
        if tensor.is_floating_point() and not tensor.is_meta:
            total = float(tensor.detach().sum(dtype=torch.float32))  # a sum of halves would overflow
            if not math.isfinite(total) and not bool(tensor.isfinite().all()):
                return name
    return None


def stored_kinds(place: str | Path) -> list[str]:
    """The types of the numbers in a checkpoint's safetensors files, each tensor read once; none where it has no such files.

    Raises:
        LimaError: one holds NaN or infinite numbers.
    """
    kinds = set()
    for path in _files(place):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 (the file is no mapping)
                tensor = file.get_tensor(name)
                kinds.add(str(tensor.dtype).removeprefix("torch."))
                _refuse_not_numbers(place, [(name, tensor)])
    return sorted(kinds)


def stored_dtype(place: str | Path, config: Any) -> torch.dtype:
    """The type that a checkpoint's weights are stored in and saved in again: by its config, else by its first safetensors file.

    Types of eight bits have scales, which saving has not: bfloat16 stands in for them, and float32 for what nothing tells.
    """
    found = config.dtype
    if not isinstance(found, torch.dtype):
        found = next((kind for path in _files(place) for kind in _kinds(path)), torch.float32)
    return found if found.itemsize > 1 else torch.bfloat16


def is_whole_in(place: str | Path, config: Any, dtype: torch.dtype) -> bool:
    """Whether a type holds each of a checkpoint's weights without loss: by its safetensors files, else by its config.

    A config may name bfloat16 beside files of float32, or of both, such as norms that are kept wider.
    """
    files = [path for path in _files(place) if path.exists()]
    found = {kind for path in files for kind in _kinds(path)} or {stored_dtype(place, config)}
    return found == {dtype}


def _kinds(path: Path) -> Iterator[torch.dtype]:
    """The types of a file's tensors that are fractions, without reading them."""
    known = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
    with safe_open(path, framework="pt") as file:
        for name in file.keys():  # noqa: SIM118 (the file is no mapping)
            if (kind := file.get_slice(name).get_dtype()) in known:
                yield known[kind]


def _files(place: str | Path) -> list[Path]:
    """The safetensors files that a model is read from: others may lie beside them, such as the author's own format."""
    folder = Path(place)
    if not folder.is_dir():
        folder = Path(cached_file(place, "config.json")).parent
    whole = folder / SAFE_WEIGHTS_NAME
    return [whole] if whole.exists() else parts(folder)


def parts(folder: Path) -> list[Path]:
    """The safetensors files that a folder's index names, there or not; none where the weights are one file, or have no index.

    Raises:
        LimaError: the index is damaged.
    """
    index = folder / SAFE_WEIGHTS_INDEX_NAME
    if (folder / SAFE_WEIGHTS_NAME).exists() or not index.exists():
        return []
    content = read_json(index)
    names = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise LimaError(f"{index}: no weight_map that names a file for each tensor. Fetch the file again.")
    return sorted({folder / name for name in names.values()})


def _refuse_not_numbers(place: str | Path, tensors: Iterable[tuple[str, torch.Tensor]]) -> None:
    if name := not_numbers(tensors):
        raise LimaError(
            f"{place}: {name} holds NaN or infinite numbers. The file is damaged, or its training failed."
        )


def _read(place: str | Path, known: Mapping[str, Any]) -> tuple[PreTrainedModel, Report]:
    folder = Path(place)
    if folder.is_dir() and not any((folder / name).exists() for name in WEIGHTS):
        known_forms = (what for pattern, what in ELSEWHERE.items() if any(folder.glob(pattern)))
        there = next(known_forms, "none in another form; take the whole folder of the model")
        raise LimaError(f"{place}: no weights (model.safetensors or pytorch_model.bin), but {there}.")
    with _quiet():
        found: tuple[PreTrainedModel, Report] = AutoModelForCausalLM.from_pretrained(
            place, output_loading_info=True, ignore_mismatched_sizes=True, trust_remote_code=False, **known
        )
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' table of what is missing: the error says it."""
    logging.getLogger("bitsandbytes").setLevel(
        logging.ERROR
    )  # it tells everybody of a kernel that only inference lacks
    before = transformers.utils.logging.get_verbosity()
    transformers.utils.logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers.utils.logging.set_verbosity(before)


def _wrappers(report: Report) -> str | None:
    """What stands before the names of tensors that are missing without it, or None. Adapters beside them are no wrapper."""
    names = sorted(report["unexpected_keys"])
    if not report["missing_keys"] or _adapters(names):
        return None
    found = (re.search("|".join(WRAPPERS), name) for name in names)
    return next((match[0] for match in found if match), None)


def _adapters(names: Iterable[str]) -> str | None:
    """The first tensor of an adapter of peft, or None."""
    marks = ("lora_", ".base_layer.", ".modules_to_save.", ".original_module.")
    return next((name for name in names if any(mark in name for mark in marks)), None)


def _refuse_partial(place: str | Path, model: PreTrainedModel, report: Report, *, whole: bool) -> None:
    missing, unexpected = sorted(report["missing_keys"]), sorted(report["unexpected_keys"])
    kind, count = type(model).__name__, len(model.state_dict())
    if adapter := _adapters(unexpected):
        raise LimaError(
            f"{place}: the weights hold an adapter beside the model ({adapter}). Merge it: load it with peft, "
            "merge_and_unload(), and save_pretrained() of what that gives."
        )
    if report["mismatched_keys"]:
        name, stored, wanted = sorted(report["mismatched_keys"])[0]
        raise LimaError(
            f"{place}: cannot be loaded as a model: {name} is {_shape(stored)} in the weights, {_shape(wanted)} by config.json. "
            "Take config.json and weights from the same model."
        )
    if missing:
        other = f" They hold {unexpected[0]}, which is none of its." if unexpected else ""
        raise LimaError(
            f"{place}: {missing[0]} is not in the weights; {len(missing)} of the {count} tensors of a {kind} are missing.{other} "
            "Take the model as it was published, or save it again with save_pretrained()."
        )
    if unexpected and whole:
        raise LimaError(
            f"{place}: the weights hold {unexpected[0]}, which a {kind} with this config.json does not use; {len(unexpected)} such "
            "in all. Without them it would be another model: take config.json and weights from the same one."
        )


def _shape(size: Iterable[int]) -> str:
    return " x ".join(map(str, size))


def _dequantise(place: str | Path, model: PreTrainedModel, method: str, dtype: torch.dtype) -> None:
    with _quiet():
        model.dequantize(dtype)
    model.to(dtype)
    model.config.dtype = dtype
    note(
        f"{place}: its weights are quantised ({method}); they are taken as {str(dtype).removeprefix('torch.')}, rounding included."
    )


def _full_model(place: str | Path) -> str:
    """``, NAME`` of the model that was quantised, where the card names it."""
    card = Path(place) / "README.md"
    try:
        named = ModelCard.load(card if card.exists() else place).data.get("base_model")
    except (OSError, ValueError):  # no card, or the hub is out of reach
        return ""
    first = named[0] if isinstance(named, list) and named else named
    return f", {first}" if first else ""


def _tell_untied(place: str | Path, model: PreTrainedModel) -> None:
    """The config ties head and embeddings, and the checkpoint has two of them: so has the model, and saving must know."""
    head: Any = model.get_output_embeddings()
    embeddings: Any = model.get_input_embeddings()
    if head is None or not model.config.tie_word_embeddings or head.weight is embeddings.weight:
        return
    if not head.weight.is_meta:
        model.config.tie_word_embeddings = False
        note(
            f"{place}: its head differs from its embeddings, though its config ties them; they are kept apart."
        )
