"""wsac evaluate, compare and metrics as people use them."""

from __future__ import annotations

import csv
import json
import sys

import numpy as np
import pytest
import soundfile
import torch

from wsac.evaluation import METRICS
from wsac.types import ModelError


@pytest.fixture
def files(tmp_path, captions):
    """references.csv of 40 sounds, good.csv with captions near them, poor.csv of other sounds."""

    def write(name, header, rows):
        with (tmp_path / name).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *rows])

    def rows(shift, column):
        return [(f"{i}.wav", captions[(5 * i + shift) % 200 + column]) for i in range(40)]

    wide = [(f"{i}.wav", *captions[5 * i : 5 * i + 5]) for i in range(40)]
    write("references.csv", ["file_name", *(f"caption_{n}" for n in range(1, 6))], wide)
    write("good.csv", ["file", "caption"], [(name, text + " nearby") for name, text in rows(0, 0)])
    write("poor.csv", ["file", "caption"], rows(60, 2))
    return tmp_path


def evaluate(run, files, name, *words):
    return run("evaluate", "-c", files / f"{name}.csv", "-r", files / "references.csv", *words)


def test_evaluate_as_table(run, files):
    code, out, err = evaluate(run, files, "good")
    assert code == 0
    for word in ("bleu_4", "cider_d", "self_bleu", " to ", "95 % interval"):
        assert word in out
    assert "40 clips with 5 references each" in err
    assert "CIDEr-D uses the document frequencies" in err
    assert "CIDEr " not in out
    assert "cider " not in out


def test_evaluate_as_json_and_to_a_file(run, files):
    code, out, _ = evaluate(
        run, files, "good", "--metrics", "rouge_l,vocabulary", "--json", "-o", files / "a.json"
    )
    value = json.loads(out)
    assert code == 0
    assert value == json.loads((files / "a.json").read_text(encoding="utf-8"))
    assert list(value["metrics"]) == ["rouge_l", "vocabulary"]
    low, high = value["metrics"]["rouge_l"]["interval"]
    single = [row["rouge_l"] for row in value["per_item"]]
    assert low < value["metrics"]["rouge_l"]["value"] < high
    assert value["metrics"]["rouge_l"]["value"] == pytest.approx(np.mean(single))
    assert len(single) == 40
    assert value["metrics"]["vocabulary"]["interval"] is None
    assert (
        evaluate(run, files, "good", "--metrics", "rouge_l,vocabulary", "--json")[1] == out
    )  # seeded


def test_evaluate_without_references(run, files):
    (files / "training.txt").write_text("A dog barks\n", encoding="utf-8")
    code, out, err = run(
        "evaluate", "-c", files / "good.csv", "--training-text", files / "training.txt"
    )
    assert code == 0
    assert "novelty" in out
    assert "length" in out
    assert (
        "not computed: clapscore, retrieval_r1, retrieval_r10, retrieval_mrr: needs the sounds"
        in err
    )
    code, out, err = run("evaluate", "-c", files / "good.csv", "--metrics", "fast")
    assert (code, out) == (1, "")
    assert "give --references FILE" in err


def test_evaluate_says_what_is_missing_and_goes_on(run, files, monkeypatch):
    monkeypatch.setenv("WSAC_DATA", str(files / "none"))
    monkeypatch.setitem(sys.modules, "pycocoevalcap", None)  # as if it were not installed
    code, out, err = evaluate(run, files, "good", "--metrics", "classic")
    assert code == 0
    assert "cider_d" in out
    assert "spider" not in out
    lines = err.strip().splitlines()
    assert [line for line in lines if line.startswith("not computed: meteor: ")]
    assert [
        line
        for line in lines
        if line.startswith("not computed: spice, spider: SPICE is not installed: wsac metrics")
    ]
    code, out, err = evaluate(run, files, "good", "--metrics", "fast,spider")
    assert (code, out) == (1, "")
    assert "spider: SPICE is not installed" in err


