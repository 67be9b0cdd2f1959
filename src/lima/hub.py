"""``USER/NAME@REVISION:split`` of the Hugging Face hub -> files of this machine: the one way in for data, and for pinned models.

huggingface_hub does the work: it keeps its cache, takes HF_ENDPOINT and HF_HUB_OFFLINE, and finds the token itself (``hf auth login``, or
HF_TOKEN). We never ask for a token, and none is in what we write.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import orjson
from pydantic import BeforeValidator

from lima.console import note
from lima.errors import LimaError
from lima.extras import install
from lima.files import loads, read_json, replacing, write_json
from lima.parquet import from_row, read_rows

PLACE = re.compile(
    r"(?P<scheme>hf:/{1,2}(?:datasets/|models/)?)?(?P<repo>[\w-][\w.-]*/[\w-][\w.-]*)"
    r"(?:@(?P<revision>(?:refs/(?:pr|convert)/)?[\w.-]+))?(?P<file>(?<=\w)/[^:]+)?(?::(?P<split>\w+))?"
)
FILES = re.compile(
    r"\.(jsonl|ndjson|json|csv|tsv|txt|md|parquet|xlsx|xml|html|zst|gz|7z|zip|yaml|mbox|eml)$", re.IGNORECASE
)
"""How a mistyped file ends, rather than a repository."""
ROWS = (".parquet", ".jsonl", ".ndjson", ".json")
TOKEN = re.compile(r"\bhf_\w{8,}|\bBearer +\S+", re.IGNORECASE)


@dataclass(frozen=True)
class Place:
    """A repository of the hub, or a part of it."""

    repo: str
    revision: str | None = None
    """A branch, a tag or a commit; None: the newest."""
    split: str | None = None
    file: str | None = None
    """A path within the repository."""

    @classmethod
    def read(cls, text: str) -> Place | None:
        """The place that a text names; None for a file or a folder of this machine.

        >>> Place.read("hf://GAIR/lima@main:test")
        Place(repo='GAIR/lima', revision='main', split='test', file=None)
        >>> Place.read("data/train.jsonl")
        """
        found = PLACE.fullmatch(text)
        if found is None or Path(text).exists():
            return None
        parts: dict[str, Any] = found.groupdict()
        here = Path(parts["repo"]).parent.is_dir() or FILES.search(text)
        if parts.pop("scheme") is None and (here or parts["file"]):
            return None
        return cls(**{**parts, "file": (parts["file"] or "").removeprefix("/") or None})

    def __str__(self) -> str:
        file, split = (f"/{self.file}" if self.file else ""), (f":{self.split}" if self.split else "")
        return f"{self.repo}{'@' + self.revision if self.revision else ''}{file}{split}"


def data_file(value: Any) -> Any:
    """A path as it is; of a place on the hub the JSON Lines file that its rows become in the cache.

    Raises:
        LimaError: no such data, nothing of that split, or the hub is out of reach.
    """
    place = Place.read(str(value)) if isinstance(value, str | Path) else None
    if place is None:
        return value
    commit, names = _listing(place)
    split, files = (Path(place.file).stem, [place.file]) if place.file else _of_split(place, names)
    out = _cache() / place.repo / commit / f"{split}.jsonl"
    if not out.exists():
        with replacing(out) as stream:
            for file in files:
                for line in _lines(_download(place, file, commit)):
                    stream.write(line)
    note(f"{place.repo} at {commit[:12]}, {split}: {out}")
    return out


def raw_file(value: Any) -> Any:
    """A path as it is; of a place on the hub the file that it names, or a folder of all its files, unchanged.

    Raises:
        LimaError: as `data_file`.
    """
    place = Place.read(str(value)) if isinstance(value, str | Path) else None
    if place is None:
        return value
    if place.file:
        return _download(place, place.file, _listing(place)[0])
    return _snapshot(place, "dataset")


def model_place(value: Any) -> Any:
    """A folder, a URL or a hub id as it is; of an id with a revision (``USER/NAME@REVISION``) the folder of that revision in the cache.

    Raises:
        LimaError: as `data_file`.
    """
    place = Place.read(value) if isinstance(value, str) else None
    if place is None or place.file or place.split:
        return value
    return place.repo if place.revision is None else str(_snapshot(place, "model"))


def model_folder(value: Any) -> Any:
    """A path as it is; of a hub id the folder of that model in the cache.

    Raises:
        LimaError: as `data_file`.
    """
    place = Place.read(str(value)) if isinstance(value, str | Path) else None
    return value if place is None or place.file or place.split else _snapshot(place, "model")


DataFile = Annotated[Path, BeforeValidator(data_file)]
"""Rows in a file, or on the hub."""
RawFile = Annotated[Path, BeforeValidator(raw_file)]
"""Files of any kind, here or on the hub."""
ModelPlace = Annotated[str, BeforeValidator(model_place)]
"""A model's folder, or its hub id, pinned or not."""
ModelFolder = Annotated[Path, BeforeValidator(model_folder)]
"""As `ModelPlace`, where files are needed."""


