"""Load and save causal language models of the Hugging Face kind, and give them the EOT token (LIMA, section 3).

A folder that `save` wrote is an ordinary Hugging Face checkpoint: plain transformers, vLLM or llama.cpp
load it without this package.
"""

from __future__ import annotations

import json
import logging
import pickle
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
import transformers
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from lima import chat, template, weights
from lima.console import note
from lima.errors import LimaError
from lima.files import read_json

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

DType = Literal["float32", "bfloat16", "float16"]
LFS = b"version https://git-lfs"
LARGEST_FILE = "5GB"
"""Weights above it are written as several files, which disks and the hub take better."""

transformers.utils.logging.disable_progress_bar()
logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # what it retried is in the error at the end


def load(
    place: str | Path,
    dtype: DType | Literal["auto"] = "float32",
    device: str | torch.device | None = None,
    layers: int | None = None,
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a causal language model and its tokenizer from a folder or a hub id: the one way in, for every command.

    Args:
        place: a checkpoint folder, or a hub id such as ``organisation/name``.
        dtype: the type of the weights in memory; "auto" takes `fast_dtype`.
        device: where to put the model; None takes CUDA where there is one, else the CPU; "meta" leaves the
            weights out.
        layers: load only this many layers, the first ones.

    Raises:
        LimaError: no such folder, no causal language model in it, tensors that do not fit it (`lima.weights`), or the hub is
            out of reach.
    """
    with _loading(place):
        config = read_config(place)
        kind = fast_dtype(config, device) if dtype == "auto" else getattr(torch, dtype)
        if device == "meta":
            if method := weights.refuse_quantised(place, config):
                note(
                    f"{place}: its weights are quantised ({method}); they are taken as whole numbers, rounding included."
                )
            with torch.device("meta"):
                model = AutoModelForCausalLM.from_config(config, dtype=kind)
        else:
            model = weights.read_model(place, config, kind, layers=layers)
        model.get_input_embeddings().padding_idx = (
            None  # else the row of a pad that is the EOS, too, learns nothing
        )
        _check_stops(place, model)
        tokenizer = load_tokenizer(place)
        _check_rows(place, model, tokenizer)
        return model.to(checked_device(device)).eval(), tokenizer


def _check_stops(place: str | Path, model: PreTrainedModel) -> None:
    """Check the stop tokens of generation_config.json; ids beyond the vocabulary, such as GPT-2's in a smaller model, are removed.

    Raises:
        LimaError: one is not an id.
    """
    stops = model.generation_config.eos_token_id
    named = stops if isinstance(stops, list) else [stops]
    for stop in named:
        if not isinstance(stop, int | None):
            raise LimaError(
                f"{place}: eos_token_id of generation_config.json is {stop!r}, expected the id of a token, a number."
            )
    rows = model.get_input_embeddings().weight.shape[0]
    if beyond := [stop for stop in named if stop is not None and not 0 <= stop < rows]:
        model.generation_config.eos_token_id = [stop for stop in named if stop not in beyond] or None
        note(
            f"{place}: eos_token_id of generation_config.json is {beyond[0]}, but the model has {rows:,} tokens; it is ignored."
        )


def _check_rows(place: str | Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Every token that a text can hold has a row in the embeddings; a special one without, such as a late <pad>, is never met.

    Raises:
        LimaError: one has none, as of a tokenizer of another model.
    """
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) <= rows:
        return
    special = template.special_tokens(tokenizer)
    beyond = [token for token, i in tokenizer.get_vocab().items() if i >= rows and i not in special]
    if beyond:
        raise LimaError(
            f"{place}: the tokenizer has {len(tokenizer):,} tokens, the model {rows:,} rows for them; {beyond[0]!r} has none. "
            "Take tokenizer and weights from the same model."
        )


