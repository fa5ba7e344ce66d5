"""``wsac search``: what it finds, how it is shown, and what it says of mistakes."""

from __future__ import annotations

import csv
import io
import json
import os

import numpy as np
import pytest
import soundfile
import torch

from miniatures.archives import write_archive
from wsac.archive.archive_folder import Archive
from wsac.archive.search.embedding_file import open_embeddings
from wsac.archive.search.searching import embed_query
from wsac.inference.moments.moment_scores import MomentScorer

RATE = 16_000
NAMES = ["low.wav", "high.wav", "noise.wav", "<b>odd.wav"]


@pytest.fixture
def archive(tmp_path, clap, clap_folder, monkeypatch):
    """Four sounds of one, two, three and four seconds; the second has two spans."""
    monkeypatch.chdir(tmp_path)
    rng, rows = np.random.default_rng(0), []
    for i, name in enumerate(NAMES):
        time = np.arange((i + 1) * RATE) / RATE
        sound = 0.3 * np.sin(2 * np.pi * 200 * 4**i * time) + 0.1 * i * rng.standard_normal(
            len(time)
        )
        soundfile.write(name, np.clip(sound, -1, 1), RATE)
        embedding = embed_query(clap, like=[name]).astype(np.float16)
        row = {"path": name, "seconds": i + 1.0, "caption": f"Sound {i}", "guess": ""}
        rows.append(row | {"confidence": 0.25 * i, "embedding": embedding})
    rows[1]["spans"] = [
        {"start": 0.0, "end": 0.5, "text": "First", "embedding": rows[0]["embedding"]},
        {"start": 1.0, "end": 1.5, "text": "Second", "embedding": rows[2]["embedding"]},
    ]
    rows.append({"path": "gone.wav", "error": "gone.wav: not found"})
    facts = {"clap": str(clap_folder), "clap_fingerprint": clap.fingerprint}
    return write_archive(tmp_path / "archive", rows, dim=clap.embed_dim, shard_rows=2, **facts)


def rows_of(out):
    return [(row["file"], round(row["score"], 4)) for row in json.loads(out)]


def plain(archive, query, clap=None):
    """The oracle: the files by their cosines with a query, in double precision.

    clap: then those come first that are nearer to the query than to the labels.
    """
    embeddings = open_embeddings(archive).embeddings.astype(np.float64)
    scores = embeddings @ query.astype(np.float64)
    order = np.argsort(-scores, kind="stable")
    if clap is not None:
        tensors = torch.from_numpy(query), torch.from_numpy(embeddings[order]).float()
        fit = MomentScorer(clap).features(*tensors)[:, 0].numpy()
        order = order[np.argsort(-fit, kind="stable")]
    return [(NAMES[i], round(float(scores[i]), 4)) for i in order]


def test_words_find_the_nearest_files(run, archive, clap):
    code, out, err = run("search", "archive", "a dog barks", "--json")
    assert code == 0, err
    assert rows_of(out) == plain(archive, embed_query(clap, ["a dog barks"]), clap)
    assert "1 of 5 files: silent or could not be read, so" in err
    code, out, _ = run("search", "archive", "a dog barks", "rain", "--minus", "music", "--json")
    query = embed_query(clap, ["a dog barks", "rain"], minus=["music"])
    assert rows_of(out) == plain(archive, query, clap)


def test_a_sound_finds_itself(run, archive, clap):
    code, out, err = run("search", "archive", "--like", "low.wav", "--top", 2, "--json")
    assert code == 0, err
    assert rows_of(out) == plain(archive, embed_query(clap, like=["low.wav"]))[:2]
    assert rows_of(out)[0] == ("low.wav", pytest.approx(1, abs=1e-3))


@pytest.mark.slow
def test_conditions_leave_files_out(run, archive):
    words = ("search", "archive", "rain", "--paths", "--where")
    assert set(run(*words, "duration >= 3")[1].split("\n")) == {"noise.wav", NAMES[3], ""}
    code, out, err = run(*words, "duration > 100")
    assert (code, out) == (0, "")
    assert "nothing fits --where 'duration > 100'" in err
    code, _, err = run(*words, "durations > 100")
    assert code == 1
    assert "did you mean 'duration'? there are path," in err


def test_spans_are_moments(run, archive):
    code, out, err = run("search", "archive", "--like", "low.wav", "--spans", "--json")
    assert code == 0, err
    rows = [(row["file"], row["start"], row["end"], row["caption"]) for row in json.loads(out)]
    assert rows == [("high.wav", 0.0, 0.5, "First"), ("high.wav", 1.0, 1.5, "Second")]


