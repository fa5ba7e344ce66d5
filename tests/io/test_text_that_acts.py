"""Names and captions of strangers do nothing: not to a terminal, a spreadsheet or a JSON reader."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from wsac.clap.collections import embed_folder, read_embeddings
from wsac.io.console import printable, say, table
from wsac.io.csv_text import csv_line, spreadsheet_safe

ODD = "\x1b]0;owned\x07\x9b2J \u202egpj.wav\r"


def test_no_character_acts_on_the_terminal(capsys):
    say(f"error: {ODD}: no sound")
    table("", ("file",), [(ODD,)])
    out, err = capsys.readouterr()
    for text in (out, err):
        assert not {"\x1b", "\x07", "\x9b", "\u202e", "\r"} & set(text)
        assert "\\x1b]0;owned\\x07\\x9b2J \\u202egpj.wav\\r" in text


def test_ordinary_text_is_printed_as_it_is():
    text = "Hühner, 鶏 👩‍🍳: 5 %\n\tTab"
    assert printable(text) == text


@pytest.mark.parametrize("cell", ["a\rb", "a\nb", 'a"b', "a,b", "", "plain", "=1+1", "ä"])
def test_every_cell_is_read_back(cell):
    (row,) = csv.reader(io.StringIO(csv_line([cell, "end"]), newline=""))
    assert row == [cell, "end"]


@pytest.mark.parametrize(
    ("cell", "safe"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\ta", "'\ta"),
        (-1.25, -1.25),
        ("a dog", "a dog"),
        (None, None),
    ],
)
def test_no_cell_starts_a_formula(cell, safe):
    assert spreadsheet_safe(cell) == safe


@pytest.fixture(scope="module")
def odd_sounds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("odd")
    noise = 0.1 * np.random.default_rng(0).standard_normal(8000)
    names = (b"=cmd|x.wav", b"\xe9.wav", b"\x1b[2J\r.wav", "é.wav".encode())
    for name in names:
        with open(os.path.join(os.fsencode(folder), name), "wb") as file:  # noqa: PTH118, PTH123
            soundfile.write(file, noise, 8000, format="WAV")
    return folder, names


def caption(folder, *words, shell="", **env):
    program = f"{sys.executable} -m wsac caption {' '.join(words)} . {shell}"
    run = subprocess.run(
        ["sh", "-c", program], cwd=folder, capture_output=True, env=os.environ | env, check=False
    )
    return run.returncode, run.stdout, run.stderr


@pytest.mark.slow
@pytest.mark.parametrize("coding", ["utf-8", "latin-1", "ascii"])
def test_json_is_json_in_every_encoding(odd_sounds, coding):
    folder, names = odd_sounds
    code, out, err = caption(folder, "--json", PYTHONIOENCODING=coding)
    assert (code, err) == (0, b"")
    files = {row["file"] for row in json.loads(out.decode("utf-8"))}
    assert files == {os.fsdecode(name) for name in names}


@pytest.mark.slow
def test_csv_for_spreadsheets_and_for_programs(odd_sounds):
    folder, names = odd_sounds
    code, out, _ = caption(folder, "--csv-safe")
    assert code == 0
    rows = list(csv.DictReader(io.StringIO(out.decode(), newline="")))
    assert [row["file"][0] for row in rows].count("'") == 1
    assert not any(cell.startswith(("=", "@", "+")) for row in rows for cell in row.values())
    _, plain, _ = caption(folder, "--csv")
    assert len(list(csv.DictReader(io.StringIO(plain.decode(), newline="")))) == len(names)
    assert b"\n=cmd|x.wav," in plain


@pytest.mark.slow
def test_results_come_where_stderr_is_closed(odd_sounds):
    folder, names = odd_sounds
    code, out, _ = caption(folder, "--json", shell="2>&-")
    assert code == 0
    assert len(json.loads(out)) == len(names)


def test_embeddings_of_names_that_are_not_utf8(odd_sounds, clap, tmp_path):
    folder, names = odd_sounds
    counts = embed_folder(clap, [str(folder)], tmp_path / "out")
    assert counts["embedded"] == len(names)
    _, files = read_embeddings(tmp_path / "out")
    assert {os.fsencode(file.rpartition("/")[2]) for file in files} == set(names)
    assert embed_folder(clap, [str(folder)], tmp_path / "out")["reused"] == 1
