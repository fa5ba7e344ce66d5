"""The modality gap measured, and the command line of gap and bridges."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from miniatures.unit_embeddings import unit
from wsac.bridges.gap import Gap, fit_gap
from wsac.evaluation.gap_report import effective_rank, measure_gap, principal_angles

RATE = 16_000
RECIPES = Path(__file__).parents[2] / "src" / "wsac" / "recipes"


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


@pytest.mark.slow
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
    assert "short.csv: line 3: audio or caption is empty" in err
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
