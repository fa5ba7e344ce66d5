"""The benchmark: a table of rows and seeds, resumed, and judged."""

from __future__ import annotations

import json
import math
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from miniatures.benchmark_recipes import tiny
from wsac.bridges import KINDS
from wsac.evaluation.benchmark.benchmark_data import judge_scenes
from wsac.evaluation.benchmark.run import _stored, run_benchmark
from wsac.evaluation.benchmark.table import to_markdown
from wsac.evaluation.metrics.items import Score
from wsac.evaluation.metrics.registry import METRICS, Metric
from wsac.inference.captioner import Captioner
from wsac.io.checked_json import write_record
from wsac.io.config import load_recipe, save_recipe
from wsac.training.recipe import Recipe
from wsac.types import AudioError, RecipeError

pytestmark = pytest.mark.slow

RATE = 16_000
RECIPES = Path(__file__).parents[2] / "src" / "wsac" / "recipes"


def test_a_table_of_all_rows_and_seeds(clap_folder, tmp_path, capsys):
    recipe = tiny(clap_folder)
    table = run_benchmark(recipe, tmp_path / "out", device="cpu")
    assert [row["name"] for row in table["rows"]] == ["supervised", "AD", "PD", "ES"]
    for row in table["rows"]:
        assert {"cider_d", "bleu_1", "vocabulary", "event_f1", "order"} <= row["metrics"].keys()
        cell = row["metrics"]["cider_d"]
        assert cell["value"] == pytest.approx(np.mean(cell["seeds"]))
        assert len(cell["seeds"]) == 2
        low, high = cell["interval"]
        assert low <= cell["value"] <= high
        assert ("ratio" in cell) == (
            row["name"] != "supervised" and table["rows"][0]["metrics"]["cider_d"]["value"] > 0
        )
    runs = list((tmp_path / "out" / "runs").iterdir())
    assert (
        len(runs) == 6
    )  # supervised, text, text with shift: two seeds each; AD and PD share theirs
    page = to_markdown(table)
    assert page.count("\n") == 6
    assert "| world | PD | – | pd |" in page
    order = table["rows"][0]["metrics"]["order"]
    assert (
        0 <= order["interval"][0] <= order["interval"][1] <= 1
    )  # over the scenes that have an order
    spans = json.loads(next((tmp_path / "out" / "scores").iterdir()).read_text())["intervals"]
    assert set(spans) == {
        "bleu_1"
    }  # no mean over clips, so its interval is that of the pooled counts
    assert (tmp_path / "out" / "table.md").read_text() == page
    assert (tmp_path / "out" / "table.svg").read_text().startswith("<svg")
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "scores").iterdir()}
    assert len(stamps) == 8
    capsys.readouterr()
    run_benchmark(recipe, tmp_path / "out", device="cpu")
    assert {
        path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "scores").iterdir()
    } == stamps
    again = json.loads((tmp_path / "out" / "table.json").read_text())
    assert again == json.loads(json.dumps(table))


def test_the_folder_has_the_name_of_the_recipe_unless_given(
    clap_folder, tmp_path, monkeypatch, run
):
    monkeypatch.chdir(tmp_path)
    row = {"name": "AD", "data": "world", "infer": "ad", "train": ""}
    save_recipe(tiny(clap_folder, rows=[row], against="", seeds=[0]), tmp_path / "mine.toml")
    code, out, err = run("benchmark", "mine.toml")
    assert code == 0
    assert "runs/mine/table.md" in err
    assert out == (tmp_path / "runs" / "mine" / "table.md").read_text()


def test_a_table_of_another_recipe_is_not_overwritten_without_a_word(clap_folder, tmp_path, capsys):
    rows = [
        {"name": name, "data": "world", "infer": infer, "train": ""}
        for name, infer in (("AD", "ad"), ("PD", "pd"))
    ]
    for shown, said in ((rows[:1], False), (rows[:1], False), (rows, True)):
        table = run_benchmark(
            tiny(clap_folder, rows=shown, against="", seeds=[0]), tmp_path / "out"
        )
        assert [row["name"] for row in table["rows"]] == [row["name"] for row in shown]
        assert ("another recipe than before" in capsys.readouterr().err) == said


