"""The moment at which a sound begins or ends within a window."""

from __future__ import annotations

import numpy as np

from wsac.inference.spans.spectrum import FRAME, Spectrum

MARGIN = 2  # frames on either side of a change, at least
FLOOR = -70.0  # dB of a band; fainter is the same to everybody


def change_point(samples: np.ndarray, sample_rate: int, *, rising: bool) -> float:
    """Seconds from the start of samples ``[T]`` to where they become louder, or fainter.

    It is the place that best divides the log-mel frames into two even parts (least squares), where
    only bands count that change in the wanted direction.
    """
    frames = np.maximum(Spectrum(sample_rate).add(samples, last=True), FLOOR).astype(np.float64)
    count = len(frames)
    if count <= 2 * MARGIN:
        return 0.0 if rising else len(samples) / sample_rate
    sums = np.cumsum(frames, axis=0)
    sizes = np.arange(1, count)[:, None]
    before, after = sums[:-1] / sizes, (sums[-1] - sums[:-1]) / (count - sizes)
    change = np.maximum(after - before if rising else before - after, 0.0)
    gain = (np.square(change) * sizes * (count - sizes)).sum(axis=1)[
        MARGIN - 1 : 1 - MARGIN or None
    ]
    return float((int(gain.argmax()) + MARGIN) * FRAME)
