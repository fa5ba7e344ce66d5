"""One HTML page of subtitles: player, log-mel strip, cues to click and to edit, download."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from wsac.data.audio.audio_options import AS_IS, AudioOptions
from wsac.data.audio.stream import AudioStream, load_audio
from wsac.io.console import clock, count_of
from wsac.io.files import write_bytes
from wsac.io.html import encode_audio
from wsac.io.mel_pictures import mel_power, strip_png
from wsac.io.rendering import data_uri, render
from wsac.types import AudioError

from .cues import Cue

RATE = 16_000  # Hz of the picture, and of sound that browsers do not play as it is
COLUMNS = 2000  # pixels of the picture
EMBEDDED = 24 << 20  # bytes of a file that goes into the page
SPOKEN_SECONDS = 1800.0  # of a sound that is encoded for the page
ALONE_SECONDS = 60.0  # of a sound with player and picture in a page that stands alone
PIXELS = (4.0, 60.0)  # a second, on the timeline
WIDEST = 24_000  # pixels of the timeline
# what browsers play
MEDIA = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".webm": "video/webm",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
}


def write_subtitle_page(
    path: str | Path, cues: Sequence[Cue], audio: str | Path, options: AudioOptions = AS_IS
) -> None:
    """Write the page, whole or not at all. It works from disk and asks nothing of the network.

    audio: the video or sound. A small one is put into the page; of a large one the page names the
    place, beside it or elsewhere. Raises AudioError for a sound that cannot be decoded.
    """
    text = subtitle_page(cues, audio, options, beside=Path(path).parent)
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def subtitle_page(
    cues: Sequence[Cue],
    audio: str | Path,
    options: AudioOptions = AS_IS,
    *,
    beside: Path | None = None,
) -> str:
    """The page. beside: its folder, for links to large files; None: no links, and of a sound longer
    than ALONE_SECONDS just timeline and cues."""
    picture, seconds = _strip(audio, options, math.inf if beside else ALONE_SECONDS)
    seconds = max(seconds, *(cue.end for cue in cues), 0.1) if cues else max(seconds, 0.1)
    tag, media = _media(Path(audio), options, seconds, beside)
    rows, lanes = _blocks(cues, seconds)
    values: dict[str, Any] = {"tag": tag, "media": media, "picture": picture, "cues": rows}
    values |= {"title": Path(audio).name, "seconds": seconds, "lanes": lanes}
    values |= {"about": f"{clock(seconds, 1, hours=0)}, {count_of(len(cues), 'cue')}"}
    values |= {"width": round(seconds * _pixels(seconds))}
    texts = [{"start": cue.start, "end": cue.end, "text": cue.text} for cue in cues]
    data = {"name": Path(audio).stem, "seconds": seconds, "cues": texts}
    return render("subtitle_page.html", {}, data=data, **values)


def _pixels(seconds: float) -> float:
    low, high = PIXELS
    return min(high, max(low, WIDEST / seconds))


def _blocks(cues: Sequence[Cue], seconds: float) -> tuple[list[dict[str, Any]], int]:
    """What the template shows of each cue, and over how many lanes, so that none hides another."""
    smallest = 26 / _pixels(seconds)  # seconds of the narrowest block
    ends: list[float] = []
    rows = []
    for cue in cues:
        lane = next((i for i, end in enumerate(ends) if end <= cue.start), len(ends))
        ends[lane : lane + 1] = [max(cue.end, cue.start + smallest)]
        rows.append(
            {
                "left": round(100 * cue.start / seconds, 4),
                "width": round(100 * (cue.end - cue.start) / seconds, 4),
                "lane": lane,
                "label": " ".join(cue.text.split()),
                "kind": cue.spans[0].kind if cue.spans else "sound",
                "text": cue.text,
                "rows": min(1 + cue.text.count("\n"), 2),
                "time": f"{clock(cue.start, 1, hours=0)}–{clock(cue.end, 1, hours=0)}",
            }
        )
    return rows, max(len(ends), 1)


def _media(
    path: Path, options: AudioOptions, seconds: float, beside: Path | None
) -> tuple[str, str]:
    """(audio or video, its address)."""
    kind = MEDIA.get(path.suffix.lower(), "")
    if beside is None and seconds > ALONE_SECONDS:
        return "audio", ""
    if kind and path.stat().st_size <= EMBEDDED:
        return kind.split("/")[0], data_uri(kind, path.read_bytes())
    if not kind and seconds <= SPOKEN_SECONDS:
        sound = load_audio(path, RATE, options=options)
        return "audio", data_uri(*encode_audio(sound.samples, RATE))
    if beside is None:
        return "audio", ""
    tag = kind.split("/")[0] or "video"
    if path.parent.resolve() == beside.resolve():
        return tag, quote(path.name)
    return tag, path.resolve().as_uri()


def _strip(audio: str | Path, options: AudioOptions, longest: float) -> tuple[str, float]:
    """(picture as an address, seconds), streamed. longest: seconds; of more there is no picture."""
    import numpy as np

    columns, waiting = [], []
    with AudioStream(audio, RATE, options) as stream:
        if (stream.declared_seconds or 0.0) > longest:
            return "", stream.declared_seconds or 0.0
        hop = min(max((stream.declared_seconds or 600) / COLUMNS, 0.01), 1.0)
        piece = math.ceil(60 / hop) * round(hop * RATE)  # whole hops
        for block in stream:
            waiting.append(block)
            if sum(map(len, waiting)) >= piece:
                samples = np.concatenate(waiting)
                columns.append(mel_power(samples[:piece], RATE, hop_seconds=hop))
                waiting = [samples[piece:]]
        rest = np.concatenate(waiting) if waiting else np.empty(0, np.float32)
        if len(rest):
            columns.append(mel_power(rest, RATE, hop_seconds=hop))
        seconds = stream.seconds
    if not columns:
        raise AudioError(f"{audio}: no audio samples; is the download complete?")
    power = np.concatenate(columns, axis=1)
    return data_uri("image/png", strip_png(power, COLUMNS)), seconds
