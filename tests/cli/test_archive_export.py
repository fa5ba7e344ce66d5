"""``wsac archive export``: what it says, what it leaves out, and its mistakes in one line."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile

from miniatures.archives import write_archive
from wsac.archive.content import content_id
from wsac.archive.search.embedding_file import FOLDER as SEARCH


@pytest.fixture
def archive(tmp_path, clap, clap_folder, monkeypatch):
    """Three sounds, one of which cannot be captioned."""
    monkeypatch.chdir(tmp_path)
    rows = []
    for i, name in enumerate(("dog.wav", "rain.wav")):
        soundfile.write(name, np.random.default_rng(i).uniform(-0.5, 0.5, 32_000), 16_000)
        row = {"path": name, "caption": f"Sound {i}", "confidence": 0.5, "loudness": -9.0}
        rows.append(row | ({} if i else {"id": content_id(Path(name))}))  # one has changed since
    rows.append({"path": "gone.wav", "error": "gone.wav: not found"})
    facts = {"clap": str(clap_folder), "clap_fingerprint": clap.fingerprint}
    return write_archive(tmp_path / "archive", rows, dim=clap.embed_dim, **facts)


def test_what_it_says(run, archive, tmp_path):
    (tmp_path / "eval.csv").write_text("file_name,split\nrain.mp3,test\nx.wav,train\n")
    (tmp_path / "eval").mkdir()
    soundfile.write("eval/a.wav", np.random.default_rng(7).uniform(-0.5, 0.5, 32_000), 16_000)
    command = ["archive", "export", archive.folder, "--to", "csv", "-o", "out.csv"]
    code, out, err = run(*command, "--exclude-eval", "eval.csv", "--exclude-like", "eval")
    assert (code, out) == (0, "")
    assert "eval.csv: 1 id (1 of its training part stay)\n" in err
    left = "left out: 1 in eval.csv, 1 not captioned (error)"
    assert err.endswith(f"out.csv: 1 sound; {left}\n")
    with (tmp_path / "out.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["path"] == "dog.wav"
    assert -1 <= float(row["clap_score"]) <= 1
    assert not (archive.folder / SEARCH).exists()  # it writes nothing into the archive


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--to", "zip", "-o", "x"], "--to zip: choose webdataset, huggingface"),
        (["--to", "csv", "-o", "."], "this is a folder, and a file is to be written"),
        (["--to", "lhotse", "-o", "archive"], "there is something here already"),
        (["--to", "csv", "-o", "x", "--exclude-eval", "no.txt"], "no.txt: not found"),
        (["--to", "csv", "-o", "x", "--min-confidence", 0.9], "nothing to export (2 below"),
        (["--to", "csv", "-o", "x", "--clap", "pocket"], "made with another CLAP than pocket"),
        (
            ["--to", "lhotse", "-o", "x", "--min-confidence", 0.9],
            "nothing to export (2 below --min-confidence 0.9",
        ),
    ],
)
def test_mistakes(options, words, run, archive):
    code, _, err = run("archive", "export", archive.folder, *options)
    assert code == 1
    assert words in err.splitlines()[-1]
    assert err.splitlines()[-1].startswith("error: ")
