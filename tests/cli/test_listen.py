"""wsac listen: events on stdout and in files, words about mistakes, and how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest
import soundfile

from miniatures.ears import RATE, Ears, play
from wsac.inference.captioner import Captioner

LABELS = ("--labels", "dog, siren, hum")


@pytest.fixture
def ears(monkeypatch) -> Ears:
    """The captioner that ``wsac listen`` loads."""
    captioner = Ears()
    monkeypatch.setattr(Captioner, "load", lambda *_, **__: captioner)
    return captioner


@pytest.fixture
def sound(tmp_path):
    soundfile.write(tmp_path / "a.wav", play(12, ("dog", 2.2, 4.0), ("siren", 7.1, 9.6)), RATE)
    return tmp_path / "a.wav"


def test_events_are_lines(run, ears, sound):
    code, out, err = run("listen", "--input", sound, *LABELS)
    assert code == 0
    first, second = out.splitlines()
    words = first.split()
    assert words[:3] + words[4:] == "0:00:02.2 dog 100% s -14 dBFS A dog is heard".split()
    assert float(words[3]) == pytest.approx(1.8, abs=0.11)
    assert second.split()[:2] == ["0:00:07.1", "siren"]
    assert err == "listened for 0:00:12; 2 events (dog 1, siren 1)\n"


def test_json_lines_on_stdout_and_in_a_file(run, ears, sound, tmp_path):
    log = tmp_path / "logs" / "events.jsonl"
    words = ("listen", "--input", sound, *LABELS, "--jsonl", "--out", log)
    code, out, _ = run(*words)
    assert code == 0
    events = [json.loads(line) for line in out.splitlines()]
    assert [event["label"] for event in events] == ["dog", "siren"]
    assert list(events[0]) == [
        "state", "number", "label", "start", "end", "confidence", "loudness", "caption",
        "caption_confidence", "time", "clip",
    ]  # fmt: off
    assert log.read_text() == out
    run(*words)
    assert log.read_text() == out + out  # it is appended to


def test_what_is_heard_now(run, ears, sound):
    _, out, _ = run("listen", "--input", sound, *LABELS, "--now", "--jsonl")
    now = [json.loads(line)["now"] for line in out.splitlines() if '"now"' in line]
    assert [entry["at"] for entry in now] == [2.0 + i for i in range(11)]
    assert now[2]["tags"][0]["label"] == "dog"
    _, out, _ = run("listen", "--input", sound, *LABELS, "--now")
    assert "0:00:04.0   -14 dBFS  dog 100%" in out


def test_it_stops_after_some_seconds(run, ears, sound):
    _, out, err = run("listen", "--input", sound, *LABELS, "--seconds", "5")
    assert len(out.splitlines()) == 1
    assert err.startswith("listened for 0:00:05; 1 event")


def test_clips(run, ears, sound, tmp_path):
    code, out, _ = run("listen", "-i", sound, *LABELS, "--clips", tmp_path / "clips", "--jsonl")
    clips = [json.loads(line)["clip"] for line in out.splitlines()]
    assert code == 0
    assert sorted(clips) == sorted(map(str, (tmp_path / "clips").iterdir()))
    assert soundfile.info(clips[0]).duration == pytest.approx(2.0 + 1.8 + 1.0, abs=0.1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--input", "absent.wav"), "absent.wav: not found; check the path"),
        (("--pcm", "16000"), "give --input - too"),
        (("--microphone", "a", "--input", "b"), "exclude each other"),
        (("--labels", "dog"), "one label only"),
        (("--rule", "dog"), "write it as"),
        (("--rule", "dog >= 0.2: mqtt x"), "give a lower --threshold"),
        (("--rule", "dog >= 0.4: mqtt x", *LABELS), "give a lower --threshold"),
        (("--quiet", "night"), "such as 22:00-07:00"),
        (("--quiet", "22:00-07:00"), "give --webhook, --mqtt or --rule too"),
        (("--input", "-", "--speed", "2"), "--speed is for a file"),
        (("--threshold", "3"), "threshold 3"),
        (("--input", "-", "--webhook", "x"), "such as http://server/path"),
        (("--input", "http://127.0.0.1:9/x"), "cannot be read"),
    ],
)
def test_mistakes_are_told_in_one_line(run, ears, words, message):
    code, out, err = run("listen", *words)
    assert (code, out) == (1, "")
    last = err.splitlines()[-1]
    assert last.startswith("error: ")
    assert message in last
    assert "Traceback" not in err


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_a_summary(tmp_path, end):
    """With the built-in captioner, samples from a pipe, and a process of its own."""
    command = [sys.executable, "-m", "wsac", "listen", "--input", "-", "--pcm", str(RATE)]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    process = subprocess.Popen([*command, "--labels", "a tone, rain, a dog", "--jsonl"], **pipes)
    assert b"listening to -" in process.stderr.readline()
    loud = (play(4, ("siren", 1, 4)) * 32_767).astype("<i2").tobytes()
    process.stdin.write(loud)
    process.stdin.flush()
    time.sleep(3)
    process.send_signal(end)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0
    assert b"listened for 0:00:0" in err
    assert b"Traceback" not in err
    for line in out.splitlines():
        assert json.loads(line)["time"]


def test_what_is_wrong_with_a_file_is_told(run, ears, sound):
    sound.write_bytes(sound.read_bytes()[: RATE * 12])  # of 12 s in 16 bits, half
    code, _, err = run("listen", "--input", sound, *LABELS)
    assert code == 0
    assert f"{sound}: truncated: 6.0 s of 12.0 s can be decoded; is the download complete?" in err


def test_quiet_hours_are_counted(run, ears, sound):
    words = ("--rule", "dog >= 0.5: run cat", "--quiet", "00:00-12:00", "--quiet", "12:00-00:00")
    assert "quiet hours: 2 events not passed on\n" in run("listen", "-i", sound, *LABELS, *words)[2]


def test_what_can_be_checked_is_checked_before_the_model(run, monkeypatch, tmp_path):
    monkeypatch.setattr(Captioner, "load", lambda *_, **__: pytest.fail("loaded"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.py").write_text("no sound")
    for words in (
        ("--input", "notes.py"),
        ("--input", "-", "--webhook", "foo"),
        ("--input", "-", "--rule", "dog >= 0.8: run no-such-program"),
        ("--input", "-", "--rule", "dog >= 0.8: mqtt x"),
        ("--input", "-", "--clips", "notes.py"),
    ):
        code, out, err = run("listen", *words)
        assert (code, out, err.count("\n")) == (1, "", 1)
    assert err == (
        "error: notes.py: cannot make the folder, since there is a file here; "
        "give --clips a folder\n"
    )


def test_help_names_the_sources(run):
    _, out, _ = run("listen", "--help")
    assert "Default: the microphone" in out
