"""A server that answers as the Hub does, for tests of downloads."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from wsac.io import hub as hub_module

COMMIT = "c0ffee" + "0" * 34


class Hub:
    """Repositories of files; what was asked for; and ways to fail."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.requests: list[tuple[str, str, str]] = []  # method, file, range
        self.cut: set[str] = set()  # files whose first download ends half-way
        self.damaged: set[str] = set()  # files that are other than their digest says
        self.revisions = {"main", COMMIT}
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.answer(body=False)

            def do_GET(self) -> None:
                self.answer(body=True)

            def answer(self, body: bool) -> None:
                repo, _, rest = self.path.lstrip("/").partition("/resolve/")
                revision, _, name = rest.partition("?")[0].partition("/")
                key, asked = f"{repo}/{name}", self.headers.get("Range", "")
                hub.requests.append((self.command, key, asked))
                content = hub.files.get(key)
                known = any(file.startswith(f"{repo}/") for file in hub.files)
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
                if name.endswith(".json"):  # small files are known by the name that git gives them
                    digest = hashlib.sha1(b"blob %d\0%b" % (len(content), content)).hexdigest()
                if key in hub.damaged:
                    content = bytes(len(content))
                first = int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0
                self.send_response(206 if asked else 200)
                self.send_header("X-Repo-Commit", COMMIT if revision == "main" else revision)
                self.send_header("ETag", f'"{digest}"')
                self.send_header("Content-Length", str(len(content) - first))
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
        for path in folder.iterdir():
            self.files[f"{repo}/{path.name}"] = path.read_bytes()

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
    hub_module._hub_answers.cache_clear()
    yield made
    made.server.shutdown()
    made.server.server_close()
    hub_module._hub_answers.cache_clear()
