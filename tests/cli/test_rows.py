"""Rows of captions and tags: each is printed when it is made, and what is printed is whole."""

from __future__ import annotations

import csv
import gc
import io
import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile

from wsac.cli.common_options import StoppedError
from wsac.cli.rows import print_results
from wsac.inference.batch import Results
from wsac.inference.tagger import Tag, TaggedSound
from wsac.io.console import print_json
from wsac.types import AudioError, Caption, ModelError

STYLES = ("json", "jsonl", "csv", "csv-safe", "table")
FILES = [f"{number}.wav" for number in range(5)]


def caption_of(file, **values):
    return Caption(f"A sound of {file}", -1.25, 0.0, 2.0, 0.75, file, **values)


def failure_of(file):
    error = AudioError(f"{file}: no sound")
    error.file = file
    return error


def tags_of(file):
    return TaggedSound(file, 0.0, 2.0, (Tag("dog", 0.5, 0.75), Tag("rain", 0.25, 0.25)))


def results_of(items, title="caption", files=FILES):
    return Results(title, [Path(file) for file in files], iter(items))


def read(style, text):
    """The rows of an output, as a program reads them; of a table, its lines with files."""
    if style == "table":
        return [line for line in text.splitlines() if ".wav" in line]
    if style == "json":
        return json.loads(text)
    if style == "jsonl":
        return [json.loads(line) for line in text.splitlines()]
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(("title", "made"), [("caption", caption_of), ("tag", tags_of)])
def test_a_row_is_printed_before_the_next_is_made(style, title, made, capsys):
    printed = ""

    def results():
        nonlocal printed
        for file in FILES:
            yield made(file)
            printed += capsys.readouterr().out
            assert file in printed

    print_results(results_of(results(), title), style, windowed=False)
    printed += capsys.readouterr().out
    rows = read(style, printed)
    assert len(rows) == len(FILES) * (2 if (title, style[:3]) == ("tag", "csv") else 1)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("made", range(4))
def test_ctrl_c_keeps_the_rows_that_were_made(style, made, capsys):
    def results():
        yield from map(caption_of, FILES[:made])
        raise KeyboardInterrupt

    with pytest.raises(StoppedError, match=f"stopped after {made} of 5 files"):
        print_results(results_of(results()), style, windowed=False)
    out = capsys.readouterr().out
    assert len(read(style, out)) == made
    assert not out or out.endswith("\n")


@pytest.mark.parametrize("style", STYLES)
def test_a_fault_of_the_model_leaves_whole_rows(style, capsys):
    def results():
        yield caption_of("0.wav")
        raise ModelError("damaged")

    with pytest.raises(ModelError):
        print_results(results_of(results()), style, windowed=False)
    assert len(read(style, capsys.readouterr().out)) == 1


