"""The gap measured, the choice without labels, the benchmark's table, and the command line of all three."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from wsac.bridges import KINDS
from wsac.bridges.gap import Gap, fit_gap
from wsac.evaluation.benchmark.benchmark_data import judge_scenes, prepare
from wsac.evaluation.benchmark.benchmark_recipe import BenchmarkRecipe, DataOptions
from wsac.evaluation.benchmark.run import run_benchmark
from wsac.evaluation.benchmark.table import to_markdown
from wsac.evaluation.gap_report import effective_rank, measure_gap, principal_angles
from wsac.evaluation.metrics.items import MissingError, Score
from wsac.evaluation.tune import Trial, at_fault, best_run, cycle_score, margin, tune, tune_runs
from wsac.inference.caption_options import CaptionOptions
from wsac.inference.captioner import Captioner
from wsac.io.config import load_recipe, save_recipe
from wsac.training.recipe import Recipe
from wsac.types import AudioError, CorpusError, RecipeError

RATE = 16_000
RECIPES = Path(__file__).parents[2] / "src" / "wsac" / "recipes"


def unit(rows, seed, dim=16, offset=0.0):
    return F.normalize(
        torch.randn(rows, dim, generator=torch.Generator().manual_seed(seed)) + offset, dim=-1
    )


# -- the gap ----------------------------------------------------------------------------------------------------------
def test_figures_of_known_clouds():
    assert effective_rank(torch.eye(5)) == pytest.approx(5)
    assert effective_rank(torch.diag(torch.tensor([1.0, 0, 0]))) == pytest.approx(1)
    one, other = torch.diag(torch.tensor([3.0, 2, 0, 0])), torch.diag(torch.tensor([0.0, 0, 3, 2]))
    assert principal_angles(one, one, 2) == pytest.approx([0, 0], abs=1e-3)
    assert principal_angles(one, other, 2) == pytest.approx([90, 90])


def test_bridges_close_a_gap_that_is_a_shift():
    text = unit(300, 1)
    audio = F.normalize(
        text + 0.4 + 0.05 * torch.randn(300, 16, generator=torch.Generator().manual_seed(2)), dim=-1
    )
    found = measure_gap(text, audio, fit_gap(text, audio, paired=True), paired=True)
    assert found["distance"] > 0.5
    assert found["cosines"]["pairs"]["mean"] < 0.9
    bridges = found["bridges"]
    assert {"ad", "shift", "coral", "procrustes", "pls", "pd", "nnd"} <= bridges.keys()
    assert bridges["ad"]["distance"] == pytest.approx(found["distance"], abs=1e-5)
    assert bridges["shift"]["distance"] < 0.2 < bridges["ad"]["distance"]
    assert bridges["shift"]["cosine"] > bridges["ad"]["cosine"]
    assert bridges["nnd"]["nearest"] == pytest.approx(1, abs=1e-5)
    assert 0 <= bridges["ad"]["R@1"] <= bridges["ad"]["R@10"] <= 1
    unpaired = measure_gap(text, audio, fit_gap(text, audio))
    assert "pls" not in unpaired["bridges"]
    assert "R@1" not in unpaired["bridges"]["ad"]


@pytest.fixture
def folder(captioner, captions, tmp_path):
    """Twelve tones, captions of them, pairs, and a captioner."""
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    rng = np.random.default_rng(0)
    with (tmp_path / "pairs.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("audio", "caption"))
        for i in range(12):
            sound = 0.1 * np.sin(np.arange(RATE) / (2 + i)) + 0.01 * rng.standard_normal(RATE)
            soundfile.write(sounds / f"{i}.wav", sound, RATE)
            rows.writerow((f"sounds/{i}.wav", captions[i]))
    (tmp_path / "captions.txt").write_text("\n".join(captions) + "\n")
    captioner.save(tmp_path / "run")
    return tmp_path


def test_the_gap_is_measured_kept_and_used(folder, run, clap_folder):
    clap = ("--clap", clap_folder)
    page, kept = folder / "gap.html", folder / "gap.safetensors"
    command = ("gap", "--audio", folder / "sounds", "--captions", folder / "captions.txt", *clap)
    code, out, err = run(*command, "--save", kept, "-o", page)
    assert code == 0
    assert "distance of means" in out
    assert "12 sounds and" in err
    assert "nearest: mean cosine" in err
    assert "procrustes" in out
    text = page.read_text(encoding="utf-8")
    assert text.count("<img") == 2
    assert "Nearest captions" in text
    assert "://" not in text
    assert Gap.load(kept).pls_text is None
    code, out, _ = run(
        "caption",
        folder / "sounds" / "0.wav",
        "--model",
        folder / "run",
        "--gap",
        kept,
        "--bridge",
        "shift+pd",
        "--json",
    )
    assert code == 0
    assert json.loads(out)[0]["caption"]
    assert "fitted on these very pairs" in run("gap", "--pairs", folder / "pairs.csv", *clap)[2]
    code, out, _ = run("gap", "--pairs", folder / "pairs.csv", *clap, "--save", kept, "--json")
    assert code == 0
    assert "R@1" in json.loads(out)["bridges"]["pls"]
    (folder / "short.csv").write_text(
        f"audio,caption\n{folder}/./sounds/1.wav,a tone\n{folder}/sounds/2.wav\n"
    )
    code, _, err = run("gap", "--pairs", folder / "short.csv", *clap)
    assert code == 1
    assert "short.csv, line 3: audio or caption is empty" in err
    assert Gap.load(kept).pls_text is not None
    for words, message in (
        (("gap", "--audio", folder / "sounds", *clap), "give --audio FOLDER and --captions FILE"),
        (
            ("gap", "--pairs", folder / "pairs.csv", "--audio", "x", *clap),
            "leave --audio and --captions out",
        ),
        (
            (
                "caption",
                folder / "sounds" / "0.wav",
                "--model",
                folder / "run",
                "--bridge",
                "shift",
            ),
            "wsac gap --save",
        ),
    ):
        code, out, err = run(*words)
        assert (code, out) == (1, "")
        assert message in err


def test_all_bridges_are_listed(run):
    code, out, _ = run("bridges")
    assert code == 0
    for word in ("procrustes", "temperature=0.01", "variance=0.001", "needs pairs"):
        assert word in out
    rows = json.loads(run("bridges", "--json")[1])
    assert {
        "stage": "inference",
        "name": "topk",
        "options": {"k": 5},
        "pairs": False,
    }.items() <= next(row for row in rows if row["name"] == "topk").items()


# -- the choice without labels ---------------------------------------------------------------------------------------
def test_the_cycle_by_hand():
    texts, sounds = unit(5, 1), unit(5, 2)
    logits = (texts @ sounds.T / 0.1).double()
    expected = float((logits.diagonal() - logits.logsumexp(1)).mean())
    assert cycle_score(texts, sounds, 0.1) == pytest.approx(expected, abs=1e-5)
    assert cycle_score(sounds, sounds, 0.01) > -0.01


@pytest.mark.parametrize(
    ("caption", "fault"),
    [
        ("A dog barks", False),
        ("Rain", True),
        (" ".join(["word"] * 31), True),
        ("a dog barks and a dog barks and", True),
        ("A dog barks and a cat barks", False),
    ],
)
def test_what_is_no_caption(caption, fault):
    assert at_fault(caption) == fault


def test_tuning_tries_bridges_variants_and_decoding(captioner):
    names = [f"{a} {b}" for a in ("a dog", "rain", "a bell", "wind") for b in ("x", "y", "z")]
    sounds = captioner.clap.embed_text(names)
    trials = tune(captioner, sounds, bridges=("ad", "topk:k=200"))
    assert {"pd", "ad", "topk:k=200"} <= {trial.options.bridge for trial in trials}
    assert {trial.options.choose for trial in trials} == {"", "mbr", "clap"}
    assert 1 in {trial.options.generation.beam_size for trial in trials}
    assert all(len(trial.captions) == 12 and trial.cycle < 0 for trial in trials)
    with pytest.raises(AudioError, match="give ten or more"):
        tune(captioner, sounds[:5])
    with pytest.raises(RecipeError, match="unknown"):
        tune(captioner, sounds, bridges=("magic",))


def test_the_best_has_the_largest_cycle_of_those_that_are_sentences(captioner, monkeypatch):
    """ad finds its sounds best, but half of its captions are stumps; variants of the best are tried then. A choice must
    gain a little in the CLAP's own eyes, another search much: 0.015 and 0.04 log 12 are 0.04 and 0.10."""
    gains = {"mbr": 0.03, "clap": 0.06, "samples": 0.14, "greedy": 0.08}
    figures = {
        "pd": (-2.0, 0.0),
        "ad": (-0.5, 0.5),
        "topk": (-1.5, 0.02),
        "topk:k=10": (-1.2, 0.03),
    }

    def trial(_, options, sounds):
        cycle, faults = figures.get(options.bridge, (-3.0, 0.0))
        way = (
            "samples"
            if options.samples
            else "greedy"
            if options.generation.beam_size == 1
            else options.choose
        )
        doubted = margin(options, len(sounds))
        return Trial(
            options,
            cycle + gains.get(way, 0.0),
            doubted,
            faults,
            1.0,
            ("a dog barks",) * len(sounds),
        )

    captioner = captioner.with_options(beam_size=4)

    def best():
        return tune(captioner, unit(12, 1), bridges=("ad", "topk"))[0].options

    monkeypatch.setattr("wsac.evaluation.tune._trial", trial)
    found, *others = tune(captioner, unit(12, 1), bridges=("ad", "topk"))
    assert (found.options.bridge, found.options.choose, found.options.samples) == (
        "topk:k=10",
        "clap",
        16,
    )
    assert others[0].options.bridge == "ad"  # shown, though not chosen
    assert {"topk:k=2", "topk:k=20"} <= {other.options.bridge for other in others}
    gains["samples"] = 0.11  # less than the margin above the choice within the beam
    assert (best().choose, best().samples) == ("clap", 0)
    gains |= {"clap": 0.03, "samples": 0.09}
    assert (best().choose, best().samples) == ("", 0)
    assert best().generation == captioner.options.generation


