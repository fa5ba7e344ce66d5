"""Downloads from a local Hub with tiny checkpoints: whole, cut, damaged, offline."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from miniatures.hub_server import COMMIT, Hub
from miniatures.public_checkpoints import write_file, write_folder
from wsac.clap.public.catalog import CATALOG, FAMILIES
from wsac.cli import main

pytestmark = pytest.mark.slow


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
