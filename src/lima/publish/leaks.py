"""What must not leave this machine unseen: tokens and keys, files that hold them, and paths of this machine.

By the forms that their makers publish. Personal data in examples are found by `lima.curate.text.personal`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from lima.publish.settings import Stop

SECRETS = {
    "a private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----",
    "a token of Hugging Face": r"\bhf_[A-Za-z0-9]{30,}\b",
    "a token of GitHub": r"\bgh[pousr]_[A-Za-z0-9]{36,}\b|\bgithub_pat_\w{22,}\b",
    "a token of GitLab": r"\bglpat-[\w-]{20,}",
    "a key of AWS": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a key of Google": r"\bAIza[\w-]{35}(?![\w-])",
    "a key of OpenAI or Anthropic": r"\bsk-(?:ant-|proj-|svcacct-)?[\w-]{20,}",
    "a token of Slack": r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}",
    "a key of Stripe": r"\b[rs]k_live_[A-Za-z0-9]{20,}",
    "a token of npm": r"\bnpm_[A-Za-z0-9]{36}\b",
    "a token of PyPI": r"\bpypi-AgEIcHlwaS5vcmc[\w-]{50,}",
    "a JSON web token": r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}",
    "a password in an address": r"\b[a-z][a-z+]{1,15}://[^\s:/@'\"<>]+:(?!\$|%|\*|<|\{|pass)[^\s:/@'\"<>]{4,}@[\w.-]+",
}
"""By what they open; docs of their makers, 2026."""
_ANY = re.compile("|".join(f"(?P<k{n}>{form})" for n, form in enumerate(SECRETS.values())))
PRIVATE_FILES = re.compile(
    r"\.env(\..*)?|\.netrc|\.git-credentials|.*\.(pem|key|p12|pfx|kdbx)|id_(rsa|dsa|ecdsa|ed25519)(\.pub)?|credentials(\.\w+)?|"
    r"key\.jsonl|token",
    re.IGNORECASE,
)
"""Names of files that hold keys, and of a study's key, which would unblind it."""
HOME = re.compile(r"(?:/home|/Users)/(?!user\b|USER\b|runner\b)[\w.-]+|\b[A-Z]:\\Users\\[\w.-]+")
BINARY = (".safetensors", ".gguf", ".bin", ".parquet", ".model")


def in_text(text: str, place: str) -> Iterator[Stop]:
    """Each secret in a text, by its line; never the secret itself."""
    for found in _ANY.finditer(text):
        what = list(SECRETS)[int((found.lastgroup or "k0")[1:])]
        line = text.count("\n", 0, found.start()) + 1
        yield Stop("secrets-become-public", f"{place}:{line}: {what}")


def in_files(files: Iterable[Path], root: Path) -> Iterator[Stop]:
    """Secrets in text files, names of files that hold keys, and homes of this machine's users in them."""
    for file in files:
        name = file.relative_to(root).as_posix()
        if PRIVATE_FILES.fullmatch(file.name):
            yield Stop("secrets-become-public", f"{name}: a file that holds keys, by its name")
        if file.suffix not in BINARY:
            text = file.read_text(encoding="utf-8", errors="replace")
            yield from in_text(text, name)
            if home := HOME.search(text):
                line = text.count("\n", 0, home.start()) + 1
                yield Stop("personal-data-become-public", f"{name}:{line}: a user's folder ({home[0]})")