def test_skipped_rows_are_counted_and_kept_with_the_figures(run, files):
    with (files / "good.csv").open("a", encoding="utf-8") as file:
        file.write("x.wav,\n39.wav,twice\n")
    code, out, err = evaluate(run, files, "good")
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    assert "an empty caption: line 42" in err
    assert "--skip-invalid" in err
    code, out, err = evaluate(run, files, "good", "--skip-invalid", "--json")
    value = json.loads(out)
    assert code == 0
    assert value["items"] == 39
    assert sum(value["skipped"].values()) == 3
    assert "left out: " in err


def test_compare_without_a_file(run, files):
    code, _, err = run("compare", files / "none.json", files / "good.csv")
    assert (code, err) == (1, f"error: {files / 'none.json'}: not found; check the path\n")


@pytest.mark.slow
def test_compare_two_evaluations(run, files):
    for name in ("good", "poor"):
        assert evaluate(run, files, name, "-o", files / f"{name}.json")[0] == 0
    code, out, err = run("compare", files / "good.json", files / "poor.json", "--json")
    value = json.loads(out)
    rows = {row["name"]: row for row in value["comparisons"]}
    assert code == 0
    assert list(rows) == ["bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l", "cider_d", "length"]
    assert rows["cider_d"]["difference"] < 0
    assert rows["cider_d"]["low"] < rows["cider_d"]["difference"] < rows["cider_d"]["high"] < 0
    assert rows["cider_d"]["p"] < 0.001
    assert rows["cider_d"]["effect"] < -0.5
    assert "vocabulary: not compared" in err
    code, out, _ = run("compare", files / "good.json", files / "poor.json")
    assert code == 0
    assert "Cohen's d" in out
    code, again, _ = run(
        "compare", files / "good.csv", files / "poor.csv", "-r", files / "references.csv", "--json"
    )
    assert json.loads(again)["comparisons"] == value["comparisons"]


@pytest.mark.slow
def test_the_order_of_the_rows_does_not_matter(run, files):
    header, *lines = (files / "poor.csv").read_text(encoding="utf-8").splitlines()
    (files / "turned.csv").write_text("\n".join([header, *lines[::-1]]) + "\n", encoding="utf-8")
    for name in ("good", "poor", "turned"):
        evaluate(run, files, name, "-o", files / f"{name}.json")
    straight, turned = (
        run("compare", files / "good.json", files / f"{name}.json", "--json")
        for name in ("poor", "turned")
    )
    for a, b in zip(
        *(json.loads(out)["comparisons"] for _, out, _ in (straight, turned)), strict=True
    ):
        assert a.pop("name") == b.pop("name")
        assert a == pytest.approx(b, abs=1e-9)


@pytest.mark.slow
def test_compare_refuses_other_references(run, files):
    evaluate(run, files, "good", "-o", files / "good.json")
    references = (files / "references.csv").read_text(encoding="utf-8")
    (files / "references.csv").write_text(references.replace(" ", " loudly ", 1), encoding="utf-8")
    evaluate(run, files, "poor", "-o", files / "poor.json")
    code, out, err = run("compare", files / "good.json", files / "poor.json")
    assert (code, out) == (1, "")
    assert "the same sounds have other references; evaluate both" in err
    evaluate(run, files, "poor", "--skip-invalid", "-o", files / "poor.json")
    (files / "references.csv").write_text(references.replace("39.wav", "x.wav"), encoding="utf-8")
    evaluate(run, files, "poor", "--skip-invalid", "-o", files / "poor.json")
    code, out, err = run("compare", files / "good.json", files / "poor.json")
    assert (code, out) == (1, "")
    assert "1 sounds are in only one of them, such as '39.wav'" in err


def test_compare_does_not_mix_metrics_of_other_models(run, files):
    for name in ("good", "poor"):
        evaluate(run, files, name, "--metrics", "rouge_l,cider_d", "-o", files / f"{name}.json")
    value = json.loads((files / "poor.json").read_text(encoding="utf-8"))
    value["metrics"]["cider_d"]["note"] = "of another model"
    for key in ("checksums", "checksum"):  # as an older wsac wrote it
        del value[key]
    (files / "poor.json").write_text(json.dumps(value), encoding="utf-8")
    code, out, err = run("compare", files / "good.json", files / "poor.json", "--json")
    assert code == 0
    assert [row["name"] for row in json.loads(out)["comparisons"]] == ["rouge_l"]
    assert "cider_d: not compared, as it is not the same metric" in err


