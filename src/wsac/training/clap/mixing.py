"""Sounds put together, with a sentence that is true of them and one that is not: training examples for both towers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from wsac.data.datasets.pairs import Clip
from wsac.training.clap.store import AudioStore

OVERLAID = (
    "{a} while {b}",
    "{a} and {b}",
    "{a} as {b}",
    "{b} while {a}",
    "{b} and {a}",
    "{a} with {b}",
)
BURIED = (
    "{a} with {b} faintly in the background",
    "{a} loudly and {b} faintly",
    "{a}, and {b} in the distance",
    "{b} faintly behind {a}",
    "loudly {a} over {b}",
)
SEQUENCE = (
    "{a} then {b}",
    "{a} followed by {b}",
    "{a} and then {b}",
    "{a}, then {b}",
    "{b} after {a}",
    "{a} before {b}",
    "first {a}, and after that {b}",
)
THREE = (
    "{a}, then {b}, then {c}",
    "{a} followed by {b} and then {c}",
    "first {a}, then {b} and finally {c}",
)
DURING = (
    "{b} and then {c} while {a}",
    "{a} throughout, with {b} followed by {c}",
    "{b}, then {c}, as {a}",
)
COUNTED = {2: ("{a} twice", "{a} two times"), 3: ("{a} three times",), 4: ("{a} four times",)}
ONE_SHOT = 1.5  # seconds: shorter sounds are single events that can be counted


@dataclass(frozen=True, slots=True)
class Example:
    """samples: float32 [T]; false: a caption that differs in order, in one event or in a count, "" when none is known.

    labels: the classes that are heard, as rows of ``Composer.labels``.
    """

    samples: np.ndarray
    caption: str
    false: str = ""
    labels: tuple[int, ...] = ()


class Composer:
    """Draws examples from clips of which any part shows the caption.

    balance: a clip of a class of n clips is drawn with weight n ** -balance, so 1 balances the classes fully.
    """

    def __init__(self, clips: Sequence[Clip], store: AudioStore, balance: float) -> None:
        self.clips, self.store = clips, store
        counts = Counter(clip.label for clip in clips)
        self.labels = sorted(counts)
        rows = {label: row for row, label in enumerate(self.labels)}
        self._label = [rows[clip.label] for clip in clips]
        weights = [
            counts[clip.label] ** -balance if store.seconds(i) > 0 else 0.0
            for i, clip in enumerate(clips)
        ]
        self._chances = np.array(weights) / sum(weights)

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Rows of clips, classes balanced."""
        return rng.choice(len(self.clips), count, p=self._chances)

    def caption(self, row: int, rng: np.random.Generator) -> str:
        return _pick(rng, self.clips[row].captions)

    def event(self, row: int, length: int, rng: np.random.Generator) -> Example:
        """One clip in ``length`` samples; a short one is now and then repeated and counted."""
        clip, caption = self.store[row], self.caption(row, rng)
        shots = int(rng.integers(2, 5))
        step = len(clip) + int(rng.uniform(0.1, 0.5) * self.store.sample_rate)
        if (
            len(clip) < ONE_SHOT * self.store.sample_rate
            and shots * step <= length
            and rng.random() < 0.3
        ):
            samples = np.zeros(length, np.float32)
            first = int(rng.integers(length - shots * step + 1))
            for shot in range(shots):
                samples[first + shot * step : first + shot * step + len(clip)] += clip
            wrong = _pick(rng, [n for n in COUNTED if n != shots])
            true, false = (_pick(rng, COUNTED[n]).format(a=caption) for n in (shots, wrong))
            return Example(samples, true, false, (self._label[row],))
        if rng.random() < 0.5:
            clip = faster(clip, 2 ** rng.uniform(-0.2, 0.2))
        return Example(crop(clip, length, rng), caption, "", (self._label[row],))

    def overlay(self, rows: Sequence[int], length: int, rng: np.random.Generator) -> Example:
        """Two clips at once, within 6 dB, or the second 10 to 16 dB under the first and said to be faint or far."""
        a, b, other = rows
        buried = rng.random() < 0.25
        under = rng.uniform(10, 16) if buried else rng.uniform(-6, 6)
        front, back = (
            crop(faster(self.store[row], 2 ** rng.uniform(-0.2, 0.2)), length, rng)
            for row in (a, b)
        )
        if buried and rng.random() < 0.5:
            back = far(back, self.store.sample_rate, rng)
        back = back * (loudness(front) / loudness(back) * 10 ** (-under / 20))
        return self._said(
            front + back, (a, b), other, _pick(rng, BURIED if buried else OVERLAID), rng
        )

    def sequence(self, rows: Sequence[int], length: int, rng: np.random.Generator) -> Example:
        """Two or three clips in turn, or two in turn over one that goes on."""
        a, b, c, other = rows
        kind = rng.random()
        if kind < 0.5:
            return self._said(
                self._turns((a, b), length, rng), (a, b), -1, _pick(rng, SEQUENCE), rng
            )
        if kind < 0.75:
            return self._said(
                self._turns((a, b, c), length, rng), (a, b, c), -1, _pick(rng, THREE), rng
            )
        ground = crop(self.store[a], length, rng)
        turns = self._turns((b, c), length, rng)
        ground = ground * (loudness(turns) / loudness(ground) * 10 ** (-rng.uniform(3, 9) / 20))
        swap = -1 if rng.random() < 0.7 else other
        return self._said(turns + ground, (a, b, c), swap, _pick(rng, DURING), rng)

    def twins(self, length: int, rng: np.random.Generator) -> tuple[Example, Example]:
        """Two clips in one order, and the same pieces in the other."""
        first = int(length * rng.uniform(0.35, 0.65))
        rows, parts = self.distinct(rng, 2), []
        for row, size in zip(rows, (first, length - first), strict=True):
            piece = liveliest(self.store[row], size, rng)
            loud = 10 ** (rng.uniform(-3, 3) / 20) / loudness(piece)
            parts.append((faded(piece, self.store.sample_rate) * loud, self.caption(row, rng)))
        return in_both_orders(
            parts[0], parts[1], length, rng, tuple(self._label[row] for row in rows)
        )

    def _turns(self, rows: Sequence[int], length: int, rng: np.random.Generator) -> np.ndarray:
        shares = rng.uniform(0.7, 1.3, len(rows))
        ends = np.round(np.cumsum(shares) / shares.sum() * length).astype(int)
        out, first = np.zeros(length, np.float32), 0
        for row, end in zip(rows, ends, strict=True):
            piece = liveliest(self.store[row], end - first, rng)
            loud = 10 ** (rng.uniform(-3, 3) / 20) / loudness(piece)
            out[first:end] = faded(piece, self.store.sample_rate) * loud
            first = end
        return out

    def _said(
        self,
        samples: np.ndarray,
        rows: Sequence[int],
        other: int,
        pattern: str,
        rng: np.random.Generator,
    ) -> Example:
        """Fill the pattern; the false caption exchanges the last two events, or puts ``other`` in the place of one."""
        events = [self.caption(row, rng) for row in rows]
        wrong = list(events)
        if other < 0:
            wrong[-2], wrong[-1] = wrong[-1], wrong[-2]
        elif self._label[other] in [self._label[row] for row in rows]:
            wrong = []
        else:
            wrong[int(rng.integers(len(wrong)))] = self.caption(other, rng)
        false = _filled(pattern, wrong) if wrong else ""
        return Example(
            samples, _filled(pattern, events), false, tuple(self._label[row] for row in rows)
        )

    def distinct(self, rng: np.random.Generator, count: int) -> list[int]:
        """Rows of ``count`` clips, of different classes as far as there are so many."""
        rows: list[int] = []
        for row in self.draw(rng, 8 * count):
            if self._label[row] not in [self._label[r] for r in rows]:
                rows.append(int(row))
        return (rows + [int(r) for r in self.draw(rng, count)])[:count]