def read_config(place: str | Path) -> Any:
    """The config of a causal language model.

    Raises:
        LimaError: there is none.
    """
    with _loading(place):
        check_place(place)
        config = AutoConfig.from_pretrained(place, trust_remote_code=False)
        _check_causal(place, config)
        part = config.get_text_config()
        pad = getattr(part, "pad_token_id", None)
        if pad is not None and not 0 <= pad < part.vocab_size:
            part.pad_token_id = None  # -1, or a token that its author added; nothing is padded here
        return config


def check_tensors(place: str | Path) -> int:
    """Whether a checkpoint's tensors are those of its model, by names and shapes, whatever its size; returns their number.

    Raises:
        LimaError: some are not (`lima.weights`).
    """
    with _loading(place):
        config = read_config(place)
        dtype = weights.stored_dtype(place, config)
        return len(weights.read_model(place, config, dtype, device="meta").state_dict())


@contextmanager
def _loading(place: str | Path) -> Iterator[None]:
    """Whatever keeps a model from being loaded is a mistake of the user's, in one line."""
    try:
        yield
    except LimaError:
        raise
    except Exception as error:  # of files that others wrote transformers may raise anything
        where = "" if Path(place).exists() else "it is no folder here, and from the hub it "
        raise LimaError(f"{place}: {where}cannot be loaded as a model ({_reason(error)}).") from None


def fast_dtype(config: Any, device: str | torch.device | None = None) -> torch.dtype:
    """The checkpoint's own type where the device computes in it as fast as in float32 or faster, else float32."""
    own = getattr(config, "dtype", None)
    found = getattr(torch, own, None) if isinstance(own, str) else own
    if checked_device(device).type == "cuda":
        fast = {torch.float16: True, torch.bfloat16: torch.cuda.is_bf16_supported(including_emulation=False)}
    else:
        fast = {torch.bfloat16: torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()}
    return found if found is not None and fast.get(found, False) else torch.float32


def load_tokenizer(place: str | Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a checkpoint folder or hub id."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=False)
    except Exception as error:
        raise LimaError(
            f"{place}: its tokenizer cannot be loaded ({_first_line(error)}). Put tokenizer.json and tokenizer_config.json of the "
            "model that it was made from beside the weights."
        ) from None
    for fact in ("is_local", "local_files_only"):  # of this loading; they would be saved with the tokenizer
        tokenizer.init_kwargs.pop(fact, None)
    if tokenizer.bos_token is None is tokenizer.eos_token:
        note(
            f"{place}: the tokenizer names neither a first nor a last token of a text; is tokenizer_config.json missing?"
        )
    return tokenizer


def save(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    state: Mapping[str, torch.Tensor] | None = None,
    card: str | None = None,
    *,
    dtype: torch.dtype | None = None,
    beside: Callable[[Path], object] = lambda folder: None,
) -> None:
    """Write a Hugging Face folder, atomically: it appears under its name only when it is complete.

    ``state`` stands in for the model's own weights where it is given (merged adapters, averages); ``card`` is the text
    of its README.md; ``dtype`` is the type they are rounded to, None leaves them as they are; ``beside`` writes more into the
    folder. Files hold at most 5 GB each.
    """
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        _save_weights(model, temporary, state, dtype)
        tokenizer.save_pretrained(temporary)
        beside(temporary)
        if card is not None:
            (temporary / "README.md").write_text(card, encoding="utf-8")
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        # tokenizers reports a full disk as a bare exception
        if not isinstance(error, (OSError, SafetensorError)) and "(os error " not in str(error):
            raise
        raise LimaError(
            f"{folder}: the model cannot be written ({_first_line(error)}). Free some space and run the same "
            "command again; it continues."
        ) from None
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)


def stored_dtype(place: str | Path) -> torch.dtype:
    """The type that a checkpoint's weights are stored in, and that those of a tuned model are saved in."""
    with _loading(place):
        return weights.stored_dtype(place, AutoConfig.from_pretrained(place))


