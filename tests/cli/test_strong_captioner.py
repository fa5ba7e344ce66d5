"""The two commands for people online, from the download to a caption, on servers of our own."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile

from miniatures.file_server import official_sites, wavcaps_files
from miniatures.hub_server import hub_in_process
from miniatures.public_checkpoints import write_file, write_folder
from wsac.clap.public.catalog import CATALOG, FAMILIES
from wsac.cli import main
from wsac.data.captions.caption_sets import CAPTION_SETS
from wsac.data.soundworld import demo_scenes, render_scene
from wsac.io.config import RECIPES, load_recipe
from wsac.training.recipe import Recipe

NAMES = ("laion", "wavcaps", "msclap")


@pytest.fixture
def online(monkeypatch, tmp_path):
    """A working folder, the official sites, and a Hub with WavCaps and tiny checkpoints."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WSAC_CACHE", str(tmp_path / "cache"))
    hub_cache = tmp_path / "hub"
    with official_sites(monkeypatch), hub_in_process(monkeypatch, hub_cache) as hub:
        hub.files |= wavcaps_files()
        hub.revisions.add(CAPTION_SETS["wavcaps"].revision)
        hub.add("laion/clap-htsat-unfused", write_folder(tmp_path / "made" / "laion"))
        for name in ("wavcaps-htsat-bert", "msclap-2023"):
            row = CATALOG[name]
            made = write_file(row.family, tmp_path / "made" / name)
            hub.files[f"{row.repo}/{row.file}"] = made.read_bytes()
            tokenizer = (made.parent / "tokenizer.json").read_bytes()
            hub.files[f"{FAMILIES[row.family].tokenizer}/tokenizer.json"] = tokenizer
        yield hub


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_two_commands(name, online, tmp_path, capsys):
    sets = ("clotho", "audiocaps", "wavcaps")
    assert main(["download", "captions", *sets, "--accept-licences"]) == 0
    told = capsys.readouterr().err.splitlines()[-1]
    assert told == "done: wsac train --recipe laion --out runs/strong"
    small = ("--epochs", "1", "--set", "decoder.width=48")  # all else as the recipe says
    assert main(["train", "--recipe", name, *small, "--out", "runs/strong"]) == 0
    capsys.readouterr()
    scene = dict(demo_scenes())["dog.wav"]
    sound = render_scene(scene, np.random.default_rng(0), 3.0, 16_000)
    soundfile.write("dog.wav", sound, 16_000)
    assert main(["caption", "dog.wav", "--model", "runs/strong", "--json"]) == 0
    [row] = json.loads(capsys.readouterr().out)
    assert isinstance(row["caption"], str)
    card = json.loads((tmp_path / "runs" / "strong" / "captioner.json").read_text())
    assert card["options"]["bridge"] == "pd"
    train = {f"train/{each}" for each in ("clotho.csv", "audiocaps.csv", "wavcaps.jsonl")}
    trained_on = (tmp_path / "runs" / "strong" / "recipe.toml").read_text()
    assert all(f'"captions/{file}"' in trained_on for file in train)
    assert "/test/" not in trained_on


def test_the_recipes_train_on_what_the_download_writes():
    files = tuple(f"captions/{each.train}" for each in CAPTION_SETS.values())
    for name in NAMES:
        recipe = load_recipe(Recipe, RECIPES / f"{name}.toml")
        assert recipe.corpus.captions == files
        assert recipe.clap in (*CATALOG, "laion/clap-htsat-unfused")
        assert recipe.decoder.width % recipe.decoder.heads == 0


def test_the_clap_is_out_of_reach(online, capsys, tmp_path):
    sets = ("clotho", "audiocaps", "wavcaps")
    assert main(["download", "captions", *sets, "--accept-licences"]) == 0
    for key in [key for key in online.files if key.startswith("laion/")]:
        del online.files[key]
    capsys.readouterr()
    assert main(["train", "--recipe", "laion", "--out", "runs/strong"]) == 1
    err = capsys.readouterr().err
    assert err.splitlines()[-1].startswith("error: laion/clap-htsat-unfused/config.json: not on")
    assert "Traceback" not in err
