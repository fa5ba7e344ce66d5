"""Progress on stderr: a bar on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import io
import sys
import time

import pytest

from wsac.io import console
from wsac.io.console import be_quiet, progress, say, working_on


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves."""
    now = [100.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])

    def wait(seconds):
        now[0] += seconds

    return wait


def test_a_line_every_thirty_seconds_where_there_is_no_terminal(capsys, clock):
    with progress("caption", 3000, unit="files") as tick:
        for _ in range(100):
            clock(1.0)
            tick()
    err = capsys.readouterr().err.splitlines()
    assert err == [
        "caption: 30 of 3,000 files, 50 min left",
        "caption: 60 of 3,000 files, 49 min left",
        "caption: 90 of 3,000 files, 48 min left",
    ]


def test_a_day_is_a_hundred_lines(capsys, clock):
    with progress("training", 86_400, unit="captions") as tick:
        for _ in range(8640):
            clock(10.0)
            tick(10, "loss 2.31")
    err = capsys.readouterr().err.splitlines()
    assert 50 < len(err) < 120
    assert all(line.endswith("loss 2.31") for line in err)


def test_a_short_run_says_nothing(capsys, clock):
    with progress("embed", 10) as tick:
        clock(29.0)
        tick(10)
    assert capsys.readouterr() == ("", "")


def test_a_resumed_run_estimates_by_its_own_speed(capsys, clock):
    with progress("training", 100, unit="steps", done=80) as tick:
        clock(40.0)
        tick(10)
    assert capsys.readouterr().err == "training: 90 of 100 steps, 40 s left\n"


def test_a_long_step_says_what_it_is_at(capsys, clock):
    working_on("nothing is under way")
    with progress("caption", 2, unit="files"):
        clock(31.0)
        working_on("talk.wav: 12 of 61 min")
        with progress("download", 7):
            clock(1.0)
            working_on("weights")
    assert capsys.readouterr().err == "caption: 0 of 2 files; talk.wav: 12 of 61 min\n"


def test_a_quiet_process_has_no_progress(capsys, clock):
    be_quiet()
    try:
        with progress("caption", 2) as tick:
            clock(1000.0)
            tick()
        say("hello")
    finally:
        be_quiet(False)
    assert capsys.readouterr() == ("", "")


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("rows", [False, True])
def test_a_bar_leaves_stdout_alone(monkeypatch, rows):
    """Rows go where stdout leads, also while a bar is on stderr."""
    out, err = io.StringIO(), Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    monkeypatch.setenv("TERM", "xterm")  # a dumb one shows no bar
    with progress("caption", 2, unit="files", rows=rows) as tick:
        print("a row")
        tick(1, "[red]brackets are no markup")
        time.sleep(0.01)
    assert out.getvalue() == "a row\n"
    assert "caption" in err.getvalue()


def test_rows_on_the_terminal_take_the_place_of_the_bar(monkeypatch):
    out, err = Terminal(), Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    with progress("caption", 2, unit="files", rows=True) as tick:
        print("a row")
        tick()
    assert (out.getvalue(), err.getvalue()) == ("a row\n", "")
