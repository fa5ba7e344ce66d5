"""Captioners on a local Hub: downloads of what the card lists, and everything that can go wrong."""

from __future__ import annotations

import json

import pytest

from miniatures.hub_server import COMMIT, TOKEN
from wsac import Captioner, ModelError
from wsac.inference.captioner_folder import check_captioner, published
from wsac.inference.hub_captioner import fetch_captioner

REPO = "someone/barks"
SOUND = [0.1 * (i % 50) / 50 for i in range(16_000)]


@pytest.fixture
def folder(captioner, tmp_path):
    folder = tmp_path / "run"
    captioner.save(folder)
    (folder / "evil.pt").write_bytes(b"a pickle")
    (folder / "recipe.toml").write_text("[training]\n")
    return folder


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("pocket", ""),
        ("barks", ""),
        ("/runs/mine", ""),
        ("./mine", ""),
        ("~/mine", ""),
        ("runs/mine", ""),
        ("runs/mine/deep", ""),
        ("someone/barks", "someone/barks"),
        ("someone/barks@v1", "someone/barks@v1"),
        ("hf://someone/barks", "someone/barks"),
        ("hf:/someone/barks@v1", "someone/barks@v1"),
        ("hf://runs/mine", "runs/mine"),
    ],
)
def test_which_names_are_on_the_hub(name, address, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    assert published(name) == address


@pytest.mark.parametrize("name", ["hf://barks", "hf://a/b/c", "hf:///a", "hf://a b/c"])
def test_an_address_must_be_a_repository(name):
    with pytest.raises(ModelError, match=r"give hf://owner/name|no captioner here"):
        check_captioner(name)


def test_only_what_the_card_lists_is_fetched(hub, folder, captioner):
    hub.add(REPO, folder)
    again = Captioner.from_pretrained(REPO)
    assert again.caption(SOUND) == Captioner.load(folder).caption(SOUND)
    sums = json.loads((folder / "captioner.json").read_text())["checksums"]
    clap = {f"clap/{name}" for name in ("clap.json", "clap.safetensors", "tokenizer.json")}
    asked = {key.removeprefix(f"{REPO}/") for _, key, _ in hub.requests}
    asked = {name for name in asked if not name.startswith("api/")}  # of the library itself
    assert asked == {"captioner.json", *sums, *clap}
    before = sum(method == "GET" for method, *_ in hub.requests)
    Captioner.load(f"hf://{REPO}")
    Captioner.from_pretrained(REPO, revision=COMMIT)
    assert sum(method == "GET" for method, *_ in hub.requests) == before


@pytest.mark.slow
def test_a_command_takes_the_name(hub, folder, run, tmp_path):
    from wsac.io.files import write_wav

    hub.add(REPO, folder)
    import numpy as np

    write_wav("tone.wav", np.array(SOUND, np.float32), 16_000)
    status, out, err = run("caption", "tone.wav", "--model", REPO, "--json")
    assert status == 0, err
    local = run("caption", "tone.wav", "--model", folder, "--json")[1]
    assert json.loads(out) == json.loads(local)
    assert run("caption", "tone.wav", "--model", f"hf://{REPO}@{COMMIT}", "--json")[1] == out
    for words in (
        ("calibrate", REPO, "--pairs", "tone.wav"),
        ("tune", "--model", REPO, "--audio", "tone.wav", "--write"),
    ):
        status, _, err = run(*words)
        assert status == 1
        assert "no such folder; a captioner on the Hub is changed or pushed from a folder" in err


def test_a_private_one_needs_the_token_which_is_not_shown(hub, folder, monkeypatch, capsys):
    hub.add(REPO, folder)
    hub.private.add(REPO)
    with pytest.raises(ModelError, match=r"not on the Hub; check the name, or sign in") as caught:
        Captioner.from_pretrained(REPO)
    assert "\n" not in str(caught.value)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    Captioner.from_pretrained(REPO)
    assert TOKEN not in "".join(capsys.readouterr())


def failing(hub, name, **options):
    with pytest.raises(ModelError) as caught:
        Captioner.from_pretrained(name, **options)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    return str(caught.value)


def test_what_is_not_there(hub, folder, tmp_path):
    hub.add(REPO, folder)
    assert "no folder someone/else here, and" in failing(hub, "someone/else")
    assert "no such revision" in failing(hub, REPO, revision="v9")
    assert "no revision v9" in failing(hub, folder, revision="v9")
    hub.files["someone/text/README.md"] = b"# Nothing"
    assert "no captioner, since it has no captioner.json" in failing(hub, "someone/text")
    hub.files["someone/other/captioner.json"] = b'{"version": 1}'
    assert "none of a captioner of this version" in failing(hub, "hf://someone/other")
    hub.files["someone/other/captioner.json"] = b"\x80\x02}q\x00."
    fetch_captioner.cache_clear()
    del hub.files[f"{REPO}/decoder.safetensors"]
    assert f"{REPO}/decoder.safetensors: not on the Hub" in failing(hub, REPO)


def test_half_a_file_is_resumed(hub, folder):
    hub.add(REPO, folder)
    hub.cut.add(f"{REPO}/decoder.safetensors")
    Captioner.from_pretrained(REPO)
    assert hub.got(f"{REPO}/decoder.safetensors") == 2


def test_files_of_another_captioner_are_refused(hub, folder):
    hub.add(REPO, folder)
    hub.files[f"{REPO}/tokenizer.json"] += b" "  # whole for the Hub, and not for the card
    assert "tokenizer.json: damaged" in failing(hub, REPO)


def test_a_damaged_download_is_refused(hub, folder):
    hub.add(REPO, folder)
    hub.damaged.add(f"{REPO}/memory.safetensors")
    assert "its SHA-256 is not the published one" in failing(hub, REPO)


def test_a_file_that_is_too_large_is_not_downloaded(hub, folder):
    hub.add(REPO, folder)
    hub.sizes[f"{REPO}/captioner.json"] = 10**12
    assert "1,000,000 MB, and at most 128 MB are expected" in failing(hub, REPO)
    assert not any(method == "GET" for method, *_ in hub.requests)


def test_without_a_network(hub, folder, monkeypatch):
    from huggingface_hub import constants

    hub.add(REPO, folder)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "not in the cache, and the Hub cannot be reached" in failing(hub, REPO)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    Captioner.from_pretrained(REPO)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    Captioner.from_pretrained(REPO)  # of the cache