def test_damaged_scores_are_made_again(clap_folder, tmp_path, capsys, monkeypatch):
    rows = [
        {"name": name, "data": "world", "infer": infer, "train": ""}
        for name, infer in (("AD", "ad"), ("PD", "pd"))
    ]
    recipe = tiny(clap_folder, rows=rows, against="", seeds=[0])
    table = run_benchmark(recipe, tmp_path / "out", device="cpu")
    first, second = sorted((tmp_path / "out" / "scores").iterdir())
    right = first.read_text()
    digit = next(i for i in range(right.index('"values"'), len(right)) if right[i] in "12345678")
    for damaged, words in (
        (right[:digit] + chr(ord(right[digit]) + 1) + right[digit + 1 :], "damaged"),
        (right[: len(right) // 2], "damaged"),
        (json.dumps({"values": {}, "missing": {}}), "of an older wsac"),
        (second.read_text(), "scores of another row"),
    ):
        first.write_text(damaged)
        capsys.readouterr()
        assert run_benchmark(recipe, tmp_path / "out", device="cpu") == table
        assert re.search(f"note: .*{words}.*scored again", capsys.readouterr().err)
        assert first.read_text() == right


def test_a_value_that_is_not_a_number_stays_so(tmp_path):
    write_record(tmp_path / "x.json", {"row": 1, "values": {"a": float("nan"), "b": 2.0}})
    values = _stored(tmp_path / "x.json", {"row": 1})["values"]
    assert np.isnan(values["a"])
    assert values["b"] == 2.0


def test_a_metric_that_was_missing_is_computed_later(clap_folder, tmp_path, monkeypatch):
    rows = [{"name": "AD", "data": "world", "train": "", "infer": "ad"}]
    recipe = tiny(clap_folder, rows=rows, against="", metrics=["compact"])

    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "pycocoevalcap", None)  # as if it were not installed
        table = run_benchmark(recipe, tmp_path / "out")  # on whatever device there is
    assert "meteor" not in table["rows"][0]["metrics"]
    score = Score("meteor", 0.5, np.full(12, 0.5), pooled=np.ones((12, 23)))
    monkeypatch.setitem(METRICS, "meteor", Metric(lambda task: [score]))
    monkeypatch.setattr(Captioner, "caption_embeddings", None)  # nothing is captioned again
    table = run_benchmark(recipe, tmp_path / "out")
    assert table["rows"][0]["metrics"]["meteor"]["value"] == 0.5


def test_captions_of_scenes_are_judged():
    event = {"role": "event"}
    scenes = [
        {"form": "then", "events": [{"kind": "dog", **event}, {"kind": "birds", **event}]},
        {"form": "single", "events": [{"kind": "dog", **event}]},
        {"form": "then", "events": [{"kind": "dog", **event}, {"kind": "birds", **event}]},
        {"form": "then", "events": [{"kind": "dog", **event}, {"kind": "birds", **event}]},
    ]
    captions = [
        "A dog barks, then birds chirp",
        "A dog barks while birds chirp",
        "Birds chirp, then a dog barks",
        "A dog barks",
    ]
    judged = judge_scenes(scenes, captions)
    assert judged["event_f1"] == pytest.approx([1, 2 / 3, 1, 2 / 3])
    assert judged["order"] == [1.0, None, 0.0, 0.0]


def test_the_supervised_captioner_learns_from_sounds(folder, clap, clap_folder, tmp_path):
    """Its training embeddings are those of the sounds: a head for texts is refused."""
    from wsac.training.decoder import train

    sizes = {
        "decoder.layers": 1,
        "decoder.heads": 2,
        "decoder.width": 16,
        "decoder.vocab_size": 400,
    }
    common = {
        "clap": str(clap_folder),
        "corpus.pairs": [str(folder / "pairs.csv")],
        "training.epochs": 2,
        **sizes,
    }
    captioner = train(load_recipe(Recipe, overrides=common), tmp_path / "run1", device="cpu")
    assert captioner.caption(folder / "sounds" / "0.wav").text
    assert_close(
        captioner.memory.embeddings.norm(dim=1),
        torch.ones(len(captioner.memory)),
        rtol=0,
        atol=1e-3,
    )
    for changes, message in (
        ({"bridge.train": "shift"}, "wsac gap --save|is for texts"),
        ({"corpus.captions": [str(folder / "captions.txt")]}, "exclude each other"),
    ):
        with pytest.raises(RecipeError, match=message):
            train(load_recipe(Recipe, overrides=common | changes), tmp_path / "run2", device="cpu")
    (folder / "sounds" / "3.wav").unlink()
    with pytest.raises(AudioError, match=r"3\.wav"):
        train(load_recipe(Recipe, overrides=common), tmp_path / "run3", device="cpu")
    assert math.isfinite(captioner.caption(folder / "sounds" / "0.wav").logprob)


def test_a_bridge_of_ones_own_as_the_page_shows_it(clap_folder, folder, run, tmp_path, monkeypatch):
    """docs/bridges.md: under 30 lines, and it is in the list, the commands and the benchmark."""
    page = (Path(__file__).parents[2] / "docs" / "bridges.md").read_text(encoding="utf-8")
    code = (
        page.partition("## A bridge of your own")[2].partition("```python\n")[2].partition("```")[0]
    )
    shown = code[: code.index("texts = ")]
    assert len(shown.strip().splitlines()) < 30
    monkeypatch.setattr("wsac.bridges.bridge.KINDS", kinds := dict(KINDS))
    monkeypatch.setattr("wsac.bridges.KINDS", kinds)
    exec(compile(shown, "own.py", "exec", dont_inherit=True), {"__name__": "own"})
    _, out, _ = run("bridges", "--json")
    (listed,) = [row for row in json.loads(out) if row["name"] == "halfway"]
    assert listed["options"] == {"share": 0.5}
    assert listed["about"].startswith("norm((1 - share)")
    sound = folder / "sounds" / "0.wav"
    code, out, _ = run(
        "caption", sound, "--model", folder / "run", "--bridge", "halfway:share=1+pd", "--json"
    )
    assert code == 0
    assert json.loads(out)[0]["caption"]
    rows = [{"name": "own", "data": "world", "train": "", "infer": "halfway:share=0.3"}]
    table = run_benchmark(
        tiny(clap_folder, rows=rows, against="", seeds=[0]), tmp_path / "own", device="cpu"
    )
    assert table["rows"][0]["infer"] == "halfway:share=0.3"