def origin(path: Path | str) -> tuple[str, str] | None:
    """Repository and commit of a file or a folder that came from the hub, by its place in a cache; None for any other."""
    text = Path(path).as_posix()
    models = re.search(r"/(?:models|datasets)--([\w.-]+?)--([\w.-]+)/snapshots/(\w+)", text)
    rows = re.search(r"/lima/([\w.-]+)/([\w.-]+)/([0-9a-f]{40})/[^/]+\.jsonl$", text)
    found = models or rows
    return (f"{found[1]}/{found[2]}", found[3]) if found else None


@contextmanager
def told_plainly(repo: str) -> Iterator[None]:
    """What the hub refuses, in one line with the remedy, and without a token.

    Raises:
        LimaError: in place of any error of huggingface_hub or of its connections.
    """
    from httpx2 import HTTPError
    from huggingface_hub import constants, errors

    try:
        yield
    except (errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError) as error:
        offline = constants.HF_HUB_OFFLINE
        why = "HF_HUB_OFFLINE forbids to ask the hub. Unset it" if offline else f"{_reason(error)} Try again"
        raise LimaError(
            f"{repo}: not in this machine's cache, and {why}; or fetch it where there is a network (hf download) and copy the cache (HF_HOME)."
        ) from None
    except errors.GatedRepoError:
        raise LimaError(
            f"{repo}: its owner must let you in. Ask on its page, then log in: hf auth login, or set HF_TOKEN."
        ) from None
    except errors.RepositoryNotFoundError:
        raise LimaError(
            f"{repo}: the hub has no such repository, or it is private and you are not logged in: hf auth login, or set HF_TOKEN."
        ) from None
    except errors.RevisionNotFoundError:
        raise LimaError(
            f"{repo}: no such revision. Name a branch, a tag or a commit that its page lists."
        ) from None
    except errors.EntryNotFoundError:
        raise LimaError(f"{repo}: no such file in it.") from None
    except (HTTPError, ConnectionError, ValueError, OSError, RuntimeError) as error:
        raise LimaError(f"{repo}: {_reason(error)}") from None


def hub() -> Any:
    """The package huggingface_hub, with its progress bars off.

    Raises:
        LimaError: it is missing.
    """
    try:
        import huggingface_hub
        import huggingface_hub.errors
        import huggingface_hub.utils
    except ModuleNotFoundError:
        raise LimaError(
            f"The hub of Hugging Face needs the package huggingface_hub: {install('hub')}"
        ) from None
    library: Any = huggingface_hub
    library.utils.disable_progress_bars()
    return library