def test_what_was_written_before_is_chosen_anew(captioner):
    """A captioner that samples is tuned from a plain beam, so runs compare whatever was made usual in them."""
    sounds = captioner.clap.embed_text(
        [f"{a} {b}" for a in ("a dog", "rain", "a bell", "wind") for b in ("x", "y", "z")]
    )
    plain = captioner.with_options(beam_size=4)
    drawn = captioner.with_options(samples=4, choose="clap", bridge="nnd", groups=2, beam_size=2)
    first, second = tune_runs([plain, drawn], sounds, bridges=("ad", "nnd"))
    again, _ = tune_runs([drawn, plain], sounds, bridges=("ad", "nnd"))
    assert {trial.options for trial in second} == {trial.options for trial in again}
    assert drawn.options in {trial.options for trial in second}
    beams = [{t.options for t in trials if not t.options.samples} for trials in (first, second)]
    assert len(beams[0] & beams[1]) >= 2
    assert (
        len(
            {
                (t.options.generation.beam_size, t.options.samples)
                for t in second
                if t.options.samples
            }
        )
        == 2
    )  # 4 as given, 16
    with pytest.raises(RecipeError, match="seed -1"):
        captioner.with_options(seed=-1)


def test_a_beam_that_is_named_is_searched_though_the_captioner_samples(captioner, folder, run):
    captioner.with_options(samples=4, choose="clap").save(folder / "drawn")
    command = ("caption", folder / "sounds" / "3.wav", "--model", folder / "drawn", "--json")
    drawn, greedy, plain = (
        json.loads(run(*command, *more)[1])[0]
        for more in ((), ("--beam", 1), ("--beam", 1, "--samples", 0))
    )
    assert greedy == plain != drawn
    code, _, err = run(*command, "--beam", 1, "--samples", 4, "--choose", "mbr")
    assert code == 1
    assert "give one of them" in err


