"""Moments as sound files, and as a label track for Audacity."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from wsac.data.audio.audio_options import AS_IS, AudioOptions
from wsac.data.audio.decoding import Decoding
from wsac.io.files import write_wav

from .find_moments import Moment

LONGEST_WORDS = 40  # characters of a name, of the file and of the query each


def clip_name(place: int, moment: Moment) -> str:
    """A file name that every system takes, such as ``03-glass-breaking-film-83.2s.wav``."""
    words = (moment.query, Path(moment.file).stem)
    parts = [re.sub(r"[^\w]+", "-", text).strip("-_")[:LONGEST_WORDS] for text in words]
    return "-".join(filter(None, (f"{place:02}", *parts, f"{moment.start:.1f}s"))) + ".wav"


def write_clips(
    moments: Sequence[Moment], folder: Path, audio_options: AudioOptions = AS_IS
) -> list[Path]:
    """Write the sound of each moment as mono WAV with its own sample rate; the paths, in order.

    Each recording is read once, and no more of it than a moment is held. Raises AudioError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / clip_name(place, moment) for place, moment in enumerate(moments, start=1)]
    for file in dict.fromkeys(moment.file for moment in moments):
        places = [place for place, moment in enumerate(moments) if moment.file == file]
        for place, samples, rate in _cut(file, moments, places, audio_options):
            write_wav(paths[place], samples, rate)
    return paths


def _cut(
    file: str, moments: Sequence[Moment], places: list[int], options: AudioOptions
) -> Iterator[tuple[int, np.ndarray, int]]:
    """The samples of the moments at these places, each when its end is read."""
    source = Decoding(file, file, 0, options)
    waiting = sorted(places, key=lambda place: moments[place].start)
    parts: dict[int, list[np.ndarray]] = {place: [] for place in waiting}
    seconds, rate = 0.0, 0
    try:
        for block, rate in source.blocks():
            for place in list(waiting):
                moment = moments[place]
                first = max(0, round((moment.start - seconds) * rate))
                last = round((moment.end - seconds) * rate)
                if last > 0 and first < len(block):
                    parts[place].append(block[first:last])
                if 0 < last <= len(block):
                    waiting.remove(place)
                    yield place, np.concatenate(parts.pop(place)), rate
            seconds += len(block) / rate
            if not waiting:
                return
        for place in waiting:  # it ends with the recording
            if parts[place]:
                yield place, np.concatenate(parts[place]), rate
    finally:
        source.close()


def label_track(moments: Sequence[Moment]) -> str:
    """Lines of start, end and label, as Audacity imports them, in order of time."""
    lines = []
    for moment in sorted(moments, key=lambda moment: (moment.start, moment.end)):
        sure = "" if moment.probability is None else f" ({100 * moment.probability:.0f} %)"
        text = " ".join(moment.query.split()) + sure
        lines.append(f"{moment.start:.6f}\t{moment.end:.6f}\t{text}\n")
    return "".join(lines)
