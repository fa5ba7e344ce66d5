"""NumPy under the names of torch that captioning uses; each does what torch documents."""

# mypy: ignore-errors

from __future__ import annotations

from contextlib import ContextDecorator
from math import prod
from types import SimpleNamespace
from typing import Any

import numpy as np

from .numpy_tensors import Device, Tensor, as_tensor, wrapped

float64, float32, float16 = np.dtype("float64"), np.dtype("float32"), np.dtype("float16")
int64, int32, int8, uint8 = (np.dtype(kind) for kind in ("int64", "int32", "int8", "uint8"))
long, half, bool = int64, float16, np.dtype("bool")
inf = float("inf")


class Generator:
    """torch's generator of random numbers on a CPU: the Mersenne Twister, seeded by 32 bits."""

    def manual_seed(self, seed):
        self._bits = np.random.MT19937()
        self._bits._legacy_seeding(seed & 0xFFFFFFFF)
        return self

    def integers(self, count):
        return np.asarray(self._bits.random_raw(count), np.int64)


class Quiet(ContextDecorator):
    """What only changes how torch computes."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __enter__(self) -> None: ...

    def __exit__(self, *_: Any) -> None: ...


inference_mode = no_grad = autocast = Quiet


def device(name="cpu"):
    return Device()


def is_autocast_enabled(kind):
    return False


def from_numpy(array):
    return array.view(Tensor)


def tensor(values, dtype=None, device=None):
    array = np.array(values, dtype)
    return as_tensor(array if dtype or array.dtype != float64 else array.astype(float32))


def _shape(shape):
    return shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape


def _filled(value: float) -> Any:
    def make(*shape, dtype=float32, device=None):
        return as_tensor(np.full(_shape(shape), value, dtype))

    return make


zeros, ones, empty = _filled(0), _filled(1), _filled(0)


def full(shape, value, dtype=None, device=None):
    return as_tensor(np.full(shape, value, dtype or tensor(value).dtype))


def zeros_like(x, dtype=None):
    return as_tensor(np.zeros(x.shape, dtype or x.dtype))


def full_like(x, value):
    return as_tensor(np.full(x.shape, value, x.dtype))


def arange(*bounds, device=None):
    return as_tensor(np.arange(*bounds))


def eye(size, dtype=float32):
    return as_tensor(np.eye(size, dtype=dtype))


def where(condition, a, b):
    kind = next((x.dtype for x in (a, b) if isinstance(x, np.ndarray)), None)
    a, b = (np.asarray(x, None if isinstance(x, np.ndarray) else kind) for x in (a, b))
    return as_tensor(np.where(np.asarray(condition), a, b))


def cat(parts, dim=0):
    return as_tensor(np.concatenate([np.asarray(part) for part in parts], axis=dim))


def stack(parts, dim=0):
    return as_tensor(np.stack([np.asarray(part) for part in parts], axis=dim))


maximum, minimum, sin, diag = map(wrapped, (np.maximum, np.minimum, np.sin, np.diag))
isin, searchsorted, nonzero = map(wrapped, (np.isin, np.searchsorted, np.argwhere))
linspace, bincount = wrapped(np.linspace), wrapped(np.bincount)


def sigmoid(x):
    return as_tensor(1 / (1 + np.exp(-np.asarray(x))))


def logsumexp(x, dim):
    return x.logsumexp(dim)


def topk(x, k):
    return x.topk(k)


def rand(*shape, generator):
    shape = _shape(shape)
    bits = generator.integers(prod(shape)) & 0xFFFFFF
    return as_tensor((bits * 2.0**-24).astype(float32).reshape(shape))


def randperm(count, generator):
    steps = generator.integers(max(0, count - 1)) % np.arange(count, 1, -1)
    order = list(range(count))
    for place, step in enumerate(steps.tolist()):
        order[place], order[place + step] = order[place + step], order[place]
    return as_tensor(np.array(order, np.int64))


def hann_window(size):
    return tensor(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size))


def stft(x, n_fft, hop, window, pad_mode, return_complex):
    padded = np.pad(np.asarray(x), ((0, 0), (n_fft // 2, n_fft // 2)), mode=pad_mode)
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft, axis=1)[:, ::hop]
    return as_tensor(np.fft.rfft(frames * np.asarray(window)).swapaxes(1, 2))


def _several(function: Any) -> Any:
    return lambda x: tuple(map(as_tensor, function(np.asarray(x))))


def normalize(x, dim):
    array = np.asarray(x)
    length = np.sqrt(np.square(array).sum(axis=dim, keepdims=True))
    return as_tensor(array / np.maximum(length, np.asarray(1e-12, array.dtype)))


def pad(x, widths, value=0.0):
    array = np.asarray(x)
    around = [(0, 0)] * (array.ndim - 1) + [widths]
    return as_tensor(np.pad(array, around, constant_values=value))


def one_hot(x, count):
    return as_tensor(np.eye(count, dtype=np.int64)[np.asarray(x)])


linalg = SimpleNamespace(
    eigh=_several(np.linalg.eigh), svd=_several(np.linalg.svd), solve=wrapped(np.linalg.solve)
)
F = SimpleNamespace(normalize=normalize, pad=pad, one_hot=one_hot)
