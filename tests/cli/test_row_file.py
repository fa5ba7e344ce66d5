"""Rows in a file: a run that was stopped anywhere goes on, and ends as one that was not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from wsac.cli.common_options import StoppedError
from wsac.cli.row_file import RowFile
from wsac.cli.rows import CAPTION_ROW, print_results
from wsac.inference.sound_results import Results
from wsac.types import AudioError, Caption, WsacError

FILES = [Path(name) for name in ("a.wav", '"b\n".wav', "=c,.wav", "ä.wav", "b\udcff.wav")]
STYLES = ("jsonl", "csv", "csv-safe")


def rows_of(files, windows=1, asked=None):
    """A caption of each window, and an error for one file."""
    for file in files:
        if asked is not None:
            asked.append(file)
        if file == FILES[2]:
            error = AudioError(f"{file}: no sound")
            error.file = str(file)
            yield error
            continue
        for i in range(windows):
            yield Caption(f'A "sound",\n {i} of {file.name}', -1.0, i, i + 1.0, 0.5, str(file))


def write(path, style, *, windows=1, resume=False, asked=None, stop=None):
    """Write the rows of all files that have none; the code that the run ends with."""
    windowed = windows > 1
    out = RowFile(path, style, CAPTION_ROW, resume=resume, windowed=windowed)
    files = out.left(FILES)

    def rows():
        for i, row in enumerate(rows_of(files, windows, asked)):
            if i == stop:
                raise KeyboardInterrupt
            yield row

    try:
        print_results(Results("caption", files, rows()), style, windowed=windowed, out=out)
    except BaseException as error:
        return error
    finally:
        out.close()
    return None


@pytest.mark.parametrize("windows", [1, 2])
@pytest.mark.parametrize("style", STYLES)
def test_a_file_cut_anywhere_goes_on_to_the_same(style, windows, tmp_path):
    whole = tmp_path / "whole"
    assert write(whole, style, windows=windows).exit_code == 1  # one of the sounds failed
    content = whole.read_bytes()
    path = tmp_path / "rows"
    for end in range(0, len(content) + 1, 7):
        path.write_bytes(content[:end])
        assert write(path, style, windows=windows, resume=True).exit_code == 1
        assert path.read_bytes() == content


@pytest.mark.parametrize("style", STYLES)
def test_what_is_there_is_not_captioned_again(style, tmp_path, capsys):
    path, asked = tmp_path / "rows", []
    stopped = write(path, style, stop=3, asked=asked)
    assert isinstance(stopped, StoppedError)
    assert str(stopped) == f"stopped after 3 of 5 files; go on with -o {path} --resume"
    assert len(asked) == 4
    asked.clear()
    assert write(path, style, resume=True, asked=asked).exit_code == 1
    assert asked == FILES[3:]
    assert capsys.readouterr().err.endswith("1 of 5 files could not be captioned\n")
    asked.clear()
    assert write(path, style, resume=True, asked=asked).exit_code == 1
    assert asked == []


@pytest.mark.parametrize("style", STYLES)
def test_new_sounds_come_behind(style, tmp_path):
    write(tmp_path / "rows", style)
    out = RowFile(tmp_path / "rows", style, CAPTION_ROW, resume=True, windowed=False)
    more = [Path("0.wav"), *FILES, FILES[0]]
    assert out.left(more) == [Path("0.wav"), FILES[0]]


def test_nothing_is_made_before_the_first_row(tmp_path):
    out = RowFile(tmp_path / "new" / "rows", "csv", CAPTION_ROW, resume=True, windowed=False)
    out.write("")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_takes_no_rows_is_named(tmp_path):
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "rows.csv"
    out = RowFile(path, "csv", CAPTION_ROW, resume=False, windowed=False)
    with pytest.raises(WsacError, match=r"rows\.csv: cannot write \(there is a file in the place"):
        out.write("a")


def test_a_table_is_not_for_a_file(run, tmp_path):
    code, _, err = run("caption", tmp_path, "-o", tmp_path / "rows.txt")
    assert code == 1
    assert "name the file .csv, .jsonl or .json, or add --csv" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "style", "resume", "words"),
    [
        (b"x", "jsonl", False, "there is a file here already; add --resume to go on with it"),
        (b"", "json", True, "--resume goes on with rows of --jsonl or --csv, not of --json"),
        (b"", "table", True, "name it .jsonl or .csv"),
        (b"{}\n", "jsonl", True, "row 1 is not as wsac caption --jsonl writes it"),
        (b"[1]\n", "jsonl", True, "row 1 is not as wsac caption"),
        (b"\x00\xff\n", "jsonl", True, "row 1 is not as wsac caption"),
        (b"a,b\n1,2\n", "csv", True, "resume with the same options, or name a new file"),
    ],
)
def test_errors_in_one_line(content, style, resume, words, tmp_path):
    path = tmp_path / "rows"
    path.write_bytes(content)
    with pytest.raises(WsacError) as error:
        RowFile(path, style, CAPTION_ROW, resume=resume, windowed=False)
    assert words in str(error.value)
    assert path.read_bytes() == content


@pytest.mark.slow
def test_the_command(run, captioner, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    captioner.save(tmp_path / "model")
    (tmp_path / "sounds").mkdir()
    for i in range(3):
        noise = np.random.default_rng(i).uniform(-0.5, 0.5, 8000)
        soundfile.write(f"sounds/{i}.wav", noise, 16_000)
    command = ["caption", "sounds", "--model", "model", "--device", "cpu"]
    code, rows, _ = run(*command, "--jsonl")
    assert (code, len(rows.splitlines())) == (0, 3)
    assert run(*command, "-o", "rows.jsonl")[:2] == (0, "")
    assert (tmp_path / "rows.jsonl").read_text() == rows
    (tmp_path / "rows.jsonl").write_text(rows[:-30])
    code, _, err = run(*command, "-o", "rows.jsonl", "--resume")
    assert code == 0
    assert "rows.jsonl: 2 of 3 files done before\n" in err
    assert (tmp_path / "rows.jsonl").read_text() == rows
    code, _, err = run(*command, "-o", "rows.jsonl")
    assert (code, err.count("\n")) == (1, 1)
    assert "add --resume to go on with it" in err
    assert run(*command, "--resume")[2].startswith("error: --resume is for rows in a file")
