"""A stand-in for the hub, on loopback: the requests that huggingface_hub 2 makes to create, upload, list and download, and no more.

It checks what the hub checks: the token, the YAML of cards, the hash of every object. Large files come by LFS (HF_HUB_DISABLE_XET=1) or
by Xet, whose blocks it takes and whose account of files it answers.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

TOKEN = "hf_" + "standIn" * 5
RUNNER = """
import contextlib, io, json, os, sys
from lima import cli
told = []
for words in json.loads(sys.argv[1]):
    while "=" in words[0]:
        os.environ.update([words.pop(0).split("=", 1)])
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        try:
            cli.main(words)
        except SystemExit as ended:
            told.append([ended.code, text.getvalue()])
print(json.dumps(told))
"""
LARGE = (".safetensors", ".parquet", ".gguf", ".bin")


@dataclass
class Repository:
    """One commit is enough: what the last upload left."""

    private: bool = False
    files: dict[str, bytes] = field(default_factory=dict)
    large: set[str] = field(default_factory=set)
    messages: list[str] = field(default_factory=list)

    @property
    def commit(self) -> str:
        """The hash of all files."""
        return hashlib.sha1(repr(sorted(self.files.items())).encode()).hexdigest()


@dataclass
class StandIn:
    """The state behind the server."""

    url: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    """By SHA-256, as LFS brought them."""
    xet: list[bytes] = field(default_factory=list)
    """Blocks that Xet brought."""
    requests: list[str] = field(default_factory=list)
    refuse: dict[str, int] = field(default_factory=dict)
    """Statuses to answer, by a part of the path."""

    def environment(self, home: Path, **more: str) -> dict[str, str]:
        """Of a process that takes this for the hub, with an empty cache."""
        kept = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith(("HF_", "HUGGING")) and "proxy" not in k.lower()
        }
        own = {"HF_ENDPOINT": self.url, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "HF_TOKEN": TOKEN}
        return kept | own | more

    def lima(self, *commands: Sequence[str | Path], home: Path, cwd: Path, **more: str) -> list[Ran]:
        """Commands of lima in one process of their own, since huggingface_hub reads its settings once; NAME=VALUE may come first."""
        words = json.dumps([[str(word) for word in command] for command in commands])
        ran = subprocess.run(
            [sys.executable, "-c", RUNNER, words],
            cwd=cwd,
            env=self.environment(home, **more),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return [Ran(*one) for one in json.loads(ran.stdout.splitlines()[-1])]


@dataclass(frozen=True)
class Ran:
    """What a command ended with and said."""

    code: int
    text: str


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    state: StandIn

    def log_message(self, format: str, *args: Any) -> None:
        """Be quiet."""

    def answer(self, value: Any, status: int = 200, **headers: str) -> None:
        """Send JSON, or bytes as they are."""
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        kind = "application/octet-stream" if isinstance(value, bytes) else "application/json"
        for name, text in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def body(self) -> bytes:
        """All of it."""
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def take(self) -> None:
        """Find the one that knows this path."""
        body, path = self.body(), unquote(urlsplit(self.path).path)
        self.state.requests.append(f"{self.command} {path}")
        for part, status in self.state.refuse.items():
            if part in path:
                self.answer({"error": "no"}, status)
                return
        for method, form, known in ROUTES:
            found = re.fullmatch(form, path)
            if found and method == self.command:
                known(self, body, **found.groupdict())
                return
        self.answer({"error": f"unknown: {self.command} {path}"}, 404)
        return

    do_GET = do_POST = do_PUT = do_HEAD = take

    def allowed(self) -> bool:
        """Writing needs the token; answers for itself where there is none."""
        if self.headers.get("Authorization") == f"Bearer {TOKEN}":
            return True
        self.answer({"error": "Invalid credentials in Authorization header"}, 401)
        return False

    def repository(self, kind: str, name: str) -> Repository | None:
        """The one of that name; says so where there is none that this token may see."""
        found = self.state.repositories.get(f"{kind.rstrip('s/')}/{name}")
        signed = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if found is None or (found.private and not signed):
            self.answer({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")
            return None
        return found


def create(self: Handler, body: bytes) -> None:
    asked = json.loads(body)
    if not self.allowed():
        return
    name = f"{asked.get('type') or 'model'}/{asked['organization']}/{asked['name']}"
    url = f"{self.state.url}/{asked['organization']}/{asked['name']}"
    if name in self.state.repositories:
        self.answer({"error": "You already created this repo", "url": url}, 409)
        return
    self.state.repositories[name] = Repository(private=asked.get("visibility") == "private")
    self.answer({"url": url, "name": name.partition("/")[2]})


def card_problem(text: str) -> str | None:
    """What the hub says against the YAML of a card."""
    front = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    try:
        values = yaml.safe_load(front[1]) if front else {}
    except yaml.YAMLError as error:
        return str(error)
    licence = values.get("license")
    if licence == "other" and not values.get("license_name"):
        return "license_name is missing"
    return None


def validate(self: Handler, body: bytes) -> None:
    problem = card_problem(json.loads(body)["content"])
    errors = [{"message": problem}] if problem else []
    self.answer({"errors": errors, "warnings": []}, 400 if problem else 200)


def preupload(self: Handler, body: bytes, kind: str, name: str, revision: str) -> None:
    if (repository := self.repository(kind, name)) is None or not self.allowed():
        return
    files = []
    for asked in json.loads(body)["files"]:
        mode = "lfs" if asked["path"].endswith(LARGE) else "regular"
        files.append({"path": asked["path"], "uploadMode": mode, "shouldIgnore": False, "oid": None})
    assert repository is not None
    self.answer({"files": files})


def batch(self: Handler, body: bytes, kind: str, name: str) -> None:
    if self.repository(kind or "model", name) is None or not self.allowed():
        return
    objects = []
    for asked in json.loads(body)["objects"]:
        upload = {"upload": {"href": f"{self.state.url}/lfs/{asked['oid']}", "header": {}}}
        here = asked["oid"] in self.state.objects
        objects.append({**asked, **({} if here else {"actions": upload})})
    self.answer({"transfer": "basic", "objects": objects})


def put_object(self: Handler, body: bytes, oid: str) -> None:
    if "Authorization" in self.headers:  # storage is another's: the token must not go there
        self.answer({"error": "token sent to storage"}, 400)
        return
    if hashlib.sha256(body).hexdigest() != oid:
        self.answer({"error": "hash differs"}, 422)
        return
    self.state.objects[oid] = body
    self.answer({})


def commit(self: Handler, body: bytes, kind: str, name: str, revision: str) -> None:
    repository = self.repository(kind, name)
    if repository is None or not self.allowed():
        return
    for line in map(json.loads, body.splitlines()):
        value = line["value"]
        if line["key"] == "header":
            repository.messages.append(value["summary"])
        elif line["key"] == "file":
            repository.files[value["path"]] = base64.b64decode(value["content"])
        elif line["key"] == "lfsFile":
            known = self.state.objects.get(value["oid"], f"xet:{value['oid']}".encode())
            repository.files[value["path"]] = known
            repository.large.add(value["path"])
    sha = repository.commit
    self.answer({"commitUrl": f"{self.state.url}/{name}/commit/{sha}", "commitOid": sha, "success": True})


def info(self: Handler, body: bytes, kind: str, name: str, revision: str | None = None) -> None:
    if (repository := self.repository(kind, name)) is None:
        return
    if revision not in (None, "main", repository.commit):
        self.answer({"error": "no revision"}, 404, X_Error_Code="RevisionNotFound")
        return
    files = [{"rfilename": path} for path in sorted(repository.files)]
    self.answer({"id": name, "sha": repository.commit, "siblings": files, "private": False, "tags": []})


def tree(self: Handler, body: bytes, kind: str, name: str, revision: str) -> None:
    if (repository := self.repository(kind, name)) is None:
        return
    rows = []
    for path, content in sorted(repository.files.items()):
        sha = hashlib.sha1(content).hexdigest()
        rows.append({"type": "file", "oid": sha, "size": len(content), "path": path})
    self.answer(rows)


def resolve(self: Handler, body: bytes, kind: str, name: str, revision: str, path: str) -> None:
    if (repository := self.repository(kind or "model", name)) is None:
        return
    if path not in repository.files:
        self.answer({"error": "no file"}, 404, X_Error_Code="EntryNotFound")
        return
    content = repository.files[path]
    etag = f'"{hashlib.sha1(content).hexdigest()}"'
    self.answer(content, ETag=etag, X_Repo_Commit=repository.commit)


def xet_token(self: Handler, body: bytes, kind: str, name: str) -> None:
    if self.allowed():
        self.answer({"accessToken": "xet-token", "exp": 4_000_000_000, "casUrl": self.state.url})


def xet_block(self: Handler, body: bytes) -> None:
    self.state.xet.append(body)
    self.answer({"was_inserted": True})


def xet_shard(self: Handler, body: bytes) -> None:
    self.answer({"result": 1})


def xet_chunk(self: Handler, body: bytes) -> None:
    self.answer({"error": "not there"}, 404)


REPO = r"(?P<name>[\w.-]+/[\w.-]+)"
KIND = r"/api/(?P<kind>models|datasets)/" + REPO
ROUTES: list[tuple[str, str, Callable[..., None]]] = [
    ("POST", "/api/repos/create", create),
    ("POST", "/api/validate-yaml", validate),
    ("POST", KIND + "/preupload/(?P<revision>.+)", preupload),
    ("POST", KIND + "/commit/(?P<revision>.+)", commit),
    ("GET", KIND + "(?:/revision/(?P<revision>.+))?", info),
    ("GET", KIND + "/tree/(?P<revision>[^/]+)", tree),
    ("GET", KIND + "/xet-write-token/.*", xet_token),
    ("POST", r"/(?P<kind>datasets/)?" + REPO + r"\.git/info/lfs/objects/batch", batch),
    ("PUT", "/lfs/(?P<oid>[0-9a-f]{64})", put_object),
    *((m, r"/(?P<kind>datasets/)?" + REPO + "/resolve/(?P<revision>[^/]+)/(?P<path>.+)", resolve) for m in ("GET", "HEAD")),
    ("POST", r"/v\d/xorbs/.*", xet_block),
    ("POST", r"/v1/shards", xet_shard),
    ("GET", r"/v\d/chunks/.*", xet_chunk),
]  # fmt: skip


@contextmanager
def running() -> Iterator[StandIn]:
    """Serve until the block ends."""
    state = StandIn()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"state": state}))
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def front(card: bytes) -> Mapping[str, Any]:
    """The YAML at the head of a card."""
    values: Mapping[str, Any] = yaml.safe_load(card.decode().split("---\n")[1])
    return values
