"""Copies of sounds, recognised by ear: re-encoded, louder or fainter, and trimmed ones.

A sound is 62 words of 32 bits a second: a bit says whether the difference of two neighbouring bands
of the spectrum rises or falls. Words are looked up by their halves; sounds that share several at
one offset are compared bit by bit. Source: Haitsma and Kalker, "A Highly Robust Audio
Fingerprinting System", ISMIR 2002; here with bands up to 7 kHz and a limit by length.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wsac.data.audio.find import find_audio
from wsac.data.audio.stream import load_audio
from wsac.io.console import part_of, progress, say
from wsac.types import AudioError

from ..content import content_id

RATE = 16_000  # Hz
WINDOW, HOP = 4096, 256  # samples: 256 and 16 ms
BANDS = 33
LOWEST, HIGHEST = 150.0, 7200.0  # Hz
LONGEST = 600.0  # seconds of a sound that are compared
AUDIBLE = 1e-4  # power of a frame, as a share of the strongest
AT_ONCE = 512  # frames of a spectrogram
FEWEST = 24  # audible frames that two sounds must share
DIFFERENT = 0.5  # share of bits that differ between unrelated sounds
MARGIN, SIGMAS, INDEPENDENT = 0.15, 5.5, 3.0  # INDEPENDENT: bits of a frame, as frames overlap
CANDIDATES = 20  # offsets that are compared, of those with the most equal words
COMMONEST = 500  # a word that is more frequent says nothing


def fingerprint(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The words [N] uint32 of samples [T] at 16 kHz, and which of them are of audible frames."""
    padded = np.pad(samples.astype(np.float32), WINDOW // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    taper = np.hanning(WINDOW).astype(np.float32)
    parts = []
    for start in range(0, len(frames), AT_ONCE):
        spectra = np.fft.rfft(frames[start : start + AT_ONCE] * taper)
        parts.append((spectra.real**2 + spectra.imag**2) @ _bands())
    power = np.concatenate(parts)  # [N, 33]
    total = power.sum(axis=1)
    levels = np.log(power + 1e-9 * max(float(power.max(initial=0.0)), 1e-12))
    slopes = np.diff(levels, axis=1)
    rising = np.diff(slopes, axis=0, prepend=slopes[:1]) > 0  # [N, 32]
    words = np.packbits(rising, axis=1).view(np.uint32)[:, 0]
    return words, total > AUDIBLE * total.max(initial=0.0)


def _bands() -> np.ndarray:
    """[bins, 33]: which bins of a spectrum are in which band."""
    edges = np.geomspace(LOWEST, HIGHEST, BANDS + 1) * WINDOW / RATE
    bins = np.arange(WINDOW // 2 + 1)[:, None]
    return ((bins >= edges[:-1]) & (bins < edges[1:])).astype(np.float32)


def most_errors(frames: int) -> float:
    """The share of bits that may differ in sounds that share so many audible frames.

    0.35, and less for short ones, so that chance is 5.5 standard deviations away.
    """
    return DIFFERENT - max(MARGIN, SIGMAS * DIFFERENT / (INDEPENDENT * max(frames, 1)) ** 0.5)


class Copies:
    """Finds copies of the sounds of folders, each named by its path.

    Sounds with under half a second in common are only known by equal content.
    """

    def __init__(self, folders: Sequence[str]) -> None:
        self.files, self._ids = find_audio(folders), dict[str | None, int]()
        words, audible, unreadable = [], [], 0
        with progress("fingerprints", len(self.files), unit="files") as tick:
            for number, path in enumerate(self.files):
                try:
                    sound = load_audio(path, RATE, max_seconds=LONGEST)
                    parts = fingerprint(sound.samples)
                    self._ids.setdefault(content_id(Path(path)), number)
                except AudioError:
                    parts = np.zeros(0, np.uint32), np.zeros(0, bool)
                    unreadable += 1
                words.append(parts[0])
                audible.append(parts[1])
                tick()
        if unreadable:
            what = "cannot be read, so copies of them stay"
            say(f"note: {part_of(unreadable, len(self.files), 'sound')} of --exclude-like {what}")
        self._words, self._audible = np.concatenate(words), np.concatenate(audible)
        self._starts = np.cumsum([0, *map(len, words)])
        places = np.flatnonzero(self._audible)
        self._halves = []
        for half in _halves(self._words[places]):
            order = np.argsort(half, kind="stable")
            self._halves.append((half[order], places[order]))

    def find(self, path: Path, content: str | None = None) -> Path | None:
        """The sound of which this one is a copy, if any. Raises AudioError."""
        if content is not None and content in self._ids:
            return Path(self.files[self._ids[content]])
        words, audible = fingerprint(load_audio(path, RATE, max_seconds=LONGEST).samples)
        number = self._best(words, audible)
        return None if number is None else Path(self.files[number])

    def _best(self, words: np.ndarray, audible: np.ndarray) -> int | None:
        """The number of the first sound that is near enough at one of the likely offsets."""
        frames = np.flatnonzero(audible)
        votes = [np.zeros((0, 2), np.int64)]
        for (values, places), half in zip(self._halves, _halves(words[frames]), strict=True):
            first = np.searchsorted(values, half, "left")
            count = np.searchsorted(values, half, "right") - first
            count[count > COMMONEST] = 0
            ends = np.cumsum(count)
            within = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - count, count)
            at = places[np.repeat(first, count) + within]
            number = np.searchsorted(self._starts, at, "right") - 1
            offset = at - self._starts[number] - np.repeat(frames, count)
            votes.append(np.stack([number, offset], axis=1))
        pairs, counts = np.unique(np.concatenate(votes), axis=0, return_counts=True)
        for place in np.argsort(-counts, kind="stable")[:CANDIDATES]:
            number, offset = pairs[place].tolist()
            if self._is_copy(words, audible, number, offset):
                return int(number)
        return None

    def _is_copy(self, words: np.ndarray, audible: np.ndarray, number: int, offset: int) -> bool:
        start, end = self._starts[number], self._starts[number + 1]
        first, last = max(0, -offset), min(len(words), int(end - start) - offset)
        here = slice(first, last)
        there = slice(start + offset + first, start + offset + last)
        both = audible[here] & self._audible[there]
        if (frames := int(both.sum())) < FEWEST:
            return False
        differing = words[here][both] ^ self._words[there][both]
        return float(np.unpackbits(differing.view(np.uint8)).mean()) <= most_errors(frames)


def _halves(words: np.ndarray) -> list[np.ndarray]:
    return [words >> np.uint32(16), words & np.uint32(0xFFFF)]


def copies_of(folders: Sequence[str]) -> Any:
    """A filter of exports: says of which folder's sound one is a copy."""
    finder = Copies(folders)

    def why(row: dict[str, Any], place: Path) -> str:
        return "like sounds of --exclude-like" if finder.find(place, row["id"]) else ""

    return why