@pytest.mark.slow
@pytest.mark.parametrize("change", ["value", "item", "candidate", "name", "checksum"])
def test_an_evaluation_with_a_changed_figure_is_refused(run, files, change):
    for name in ("good", "poor"):
        evaluate(run, files, name, "--metrics", "rouge_l", "-o", files / f"{name}.json")
    value = json.loads((files / "poor.json").read_text(encoding="utf-8"))
    if change == "value":
        value["metrics"]["rouge_l"]["value"] = 0.1
    elif change == "item":
        value["per_item"][7]["rouge_l"] = 0.1
    elif change == "candidate":
        value["per_item"][7]["candidate"] += "!"
    else:
        key = {"name": "per_item", "checksum": "checksum"}[change]
        value[key + "s" if change == "name" else "checksun"] = value.pop(key)
    (files / "poor.json").write_text(json.dumps(value), encoding="utf-8")
    for words in (["compare", files / "good.json"], ["report", "-o", files / "page.html"]):
        code, out, err = run(*words, files / "poor.json")
        assert (code, out) == (1, "")
        assert "poor.json: damaged or changed by hand; restore it" in err
        assert len(err.strip().splitlines()) == 1
    assert not (files / "page.html").exists()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("{}", "call it file_name"),  # neither an evaluation nor a table of captions
        ("[1]", "call it file_name"),
        ('{"per_item": [', "not valid JSON"),
        ('{"per_item": [], "digest": "x", "format": 9}', "format 9"),
        ('{"per_item": [{}], "digest": "x", "format": 1, "metrics": {}}', "not a whole evaluation"),
        (
            '{"per_item": [], "digest": "x", "format": 1, "metrics": {"a": {"value": 1}}}',
            "not a whole evaluation",
        ),
    ],
)
def test_compare_wants_whole_evaluations(run, tmp_path, content, what):
    (tmp_path / "a.json").write_text(content, encoding="utf-8")
    code, out, err = run("compare", tmp_path / "a.json", tmp_path / "a.json")
    assert (code, out) == (1, "")
    assert what in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.slow
def test_wrong_usage(run, files):
    for words, what in (
        (["evaluate", "-c", files / "good.csv", "--metrics", "cider"], "only CIDEr-D: cider_d"),
        (["evaluate", "-c", files / "good.csv", "--metrics", ""], "no metric"),
        (["evaluate", "-c", files / "none.csv"], "not found"),
        (["evaluate", "-c", files / "good.csv", "--audio", files / "nowhere"], "no such folder"),
        (
            ["compare", files / "good.csv", files / "poor.csv", "--metrics", "cider_d"],
            "give --references FILE",
        ),
    ):
        code, out, err = run(*words)
        assert (code, out) == (1, "")
        assert what in err
        assert len(err.strip().splitlines()) == 1


@pytest.mark.slow
def test_compare_without_references(run, files):
    code, out, _ = run(
        "compare", files / "good.csv", files / "poor.csv", "--metrics", "length", "--json"
    )
    assert code == 0
    assert [row["name"] for row in json.loads(out)["comparisons"]] == ["length"]
    assert evaluate(run, files, "good", "-o", files / "a.json")[0] == 0
    for words, what in (
        (
            (files / "a.json", files / "poor.csv"),
            "poor.csv: captions, but the other file is an evaluation",
        ),
        (
            (files / "a.json", files / "a.json", "--metrics", "fast"),
            "leave --references and --metrics out",
        ),
        ((files / "a.json", files / "none.json"), "none.json"),
    ):
        code, out, err = run("compare", *words)
        assert (code, out) == (1, "")
        assert what in err


@pytest.mark.slow
def test_sounds_are_found_by_the_names_of_the_candidates(run, files):
    """The references name the clips without their folder."""
    (files / "sounds").mkdir()
    for i in range(40):
        soundfile.write(
            files / "sounds" / f"{i}.wav", 0.1 * np.sin(np.arange(8000) / (2 + i)), 16000
        )
    text = (
        (files / "good.csv")
        .read_text(encoding="utf-8")
        .replace("\n", f"\n{files}/sounds/")
        .removesuffix(f"{files}/sounds/")
    )
    (files / "long.csv").write_text(text, encoding="utf-8")
    code, out, _ = evaluate(run, files, "long", "--metrics", "clapscore,rouge_l", "--json")
    assert code == 0
    assert "clapscore" in json.loads(out)["metrics"]