def is_whole_in(place: str | Path, dtype: torch.dtype) -> bool:
    """Whether a checkpoint's weights lose nothing in this type (`lima.weights.is_whole_in`)."""
    with _loading(place):
        return weights.is_whole_in(place, AutoConfig.from_pretrained(place), dtype)


def _save_weights(
    model: PreTrainedModel,
    folder: Path,
    state: Mapping[str, torch.Tensor] | None,
    dtype: torch.dtype | None,
) -> None:
    if dtype is not None and any(p.dtype != dtype for p in model.parameters()):
        state = {name: x.to(dtype) if x.is_floating_point() else x for name, x in _own(model, state).items()}
    if bad := weights.not_numbers(_own(model, state).items()):
        overflow = (
            " as float16; save in bfloat16" if dtype == torch.float16 else ": try a lower --learning-rate"
        )
        raise LimaError(
            f"{folder.parent}: the model is not saved, {bad} holds NaN or infinite numbers{overflow}."
        )
    given = None if state is None else dict(state)
    model.save_pretrained(folder, state_dict=given, max_shard_size=LARGEST_FILE)
    for file in folder.glob("*.safetensors"):  # safetensors lets nobody but the owner read them
        file.chmod((folder / "config.json").stat().st_mode & 0o777)
    if dtype is not None:  # transformers writes the type of the weights in memory
        path = folder / "config.json"
        facts = json.loads(path.read_text(encoding="utf-8")) | {"dtype": str(dtype).removeprefix("torch.")}
        path.write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _own(model: PreTrainedModel, state: Mapping[str, torch.Tensor] | None) -> Mapping[str, torch.Tensor]:
    """The weights to save, each once: rounding would part the tied ones."""
    if state is not None:
        return state
    found: dict[int, tuple[str, torch.Tensor]] = {}
    for name, tensor in model.state_dict().items():
        found.setdefault(tensor.data_ptr(), (name, tensor))
    return dict(found.values())


EotStart = Literal["eos", "mean"]
"""Rows of a new end-of-turn token: those of the base's token for the end of a text, whose place it takes, or the mean of all."""


def add_eot(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    token: str = chat.EOT,
    start: EotStart = "eos",
) -> bool:
    """Give model and tokenizer the end-of-turn token and our chat template; return whether it is new.

    The new embedding row, and the output row where they are not tied, start as ``start`` says; as the mean where the base has no EOS.
    A tokenizer that has the token already keeps its row, so that tuning can go on from a checkpoint.
    Generation by any tool then stops at the token: transformers and vLLM by ``generation_config.eos_token_id``,
    llama.cpp by the tokenizer's ``eos_token``.

    Raises:
        LimaError: the token is empty, an ordinary piece of text, or the one that begins every sequence.
    """
    if not token:
        raise LimaError("--eot-token: the end-of-turn token is empty.")
    if token == tokenizer.bos_token:
        raise LimaError(f"--eot-token {token}: this tokenizer begins every text with it. Choose another.")
    known = tokenizer.convert_tokens_to_ids(token)
    is_new = token not in tokenizer.get_vocab()
    in_use = len(tokenizer)
    eos = tokenizer.eos_token_id if start == "eos" else None
    if is_new:
        tokenizer.add_tokens([token], special_tokens=True)
        known = tokenizer.convert_tokens_to_ids(token)
        if known >= model.get_input_embeddings().weight.shape[0]:
            model.resize_token_embeddings(known + 1, mean_resizing=False)
        start_row(model, known, slice(in_use) if eos is None else slice(eos, eos + 1))
    elif known not in chat.special_tokens(tokenizer):
        raise LimaError(
            f"--eot-token {token}: an ordinary token of this tokenizer, which texts hold. Choose another."
        )
    tokenizer.eos_token = token
    tokenizer.chat_template = chat.chat_template(token)
    _stop_at(model, known)
    return is_new