@pytest.mark.slow
def test_styles(run, archive):
    words = ("search", "archive", "--like", "low.wav", "--top", 2)
    right = json.loads(run(*words, "--json")[1])
    assert [json.loads(line) for line in run(*words, "--jsonl")[1].splitlines()] == right
    table = list(csv.DictReader(io.StringIO(run(*words, "--csv")[1])))
    assert [(row["file"], float(row["score"])) for row in table] == [
        (row["file"], row["score"]) for row in right
    ]
    assert run(*words, "--paths", "-0")[1].split("\0")[0] == "low.wav"
    text = run(*words)[1]
    assert "Sound 0" in text
    assert "1.000" in text


@pytest.mark.slow
def test_the_page_plays_what_was_found(run, archive, tmp_path):
    (tmp_path / "noise.wav").unlink()
    code, _, err = run("search", "archive", "<i>rain</i>", "--html", "page.html")
    assert code == 0, err
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("<audio") == 3
    assert "cannot be played:</b> noise.wav" in page
    assert "<b>odd" not in page
    assert "<i>rain" not in page
    assert "&lt;b&gt;odd.wav" in page


def test_results_are_played(run, archive, tmp_path, monkeypatch):
    player = tmp_path / "bin" / "aplay"
    player.parent.mkdir()
    player.write_text(f"#!/bin/sh\nwc -c < $2 >> {tmp_path}/played\n", encoding="utf-8")
    player.chmod(0o755)
    monkeypatch.setenv("PATH", f"{player.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr("wsac.archive.search.listening.PLAYERS", {"aplay": ("-q",)})
    words = ("search", "archive", "--like", "low.wav", "--spans", "--play")
    code, _, err = run(*words)
    assert code == 0, err
    sizes = [int(line) for line in (tmp_path / "played").read_text().split()]
    assert sizes == [44 + 2 * 22_050] * 2
    monkeypatch.setattr("wsac.archive.search.listening.PLAYERS", {"no-such-player": ()})
    code, _, err = run(*words)
    assert code == 1
    assert "error: --play: no player here; install one of no-such-player" in err


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["archive"], 2, "nothing to search for"),
        (["archive", " "], 1, "an empty query; describe a sound"),
        (["nowhere", "rain"], 1, "nowhere: no archive here"),
        (["archive", "--like", "nowhere.wav"], 1, "nowhere.wav: not found"),
        (["archive", "--like", "archive/archive.json"], 1, "archive.json: "),
        (["archive", "rain", "--top", "0"], 1, "--top 0: give 1 or more"),
        (["archive", "rain", "--index", "annoy"], 1, "--index annoy: choose auto, exact, faiss"),
        (["archive", "rain", "--json", "--csv"], 1, "--json and --csv exclude each other"),
        (["archive", "rain", "--json", "--paths"], 1, "--paths and --json exclude each other"),
        (["archive", "rain", "-0"], 1, "-0 is for --paths"),
        (["archive", "rain", "--clap", "pocket"], 1, "made with another CLAP than pocket"),
        (["archive", "rain", "--html", "."], 1, "this is a folder"),
    ],
)
def test_mistakes_are_told_in_one_line(run, archive, words, code, says):
    done, out, err = run("search", *words)
    assert done == code
    assert says in err
    assert out == ""
    assert len([line for line in err.splitlines() if "error" in line.lower()]) == 1


def test_an_archive_without_spans_says_so(run, tmp_path, archive):
    write_archive(tmp_path / "other", [{}, {}])
    code, _, err = run("search", tmp_path / "other", "rain", "--spans")
    assert code == 1
    assert "no spans in it that can be searched; build one with --spans" in err


def test_a_silent_sound_is_like_nothing(run, archive):
    soundfile.write("silence.wav", np.zeros(RATE), RATE)
    code, _, err = run("search", "archive", "--like", "silence.wav")
    assert code == 1
    assert "silence.wav: silent, so nothing is like it" in err


def test_the_approximate_index_gives_the_same(run, archive):
    pytest.importorskip("faiss", reason="needs faiss: pip install '.[search]'")
    words = ("search", "archive", "rain", "--json")
    assert run(*words, "--index", "faiss")[1] == run(*words, "--index", "exact")[1]
    assert (Archive.open("archive").folder / "search" / "files.faiss").is_file()