def _filled(pattern: str, words: Sequence[str]) -> str:
    return pattern.format(**dict(zip("abc", words, strict=False)))


def in_both_orders(
    one: tuple[np.ndarray, str],
    other: tuple[np.ndarray, str],
    length: int,
    rng: np.random.Generator,
    labels: tuple[int, ...] = (),
) -> tuple[Example, Example]:
    """Two sounds with their captions, one after the other and the other way round, in ``length`` samples.

    Each example's caption is true of it and false of its twin. Both sounds together are no longer than ``length``.
    """
    first, pause = np.sort(rng.integers(length - len(one[0]) - len(other[0]) + 1, size=2))
    found = []
    for a, b in ((one, other), (other, one)):
        samples = np.zeros(length, np.float32)
        samples[first : first + len(a[0])] = a[0]
        start = pause + len(a[0])
        samples[start : start + len(b[0])] = b[0]
        found.append(Example(samples, _pick(rng, SEQUENCE).format(a=a[1], b=b[1]), "", labels))
    return found[0], found[1]


def faded(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """With 20 ms of fading in and out."""
    ramp = np.minimum(1, np.arange(len(samples)) / (0.02 * sample_rate)).astype(np.float32)
    return samples * ramp * ramp[::-1]


def crop(samples: np.ndarray, length: int, rng: np.random.Generator) -> np.ndarray:
    """A random piece of ``length`` samples; shorter sounds are repeated or set into silence at a random place."""
    if len(samples) >= length:
        first = int(rng.integers(len(samples) - length + 1))
        return samples[first : first + length]
    if rng.random() < 0.4:
        return np.tile(samples, -(-length // len(samples)))[:length]
    out = np.zeros(length, np.float32)
    first = int(rng.integers(length - len(samples) + 1))
    out[first : first + len(samples)] = samples
    return out


def faster(samples: np.ndarray, rate: float) -> np.ndarray:
    """Played faster and higher, or slower and lower, by a rate near 1 (linear interpolation); never empty."""
    count = max(1, int(len(samples) / rate))
    return np.interp(np.arange(count) * rate, np.arange(len(samples)), samples).astype(np.float32)


def liveliest(samples: np.ndarray, length: int, rng: np.random.Generator) -> np.ndarray:
    """The loudest of four random pieces: a sound that is given two seconds should be heard in them."""
    return max((crop(samples, length, rng) for _ in range(4)), key=loudness)


def loudness(samples: np.ndarray) -> float:
    """Root mean square, never zero."""
    return float(np.sqrt(np.mean(samples**2)) + 1e-6)


def far(samples: np.ndarray, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """A sound from far away: its treble lost on the way, and an echo of half a second behind it."""
    tail = np.arange(sample_rate // 2) / sample_rate
    echo = rng.standard_normal(len(tail)) * np.exp(-tail * rng.uniform(8, 16))
    echo *= 0.7 / np.sqrt((echo**2).sum())
    echo[0] += 1
    padded = len(samples) + len(echo)
    frequency = np.fft.rfftfreq(padded, 1 / sample_rate)
    path = np.fft.rfft(echo, padded) / (1 + (frequency / rng.uniform(700, 2000)) ** 2)
    return np.fft.irfft(np.fft.rfft(samples, padded) * path, padded)[: len(samples)].astype(
        np.float32
    )


def level(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Some peak level between -25 and 0 dBFS."""
    peak = float(np.abs(samples).max()) + 1e-6
    return (samples / peak * 10 ** (rng.uniform(-25, 0) / 20)).astype(np.float32)


def batch_of_events(
    composer: Composer, size: int, length: int, mixtures: float
) -> Callable[..., list[Example]]:
    """Draws ``size`` examples of single clips, and of two for the part ``mixtures`` of them."""

    def draw(rng: np.random.Generator) -> list[Example]:
        out = []
        for row in composer.draw(rng, size):
            if rng.random() >= mixtures:
                out.append(composer.event(int(row), length, rng))
            elif rng.random() < 0.8:
                out.append(composer.overlay(composer.distinct(rng, 3), length, rng))
            else:
                out.append(composer.sequence(composer.distinct(rng, 4), length, rng))
        return out

    return draw


def _pick(rng: np.random.Generator, choices: Sequence):
    return choices[int(rng.integers(len(choices)))]