def set_template(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    wanted: str = "lima",
    eot_token: str = chat.EOT,
    eot_start: EotStart = "eos",
) -> None:
    """Give model and tokenizer the chat template that they are tuned in.

    Args:
        model: its generation_config gets the stop token.
        tokenizer: its template gets ``generation`` marks (`lima.template.with_marks`); its vocabulary stays, except for "lima".
        wanted: "lima" (see `add_eot`), "tokenizer" (the template that it has), or a file with a Jinja template.
        eot_token: for "lima".
        eot_start: for "lima" (see `add_eot`).

    Raises:
        LimaError: no such file, no template in the tokenizer, or one that fails or ends turns in no special token.
    """
    if wanted == "tokenizer" and not tokenizer.chat_template:
        raise LimaError(
            "--chat-template tokenizer: this tokenizer has no chat template. Use lima, or a FILE with one."
        )
    ours = chat.eot_token(tokenizer)
    if wanted == "lima" or (wanted == "tokenizer" and ours):
        token = eot_token if wanted == "lima" else str(ours)
        if not add_eot(model, tokenizer, token, eot_start):
            note(f"the tokenizer has the token {token} already; its row is kept.")
        return
    if wanted != "tokenizer":
        tokenizer.chat_template = _template_file(wanted)
    tokenizer.chat_template = template.with_marks(tokenizer)
    if "strftime_now" in tokenizer.chat_template:
        note(
            "the chat template writes today's date into every prompt, so the same rows give other tokens tomorrow, also when a run "
            "resumes. To avoid it, write a fixed date into a copy of the template: --chat-template FILE."
        )
    end = template.known_ending(tokenizer)
    if "eos_token" not in tokenizer.chat_template:
        tokenizer.eos_token = end.text
    _stop_at(model, end.token)


