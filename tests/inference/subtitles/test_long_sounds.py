"""A long sound: bounded memory, and the first cue soon."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from wsac import Captioner
from wsac.data.audio.stream import AudioStream
from wsac.data.soundworld import Event, render_event
from wsac.inference.subtitles.cues import CueLayout
from wsac.inference.subtitles.relevance import CueOptions, wishes

RATE = 16_000  # Hz
# VmHWM, as ru_maxrss begins with the memory of the process that starts this one
MEMORY = """
import sys
from pathlib import Path
from wsac.cli import main
assert main(["subtitle", sys.argv[1]]) == 0
lines = Path("/proc/self/status").read_text().splitlines()
print(next(line for line in lines if line.startswith("VmHWM")).split()[1])
"""


def write_long(path: Path, minutes: int) -> Path:
    """Three events a minute over steady noise."""
    rng = np.random.default_rng(4)
    minute = (0.01 * rng.standard_normal(60 * RATE)).astype(np.float32)
    for name, start in (("dog", 10), ("siren", 25), ("glass", 45)):
        event = render_event(Event(name, seconds=3.0), rng, RATE)
        minute[start * RATE :][: len(event)] += 0.5 * event
    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        for _ in range(minutes):
            file.write(minute)
    return path


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is measured on Linux")
def test_memory_does_not_grow_with_the_sound(tmp_path):
    megabytes = []
    for minutes in (5, 20):
        sound = write_long(tmp_path / f"{minutes}.flac", minutes)
        command = [sys.executable, "-c", MEMORY, str(sound)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        megabytes.append(int(done.stdout.split()[-1]) / 1024)
    short, long = megabytes
    assert long - short <= 40
    assert long < 700


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc tells processor time")
def test_the_first_cue_comes_within_five_seconds(tmp_path):
    """Of the processor: other programs then do not count. Where they make everything slower, an
    import of torch does, too; it takes more than a second."""
    code = "import time, torch; print(time.process_time())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    sound = write_long(tmp_path / "long.flac", 20)
    command = [sys.executable, "-m", "wsac", "subtitle", str(sound), "--show"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert any(re.match(r"\d:\d\d:\d\d \[", line) for line in process.stderr)
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])  # user and system
    finally:
        process.terminate()
        process.communicate(timeout=120)
    assert ticks / os.sysconf("SC_CLK_TCK") <= max(5.0, 4 * float(done.stdout))
    assert not (tmp_path / "long.srt").exists()  # there was much more to hear


@pytest.mark.slow
def test_the_first_cue_comes_long_before_the_sound_is_read(tmp_path):
    """By samples that are read, which does not depend on the machine."""
    with AudioStream(write_long(tmp_path / "long.flac", 20), RATE) as stream:
        spans = Captioner.load().spans(stream)
        cue = next(CueLayout().place(wishes(spans, CueOptions())))
        assert stream.seconds <= 150
    assert cue.start < 60
