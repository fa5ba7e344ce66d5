"""File names that are not UTF-8 in what wsac writes: kept, shown, or refused in one line."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest
import soundfile

from wsac import RecipeError, Tagger, WsacError
from wsac.data.captions.corpus import merge
from wsac.evaluation.results import load
from wsac.io.config import load_recipe
from wsac.io.files import write_csv, write_text
from wsac.training.recipe import Recipe

RATE = 16_000
ODD = os.fsdecode(b"\xe9")
SHOWN = ascii(ODD)[1:-1]  # \\udce9, as in JSON


@pytest.fixture
def folder(captions, captioner, tmp_path):
    """Four sounds in a folder whose name and one of whose files are not UTF-8."""
    sounds = tmp_path / f"sounds {ODD}"
    sounds.mkdir()
    for i, name in enumerate((ODD, "1", "2", "3")):
        with (sounds / f"{name}.wav").open("wb") as file:
            tone = 0.1 * np.sin(np.arange(RATE) / (2 + i))
            soundfile.write(file, tone, RATE, format="WAV")
    (tmp_path / "captions.txt").write_text("\n".join(captions) + "\n")
    captioner.save(tmp_path / "run")
    return tmp_path


@pytest.mark.slow
def test_the_page_of_the_gap_shows_them(folder, run, clap_folder):
    sounds, page = folder / f"sounds {ODD}", folder / "gap.html"
    words = ("--audio", sounds, "--captions", folder / "captions.txt", "--clap", clap_folder)
    code, _, err = run("gap", *words, "-o", page)
    assert code == 0, err
    assert f"<td>{SHOWN}.wav" in page.read_text(encoding="utf-8")


@pytest.mark.slow
def test_an_evaluation_and_its_page_keep_them(folder, run, captions):
    sounds, scores = folder / f"sounds {ODD}", folder / "scores.json"
    names = [f"{name}.wav" for name in (ODD, "1", "2", "3")]
    references = [{"file_name": name, "caption": captions[0]} for name in names]
    (folder / "r.json").write_text(json.dumps(references))
    words = ("-c", folder / "r.json", "-r", folder / "r.json", "--metrics", "bleu_1")
    code, _, err = run("evaluate", *words, "--audio", sounds, "-o", scores)
    assert code == 0, err
    assert [item.id for item in load(scores).items] == names
    assert [item.audio for item in load(scores).items] == [str(sounds / name) for name in names]
    code, _, err = run("report", scores, "-o", folder / "page.html")
    assert code == 0, err
    data = folder / f"data {ODD}"
    shutil.copytree(sounds, data)
    rows = "".join(f"{i}.wav,{captions[i]}\n" for i in (1, 2, 3))
    (data / "captions.csv").write_text(f"file_name,caption\n{rows}")
    words = ("--model", folder / "run", "--dataset", "folder", "--root", data)
    code, _, err = run("evaluate", *words, "--metrics", "bleu_1", "-o", scores)
    assert code == 0, err
    assert load(scores).about["root"] == str(data)
    assert run("report", scores, "-o", folder / "page.html")[0] == 0
    assert f"root {folder}/data {SHOWN}" in (folder / "page.html").read_text(encoding="utf-8")


def test_a_recipe_refuses_them_before_anything_is_made(folder, run, clap_folder):
    odd = folder / f"caps{ODD}"
    odd.mkdir()
    shutil.copy(folder / "captions.txt", odd)
    out = folder / "trained"
    words = ("--clap", clap_folder, "--out", out)
    code, _, err = run("train", "-c", odd / "captions.txt", *words)
    assert (code, len(err.splitlines())) == (1, 1)
    assert "corpus.captions" in err
    assert "is not UTF-8, as a recipe is; rename the file or folder" in err
    assert not out.exists()
    for key in ("clap", "bridge.gap", "prompt.labels"):
        with pytest.raises(RecipeError, match="not UTF-8"):
            load_recipe(Recipe, overrides={key: ODD})


@pytest.mark.slow
def test_labels_and_texts_have_to_be_utf8(clap, folder, run):
    with pytest.raises(RecipeError, match="not UTF-8 text"):
        Tagger(clap, [f"dog {ODD}", "rain"])
    sound = folder / f"sounds {ODD}" / "1.wav"
    for words in (
        ("tag", sound, "--labels", f"dog {ODD},x"),
        ("clap", "embed", "pocket", "--text", ODD),
    ):
        code, out, err = run(*words)
        assert (code, out, len(err.splitlines())) == (1, "", 1)
        assert f"{SHOWN}" in err
        assert "not UTF-8 text" in err


@pytest.mark.parametrize("name", [ODD, "\ud83d"])
def test_clips_of_a_corpus_keep_them(run, tmp_path, name):
    (tmp_path / "c.json").write_text(json.dumps({f"{name}.wav": "a dog"}))
    code, _, err = run("corpus", tmp_path / "c.json", "-o", tmp_path / "out.jsonl")
    assert code == 0, err
    examples = merge(tmp_path / "out.jsonl").examples
    assert [(row.caption, row.clip) for row in examples] == [("a dog", f"{name}.wav")]


def test_text_that_utf8_cannot_hold_is_one_line(tmp_path):
    for write in (
        lambda: write_text(tmp_path / "a", f"name {ODD}"),
        lambda: write_csv(tmp_path / "a", ["a"], [["\ud83d"]]),
    ):
        with pytest.raises(WsacError, match="which is not UTF-8; rename"):
            write()
    assert not any(tmp_path.iterdir())
