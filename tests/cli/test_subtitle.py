"""wsac subtitle: its files, its words about mistakes, and how it is stopped and goes on."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile

from miniatures.films import RATE, LoudSeconds, tone
from wsac.cli import main
from wsac.inference.captioner import Captioner


@pytest.fixture
def loud(monkeypatch) -> LoudSeconds:
    """The captioner that ``wsac subtitle`` loads."""
    captioner = LoudSeconds()
    monkeypatch.setattr(Captioner, "load", lambda *_, **__: captioner)
    return captioner


@pytest.fixture
def sound(tmp_path) -> Path:
    soundfile.write(tmp_path / "a.wav", tone(12, (2, 6)), RATE)
    return tmp_path / "a.wav"


@pytest.mark.slow
def test_paths_on_stdout_the_rest_on_stderr(run, loud, sound):
    code, out, err = run("subtitle", sound, "-f", "srt,ttml", "--page")
    folder = sound.parent
    assert code == 0
    assert out.split() == [str(folder / name) for name in ("a.srt", "a.ttml", "a.html")]
    assert err == f"{sound}: 2 cues\n"
    code, out, err = run("subtitle", sound, "-f", "srt")
    assert (code, out) == (0, "")
    assert "already there; left unchanged" in err


def test_the_progress_counts_seconds_and_says_what_is_left(run, loud, sound, monkeypatch):
    monkeypatch.setattr("wsac.io.console.LINE_SECONDS", 0.0)
    _, _, err = run("subtitle", sound)
    assert re.search(r"a.wav: \d+ of 12 s, \d+ s left", err)


def test_cues_are_shown_as_they_come(run, loud, sound):
    _, _, err = run("subtitle", sound, "--show")
    assert err == f"0:00:02 [dog barks]\n0:00:06 [dog barks]\n{sound}: 2 cues\n"


def test_copies_of_an_earlier_run_are_passed_by(run, loud, sound, tmp_path):
    shutil.copy(sound, tmp_path / "a.subtitled.wav")
    code, out, err = run("subtitle", tmp_path)
    assert (code, out) == (0, f"{tmp_path / 'a.srt'}\n")
    assert err.startswith("copies with subtitles passed by: 1\n")
    assert run("subtitle", tmp_path / "a.subtitled.wav")[1] == f"{tmp_path / 'a.subtitled.srt'}\n"


def test_a_folder_of_results(run, loud, sound, tmp_path):
    out = tmp_path / "out"
    assert run("subtitle", tmp_path, "-o", out, "--style", "bbc")[0] == 0
    assert "DOG BARKS" in (out / "a.srt").read_text()


def test_a_bad_file_is_told_and_the_others_are_done(run, loud, sound, tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    code, out, err = run("subtitle", tmp_path / "bad.wav", sound)
    assert code == 1
    assert out == f"{tmp_path / 'a.srt'}\n"
    assert err.startswith(f"error: {tmp_path / 'bad.wav'}: ")
    assert err.endswith("1 of 2 files could not be subtitled\n")


def test_a_file_that_cannot_be_read_needs_no_captioner(run, monkeypatch, tmp_path):
    monkeypatch.setattr(Captioner, "load", lambda *_, **__: pytest.fail("loaded"))
    for name, content in (("zero.mp4", b""), ("text.wav", b"no sound at all" * 99)):
        (tmp_path / name).write_bytes(content)
        code, out, err = run("subtitle", tmp_path / name)
        assert (code, out) == (1, "")
        assert err.startswith(f"error: {tmp_path / name}: ")


def test_broken_times_of_speech_are_told_with_their_line(run, loud, sound, tmp_path):
    broken = "2\n00:00:99,500 -> what\nYes -> no\n\n3\n00:00:03,000 --> 00:00:02,000\nBack\n"
    (tmp_path / "speech.srt").write_text(f"{SPEECH}\n{broken}")
    code, _, err = run("subtitle", sound, "--merge", tmp_path / "speech.srt")
    assert code == 0
    first, second = err.splitlines()[:2]
    what = "its times cannot be read, so it is no cue; left unchanged"
    assert first == f"{tmp_path / 'speech.srt'}, line 6: {what}"
    assert second == f"{tmp_path / 'speech.srt'}, line 10: it ends before it begins; left unchanged"


SPEECH = "1\n00:00:00,000 --> 00:00:01,000\nHello\n"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, "no sounds"),
        (["none.wav"], 1, "none.wav: no such file"),
        (["a.wav", "--format", "doc"], 1, "format 'doc': there are srt, vtt"),
        (["a.wav", "--style", "sdhh"], 1, "did you mean 'sdh'"),
        (["a.wav", "--sensitivity", "7"], 1, "sensitivity 7: give 0 to 1"),
        (["a.wav", "--skip", "voices"], 1, "skip 'voices': give speech or music"),
        (["a.wav", "--merge", "none.srt"], 1, "none.srt: not found"),
        (["a.wav", "--merge", "a.wav"], 1, "neither SRT, VTT nor ASS"),
        (["a.wav", "b.wav", "--merge", "speech.srt"], 2, "--merge takes the speech of one file"),
        (["a.wav", "--merge", "speech.srt", "-f", "vtt"], 1, "what is merged with srt is srt"),
        (["a.wav", "--embed"], 1, "a track can be put into .mp4"),
        (["a.wav", "-o", "speech.srt"], 1, "there is a file here"),
        (["a.wav", "--watch", "."], 2, "--watch takes a folder, and no other files"),
        (["--watch", "none"], 1, "none: no folder to watch"),
        (["a.wav", "--place", "top"], 2, "'--place': 'top': give one of 'gaps', 'line'"),
        (["a.wav", "--track", "0"], 1, "track 0"),
    ],
)
def test_mistakes_are_told_in_words(words, code, message, run, loud, sound, monkeypatch):
    monkeypatch.chdir(sound.parent)
    shutil.copy("a.wav", "b.wav")
    Path("speech.srt").write_text(SPEECH)
    before = sorted(Path().iterdir())
    found, out, err = run("subtitle", *words)
    assert (found, out) == (code, "")
    assert message in " ".join(err.replace("│", " ").split())
    assert sorted(Path().iterdir()) == before


def test_ctrl_c_says_where_and_the_next_run_goes_on(run, monkeypatch, tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(60, range(1, 60, 4)), RATE)
    captioner = LoudSeconds(stop_at=40)
    monkeypatch.setattr(Captioner, "load", lambda *_, **__: captioner)
    code, out, err = run("subtitle", tmp_path / "a.wav")
    assert (code, out) == (130, "")
    assert err.endswith("stopped at 0:00:37 of 0:01:00; the same command goes on from there\n")
    captioner.listened = 0
    assert run("subtitle", tmp_path / "a.wav")[0] == 0
    assert captioner.listened == 23


def test_ctrl_c_ends_a_watch(run, loud, sound, monkeypatch):
    from wsac.inference.subtitles import watching

    looks = []

    def sleep(_: float) -> None:
        looks.append(1)
        if len(looks) > 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(watching.time, "sleep", sleep)
    code, out, err = run("subtitle", "--watch", sound.parent)
    assert (code, out) == (0, f"{sound.parent / 'a.srt'}\n")
    assert err.endswith("stopped; 1 file seen\n")


def test_help_is_short_and_names_every_style(run):
    code, out, _ = run("subtitle", "--help")
    assert code == 0
    assert "sdh, dcmp, netflix, bbc or plain" in " ".join(out.split())


@pytest.mark.slow
def test_the_built_in_captioner_from_start_to_stop_and_on(tmp_path):
    """A real run is stopped by SIGINT, goes on, and ends with cues of what is heard."""
    import numpy as np

    from wsac.data.soundworld import demo_scenes, render_scene

    scenes = dict(demo_scenes())
    rate, pieces = 16_000, []
    names = sorted(scenes) * 3  # each so seldom that it is no background
    quiet = 0.001 * np.random.default_rng(1).standard_normal((len(names), 4 * rate))
    for i, name in enumerate(names):
        sound = render_scene(scenes[name], np.random.default_rng(i), 3.0, rate)
        pieces += [quiet[i], 0.5 * sound]
    soundfile.write(tmp_path / "dogs.wav", np.concatenate(pieces).astype(np.float32), rate)
    command = [sys.executable, "-m", "wsac", "subtitle", str(tmp_path / "dogs.wav")]
    started = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    unfinished = tmp_path / ".dogs.srt.unfinished"
    until = time.monotonic() + 120
    while started.poll() is None and time.monotonic() < until:
        if unfinished.exists() and unfinished.read_text().count("\n") > 2:
            started.send_signal(signal.SIGINT)
            break
        time.sleep(0.02)
    _, err = started.communicate(timeout=120)
    if started.returncode == 130:
        assert "the same command goes on from there" in err
        assert unfinished.exists()
    assert main(["subtitle", str(tmp_path / "dogs.wav"), "--sensitivity", "1"]) == 0
    text = (tmp_path / "dogs.srt").read_text()
    assert text.count("-->") >= 15
    assert "dog" in text
    assert not unfinished.exists()
