"""A server that answers as the Hub does, for tests of downloads and uploads."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from wsac.io import hub as hub_module

COMMIT = "c0ffee" + "0" * 34
TOKEN = "hf_a_secret_of_a_test"


class Hub:
    """Repositories of files; what was asked for; and ways to fail."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.requests: list[tuple[str, str, str]] = []  # method, file, range
        self.cut: set[str] = set()  # files whose first download ends half-way
        self.damaged: set[str] = set()  # files that are other than their digest says
        self.revisions = {"main", COMMIT}
        self.sizes: dict[str, int] = {}  # what the Hub says of files, where it is not so
        self.private: set[str] = set()  # repositories that only the holder of TOKEN may read
        self.repos: dict[str, dict[str, Any]] = {}  # that were made here
        self.commits: list[dict[str, Any]] = []
        self.stored: dict[str, bytes] = {}  # large files by their SHA-256
        self.status = 0  # of every answer to an upload, if it is to fail
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.answer(body=False)

            def do_GET(self) -> None:
                if self.path.startswith("/api/models/"):
                    repo = self.path.removeprefix("/api/models/").partition("?")[0]
                    names = [{"rfilename": n.removeprefix(f"{repo}/")} for n in hub.files]
                    about = {"id": repo, "sha": COMMIT, "siblings": names}
                    self.send_json(about if repo in hub.repos else {}, 200 if names else 404)
                else:
                    self.answer(body=True)

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"] or 0))
                signed = self.headers.get("Authorization") == f"Bearer {TOKEN}"
                hub.requests.append(("POST", self.path, ""))
                if not signed or hub.status:
                    status = hub.status if signed else 401
                    return self.send_json({"error": "no"}, status, {"X-Error-Message": "no"})
                self.send_json(*hub.take(self.path, content))

            def do_PUT(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                hub.requests.append(("PUT", self.path, ""))
                hub.stored[hashlib.sha256(content).hexdigest()] = content
                self.send_json({})

            def send_json(self, value: Any, status: int = 200, headers: Any = ()) -> None:
                content = json.dumps(value).encode()
                self.send_response(status)
                for name, text in dict(headers).items():
                    self.send_header(name, text)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def answer(self, body: bool) -> None:
                repo, _, rest = self.path.lstrip("/").partition("/resolve/")
                revision, _, name = rest.partition("?")[0].partition("/")
                key, asked = f"{repo}/{name}", self.headers.get("Range", "")
                hub.requests.append((self.command, key, asked))
                content = hub.files.get(key)
                known = any(file.startswith(f"{repo}/") for file in hub.files)
                if repo in hub.private and self.headers.get("Authorization") != f"Bearer {TOKEN}":
                    content, known = None, False
                if content is None or revision not in hub.revisions:
                    code = "EntryNotFound" if known else "RepoNotFound"
                    code = "RevisionNotFound" if known and revision not in hub.revisions else code
                    self.send_response(404)
                    self.send_header("X-Error-Code", code)
                    if code == "EntryNotFound":
                        self.send_header("X-Repo-Commit", COMMIT)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                digest = hashlib.sha256(content).hexdigest()
                if name.endswith(
                    (".json", ".txt", ".md")
                ):  # small files are known by the name that git gives them
                    digest = hashlib.sha1(b"blob %d\0%b" % (len(content), content)).hexdigest()
                if key in hub.damaged:
                    content = bytes(len(content))
                first = int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0
                self.send_response(206 if asked else 200)
                self.send_header("X-Repo-Commit", COMMIT if revision == "main" else revision)
                self.send_header("ETag", f'"{digest}"')
                length = hub.sizes.get(key, len(content) - first)
                self.send_header("Content-Length", str(length))
                if asked:
                    self.send_header(
                        "Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}"
                    )
                self.end_headers()
                if not body:
                    return
                if key in hub.cut and not asked:
                    hub.cut.discard(key)
                    self.wfile.write(content[: len(content) // 2])
                    self.close_connection = True
                    return
                self.wfile.write(content[first:])

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    def add(self, repo: str, folder: Path) -> None:
        for path in filter(Path.is_file, folder.rglob("*")):
            self.files[f"{repo}/{path.relative_to(folder).as_posix()}"] = path.read_bytes()

    def take(self, path: str, content: bytes) -> tuple[Any, int]:
        """The answer to an upload: of a repository, what is to come, or a commit."""
        if path == "/api/validate-yaml":
            return {"errors": [], "warnings": []}, 200
        if path == "/api/repos/create":
            asked = json.loads(content)
            repo = f"{asked['organization']}/{asked['name']}"
            new = repo not in self.repos
            self.repos.setdefault(repo, asked)
            return {"url": f"{self.address}/{repo}", "id": repo}, 200 if new else 409
        if path.endswith("/info/lfs/objects/batch"):
            rows = [
                {k: each[k] for k in ("oid", "size")}
                | {"actions": {"upload": {"href": f"{self.address}/lfs/{each['oid']}"}}}
                for each in json.loads(content)["objects"]
            ]
            return {"transfer": "basic", "objects": rows}, 200
        repo, _, what = path.removeprefix("/api/models/").partition("/commit/")
        if not what:
            files = json.loads(content)["files"]
            rows = [
                {
                    "path": each["path"],
                    "uploadMode": "lfs" if each["path"].endswith(".safetensors") else "regular",
                    "shouldIgnore": False,
                }
                for each in files
            ]
            return {"files": rows}, 200
        commit: dict[str, Any] = {"repo": repo, "revision": what, "files": []}
        for line in content.splitlines():
            row = json.loads(line)
            value = row["value"]
            if row["key"] == "header":
                commit |= value
                continue
            large = row["key"] == "lfsFile"
            key = f"{repo}/{value['path']}"
            self.files[key] = (
                self.stored[value["oid"]] if large else base64.b64decode(value["content"])
            )
            commit["files"].append(value["path"])
        self.commits.append(commit)
        return {"commitUrl": f"{self.address}/{repo}/commit/{COMMIT}", "commitOid": COMMIT}, 200

    def got(self, key: str) -> int:
        return sum(method == "GET" and file == key for method, file, _ in self.requests)


@contextmanager
def hub_in_process(monkeypatch: Any, cache: Path) -> Iterator[Hub]:
    """The Hub's library, in this process, at a server of our own, with a cache of its own."""
    from huggingface_hub import constants

    made = Hub()
    template = made.address + "/{repo_id}/resolve/{revision}/{filename}"
    for name, value in (
        ("ENDPOINT", made.address),
        ("HUGGINGFACE_CO_URL_TEMPLATE", template),
        ("HF_HUB_CACHE", str(cache)),
        ("HF_HUB_DISABLE_XET", True),
    ):
        monkeypatch.setattr(constants, name, value)
    hub_module.hub_answers.cache_clear()
    yield made
    made.server.shutdown()
    made.server.server_close()
    hub_module.hub_answers.cache_clear()