def test_tune_writes_what_it_chose(folder, run):
    command = (
        "tune",
        "--model",
        folder / "run",
        "--audio",
        folder / "sounds",
        "--bridge",
        "ad",
        "--bridge",
        "nnd",
    )
    code, out, err = run(*command)
    assert code == 0
    assert "usual" in out
    assert "with 12 sounds chance has a say" in err
    before = Captioner.load(folder / "run").options
    code, out, _ = run(*command, "--write", "--json")
    assert code == 0
    best = json.loads(out)[0]["options"]
    after = Captioner.load(folder / "run").options
    assert best["bridge"] == after.bridge
    assert (after == before) == (
        best["bridge"] == before.bridge and best["beam_size"] == before.generation.beam_size
    )
    code, _, err = run("tune", "--audio", folder / "sounds", "--write")
    assert code == 1
    assert "the bundled captioner stays as it is" in err


def test_runs_compete_by_what_was_tried_with_all(captioner, folder, run):
    def trials(faults, **cycles):
        ways = {name: captioner.with_options(bridge=name).options for name in cycles}
        return [Trial(ways[name], cycle, 0.0, faults, 1.0, ()) for name, cycle in cycles.items()]

    one = trials(0.1, pd=-1.0, ad=-1.2)
    assert best_run([one, trials(0.1, pd=-0.9, ad=-1.1)]) == 1
    assert (
        best_run([one, trials(0.1, nnd=-0.1, pd=-1.1, ad=-1.2)]) == 0
    )  # what only one was tried with does not count
    assert best_run([one, trials(0.3, pd=-0.9, ad=-1.1)]) == 0  # worse sentences
    captioner.with_options(bridge="nnd").save(folder / "other")
    command = (
        "tune",
        "--model",
        folder / "run",
        "--model",
        folder / "other",
        "--audio",
        folder / "sounds",
        "--bridge",
        "ad",
    )
    code, out, err = run(*command, "--write")
    assert code == 0
    assert out.count("best") == 2  # a head and a mark
    assert f"best: {folder}" in err
    rows = json.loads(run(*command, "--json")[1])
    assert {row["model"] for row in rows} == {str(folder / "run"), str(folder / "other")}
    for name in ("run", "other"):
        best_one = next(row for row in rows if row["model"] == str(folder / name))
        assert Captioner.load(folder / name).options == CaptionOptions.make(**best_one["options"])
    code, _, err = run(*command, "--model", "pocket")
    assert code == 1
    assert "different CLAPs" in err


