"""A folder that is ready -> a repository of the hub, by huggingface_hub's own upload (Xet, or LFS where that is switched off)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from lima.errors import LimaError
from lima.hub import hub, told_plainly

RECORD = ".lima-publish.json"
"""Of the folder: what made it; it stays here."""


def push(folder: Path, to: str, kind: Literal["model", "dataset"], *, private: bool) -> str:
    """Send every file of the folder but hidden ones; return the commit's address.

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
