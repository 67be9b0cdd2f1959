"""``lima publish``: a model or a data set -> a folder for the Hugging Face hub, each file of it listed; with ``--push``, the hub.

What is sent is that folder and nothing else, so that everything can be read before it leaves.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from lima import console
from lima.commands import as_command
from lima.errors import LimaError
from lima.files import read_json, sha256, write_json
from lima.hub import hub, told_plainly
from lima.publish import leaks
from lima.publish.settings import PublishSettings, Stop

Kind = Literal["model", "dataset"]
RECORD = ".lima-publish.json"
"""Of the folder: what made it; it stays here."""


def publish(settings: PublishSettings) -> Path | None:
    """Make the folder ready, list it, and send it where that is asked for; return its path, None after a dry run.

    Raises:
        LimaError: something stands against it, with the remedy; or the hub refuses.
    """
    hub()
    kind = _kind(settings.folder)
    out = settings.out or Path("publish") / settings.name
    with _building(out, keep=not settings.dry_run) as folder:
        found = _fill(kind, settings, folder)
        _keep_card(out, folder)
        found += leaks.in_files(_files(folder), folder)
        write_json(folder / RECORD, {"to": settings.to, "kind": kind, "card": sha256(folder / "README.md")})
        _list(folder, settings)
    _refuse(found, settings)
    if settings.dry_run:
        return None
    if not settings.push:
        console.done([out], as_command("publish", settings.model_copy(update={"push": True})))
        return out
    address = push(out, settings.to, kind, private=settings.private)
    console.done([address])
    return out


def _fill(kind: Kind, settings: PublishSettings, folder: Path) -> list[Stop]:
    """Imported late: each needs packages that the other does not."""
    if kind == "model":
        from lima.publish.of_model import write_model

        return write_model(settings, folder)
    from lima.publish.of_data import write_data

    return write_data(settings, folder)


def _kind(folder: Path) -> Kind:
    """Whether it is a checkpoint or examples.

    Raises:
        LimaError: neither, such as a whole run.
    """
    if not folder.exists():
        raise LimaError(f"{folder}: no such file or folder.")
    if (folder / "config.json").is_file() or any(folder.glob("*.gguf")):
        return "model"
    if epochs := sorted(path.name for path in folder.glob("epoch-*")):
        raise LimaError(f"{folder}: a run. Name the checkpoint to publish, one of {', '.join(epochs)}.")
    if (folder / "adapter_config.json").is_file():
        raise LimaError(f"{folder}: adapters alone. lima train writes them merged; publish that folder.")
    return "dataset"


@contextmanager
def _building(out: Path, *, keep: bool) -> Iterator[Path]:
    """A new folder that takes the place of ``out`` when it is complete; it goes after a dry run."""
    if out.exists() and not (out / RECORD).is_file():
        raise LimaError(f"{out}: there already, and not of lima publish. Name another --out.")
    out.parent.mkdir(parents=True, exist_ok=True)
    place = None if not keep else out.parent
    with tempfile.TemporaryDirectory(dir=place, prefix=".publish-") as work:
        folder = Path(work) / out.name
        folder.mkdir()
        yield folder
        if keep:
            shutil.rmtree(out, ignore_errors=True)
            folder.rename(out)


def _keep_card(out: Path, folder: Path) -> None:
    """A card that somebody changed since it was made stays as it is."""
    card, record = out / "README.md", out / RECORD
    if card.is_file() and record.is_file() and sha256(card) != read_json(record)["card"]:
        console.note(f"{card}: changed since it was made; kept as it is. Remove it for a new one.")
        shutil.copyfile(card, folder / "README.md")


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))


def _list(folder: Path, settings: PublishSettings) -> None:
    """What leaves this machine, before it does."""
    files = _files(folder)
    verb = "leaves" if settings.push else "would leave"
    total = sum(path.stat().st_size for path in files)
    console.note(f"What {verb} this machine for {settings.to}: {len(files)} files, {total:,} bytes")
    for path in files:
        name = path.relative_to(folder).as_posix()
        console.note(f"  {sha256(path.resolve())}  {path.stat().st_size:>14,}  {name}")


def _refuse(found: Sequence[Stop], settings: PublishSettings) -> None:
    """Say what was found; stop where its consequence is not accepted.

    Raises:
        LimaError: it is not.
    """
    open_ = [stop for stop in found if stop.consequence not in settings.accept]
    for stop in found:
        console.warn(f"{stop.text}{'' if stop in open_ else ' (accepted)'}")
    if open_:
        more = f", and {len(open_) - 1} more" if len(open_) > 1 else ""
        flags = " ".join(dict.fromkeys(stop.consequence for stop in open_))
        raise LimaError(
            f"{settings.folder}: nothing was sent. What stands against it: {open_[0].text}{more}. Mend it; or, where it is false or you "
            f"have the right, and answer for it: --accept {flags}"
        )


def push(folder: Path, to: str, kind: Kind, *, private: bool) -> str:
    """Send every file of the folder but hidden ones, by huggingface_hub's own upload (Xet, or LFS where that is off); return the
    commit's address.

    Raises:
        LimaError: no token, or whatever the hub refuses, in one line.
    """
    library = hub()
    with told_plainly(to):
        if library.get_token() is None:
            raise LimaError(f"{to}: not logged in to the hub. Log in: hf auth login, or set HF_TOKEN.")
        library.RepoCard((folder / "README.md").read_text(encoding="utf-8")).validate(repo_type=kind)
        api = library.HfApi()
        api.create_repo(to, repo_type=kind, private=private, exist_ok=True)
        commit = api.upload_folder(
            folder_path=folder,
            repo_id=to,
            repo_type=kind,
            commit_message=f"Publish {kind} with lima",
            ignore_patterns=[".*", "**/.*"],
        )
    return str(commit.commit_url)
