"""Downloads from the Hub, against a server of our own with tiny checkpoints: whole, cut, damaged, offline."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from miniatures.public_checkpoints import write_file, write_folder
from wsac.clap.public.catalog import CATALOG
from wsac.clap.public.families import FAMILIES
from wsac.cli import main

COMMIT = "c0ffee" + "0" * 34


class Hub:
    """Repositories of files; what was asked for; and ways to fail."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.requests: list[tuple[str, str, str]] = []  # method, file, range
        self.cut: set[str] = set()  # files whose first download ends half-way
        self.damaged: set[str] = set()  # files that are other than their digest says
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
                if content is None or revision not in ("main", COMMIT):
                    code = "EntryNotFound" if known else "RepoNotFound"
                    code = (
                        "RevisionNotFound" if known and revision not in ("main", COMMIT) else code
                    )
                    self.send_response(404)
                    self.send_header("X-Error-Code", code)
                    if code == "EntryNotFound":
                        self.send_header("X-Repo-Commit", COMMIT)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                digest = hashlib.sha256(content).hexdigest()
                if key in hub.damaged:
                    content = bytes(len(content))
                first = int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0
                self.send_response(206 if asked else 200)
                self.send_header("X-Repo-Commit", COMMIT)
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
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    def add(self, repo: str, folder: Path) -> None:
        for path in folder.iterdir():
            self.files[f"{repo}/{path.name}"] = path.read_bytes()

    def got(self, key: str) -> int:
        return sum(method == "GET" and file == key for method, file, _ in self.requests)


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("repository"))


@pytest.fixture
def hub(repository):
    made = Hub()
    made.add("someone/tiny", repository)
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def wsac(hub, tmp_path):
    """Run the command with the Hub at our server and a cache of its own."""

    def run(*words, **environment):
        settings = {
            "HF_ENDPOINT": hub.address,
            "HF_HOME": str(tmp_path / "hub"),
            "HF_HUB_DISABLE_XET": "1",
        }
        code = "import sys; from wsac.cli import main; sys.exit(main(sys.argv[1:]))"
        done = subprocess.run(
            [sys.executable, "-W", "error::ResourceWarning", "-c", code, *words],
            env=os.environ | settings | environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    return run


def test_a_fresh_download_and_then_the_cache(hub, wsac):
    status, out, err = wsac("clap", "info", "someone/tiny", "--json")
    assert status == 0, err
    assert json.loads(out)["embed_dim"] == 32
    assert hub.got("someone/tiny/model.safetensors") == 1
    assert wsac("clap", "embed", "someone/tiny", "--text", "a dog", "--json")[0] == 0
    assert hub.got("someone/tiny/model.safetensors") == 1
    hub.server.shutdown()
    hub.server.server_close()
    assert wsac("clap", "info", "someone/tiny", "--offline", "--json")[1] == out
    assert wsac("clap", "info", "someone/tiny", "--json", HF_HUB_OFFLINE="1")[1] == out


def test_a_cut_connection_is_resumed(hub, wsac, tmp_path):
    hub.add(
        "someone/tiny", write_folder(tmp_path / "large", positions=100_000)
    )  # more than the library's 10 MB at once
    hub.cut.add("someone/tiny/model.safetensors")
    status, _, err = wsac("clap", "info", "someone/tiny", "--json")
    assert status == 0, err
    ranges = [
        asked
        for method, key, asked in hub.requests
        if method == "GET" and key.endswith("model.safetensors")
    ]
    assert len(ranges) == 2
    assert ranges[0] == ""
    assert int(ranges[1].removeprefix("bytes=").partition("-")[0]) > 0


def test_a_damaged_download_is_deleted_and_had_again(hub, wsac):
    hub.damaged.add("someone/tiny/model.safetensors")
    status, _, err = wsac("clap", "info", "someone/tiny")
    assert status == 1
    assert "SHA-256 is not the published one" in err
    assert "Traceback" not in err
    hub.damaged.clear()
    assert wsac("clap", "info", "someone/tiny")[0] == 0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("someone/else", "not on the Hub"),
        ("someone/tiny@v9", "no such revision"),
        ("not a name", "no CLAP of this name"),
        ("wavcaps-cnn14-bert", "drive.google.com"),
    ],
)
def test_what_is_not_there(wsac, name, message):
    status, _, err = wsac("clap", "info", name)
    assert status == 1
    assert message in err
    assert "Traceback" not in err


def test_a_missing_file_is_named(hub, wsac):
    del hub.files["someone/tiny/model.safetensors"]
    status, _, err = wsac("clap", "info", "someone/tiny")
    assert status == 1
    assert "someone/tiny/pytorch_model.bin: not on the Hub" in err


def test_offline_without_a_cache(wsac):
    status, _, err = wsac("clap", "info", "someone/tiny", "--offline")
    assert status == 1
    assert "not in the cache" in err
    assert "Traceback" not in err


def test_a_revision_is_a_commit(hub, wsac):
    status, _, err = wsac("clap", "info", f"someone/tiny@{COMMIT}")
    assert status == 0, err


def test_a_checkpoint_of_the_catalogue_comes_with_its_tokenizer(hub, wsac, tmp_path):
    row = CATALOG["msclap-2022"]
    path = write_file("msclap-2022", tmp_path / "made")
    hub.files[f"{row.repo}/{row.file}"] = path.read_bytes()
    hub.files[f"{FAMILIES[row.family].tokenizer}/tokenizer.json"] = (
        path.parent / "tokenizer.json"
    ).read_bytes()
    status, out, err = wsac(
        "clap", "embed", "msclap-2022", "--text", "a dog", "--text", "rain", "--json"
    )
    assert status == 0, err
    assert len(json.loads(out)["embeddings"]) == 2


def test_the_list_names_them_all(capsys):
    assert main(["clap", "list"]) == 0
    out = capsys.readouterr().out
    assert main(["clap", "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["name"] for row in rows} == {"pocket", *CATALOG}
    assert {"sample_rate", "window_seconds", "dim", "licence"} <= set(rows[0])
    assert "pocket" in out
    assert {row["family"] for row in rows[1:]} <= set(FAMILIES)
