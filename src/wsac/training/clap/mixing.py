"""Composed training sounds, each with a true caption and a false one."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.random import Generator

from wsac.data.datasets.pairs import Clip

from .store import AudioStore

SENTENCES = tomllib.loads(Path(__file__).with_name("sentences.toml").read_text(encoding="utf-8"))
COUNTED = {n: SENTENCES[f"{word}_times"] for n, word in ((2, "two"), (3, "three"), (4, "four"))}
ONE_SHOT_SECONDS = 1.5  # shorter sounds are single events that can be counted

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Example:
    """samples: float32 [T]. labels: rows of ``Composer.labels`` that sound.

    false: a caption that is wrong in the order, one event or the count, "" if none is known.
    """

    samples: np.ndarray
    caption: str
    false: str = ""
    labels: tuple[int, ...] = ()


class Composer:
    """Composes examples from clips whose captions fit any excerpt.

    balance: a clip of a class of n is drawn with weight n ** -balance; 1 balances the classes.
    """

    def __init__(self, clips: Sequence[Clip], store: AudioStore, balance: float) -> None:
        self.clips, self.store, self.rate = clips, store, store.sample_rate
        counts = Counter(clip.label for clip in clips)
        self.labels = sorted(counts)
        row_of = {label: row for row, label in enumerate(self.labels)}
        self._label = [row_of[clip.label] for clip in clips]
        weights = [
            counts[clip.label] ** -balance if store.seconds(row) > 0 else 0.0
            for row, clip in enumerate(clips)
        ]
        self._chances = np.array(weights) / sum(weights)

    def draw(self, rng: Generator, count: int) -> np.ndarray:
        """Rows of clips, classes balanced."""
        return rng.choice(len(self.clips), count, p=self._chances)

    def distinct(self, rng: Generator, count: int) -> list[int]:
        """Rows of ``count`` clips, of different classes as far as possible."""
        rows: list[int] = []
        for row in self.draw(rng, 8 * count):
            if self._label[row] not in self._labels_of(rows):
                rows.append(int(row))
        return (rows + [int(row) for row in self.draw(rng, count)])[:count]

    def batch(self, size: int, length: int, mixtures: float, rng: Generator) -> list[Example]:
        """``size`` examples of single clips; a share of ``mixtures`` of several clips."""
        examples = []
        for row in self.draw(rng, size):
            if rng.random() >= mixtures:
                examples.append(self.event(int(row), length, rng))
            elif rng.random() < 0.8:
                examples.append(self.overlay(self.distinct(rng, 3), length, rng))
            else:
                examples.append(self.sequence(self.distinct(rng, 4), length, rng))
        return examples

    def event(self, row: int, length: int, rng: Generator) -> Example:
        """One clip in ``length`` samples; a short one is sometimes repeated and counted."""
        clip, caption, labels = self.store[row], self._caption(row, rng), self._labels_of([row])
        shots = int(rng.integers(2, 5))
        step = len(clip) + int(rng.uniform(0.1, 0.5) * self.rate)
        countable = len(clip) < ONE_SHOT_SECONDS * self.rate and shots * step <= length
        if countable and rng.random() < 0.3:
            samples = np.zeros(length, np.float32)
            start = int(rng.integers(length - shots * step + 1))
            for onset in range(start, start + shots * step, step):
                samples[onset : onset + len(clip)] += clip
            wrong = _pick(rng, [count for count in COUNTED if count != shots])
            true, false = (_pick(rng, COUNTED[n]).format(a=caption) for n in (shots, wrong))
            return Example(samples, true, false, labels)
        if rng.random() < 0.5:
            clip = resampled(clip, 2 ** rng.uniform(-0.2, 0.2))
        return Example(crop(clip, length, rng), caption, "", labels)

    def overlay(self, rows: Sequence[int], length: int, rng: Generator) -> Example:
        """Two clips at once, within 6 dB, or the second 10 to 16 dB lower and called faint or far.

        rows: of both, and of a third for the false caption.
        """
        front_row, back_row, other = rows
        buried = rng.random() < 0.25
        decibels = rng.uniform(10, 16) if buried else rng.uniform(-6, 6)
        front, back = (
            crop(resampled(self.store[row], 2 ** rng.uniform(-0.2, 0.2)), length, rng)
            for row in (front_row, back_row)
        )
        if buried and rng.random() < 0.5:
            back = far(back, self.rate, rng)
        mix = front + back * (loudness(front) / loudness(back) * 10 ** (-decibels / 20))
        pattern = _pick(rng, SENTENCES["buried" if buried else "overlaid"])
        return self._captioned(mix, (front_row, back_row), other, pattern, rng)

    def sequence(self, rows: Sequence[int], length: int, rng: Generator) -> Example:
        """Two or three clips in turn, or two in turn over a third that goes on.

        rows: of the three, and of a fourth for the false caption.
        """
        *three, other = rows
        kind = rng.random()
        if kind < 0.75:
            turns, patterns = (three[:2], "sequence") if kind < 0.5 else (three, "three")
            samples = self._in_turn(turns, length, rng)
            return self._captioned(samples, turns, None, _pick(rng, SENTENCES[patterns]), rng)
        ground = crop(self.store[three[0]], length, rng)
        events = self._in_turn(three[1:], length, rng)
        ground = ground * (loudness(events) / loudness(ground) * 10 ** (-rng.uniform(3, 9) / 20))
        swap = None if rng.random() < 0.7 else other
        return self._captioned(events + ground, three, swap, _pick(rng, SENTENCES["during"]), rng)

    def twins(self, length: int, rng: Generator) -> tuple[Example, Example]:
        """Two clips in one order, and the same pieces in the other."""
        first = int(length * rng.uniform(0.35, 0.65))
        rows, parts = self.distinct(rng, 2), []
        for row, size in zip(rows, (first, length - first), strict=True):
            parts.append((self._piece(row, size, rng), self._caption(row, rng)))
        return in_both_orders(parts[0], parts[1], length, rng, self._labels_of(rows))

    def _in_turn(self, rows: Sequence[int], length: int, rng: Generator) -> np.ndarray:
        shares = rng.uniform(0.7, 1.3, len(rows))
        ends = np.round(np.cumsum(shares) / shares.sum() * length).astype(int)
        samples, start = np.zeros(length, np.float32), 0
        for row, end in zip(rows, ends, strict=True):
            samples[start:end] = self._piece(row, end - start, rng)
            start = end
        return samples

    def _piece(self, row: int, length: int, rng: Generator) -> np.ndarray:
        """The loudest of four random crops, faded, within 3 dB of the same level."""
        piece = max((crop(self.store[row], length, rng) for _ in range(4)), key=loudness)
        return faded(piece, self.rate) * (10 ** (rng.uniform(-3, 3) / 20) / loudness(piece))

    def _captioned(
        self,
        samples: np.ndarray,
        rows: Sequence[int],
        other: int | None,
        pattern: str,
        rng: Generator,
    ) -> Example:
        """Fill the pattern. The false caption replaces an event by ``other``, or swaps the last
        two.
        """
        events = [self._caption(row, rng) for row in rows]
        labels, wrong = self._labels_of(rows), list(events)
        if other is None:
            wrong[-2:] = wrong[:-3:-1]
        elif self._label[other] in labels:
            return Example(samples, _fill(pattern, events), "", labels)
        else:
            wrong[int(rng.integers(len(wrong)))] = self._caption(other, rng)
        return Example(samples, _fill(pattern, events), _fill(pattern, wrong), labels)

    def _caption(self, row: int, rng: Generator) -> str:
        return _pick(rng, self.clips[row].captions)

    def _labels_of(self, rows: Sequence[int]) -> tuple[int, ...]:
        return tuple(self._label[row] for row in rows)


def in_both_orders(
    one: tuple[np.ndarray, str],
    other: tuple[np.ndarray, str],
    length: int,
    rng: Generator,
    labels: tuple[int, ...] = (),
) -> tuple[Example, Example]:
    """Two captioned sounds in both orders, in ``length`` samples, with pauses if there is room.

    Each caption is true of its example and false of its twin.
    """
    start, pause = np.sort(rng.integers(length - len(one[0]) - len(other[0]) + 1, size=2))
    twins = []
    for (a, caption), (b, next_caption) in ((one, other), (other, one)):
        samples, second = np.zeros(length, np.float32), pause + len(a)
        samples[start : start + len(a)] = a
        samples[second : second + len(b)] = b
        sentence = _fill(_pick(rng, SENTENCES["sequence"]), (caption, next_caption))
        twins.append(Example(samples, sentence, "", labels))
    return twins[0], twins[1]


def faded(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """With 20 ms of fading in and out."""
    ramp = np.minimum(1, np.arange(len(samples)) / (0.02 * sample_rate)).astype(np.float32)
    return samples * ramp * ramp[::-1]


def crop(samples: np.ndarray, length: int, rng: Generator) -> np.ndarray:
    """A random piece of ``length`` samples; a shorter sound is repeated, or placed in silence."""
    if len(samples) >= length:
        start = int(rng.integers(len(samples) - length + 1))
        return samples[start : start + length]
    if rng.random() < 0.4:
        return np.tile(samples, -(-length // len(samples)))[:length]
    padded = np.zeros(length, np.float32)
    start = int(rng.integers(length - len(samples) + 1))
    padded[start : start + len(samples)] = samples
    return padded


def resampled(samples: np.ndarray, speed: float) -> np.ndarray:
    """Played faster and higher or slower and lower, by linear interpolation; never empty."""
    count = max(1, int(len(samples) / speed))
    return np.interp(np.arange(count) * speed, np.arange(len(samples)), samples).astype(np.float32)


def loudness(samples: np.ndarray) -> float:
    """Root mean square, never zero."""
    return float(np.sqrt(np.mean(samples**2)) + 1e-6)


def far(samples: np.ndarray, sample_rate: int, rng: Generator) -> np.ndarray:
    """The sound from far away: less treble, and an echo of half a second."""
    tail = np.arange(sample_rate // 2) / sample_rate
    echo = rng.standard_normal(len(tail)) * np.exp(-tail * rng.uniform(8, 16))
    echo *= 0.7 / np.sqrt((echo**2).sum())
    echo[0] += 1
    padded = len(samples) + len(echo)
    frequency = np.fft.rfftfreq(padded, 1 / sample_rate)
    path = np.fft.rfft(echo, padded) / (1 + (frequency / rng.uniform(700, 2000)) ** 2)
    distant = np.fft.irfft(np.fft.rfft(samples, padded) * path, padded)
    return distant[: len(samples)].astype(np.float32)


def random_level(samples: np.ndarray, rng: Generator) -> np.ndarray:
    """Scaled to a peak between -25 and 0 dBFS."""
    peak = float(np.abs(samples).max()) + 1e-6
    return (samples / peak * 10 ** (rng.uniform(-25, 0) / 20)).astype(np.float32)


def _pick(rng: Generator, choices: Sequence[T]) -> T:
    return choices[int(rng.integers(len(choices)))]


def _fill(pattern: str, captions: Sequence[str]) -> str:
    return pattern.format(**dict(zip("abc", captions, strict=False)))
