"""A film of half an hour with known events, from the file to the subtitles of the command."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest

from wsac.cli import main
from wsac.data.soundworld import KINDS, Event, render_event
from wsac.data.soundworld.scene import BACKGROUNDS, alike

RATE = 16_000  # Hz
MINUTES = 30


def draw(minutes: float, seed: int) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """(sound [T], seconds of its events): events of 1.2 to 6 s over stretches of background."""
    rng = np.random.default_rng(seed)
    total = int(60 * minutes * RATE)
    sound = (rng.standard_normal(total) * 10 ** (-66 / 20)).astype(np.float32)
    events, background, at, until = [], "", 4.0, 0.0
    while at < 60 * minutes - 12:
        if at > until:
            background = BACKGROUNDS[int(rng.integers(len(BACKGROUNDS)))]
            seconds = float(rng.uniform(40, 90))
            begin, until = int((at - 3) * RATE), at + seconds
            part = render_event(Event(background, seconds=15.0), rng, RATE)
            part = np.resize(part, min(int(seconds * RATE), total - begin))
            part = part * 10 ** (rng.uniform(-16, -10) / 20)
            if rng.random() < 0.7:
                sound[begin : begin + len(part)] += part
            else:
                background = ""
        names = [name for name in KINDS if not background or not alike(name, background)]
        name = names[int(rng.integers(len(names)))]
        part = render_event(Event(name, seconds=float(rng.uniform(1.2, 6))), rng, RATE)
        part *= 10 ** (rng.uniform(-8, 0) / 20)
        begin = int(at * RATE)
        sound[begin : begin + len(part)] += part
        loud = np.flatnonzero(np.abs(part) > 10 ** (-30 / 20) * np.abs(part).max())
        events.append((at + loud[0] / RATE, at + loud[-1] / RATE))
        at += len(part) / RATE + float(rng.uniform(2, 9))
    return sound * (0.97 / float(np.abs(sound).max())), events


def write_film(path: Path, sound: np.ndarray, codec: str) -> None:
    with av.open(str(path), "w") as film:
        picture = film.add_stream(codec, rate=5)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        track = film.add_stream("aac", rate=RATE)
        track.layout = "mono"
        for i in range(5 * len(sound) // RATE):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), i % 200, np.uint8), "rgb24")
            frame.pts = i
            film.mux(picture.encode(frame))
        film.mux(picture.encode())
        for i in range(0, len(sound), 1024):
            block = av.AudioFrame.from_ndarray(sound[None, i : i + 1024], "fltp", "mono")
            block.sample_rate, block.pts = RATE, i
            film.mux(track.encode(block))
        film.mux(track.encode())


Times = list[tuple[float, float]]


def pairs(cues: Times, events: Times, least: float) -> list[tuple[int, int]]:
    """Cues and events that cover each other, one to one, by intersection over union."""
    shares = []
    for i, (a, b) in enumerate(cues):
        for j, (c, d) in enumerate(events):
            share = (min(b, d) - max(a, c)) / (max(b, d) - min(a, c))
            if share >= least:
                shares.append((share, i, j))
    chosen: dict[int, int] = {}
    for _, i, j in sorted(shares, reverse=True):
        if i not in chosen and j not in chosen.values():
            chosen[i] = j
    return list(chosen.items())


@pytest.mark.slow
def test_cues_cover_the_events(tmp_path):
    codec = "h264" if "libx264" in av.codecs_available else "mpeg4"
    sound, events = draw(MINUTES, seed=7)
    write_film(tmp_path / "film.mp4", sound, codec)
    assert main(["subtitle", str(tmp_path / "film.mp4"), "--embed", "-f", "srt,json"]) == 0
    rows = json.loads((tmp_path / "film.json").read_text())["cues"]
    with av.open(str(tmp_path / "film.subtitled.mp4")) as film:
        packets = [packet for packet in film.demux(film.streams.subtitles[0]) if packet.size > 2]
    assert len(packets) == len(rows) == (tmp_path / "film.srt").read_text().count("-->")
    # a background of a minute has a cue of seconds: it is no event
    about_events = [row for row in rows if not all(x["background"] for x in row["spans"])]
    cues = [(row["start"], row["end"]) for row in about_events]
    covering = pairs(cues, events, 0.5)
    assert 2 * len(covering) / (len(cues) + len(events)) >= 0.8
    starts = [abs(cues[i][0] - events[j][0]) for i, j in covering]
    assert np.median(starts) <= 0.3
