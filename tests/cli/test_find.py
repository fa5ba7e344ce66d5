"""wsac find: rows in every format, clips, label tracks, and errors in one line."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from wsac.cli import main
from wsac.cli.moments import likeliest_first
from wsac.data.soundworld import Event, render_event
from wsac.inference.moments.find_moments import Moment
from wsac.types import WsacError

RATE = 16_000


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """Two recordings of 12 s: one with a dog at 3 s, the other with a siren at 5 s."""
    folder = tmp_path / "films"
    folder.mkdir()
    rng = np.random.default_rng(4)
    for file, name, start in (("one.wav", "dog", 3), ("two.wav", "siren", 5)):
        sound = rng.standard_normal(12 * RATE) * 10 ** (-66 / 20)
        event = render_event(Event(name, seconds=3.0), rng, RATE)
        sound[start * RATE :][: len(event)] += event
        soundfile.write(folder / file, sound, RATE)
    return folder


def rows_of(style: str, text: str) -> list[dict]:
    if style == "--json":
        return json.loads(text)
    if style == "--jsonl":
        return [json.loads(line) for line in text.splitlines()]
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.mark.slow
@pytest.mark.parametrize("style", ["--json", "--jsonl", "--csv", "--csv-safe"])
def test_rows_of_two_queries_in_a_folder(films: Path, style: str, capsys) -> None:
    words = ["find", "a dog barking", str(films), "--also", "a siren", "--top", "1", style]
    assert main(words) == 0
    rows = rows_of(style, capsys.readouterr().out)
    assert [(row["query"], Path(row["file"]).name) for row in rows] == [
        ("a dog barking", "one.wav"),
        ("a siren", "two.wav"),
    ]
    assert [round(float(row["start"])) for row in rows] == [3, 5]
    assert all(float(row["probability"]) > 0.5 and not row["error"] for row in rows)


@pytest.mark.slow
def test_a_broken_file_does_not_stop_the_others(films: Path, capsys) -> None:
    (films / "broken.wav").write_bytes(b"RIFF no sound")
    assert main(["find", "a siren", str(films), "--json", "--top", "1"]) == 1
    output = capsys.readouterr()
    rows = json.loads(output.out)
    assert [Path(row["file"]).name for row in rows] == ["two.wav", "broken.wav"]
    assert rows[1]["error"]
    assert "broken.wav" in output.err
    assert "1 of 3 files could not be searched" in output.err


@pytest.mark.slow
def test_clips_and_the_sound_to_resemble(films: Path, tmp_path: Path, capsys) -> None:
    clips = tmp_path / "clips"
    words = ["find", "--like", str(films / "two.wav"), str(films), "--top", "1", "--json"]
    assert main([*words, "--cut", str(clips)]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert Path(row["file"]).name == "two.wav"
    assert [Path(row["clip"])] == list(clips.iterdir())
    assert soundfile.info(row["clip"]).duration == pytest.approx(row["end"] - row["start"], 0.01)


@pytest.mark.slow
def test_a_label_track(films: Path, capsys) -> None:
    assert main(["find", "a dog barking", str(films / "one.wav"), "--labels", "--top", "1"]) == 0
    start, end, text = capsys.readouterr().out.rstrip("\n").split("\t")
    assert 2.7 < float(start) < 3.3 < float(end)
    assert text.startswith("a dog barking (")


@pytest.mark.slow
def test_nothing_that_fits_is_said(films: Path, capsys) -> None:
    words = ["find", "a church choir", str(films), "--min-probability", "0.9"]
    assert main(words) == 0
    output = capsys.readouterr()
    assert output.out == ""
    assert "nothing fits with a probability of 0.9 or more" in output.err


def test_the_likeliest_comes_first() -> None:
    rows = [Moment("dog", i, i + 1.0, 9.0 - i, p) for i, p in enumerate((0.2, 0.06, 0.1))]
    assert [row.probability for row in likeliest_first(rows)] == [0.2, 0.1, 0.06]
    rows = [Moment("dog", i, i + 1.0, 9.0 - i) for i in range(3)]
    assert likeliest_first(rows) == rows


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ([], 2, 'nothing to find; as in wsac find "glass breaking" film.mp4'),
        (["a dog"], 2, "no sounds; name files, folders or globs"),
        (["a dog", "gone.wav"], 1, "error: gone.wav: "),
        (["without speech", "x.wav"], 1, "says nothing to find"),
        (["a dog", "x.wav", "--top", "0"], 1, "top 0: nothing would be shown; give 1 or more"),
        (["a dog", "x.wav", "--top", "abc"], 2, "'--top': give a whole number"),
        (["a dog", "x.wav", "--min-probability", "x"], 2, "'--min-probability': give a number"),
        (["a dog", "x.wav", "--min-probability", "7"], 1, "7: give a number from 0 to 1"),
        (["a dog", "x.wav", "--labels", "--json"], 1, "--labels and --json exclude each other"),
        (["a dog", "x.wav", "y.wav", "--labels"], 1, "is of one recording, not 2"),
        (["--like", "gone.wav", "x.wav"], 1, "gone.wav: not found; check the path"),
        (["--like", "notes.py", "x.wav"], 1, "notes.py: "),
        (["a dog", "x.wav", "--cut", "x.wav"], 1, "there is a file here; give --cut a folder"),
        (["x.wav"], 2, "the first word is what to find, and this is a file"),
        (["x.wav", "siren"], 2, 'as in wsac find "a siren" x.wav'),
    ],
)
def test_mistakes_are_told_in_a_line(
    words: list[str], code: int, text: str, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("wsac.clap.load_clap", lambda *_, **__: pytest.fail("loaded"))
    Path("notes.py").write_text("no sound")
    for name in ("x.wav", "y.wav"):
        soundfile.write(name, np.zeros(RATE), RATE)
    assert main(["find", *words]) == code
    output = capsys.readouterr()
    assert text in " ".join(output.err.split())
    assert "Traceback" not in output.err
    assert output.out == ""


@pytest.mark.slow
def test_silence_is_no_example(films: Path, capsys) -> None:
    soundfile.write(films / "silence.wav", np.zeros(RATE), RATE)
    assert main(["find", "--like", str(films / "silence.wav"), str(films / "one.wav")]) == 1
    assert "silence.wav: silent, so nothing is like it" in capsys.readouterr().err


@pytest.mark.slow
def test_moments_are_shown_though_no_clip_can_be_written(films: Path, capsys, monkeypatch) -> None:
    def full(*args: object) -> None:
        raise WsacError("clips: no space left on the disk")

    monkeypatch.setattr("wsac.inference.moments.moment_clips.write_clips", full)
    words = [
        "find",
        "a dog barking",
        str(films / "one.wav"),
        "--cut",
        str(films / "clips"),
        "--json",
    ]
    assert main(words) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)[0]["file"].endswith("one.wav")
    assert "error: clips: no space left on the disk" in err
