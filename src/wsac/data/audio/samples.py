"""Samples in memory: arrays, tensors, and the objects of datasets that bring their rate."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from wsac.types import AudioError

MOST_CHANNELS = 8  # the shorter side of an array is its channels, if it is no longer than this
# floats are unscaled integers when a hundredth of them is above this; fewer are damage
INTEGERS_AS_FLOATS = 16.0
_RANGES = (2.0**15, 2.0**23, 2.0**31)  # of samples of 16, 24 and 32 bits


def unwrap(audio: Any, sample_rate: int | None) -> tuple[Any, int | None]:
    """A path, a file object or an array with its rate, out of what holds it.

    Known: mappings of Hugging Face datasets ({"array", "sampling_rate"}, {"bytes", "path"}), those
    of pipelines ({"raw", "sampling_rate"}), and decoders with get_all_samples(), as torchcodec has.
    Raises AudioError for other mappings.
    """
    if hasattr(audio, "get_all_samples"):
        decoded = audio.get_all_samples()
        return decoded.data, int(decoded.sample_rate)
    if not isinstance(audio, Mapping):
        return audio, sample_rate
    samples = audio["array"] if audio.get("array") is not None else audio.get("raw")
    if samples is not None:
        rate = audio.get("sampling_rate") or audio.get("sample_rate") or sample_rate
        return samples, None if rate is None else int(rate)
    if audio.get("bytes") is not None:
        return io.BytesIO(audio["bytes"]), None
    if audio.get("path"):
        return str(audio["path"]), None
    what = '{"array", "sampling_rate"}, {"bytes"} or {"path"}'
    raise AudioError(f"a mapping with the keys {sorted(map(str, audio))}: give {what}")


def as_channels(audio: Any) -> np.ndarray:
    """Samples as float32 [C, T]: integers scaled by their range to [-1, 1].

    audio: [T], [C, T] or [T, C] with at most 8 channels. Integers of 64 bits are taken for the
    smallest of 16, 24 and 32 bits that holds them. Raises AudioError for other shapes and types.
    """
    samples = _array(audio)
    shape = samples.shape
    samples = samples[None] if samples.ndim == 1 else samples
    rows, columns = samples.shape if samples.ndim == 2 else (0, 0)
    if columns == 1 or columns <= MOST_CHANNELS < rows:
        samples = samples.T
    elif not samples.size or (rows != 1 and not rows <= MOST_CHANNELS < columns):
        remedy = f"give mono samples [T] or up to {MOST_CHANNELS} channels [C, T], with T > 0"
        raise AudioError(f"samples of shape {shape}: {remedy}")
    return _scaled(samples)


def full_scale(blocks: Iterable[np.ndarray]) -> tuple[float, str]:
    """What to divide floats by, and a note: 1 and "", or the range of integers saved as floats."""
    peak, large, total = 0.0, 0, 0
    for block in blocks:
        sizes = np.abs(block)
        highest, total = sizes.max(initial=0.0), total + sizes.size
        if not highest <= INTEGERS_AS_FLOATS:
            sizes = sizes[sizes <= _RANGES[-1]]
            large += int(np.count_nonzero(sizes > INTEGERS_AS_FLOATS))
            peak = max(peak, float(sizes.max(initial=0.0)))
    if 100 * large <= total:
        return 1.0, ""
    size = next(size for size in _RANGES if peak <= size)
    what = f"so taken for integers of {round(np.log2(size)) + 1} bits"
    return size, f"scaled: peaks at {peak:.0f} times full scale, {what}"


def divide(samples: np.ndarray, size: float) -> np.ndarray:
    """samples / size, as float32. NaN and infinity pass through."""
    if size == 1:
        return samples
    with np.errstate(invalid="ignore", over="ignore"):
        return samples / np.float32(size)


def _array(audio: Any) -> np.ndarray:
    """A NumPy array of numbers."""
    what = type(audio).__name__
    if hasattr(audio, "detach"):  # a tensor, perhaps of a type that NumPy does not know
        audio = audio.detach().cpu()
        audio = audio.float() if str(audio.dtype) == "torch.bfloat16" else audio
    try:
        samples = np.asarray(audio)
    except Exception as error:
        raise AudioError(f"{what}: not samples ({error}); {_REMEDY}") from error
    wide = samples.dtype.kind == "u" and samples.dtype.itemsize > 2
    if samples.dtype.kind not in "fiu" or wide or samples.ndim == 0:
        kind = f" of {samples.dtype}" if samples.dtype.kind not in "OUS" else ""
        what = f"{what}{kind}" + (" without a dimension" if samples.ndim == 0 and kind else "")
        raise AudioError(f"{what}: not a sound; {_REMEDY}")
    return samples


_REMEDY = f"give a path, a file object, or floats or integers of up to {MOST_CHANNELS} channels"


def _scaled(samples: np.ndarray) -> np.ndarray:
    kind, width = samples.dtype.kind, samples.dtype.itemsize
    if kind == "f":
        with np.errstate(invalid="ignore", over="ignore"):
            return samples.astype(np.float32, copy=False)
    half = 2.0 ** (8 * width - 1)
    if kind == "u":
        return ((samples.astype(np.float64) - half) / half).astype(np.float32)
    if width == 8:
        peak = max(-int(samples.min()), int(samples.max()))
        half = next((size for size in _RANGES if peak <= size), half)
    return (samples / half).astype(np.float32)
