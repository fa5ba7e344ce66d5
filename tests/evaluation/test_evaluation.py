"""A captioner scored on a dataset, and the page about an evaluation."""

from __future__ import annotations

import csv
import json
import re
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from wsac.evaluation import Item, evaluate
from wsac.evaluation.report import write_evaluation
from wsac.evaluation.results import load, save
from wsac.types import RecipeError

RATE = 16_000


@pytest.fixture
def folder(tmp_path, captions, captioner):
    """A dataset of six tones with two references each, and a captioner in run/."""
    data = tmp_path / "data"
    data.mkdir()
    with (data / "captions.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("file_name", "caption"))
        for i in range(6):
            soundfile.write(data / f"{i}.wav", 0.1 * np.sin(np.arange(RATE) / (2 + i)), RATE)
            rows.writerows((f"{i}.wav", captions[2 * i + k]) for k in range(2))
    captioner.save(tmp_path / "run")
    return tmp_path


def evaluating(folder):
    data = ("--dataset", "folder", "--root", folder / "data")
    return ("evaluate", "--model", folder / "run", *data)


@pytest.mark.slow
def test_a_captioner_is_scored_on_a_dataset(folder, run, captioner):
    command = evaluating(folder)
    code, out, err = run(*command, "-o", folder / "scores.json")
    assert code == 0
    assert "cider_d" in out
    assert "6 clips with 2 references each" in err
    found = load(folder / "scores.json")
    assert [item.candidate for item in found.items] == [
        captioner.caption(folder / "data" / f"{i}.wav").text for i in range(6)
    ]
    assert [Path(item.audio).name for item in found.items] == [f"{i}.wav" for i in range(6)]
    assert found.items[0].confidence is None
    assert found.about == {
        "model": str(folder / "run"),
        "dataset": "folder",
        "root": str(folder / "data"),
    }
    # the same captions from a file have the same figures and the same reference set
    rows = [{"file_name": item.id, "caption": item.candidate} for item in found.items]
    (folder / "c.json").write_text(json.dumps(rows))
    code, out, _ = run(
        "evaluate", "-c", folder / "c.json", "-r", folder / "data" / "captions.csv", "--json"
    )
    again = json.loads(out)
    assert code == 0
    assert again["digest"] == found.digest
    assert {name: facts["value"] for name, facts in again["metrics"].items()} == {
        name: score.corpus for name, score in found.scores.items()
    }
    code, out, _ = run(
        *command, "--metrics", "reference-free", "--bridge", "ad", "--beam", 1, "--json"
    )
    assert code == 0
    assert "clapscore" in json.loads(out)["metrics"]


@pytest.mark.slow
def test_what_is_missing_is_told_in_the_file_and_on_the_page(folder, run):
    (folder / "data" / "3.wav").unlink()
    command = (*evaluating(folder), "--bridge", "ad")
    assert run(*command, "-o", folder / "scores.json")[0] == 0
    found = load(folder / "scores.json")
    assert "1 of 6 recordings are missing" in found.notes[0]
    assert found.about["bridge"] == "ad"
    assert run("report", folder / "scores.json", "-o", folder / "report.html")[0] == 0
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "1 of 6 recordings are missing" in page
    assert f"model {folder / 'run'}" in page


@pytest.mark.slow
def test_recordings_that_cannot_be_decoded_are_no_silent_loss(folder, run):
    (folder / "data" / "3.wav").write_bytes(b"no sound")
    command = evaluating(folder)
    code, out, err = run(*command)
    assert (code, out) == (1, "")
    assert "1 of 6 recordings cannot be captioned" in err
    code, _, err = run(*command, "--skip-invalid")
    assert code == 0
    assert "left out: recordings that cannot be decoded (1)" in err
    assert "5 clips" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "give --candidates FILE, or --dataset"),
        (("--dataset", "clotho"), "--root is missing"),
        (("--dataset", "clotho", "--root", "nowhere"), "no such folder"),
        (("--dataset", "moths", "--root", "."), "no dataset of this name"),
        (("-c", "x.csv", "--model", "pocket"), "leave --model, --dataset and --root out"),
        (
            ("--dataset", "clotho", "--root", ".", "-r", "x.csv"),
            "leave --references and --audio out",
        ),
        (("--dataset", "clotho", "--root", ".", "--metrics", "cider"), "no metric 'cider'"),
    ],
)
def test_what_does_not_go_together(words, message, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.csv").write_text("file,caption\na.wav,a dog barks\n")
    code, out, err = run("evaluate", *words)
    assert (code, out) == (1, "")
    assert message in err
    assert err.count("\n") == 1


@pytest.fixture
def scores(folder, captions):
    """An evaluation of six captions, the first equal to a reference, the others less and less."""
    said = [*(captions[2 * i] + " away" * i for i in range(5)), "xyzzy <script>"]
    items = [
        Item(
            f"{i}.wav",
            text,
            tuple(captions[2 * i : 2 * i + 2]),
            str(folder / "data" / f"{i}.wav"),
            0.1 * i,
        )
        for i, text in enumerate(said)
    ]
    save(evaluate(items, ["bleu_1", "rouge_l", "cider_d", "vocabulary"]), folder / "scores.json")
    return folder / "scores.json"


@pytest.mark.slow
def test_the_page_has_figures_spread_and_clips(scores, run, tmp_path, captions):
    page = tmp_path / "report.html"
    (tmp_path / "texts.txt").write_text("\n".join(captions[:20]) + "\n")
    code, _, err = run(
        "report",
        scores,
        "-o",
        page,
        "--clips",
        2,
        "--by",
        "rouge_l",
        "--retrieve",
        tmp_path / "texts.txt",
    )
    assert code == 0
    assert "scores of 6 clips" in err
    text = page.read_text(encoding="utf-8")
    best, worst = text.split("Worst by rouge_l")
    assert "Best by rouge_l" in best
    assert worst.index("5.wav") < len(worst)
    assert "xyzzy &lt;script&gt;" in worst.split("</h3>")[0]  # the worst comes first
    assert text.count("<audio") == 4
    assert text.count("<b>Near</b>") == 12
    assert text.count("<b>Reference</b>") == 8
    assert "50 %" in worst
    found = load(scores)
    for name, score in found.scores.items():
        assert f"<td>{name}</td>" in text
        assert ("Histogram of " + name in text) == (score.per_item is not None)
    low, high = found.intervals["rouge_l"]
    assert f"{low:.4f} to {high:.4f}" in text
    assert "://" not in text


@pytest.mark.slow
def test_the_page_without_sounds(scores, run, tmp_path):
    shutil.rmtree(tmp_path / "data")
    code, _, err = run("report", scores, "-o", tmp_path / "report.html")
    assert code == 0
    assert "not shown: " in err
    assert "not shown: 1 more" in err
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<audio" not in text
    assert "Best by cider_d" in text


def test_wrong_orders_leave_no_page(scores, run, tmp_path):
    for words, message in (
        ((scores, "--by", "vocabulary"), "no values of it for single clips"),
        ((scores, "--clips", -1), "give 0 or more"),
        ((tmp_path / "none.json",), "none.json"),
        ((tmp_path / "data" / "captions.csv",), "captions.csv"),
    ):
        code, _, err = run("report", *words, "-o", tmp_path / "report.html")
        assert code == 1
        assert message in err
        assert err.count("\n") == 1
        assert not (tmp_path / "report.html").exists()
    with pytest.raises(RecipeError):
        write_evaluation(load(scores), tmp_path / "report.html", by="fense")


@pytest.mark.slow
def test_the_page_in_a_browser(scores, run, tmp_path):
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs Chromium (apt-get install chromium)")
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="needs playwright (pip install playwright)"
    )
    assert run("report", scores, "-o", tmp_path / "report.html")[0] == 0
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"], timeout=120_000
        )
        page = browser.new_page()
        page.set_default_timeout(120_000)
        messages, asked = [], []
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto((tmp_path / "report.html").as_uri())
        # polled: wait_for_function may evaluate strings in the page, which its policy forbids
        for loaded in (
            "[...document.images].every(image => image.complete && image.naturalWidth)",
            "[...document.querySelectorAll('audio')].every(player => player.readyState >= 1)",
        ):
            until = time.monotonic() + 120
            while not page.evaluate(loaded):
                assert time.monotonic() < until, loaded
                page.wait_for_timeout(50)
        lengths = page.evaluate("[...document.querySelectorAll('audio')].map(a => a.duration)")
        wide = page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        browser.close()
    assert messages == []
    assert [url for url in asked if not re.match("file:|data:", url)] == []
    assert lengths == pytest.approx([1] * len(lengths), abs=0.2)
    assert wide
