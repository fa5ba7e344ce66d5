"""What measures and chooses works without torch: scores, pages, the gap, tuning, calibration."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

MINE = """file_name,caption
sweep.wav,a tone rises
noise.wav,rain is falling
beeps.wav,an alarm beeps
"""
PEOPLE = """file_name,caption
sweep.wav,a tone rises slowly
noise.wav,rain falls on a roof
beeps.wav,an alarm beeps again
"""


def ended(done):
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def scenes(run, tmp_path_factory) -> Path:
    """A folder with the captions of ten scenes, and their sounds."""
    folder = tmp_path_factory.mktemp("scenes") / "world"
    words = ("--scenes", 10, "--seconds", 6, "--events", "1-1", "--rate", 8000)
    ended(run("soundworld", *words, "-o", folder))
    return folder


def test_scores_become_pages_and_comparisons(run, sounds, tmp_path):
    (tmp_path / "mine.csv").write_text(MINE, encoding="utf-8")
    (tmp_path / "people.csv").write_text(PEOPLE, encoding="utf-8")
    words = ("-c", "mine.csv", "-r", "people.csv", "--audio", sounds, "-o", "mine.json")
    ended(run("evaluate", *words, "--metrics", "bleu_1,cider_d,reference-free", cwd=tmp_path))
    scores = json.loads((tmp_path / "mine.json").read_text(encoding="utf-8"))
    assert {"bleu_1", "cider_d", "clapscore", "retrieval_r1"} <= scores["metrics"].keys()
    ended(run("report", "mine.json", "-o", "page.html", "--retrieve", "people.csv", cwd=tmp_path))
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("data:image/svg+xml;base64,") > 3
    assert "Near" in page
    done = run("compare", "mine.json", "mine.json", "--json", cwd=tmp_path)
    assert "cider_d" in ended(done).stdout


def test_the_gap_is_measured_drawn_saved_and_used(run, scenes, tmp_path):
    words = ("--audio", scenes, "--captions", next(scenes.glob("*.csv")))
    more = ("--save", "gap.safetensors", "-o", "gap.html", "--json")
    figures = json.loads(ended(run("gap", *words, *more, cwd=tmp_path)).stdout)
    assert 0 < figures["bridges"]["shift"]["distance"] < figures["distance"]
    assert "data:image/svg+xml;base64," in (tmp_path / "gap.html").read_text(encoding="utf-8")
    bridge = ("--bridge", "shift+pd", "--gap", "gap.safetensors")
    ended(run("caption", scenes / "00000.wav", *bridge, cwd=tmp_path))


def test_a_captioner_is_tuned_and_calibrated(run, scenes, tmp_path):
    code = "import wsac; wsac.Captioner.load().save('mine')"
    ended(run(code=code, cwd=tmp_path))
    words = ("--model", "mine", "--audio", scenes, "--bridge", "nnd", "--json")
    assert json.loads(ended(run("tune", *words, cwd=tmp_path)).stdout)
    rows = [f"{path},{'a*' if i % 2 else 'nothing'}" for i, path in enumerate(scenes.glob("*.wav"))]
    (tmp_path / "known.csv").write_text("\n".join(["audio,keywords", *rows]), encoding="utf-8")
    done = ended(run("calibrate", "mine", "--pairs", "known.csv", "--json", cwd=tmp_path))
    assert "threshold" in done.stdout


@pytest.mark.skipif(not find_spec("pyarrow"), reason="needs pyarrow: pip install 'wsac[archive]'")
def test_an_archive_has_pages_and_exports(run, sounds, tmp_path):
    ended(run("archive", "build", sounds, "--out", "archive", cwd=tmp_path))
    ended(run("archive", "stats", "archive", "--html", "stats.html", cwd=tmp_path))
    ended(run("search", "archive", "a beep", "--html", "results.html", cwd=tmp_path))
    for name in ("stats.html", "results.html"):
        page = (tmp_path / name).read_text(encoding="utf-8")
        assert "data:image/svg+xml;base64," in page
    words = ("--to", "csv", "--out", "rows.csv", "--min-confidence", 0)
    ended(run("archive", "export", "archive", *words, cwd=tmp_path))


@pytest.mark.parametrize(
    ("words", "shows"),
    [
        (("clap", "info", "pocket"), "embed dim"),
        (("clap", "embed", "pocket", "--text", "rain", "--audio", "noise.wav"), "1.000"),
        (("corpus", "people.csv", "-o", "corpus.jsonl"), "captions kept"),
    ],
    ids=lambda value: "-".join(value[:2]) if isinstance(value, tuple) else "",
)
def test_small_verbs(run, sounds, tmp_path, words, shows):
    (tmp_path / "people.csv").write_text(PEOPLE, encoding="utf-8")
    (tmp_path / "noise.wav").write_bytes((sounds / "noise.wav").read_bytes())
    done = ended(run(*words, cwd=tmp_path))
    assert shows in done.stdout + done.stderr


def test_a_subtitle_page_is_made(run, sounds, tmp_path):
    (tmp_path / "beeps.wav").write_bytes((sounds / "beeps.wav").read_bytes())
    ended(run("subtitle", "beeps.wav", "--page", "--sensitivity", 1, cwd=tmp_path))
    page = (tmp_path / "beeps.html").read_text(encoding="utf-8")
    assert "data:image/png;base64," in page