def _reason(error: Exception) -> str:
    """What went wrong and what helps, without a token."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    said = getattr(error, "server_message", None) or str(error).strip().partition("\n")[0]
    said = TOKEN.sub("[token]", said) or type(error).__name__
    if status in (401, 403):
        return f"the hub refused ({status}: {said}). Log in with a token that may do this: hf auth login, or set HF_TOKEN."
    if status is not None:
        return f"the hub answered {status} ({said}). Run the same command again later; it sends only what is missing."
    return f"it failed ({said}). Check the network, HF_ENDPOINT and proxies, then run the same command again."


def _cache() -> Path:
    hub()
    from huggingface_hub import constants

    return Path(constants.HF_HOME) / "lima"


def _listing(place: Place) -> tuple[str, list[str]]:
    """Commit and file names of a data set; where the hub is out of reach, as it was when it was last asked."""
    from httpx2 import ConnectError, TimeoutException

    library = hub()
    known = _cache() / place.repo / "refs" / f"{(place.revision or 'main').replace('/', '--')}.json"
    with told_plainly(place.repo):
        try:
            found = library.HfApi().dataset_info(place.repo, revision=place.revision)
        except (library.errors.OfflineModeIsEnabled, ConnectError, TimeoutException):
            if not known.is_file():
                raise
            values = read_json(known)
            return values["commit"], values["files"]
    files = [file.rfilename for file in found.siblings]
    for path in (known, known.with_name(f"{found.sha}.json")):
        write_json(path, {"commit": found.sha, "files": files})
    return found.sha, files


def _download(place: Place, file: str, commit: str) -> Path:
    with told_plainly(f"{place.repo}/{file}"):
        return Path(hub().hf_hub_download(place.repo, file, repo_type="dataset", revision=commit))


def _snapshot(place: Place, kind: str) -> Path:
    with told_plainly(place.repo):
        return Path(hub().snapshot_download(place.repo, repo_type=kind, revision=place.revision))


def _of_split(place: Place, names: Sequence[str]) -> tuple[str, list[str]]:
    """The split and its files, by their names, as the hub itself derives them (``data/train-00000-of-00002.parquet``).

    The split that is asked for; else train, or the only file there is.
    """
    files = [
        name for name in names if name.endswith(ROWS) and not name.endswith(("croissant.json", "_infos.json"))
    ]
    split = place.split or "train"
    found = sorted(
        name for name in files if split in re.split(r"[^A-Za-z0-9]+", name.removesuffix(Path(name).suffix))
    )
    if not found and len(files) == 1 and not place.split:
        return Path(files[0]).stem, files
    kinds = [[name for name in found if name.endswith(kind)] for kind in ROWS]
    chosen = next((some for some in kinds if some), [])
    if not chosen or len({Path(name).parent for name in chosen}) > 1:
        shown = ", ".join(files[:8]) + (" ..." if len(files) > 8 else "") or "none of " + " ".join(ROWS)
        what = "several folders hold files" if chosen else "no files"
        raise LimaError(
            f"{place}: {what} of the split {split!r}. Its files: {shown}. Name a split ({place.repo}:test), or a file "
            f"(hf://{place.repo}/{files[0] if files else 'PATH'})."
        )
    return split, chosen


def _lines(path: Path) -> Iterator[bytes]:
    """The rows of a file, one JSON line each."""
    kind = path.suffix
    if kind == ".parquet":
        yield from (orjson.dumps(from_row(row), default=str) + b"\n" for _, row in read_rows(path))
    elif kind == ".json" and path.read_bytes().lstrip().startswith(b"["):
        yield from (orjson.dumps(row) + b"\n" for row in loads(path.read_bytes()))
    elif kind in ROWS:
        for line in path.read_bytes().splitlines():
            yield line + b"\n"
    else:
        raise LimaError(
            f"{path.name}: {kind or 'a file without suffix'} is no file of rows ({' '.join(ROWS)}). 'lima curate own-data --input "
            "hf://...' reads tables."
        )