# -- the benchmark ----------------------------------------------------------------------------------------------------
def tiny(clap_folder, **changes):
    sizes = {
        "layers": 1,
        "heads": 2,
        "width": 16,
        "prefix_length": 2,
        "vocab_size": 400,
        "max_tokens": 16,
    }
    row = {"data": "world", "train": "", "infer": "ad"}
    values = {
        "clap": str(clap_folder),
        "seeds": [0, 1],
        "metrics": ["cider_d", "bleu_1", "vocabulary"],
        "against": "supervised",
        "data": {"world": {"scenes": 12, "train_scenes": 20}},
        "rows": [
            {**row, "name": "supervised", "supervised": True},
            {**row, "name": "AD"},
            {**row, "name": "PD", "infer": "pd"},
            {**row, "name": "ES", "train": "shift+noise:variance=0.001"},
        ],
        "decoder": sizes,
        "training": {"epochs": 2, "batch_size": 16},
        **changes,
    }
    return load_recipe(BenchmarkRecipe, overrides=values)


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
    assert (tmp_path / "out" / "table.png").read_bytes().startswith(b"\x89PNG")
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "scores").iterdir()}
    assert len(stamps) == 8
    capsys.readouterr()
    run_benchmark(recipe, tmp_path / "out", device="cpu")
    assert {
        path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "scores").iterdir()
    } == stamps
    again = json.loads((tmp_path / "out" / "table.json").read_text())
    assert again == json.loads(json.dumps(table))


def test_a_recipe_is_written_as_it_was_read(clap_folder, tmp_path):
    recipe = tiny(clap_folder)
    save_recipe(recipe, tmp_path / "recipe.toml")
    assert load_recipe(BenchmarkRecipe, tmp_path / "recipe.toml") == recipe
    load_recipe(BenchmarkRecipe, RECIPES / "paper-table.toml")


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
        ({"rows": [{"name": "a", "data": "world", "inferr": "ad"}]}, "did you mean 'infer'"),
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


def test_a_metric_that_was_missing_is_computed_later(clap_folder, tmp_path, monkeypatch):
    rows = [{"name": "AD", "data": "world", "train": "", "infer": "ad"}]
    recipe = tiny(clap_folder, rows=rows, against="", metrics=["compact"])

    def no_program():
        raise MissingError("METEOR's program is not installed")

    with monkeypatch.context() as patch:
        patch.setattr("wsac.evaluation.metrics.java.meteor.find_jar", no_program)
        table = run_benchmark(recipe, tmp_path / "out")  # on whatever device there is
    assert "meteor" not in table["rows"][0]["metrics"]
    found = Score("meteor", 0.5, np.full(12, 0.5), pooled=np.ones((12, 23)))
    monkeypatch.setattr("wsac.evaluation.metrics.registry.meteor", lambda items, words: [found])
    monkeypatch.setattr(
        "wsac.evaluation.benchmark.run._captions", None
    )  # nothing is captioned again
    table = run_benchmark(recipe, tmp_path / "out")
    assert table["rows"][0]["metrics"]["meteor"]["value"] == 0.5


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
    """Its training embeddings are those of the sounds: a head for texts is refused, missing sounds are named."""
    from wsac.training.decoder import train
    from wsac.training.recipe import Recipe

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
    """docs/bridges.md: under 30 lines in one place, and it is in the list, the commands, recipes and the benchmark."""
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
