"""Recipes of the benchmark: what is refused before anything runs, and those of the datasets."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile

from miniatures.benchmark_recipes import tiny
from wsac.evaluation.benchmark.benchmark_data import prepare
from wsac.evaluation.benchmark.benchmark_recipe import BenchmarkRecipe, DataOptions
from wsac.evaluation.benchmark.run import run_benchmark
from wsac.io.config import load_recipe, save_recipe
from wsac.training.recipe import Recipe
from wsac.types import CorpusError, RecipeError

pytestmark = pytest.mark.slow

RATE = 16_000
RECIPES = Path(__file__).parents[2] / "src" / "wsac" / "recipes"


def test_a_recipe_is_written_as_it_was_read(clap_folder, tmp_path):
    recipe = tiny(clap_folder)
    save_recipe(recipe, tmp_path / "recipe.toml")
    assert load_recipe(BenchmarkRecipe, tmp_path / "recipe.toml") == recipe
    load_recipe(BenchmarkRecipe, RECIPES / "paper-table.toml")


def test_a_recipe_of_another_verb_and_a_dataset_without_a_place(tmp_path, run):
    save_recipe(Recipe(), tmp_path / "train.toml")
    for verb in ("benchmark", "train-clap"):
        code, _, err = run(
            verb,
            *(("--recipe",) if verb != "benchmark" else ()),
            tmp_path / "train.toml",
            "-o",
            tmp_path / "out",
        )
        assert code == 1
        assert f"a recipe of wsac train, not of wsac {verb}" in err
    (tmp_path / "clap.toml").write_text("pair = ['pairs.csv']\nseed = 1\n")
    code, _, err = run("train-clap", "--recipe", tmp_path / "clap.toml", "-o", tmp_path / "out")
    assert code == 1
    assert "unknown key 'pair'; did you mean 'pairs'" in err
    code, _, err = run("benchmark", RECIPES / "clotho.toml", "-o", tmp_path / "out")
    assert code == 1
    assert "Clotho: no such folder; say where it lies: --set data.clotho.root=FOLDER" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "'data' is missing; wsac's own recipes"),
        (b"\x80\xff", "not a text file; give a recipe"),
    ],
)
def test_what_is_no_benchmark_recipe(text, message, tmp_path, run):
    (tmp_path / "r.toml").write_bytes(text)
    code, _, err = run("benchmark", tmp_path / "r.toml", "-o", tmp_path / "out")
    assert code == 1
    assert message in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": [{"name": "a", "data": "mars"}]}, "no data 'mars'"),
        (
            {"rows": [{"name": "a", "data": "world", "infer": "magic"}]},
            "row 'a': bridge 'magic': unknown",
        ),
        ({"seeds": [-1]}, "seeds"),
        ({"training": {"seed": -1}}, "training.seed = -1"),
        (
            {"decoder": {"frozen": False}},
            "decoder: frozen is no option of a decoder of kind 'transformer'",
        ),
        ({"rows": [{"name": "a", "data": "world"}] * 2}, "twice"),
        ({"rows": [{"name": "a", "data": "world", "memory": "mars"}]}, "no data 'mars'"),
        ({"against": "nobody"}, "no row of this name"),
        ({"rows": [{"name": "a", "data": "world", "inferr": "ad"}]}, "did you mean 'rows.0.infer'"),
        ({"rows": []}, "rows"),
        ({"rows": [{"name": "a", "data": "world", "beam": 999}]}, "give a whole number from 1"),
        ({"rows": [{"name": "a", "data": "world", "samples": 4}]}, "no way to choose"),
        (
            {
                "rows": [{"name": "a", "data": "world", "supervised": True}],
                "data": {"world": {"sounds": False}},
            },
            "needs training sounds",
        ),
        (
            {
                "rows": [{"name": "a", "data": "world", "infer": "shift"}],
                "data": {"world": {"sounds": False}},
            },
            "needs training sounds",
        ),
    ],
)
def test_wrong_rows_are_known_before_anything_runs(changes, message, clap_folder, tmp_path):
    with pytest.raises(RecipeError, match=message):
        run_benchmark(tiny(clap_folder, **changes), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_is_not_tested_on_its_training_captions(folder, clap_folder):
    (folder / "sounds" / "captions.csv").write_text(
        "file_name,caption\n0.wav,a tone\n1.wav,a buzz\n"
    )
    options = DataOptions(kind="folder", root=str(folder / "sounds"))
    with pytest.raises(CorpusError, match=r"captions\.csv: the only captions of data 'mine'"):
        prepare("mine", options, folder / "data")
    for split in ("train", "test"):
        (folder / "sounds" / f"{split}.csv").write_text(
            (folder / "sounds" / "captions.csv").read_text()
        )
    data = prepare("mine", options, folder / "data")
    assert data.captions == (str(folder / "sounds" / "train.csv"),)
    assert len(data.test) == 2


@pytest.fixture
def official(tmp_path, captions):
    """Miniatures of Clotho and AudioCaps as their archives unpack, in Clotho/ and AudioCaps/."""
    rng = np.random.default_rng(0)

    def sound(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * np.sin(np.arange(RATE) / rng.uniform(2, 20)), RATE)

    (tmp_path / "Clotho").mkdir()
    for split, first, count in (("development", 0, 8), ("evaluation", 40, 5)):
        with (tmp_path / "Clotho" / f"clotho_captions_{split}.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["file_name", *(f"caption_{n}" for n in range(1, 6))])
            for i in range(first // 5, first // 5 + count):
                rows.writerow([f"sound {i}.wav", *captions[5 * i : 5 * i + 5]])
                sound(tmp_path / "Clotho" / split / f"sound {i}.wav")
    (tmp_path / "AudioCaps").mkdir()
    for split, first, count in (("train", 100, 8), ("test", 140, 5)):
        with (tmp_path / "AudioCaps" / f"{split}.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["audiocap_id", "youtube_id", "start_time", "caption"])
            for i in range(first, first + count):
                rows.writerow([i, f"video{i:06d}", 10, captions[i]])
                sound(tmp_path / "AudioCaps" / split / f"video{i:06d}_10.wav")
    return tmp_path


@pytest.mark.parametrize("name", ["clotho", "audiocaps"])
def test_the_recipes_of_the_datasets_run(name, official, clap_folder):
    """Dry, with tiny models: every row of the recipe, on datasets in their official layouts."""
    changes = {
        "clap": str(clap_folder),
        "seeds": [0],
        "metrics": ["rouge_l", "cider_d"],
        "training.epochs": 1,
        "data.clotho.root": str(official / "Clotho"),
        "data.audiocaps.root": str(official / "AudioCaps"),
        f"data.{name}.scenes": 4,
        "decoder.layers": 1,
        "decoder.heads": 2,
        "decoder.width": 16,
        "decoder.vocab_size": 400,
        "decoder.max_tokens": 12,
    }
    recipe = load_recipe(BenchmarkRecipe, RECIPES / f"{name}.toml", changes)
    table = run_benchmark(recipe, official / "out", device="cpu")
    assert len(table["rows"]) == len(recipe.rows) == 13
    assert all(np.isfinite(row["metrics"]["rouge_l"]["value"]) for row in table["rows"])
    crossed = [row for row in table["rows"] if row["train_on"]]
    assert [row["memory"] for row in crossed] == ["", name]