def test_list_of_metrics(run):
    code, out, _ = run("metrics", "list", "--json")
    assert code == 0
    assert [row["name"] for row in json.loads(out)] == list(METRICS)
    assert "spider_fl" in run("metrics", "list")[1]


class _Model:
    """A sentence encoder and an error detector that know two words."""

    name = "stand-in"

    def embed(self, texts):
        rows = torch.tensor([[1.0, text.count(" a "), text.count("the")] for text in texts])
        return torch.nn.functional.normalize(rows, dim=-1)

    def probabilities(self, captions):
        return np.array([[0.0, float("nearby" in caption)] for caption in captions])


@pytest.mark.slow
def test_metrics_by_models(run, files, monkeypatch):
    asked = []

    def model(name, **options):
        asked.append((name, options["offline"]))
        return _Model()

    monkeypatch.setattr("wsac.evaluation.metrics.model.encoders.load_encoder", model)
    monkeypatch.setattr("wsac.evaluation.metrics.model.fluency.load_checker", model)
    code, out, _ = evaluate(
        run, files, "good", "--metrics", "fense", "--encoder", "mine", "--offline", "--json"
    )
    value = json.loads(out)["metrics"]
    assert code == 0
    assert list(value) == ["fense"]
    assert value["fense"]["note"] == "stand-in, stand-in"
    assert asked[0] == ("mine", True)
    monkeypatch.setenv("WSAC_DATA", str(files / "none"))
    code, out, _ = evaluate(run, files, "good", "--metrics", "dcase2024", "--json")
    value = json.loads(out)
    assert {"fense", "sbert_sim", "fer", "cider_d", "vocabulary"} <= set(value["metrics"])
    assert {"spice", "spider", "spider_fl"} <= set(value["missing"])
    assert value["metrics"]["fer"]["value"] == 1
    assert value["metrics"]["fense"]["value"] == pytest.approx(
        0.1 * value["metrics"]["sbert_sim"]["value"]
    )


@pytest.mark.slow
def test_models_that_cannot_be_had(run, files, monkeypatch):
    """The usual one is missing from a set; one that was chosen is an error."""

    def model(name, **options):
        raise ModelError(f"{name}: not in the cache")

    monkeypatch.setattr("wsac.evaluation.metrics.model.encoders.load_encoder", model)
    monkeypatch.setattr("wsac.evaluation.metrics.model.fluency.load_checker", model)
    code, out, err = evaluate(run, files, "good", "--metrics", "dcase2024")
    assert code == 0
    assert "cider_d" in out
    assert "not computed: fense, sbert_sim: sentence-transformers/" in err
    assert "not computed: fer: " in err
    for words in (["dcase2024", "--encoder", "mine"], ["sbert_sim"]):
        code, out, err = evaluate(run, files, "good", "--metrics", *words)
        assert (code, out) == (1, "")
        assert "not in the cache" in err


def test_clapscore_hears_the_folder(run, tmp_path, clap_folder):
    for name in ("a.wav", "b.wav"):
        soundfile.write(
            tmp_path / name, np.random.default_rng(len(name)).normal(0, 0.1, 8000), 16_000
        )
    (tmp_path / "c.csv").write_text(
        "file,caption\na.wav,A dog\nb.wav,Rain falls\n", encoding="utf-8"
    )
    code, out, _ = run(
        "evaluate", "-c", tmp_path / "c.csv", "--audio", tmp_path, "--clap", clap_folder, "--json"
    )
    value = json.loads(out)
    assert code == 0
    assert -1 <= value["metrics"]["clapscore"]["value"] <= 1
    assert value["metrics"]["clapscore"]["note"]
    assert value["metrics"]["retrieval_r10"]["value"] == 1
    assert list(value["missing"]) == ["novelty"]