def _template_file(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise LimaError(
            f"--chat-template {name}: {reason}. Expected lima, tokenizer or a file with a Jinja template."
        ) from None


def _stop_at(model: PreTrainedModel, token: int) -> None:
    """Generation ends at this token, as far as generation_config says, and at those that the base names there."""
    pretrained_eos = model.generation_config.eos_token_id
    others = pretrained_eos if isinstance(pretrained_eos, list) else [pretrained_eos]
    model.generation_config.eos_token_id = [token, *(i for i in others if i not in (None, token))]
    _make_savable(model.generation_config)


def _make_savable(config: Any) -> None:
    """Published bases have sampling values beside ``do_sample: false``, or a pad of -1, which transformers loads and will not save."""
    if isinstance(config.pad_token_id, int) and config.pad_token_id < 0:
        config.pad_token_id = None
    try:
        config.validate(strict=True)
    except ValueError:
        config.do_sample = True
        try:
            config.validate(strict=True)
        except ValueError as error:
            raise LimaError(
                f"generation_config.json of the base cannot be saved ({_first_line(error)})."
            ) from None


def default_device() -> torch.device:
    """CUDA where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def checked_device(device: str | torch.device | None) -> torch.device:
    """The device of that name, the default one for None, or a `LimaError` where this machine has none such."""
    try:
        found = default_device() if device is None else torch.device(device)
    except RuntimeError as error:
        raise LimaError(f"no device {device!r} ({_first_line(error)}). Try cpu, cuda or cuda:0.") from None
    if found.type == "cuda" and not torch.cuda.is_available():
        raise LimaError(f"device {device!r}: torch {torch.__version__} finds no CUDA here. Use cpu.")
    return found


def sent(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A small tensor made on the host, on the device, without a wait.

    A copy to a card from ordinary memory first waits for all work that the card still has; one from pinned memory queues up.
    """
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def context_of(place: str | Path) -> int | None:
    """`context_length` by the config alone."""
    return getattr(read_config(place).get_text_config(), "max_position_embeddings", None)


def width_of(place: str | Path) -> int:
    """Of a model's hidden states, by the config alone."""
    return int(read_config(place).get_text_config().hidden_size)


def context_length(model: PreTrainedModel) -> int | None:
    """The number of positions the model was made for, or None where its config does not say."""
    return getattr(model.config, "max_position_embeddings", None)


@torch.no_grad()
def start_row(model: PreTrainedModel, row: int, like: slice) -> None:
    """Make a row of embeddings and head the mean of others."""
    embedding = model.get_input_embeddings().weight
    embedding[row] = embedding[like].float().mean(0).to(embedding.dtype)
    head: Any = model.get_output_embeddings()
    if head is not None and head.weight is not embedding:
        head.weight[row] = head.weight[like].float().mean(0).to(head.weight.dtype)
        if getattr(head, "bias", None) is not None:
            head.bias[row] = head.bias[like].mean()


def check_place(place: str | Path) -> None:
    """Refuse a folder that holds no complete model, and a name that can be no hub id.

    Raises:
        LimaError: says what is there instead.
    """
    path = Path(place)
    if path.is_dir():
        _check_fetched(path)
        beside = path / "generation_config.json"
        if beside.exists() and not isinstance(read_json(beside), dict):  # transformers would pass over it
            raise LimaError(
                f"{beside}: expected an object. Take the file as it was published, or move it away."
            )
        if (path / "adapter_config.json").exists():
            raise LimaError(
                f"{place}: an adapter (adapter_config.json). Merge it into its base and name the folder of that; if these weights "
                "are merged already, move adapter_config.json away."
            )
        if not (path / "config.json").exists():
            raise LimaError(
                f"{place}: no config.json. {_models_inside(path) or 'Expected a Hugging Face model folder.'}"
            )
    elif (
        isinstance(place, Path)
        or path.is_absolute()
        or str(place).startswith(".")
        or str(place).count("/") > 1
        or ("/" in str(place) and path.parent.is_dir())  # a folder mistyped, rather than an organisation
    ):
        what = (
            "a file; name the folder that holds it, with config.json"
            if path.is_file()
            else "no such model folder"
        )
        raise LimaError(f"{place}: {what}.")


def _models_inside(folder: Path) -> str:
    """What to name instead of a run's folder, or of one that `lima align` wrote; empty where it holds no models."""
    configs = [*folder.glob("[!.]*/config.json"), *folder.glob("run/[!.]*/config.json")]
    found = [config.parent for config in configs]
    last = max(found, key=lambda epoch: (len(epoch.name), epoch.name), default=None)
    return f"It holds models, as a run does; name one: {last}" if last else ""


def _check_fetched(folder: Path) -> None:
    """A clone without Git LFS has a few lines in place of each large file."""
    for file in sorted(folder.glob("*.*")):
        if file.is_file() and file.stat().st_size < 1024 and file.read_bytes().startswith(LFS):
            raise LimaError(f"{file}: a pointer of Git LFS, not the file itself. Fetch it: git lfs pull")
    for part in weights.parts(folder):
        if not part.exists():
            raise LimaError(f"{part}: missing, though the index names it. Fetch all parts of the weights.")


def _check_causal(place: str | Path, config: Any) -> None:
    names = config.architectures or []
    if names and not any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in names):
        raise LimaError(
            f"{place}: {', '.join(names)} has no causal language-model head; choose a decoder model."
        )


def _reason(error: Exception) -> str:
    """Why loading failed, in our words where transformers and torch would advise to run code from the files."""
    if isinstance(error, pickle.UnpicklingError):
        return "pytorch_model.bin holds more than tensors and could run any program; use model.safetensors"
    if "custom code" in str(error):
        return "it needs its author's own code, which lima does not run; docs/models.md lists what works"
    return _first_line(error)


def _first_line(error: BaseException) -> str:
    """What went wrong in one line; what follows a colon at its end belongs to it."""
    if isinstance(error, KeyError):
        return f"unknown: {error}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