@pytest.mark.parametrize("style", STYLES)
def test_a_fault_before_the_first_row_prints_nothing(style, capsys):
    def results():
        raise ModelError("damaged")
        yield

    with pytest.raises(ModelError):
        print_results(results_of(results()), style, windowed=False)
    assert capsys.readouterr().out == ""


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Files of these names are there, so that what makes results is asked."""
    monkeypatch.chdir(tmp_path)
    for file in FILES:
        Path(file).touch()


@pytest.mark.usefixtures("files")
def test_ctrl_c_on_the_command_line_is_one_line_and_code_130(run, monkeypatch, capsys):
    def results():
        yield from map(caption_of, FILES[:2])
        raise KeyboardInterrupt

    monkeypatch.setattr(
        "wsac.inference.batch.stream_captions", lambda *_, **__: results_of(results())
    )
    code, out, err = run("caption", *FILES, "--json")
    assert (code, err) == (130, "stopped after 2 of 5 files\n")
    assert [row["file"] for row in json.loads(out)] == FILES[:2]


@pytest.mark.skipif(sys.platform == "win32", reason="no signals to oneself")
@pytest.mark.parametrize("ignored", [False, True])
def test_ctrl_c_in_the_middle_of_a_row(monkeypatch, capsys, ignored):
    def write(text):
        sys.stdout.write(text[:9])
        if "2.wav" in text:
            os.kill(os.getpid(), signal.SIGINT)
        sys.stdout.write(text[9:])

    monkeypatch.setattr("wsac.cli.rows.write_out", write)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN if ignored else signal.default_int_handler)
    try:
        if ignored:  # as below nohup
            print_results(results_of(map(caption_of, FILES)), "json", windowed=False)
        else:
            with pytest.raises(StoppedError, match="stopped after 3 of 5 files"):
                print_results(results_of(map(caption_of, FILES)), "json", windowed=False)
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(json.loads(capsys.readouterr().out)) == (5 if ignored else 3)


def test_of_a_file_in_windows_only_whole_ones_count(capsys):
    def results():
        yield from (caption_of("0.wav"), caption_of("0.wav"), caption_of("1.wav"))
        raise KeyboardInterrupt

    with pytest.raises(StoppedError, match="stopped after 1 of 5 files"):
        print_results(results_of(results()), "jsonl", windowed=True)


@pytest.mark.slow
def test_results_are_not_collected(capsys):
    """The memory of a run does not grow with the number of its files."""
    alive = []

    def results():
        for number in range(3000):
            yield caption_of(f"{number}.wav")
            if number % 1000 == 999:
                alive.append(sum(type(thing) is Caption for thing in gc.get_objects()))

    print_results(results_of(results(), files=["x"] * 3000), "json", windowed=False)
    assert max(alive) <= 5
    assert len(json.loads(capsys.readouterr().out)) == 3000


@pytest.mark.parametrize("verb", [("caption",), ("tag", "--labels", "dog, rain")])
def test_where_no_sound_is_there_each_has_its_error(run, monkeypatch, tmp_path, verb):
    monkeypatch.setattr("wsac.inference.batch.Captioner.load", lambda *_: pytest.fail("loaded"))
    monkeypatch.setattr("wsac.inference.batch.load_clap", lambda *_: pytest.fail("loaded"))
    names = [str(tmp_path / "a.wav"), "https://example.org/b.wav"]
    code, out, err = run(*verb, *names, "--json")
    rows = json.loads(out)
    assert code == 1
    assert [row["file"] for row in rows] == names
    assert rows[0]["error"] == f"{names[0]}: no such file; check the path"
    assert "an address" in rows[1]["error"]
    assert "2 of 2 files could not be" in err


def test_the_array_is_that_of_all_rows_at_once(capsys):
    items = [caption_of("0.wav", notes=("odd",)), failure_of("1.wav"), caption_of('"\n.wav')]
    with pytest.raises(BaseException, match="1"):
        print_results(results_of(items), "json", windowed=False)
    out = capsys.readouterr().out
    print_json(json.loads(out))
    assert capsys.readouterr().out == out


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(("style", "out"), [("--json", "[]\n"), ("--jsonl", ""), ("--csv", None)])
@pytest.mark.parametrize("verb", [("caption",), ("tag", "--labels", "dog, rain")])
def test_ctrl_c_while_the_model_is_loaded_is_an_empty_list(run, monkeypatch, verb, style, out):
    def load(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("wsac.inference.batch.Captioner.load", load)
    monkeypatch.setattr("wsac.inference.batch.load_clap", load)
    code, printed, err = run(*verb, *FILES, style)
    assert (code, err) == (130, "stopped after 0 of 5 files\n")
    assert printed == out if out is not None else printed.startswith("file,")


@pytest.mark.parametrize("terminal", [True, False])
def test_on_one_terminal_errors_do_not_cut_the_table(monkeypatch, capsys, terminal):
    text = io.StringIO()
    for stream in (sys.stdout, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: terminal)
        monkeypatch.setattr(stream, "write", text.write)
    items = [caption_of("0.wav"), failure_of("1.wav"), caption_of("2.wav"), failure_of("3.wav")]
    with pytest.raises(BaseException, match="1"):
        print_results(results_of(items), "table", windowed=False)
    lines = text.getvalue().splitlines()
    errors = [i for i, line in enumerate(lines) if line.startswith("error: ")]
    assert len(lines) == 3 + 2 + 1 + 2 + 1
    assert errors == ([6, 7] if terminal else [4, 6])
    assert lines[-1] == "2 of 4 files could not be captioned"


def test_errors_that_wait_are_told_after_ctrl_c(monkeypatch, capsys):
    def results():
        yield failure_of("0.wav")
        raise KeyboardInterrupt

    monkeypatch.setattr("wsac.cli.rows.on_one_terminal", lambda: True)
    with pytest.raises(StoppedError):
        print_results(results_of(results()), "table", windowed=False)
    assert capsys.readouterr().err == "error: 0.wav: no sound\n"


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([failure_of("0.wav")], "1 of 1 file could not be captioned"),
        ([failure_of("0.wav"), caption_of("1.wav")], "1 of 2 files could not be captioned"),
        ([failure_of("0.wav"), failure_of("1.wav")], "2 of 2 files could not be captioned"),
    ],
)
def test_failures_are_counted_in_grammar(run, monkeypatch, items, message):
    monkeypatch.setattr("wsac.inference.batch.stream_captions", lambda *_, **__: results_of(items))
    code, _, err = run("caption", "0.wav")
    assert code == 1
    assert err.splitlines()[-1] == message
    assert err.splitlines()[0] == "error: 0.wav: no sound"


def test_a_table_in_a_pipe_has_no_wrapped_lines(capsys):
    long = Caption("word " * 60, -1.0, 0.0, 2.0, 0.5, "x" * 80 + ".wav", ("first note",))
    print_results(results_of([caption_of("0.wav"), long]), "table", windowed=False)
    out = capsys.readouterr().out
    assert "word " * 60 in out
    assert "(first note)" in out
    assert len(out.splitlines()) == 3 + 1 + 2 + 1


def test_a_table_fits_its_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    long = Caption("word " * 60, -1.0, 0.0, 2.0, 0.5, "鶏" * 80 + ".wav", ("first note",))
    print_results(results_of([caption_of("0.wav"), long]), "table", windowed=False)
    from rich.cells import cell_len

    out = capsys.readouterr().out
    assert {cell_len(line) for line in out.splitlines()} == {80}
    assert out.count("word") == 60


# the whole program


def write_clips(folder, count):
    rng = np.random.default_rng(0)
    for number in range(count):
        soundfile.write(folder / f"{number:03d}.wav", 0.1 * rng.standard_normal(8000), 8000)


def command(*words):
    return [sys.executable, "-m", "wsac", *map(str, words)]


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    write_clips(folder, 40)
    return folder


@pytest.mark.slow
def test_a_list_in_a_pipe_gives_the_rows_of_the_folder(clips):
    run = subprocess.run(command("caption", clips, "--jsonl"), capture_output=True, check=True)
    names = b"\0".join(os.fsencode(path) for path in sorted(clips.iterdir()))
    listed = subprocess.run(
        command("caption", "--files-from", "-", "-0", "--jsonl"),
        input=names,
        capture_output=True,
        check=True,
    )
    assert listed.stdout == run.stdout
    assert len(run.stdout.splitlines()) == 40


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no signals")
@pytest.mark.parametrize("style", ["--json", "--jsonl", "--csv"])
def test_ctrl_c_ends_a_long_run_with_whole_rows(tmp_path, style):
    write_clips(tmp_path, 400)
    run = subprocess.Popen(
        command("caption", tmp_path, style),
        bufsize=0,  # communicate() does not know what readline() has read ahead
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # nohup ignores it
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    first = run.stdout.readline()
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=60)
    rows = read(style.removeprefix("--"), (first + out).decode())
    assert run.returncode == 130
    assert 0 < len(rows) < 400
    assert all(row["caption"] or row["guess"] for row in rows)
    assert err.decode() == f"stopped after {len(rows)} of 400 files\n"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no sh")
@pytest.mark.parametrize(
    ("shell", "code"), [("| head -n 1", 0), (">&-", 1), ("2>&-", 0), (">&- 2>&-", 1)]
)
def test_a_reader_that_ends_is_no_traceback(clips, shell, code):
    line = f"{sys.executable} -m wsac caption {clips}/00* --csv {shell}"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
