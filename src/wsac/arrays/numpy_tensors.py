"""NumPy arrays with the names of torch that captioning uses; each does what torch documents.

Numbers lie in memory as torch has them, so ``from_numpy`` and ``Tensor.numpy`` copy nothing.
"""

# mypy: ignore-errors
# a method of torch takes dim where NumPy's takes axis

from __future__ import annotations

from contextlib import ContextDecorator
from math import prod
from typing import Any, NamedTuple

import numpy as np

float64, float32, float16 = np.dtype("float64"), np.dtype("float32"), np.dtype("float16")
int64, int32, int8, uint8 = (np.dtype(kind) for kind in ("int64", "int32", "int8", "uint8"))
long, half, bool = int64, float16, np.dtype("bool")
inf, pi = float("inf"), np.pi


class Device(NamedTuple):
    type: str = "cpu"


class Sorted(NamedTuple):
    values: Tensor
    indices: Tensor


class Tensor(np.ndarray):
    """An array with methods of torch.Tensor. Scalars that NumPy gives have no such methods."""

    device, is_cuda = Device(), False

    def __array_wrap__(self, array, context=None, return_scalar=False):
        return as_tensor(array)

    def view(self, *shape):
        if shape and isinstance(shape[0], (type, np.dtype)):
            return np.ndarray.view(self, *shape)
        return self.reshape(*shape)

    def view_as(self, other):
        return self.reshape(other.shape)

    def numpy(self):
        return np.asarray(self)

    def cpu(self):
        return self

    detach = cpu

    def contiguous(self):
        return as_tensor(np.ascontiguousarray(self))

    def to(self, kind, non_blocking=False):
        kind = kind.dtype if isinstance(kind, Tensor) else kind
        return self.astype(kind, copy=False) if isinstance(kind, np.dtype) else self

    def float(self):
        return self.astype(float32, copy=False)

    def double(self):
        return self.astype(float64, copy=False)

    def half(self):
        return self.astype(float16, copy=False)

    def long(self):
        return self.astype(int64, copy=False)

    def bool(self):
        return self.astype(bool, copy=False)

    def is_floating_point(self):
        return self.dtype.kind == "f"

    def numel(self):
        return self.size

    def element_size(self):
        return self.itemsize

    def new_empty(self, shape):
        return empty(shape, dtype=self.dtype)

    def clamp(self, min=None, max=None):
        return as_tensor(np.clip(np.asarray(self), min, max))

    def norm(self, dim=None, keepdim=False):
        return as_tensor(np.linalg.norm(np.asarray(self), axis=dim, keepdims=keepdim))

    def std(self, dim=None):
        return as_tensor(np.asarray(self).std(axis=dim, ddof=1))

    def cov(self):
        return as_tensor(np.cov(np.asarray(self)).astype(self.dtype))

    def quantile(self, q):
        return as_tensor(np.quantile(np.asarray(self), q).astype(self.dtype))

    def cumsum(self, dim):
        return as_tensor(np.cumsum(np.asarray(self), axis=dim))

    def softmax(self, dim):
        shifted = np.asarray(self) - np.asarray(self).max(axis=dim, keepdims=True)
        np.exp(shifted, out=shifted)
        shifted /= shifted.sum(axis=dim, keepdims=True)
        return as_tensor(shifted)

    def log_softmax(self, dim):
        shifted = np.asarray(self) - np.asarray(self).max(axis=dim, keepdims=True)
        shifted -= np.log(np.exp(shifted).sum(axis=dim, keepdims=True))
        return as_tensor(shifted)

    def logsumexp(self, dim):
        return logsumexp(self, dim)

    def argmax(self, dim=None, keepdim=False):
        return as_tensor(np.argmax(np.asarray(self), axis=dim, keepdims=keepdim))

    def argmin(self, dim=None):
        return as_tensor(np.argmin(np.asarray(self), axis=dim))

    def max(self, dim=None):
        if dim is None:
            return self.amax()
        return Sorted(self.amax(dim), self.argmax(dim))

    def aminmax(self):
        return self.amin(), self.amax()

    def argsort(self, dim=-1, stable=True, descending=False):
        return self.sort(dim, descending).indices

    def sort(self, dim=-1, descending=False):
        values = np.asarray(self)
        keys = ~values if descending and values.dtype.kind in "bi" else values
        keys = -values if descending and values.dtype.kind == "f" else keys
        order = np.argsort(keys, axis=dim, kind="stable")
        return Sorted(self.gather(dim, order), as_tensor(order))

    def topk(self, k, dim=-1):
        values = np.asarray(self)
        if 4 * k < values.shape[dim]:
            order = np.argpartition(values, -k, axis=dim)
            place = np.sort(np.take(order, range(-k, 0), dim), dim)
            best, order = self.gather(dim, place).sort(dim, descending=True)
            return Sorted(best, as_tensor(place).gather(dim, order))
        best, order = self.sort(dim, descending=True)
        part = (slice(None),) * (dim % self.ndim) + (slice(k),)
        return Sorted(best[part], order[part])

    def gather(self, dim, index):
        return as_tensor(np.take_along_axis(np.asarray(self), np.asarray(index), dim))

    def scatter(self, dim, index, source):
        copy = self.copy()
        np.put_along_axis(np.asarray(copy), np.asarray(index), source, dim)
        return copy

    def scatter_add_(self, dim, index, source):
        assert dim == 1
        np.add.at(np.asarray(self), (np.arange(len(self))[:, None], np.asarray(index)), source)
        return self

    def index_add_(self, dim, index, source):
        assert dim == 0
        np.add.at(np.asarray(self), np.asarray(index), np.asarray(source))
        return self

    def masked_fill(self, mask, value):
        return self.copy().masked_fill_(mask, value)

    def masked_fill_(self, mask, value):
        np.copyto(np.asarray(self), value, where=np.asarray(mask), casting="unsafe")
        return self

    def fill_(self, value):
        self[...] = value
        return self

    def sub_(self, other):
        self -= other
        return self

    def add_(self, other):
        self += other
        return self

    def mul_(self, other):
        self *= other
        return self

    def div_(self, other):
        self /= other
        return self

    def exp_(self):
        np.exp(np.asarray(self), out=np.asarray(self))
        return self

    def flatten(self, start=0, end=-1):
        shape, end = self.shape, end % max(1, self.ndim) + 1
        return self.reshape(*shape[:start], prod(shape[start:end]), *shape[end:])

    def unflatten(self, dim, sizes):
        dim %= self.ndim
        return self.reshape(*self.shape[:dim], *sizes, *self.shape[dim + 1 :])

    def expand(self, *sizes):
        new = len(sizes) - self.ndim
        shape = [self.shape[i - new] if n == -1 else n for i, n in enumerate(sizes)]
        return as_tensor(np.broadcast_to(np.asarray(self), shape))

    def expand_as(self, other):
        return self.expand(*other.shape)

    def split(self, size, dim=0):
        count = self.shape[dim]
        ends = range(size, count, size) if isinstance(size, int) else np.cumsum(size)[:-1]
        return [as_tensor(part) for part in np.split(np.asarray(self), ends, axis=dim)]

    def repeat_interleave(self, counts):
        return as_tensor(np.repeat(np.asarray(self), np.asarray(counts)))

    def unfold(self, dim, size, step):
        windows = np.lib.stride_tricks.sliding_window_view(np.asarray(self), size, axis=dim)
        assert step == 1
        return as_tensor(windows)

    def nonzero(self):
        return as_tensor(np.argwhere(np.asarray(self)))

    def bincount(self, minlength=0):
        return as_tensor(np.bincount(np.asarray(self), minlength=minlength))

    def diagonal(self, offset=0):
        size = min(self.shape[0], self.shape[1] - offset)
        return as_tensor(np.einsum("ii->i", np.asarray(self)[:size, offset : offset + size]))

    def tril(self, diagonal=0):
        return as_tensor(np.tril(np.asarray(self), diagonal))


def _reduction(name: str) -> Any:
    function = getattr(np, name)

    def reduce(self, dim=None, keepdim=False):
        return as_tensor(function(np.asarray(self), axis=dim, keepdims=keepdim))

    return reduce


def _elementwise(name: str) -> Any:
    function = getattr(np, name)

    def method(self):
        return as_tensor(function(np.asarray(self)))

    return method


for _name in "sum mean amax amin all any".split():
    setattr(Tensor, _name, _reduction(_name))
for _name in "exp log sqrt square abs isfinite".split():
    setattr(Tensor, _name, _elementwise(_name))


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


def as_tensor(values, dtype=None, device=None):
    return np.asarray(values, dtype).view(Tensor)


def from_numpy(array):
    return array.view(Tensor)


def tensor(values, dtype=None, device=None):
    array = np.array(values, dtype)
    return as_tensor(array if dtype or array.dtype != float64 else array.astype(float32))


def _shape(shape):
    return shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape


def empty(*shape, dtype=float32, device=None):
    return as_tensor(np.empty(_shape(shape), dtype))


def zeros(*shape, dtype=float32, device=None):
    return as_tensor(np.zeros(_shape(shape), dtype))


def ones(*shape, dtype=float32, device=None):
    return as_tensor(np.ones(_shape(shape), dtype))


def full(shape, value, dtype=None, device=None):
    return as_tensor(np.full(shape, value, dtype or tensor(value).dtype))


def zeros_like(x, dtype=None):
    return as_tensor(np.zeros(x.shape, dtype or x.dtype))


def full_like(x, value):
    return as_tensor(np.full(x.shape, value, x.dtype))


def arange(*bounds, device=None):
    return as_tensor(np.arange(*bounds))


def linspace(start, end, steps, dtype=float32):
    return as_tensor(np.linspace(start, end, steps, dtype=dtype))


def eye(size, dtype=float32):
    return as_tensor(np.eye(size, dtype=dtype))


def diag(x):
    return as_tensor(np.diag(np.asarray(x)))


def where(condition, a, b):
    kind = next((x.dtype for x in (a, b) if isinstance(x, np.ndarray)), None)
    a, b = (np.asarray(x, None if isinstance(x, np.ndarray) else kind) for x in (a, b))
    return as_tensor(np.where(np.asarray(condition), a, b))


def cat(parts, dim=0):
    return as_tensor(np.concatenate([np.asarray(part) for part in parts], axis=dim))


def stack(parts, dim=0):
    return as_tensor(np.stack([np.asarray(part) for part in parts], axis=dim))


def maximum(a, b):
    return as_tensor(np.maximum(a, b))


def minimum(a, b):
    return as_tensor(np.minimum(a, b))


def sin(x):
    return as_tensor(np.sin(x))


def sigmoid(x):
    return as_tensor(1 / (1 + np.exp(-np.asarray(x))))


def logsumexp(x, dim):
    values = np.asarray(x)
    top = values.max(axis=dim, keepdims=True)
    total = np.log(np.exp(values - top).sum(axis=dim, keepdims=True)) + top
    return as_tensor(total.squeeze(dim))


def topk(x, k):
    return x.topk(k)


def nonzero(x):
    return x.nonzero()


def bincount(x, minlength=0):
    return x.bincount(minlength)


def isin(x, values):
    return as_tensor(np.isin(x, values))


def searchsorted(x, values):
    return as_tensor(np.searchsorted(np.asarray(x), np.asarray(values)))


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


class linalg:  # noqa: N801
    """Functions of torch.linalg."""

    @staticmethod
    def eigh(x):
        return tuple(map(as_tensor, np.linalg.eigh(np.asarray(x))))

    @staticmethod
    def svd(x):
        return tuple(map(as_tensor, np.linalg.svd(np.asarray(x))))

    @staticmethod
    def solve(a, b):
        return as_tensor(np.linalg.solve(np.asarray(a), np.asarray(b)))


class F:
    """Functions of torch.nn.functional."""

    @staticmethod
    def normalize(x, dim):
        array = np.asarray(x)
        length = np.sqrt(np.square(array).sum(axis=dim, keepdims=True))
        return as_tensor(array / np.maximum(length, np.asarray(1e-12, array.dtype)))

    @staticmethod
    def pad(x, widths, value=0.0):
        array = np.asarray(x)
        around = [(0, 0)] * (array.ndim - 1) + [widths]
        return as_tensor(np.pad(array, around, constant_values=value))

    @staticmethod
    def one_hot(x, count):
        return as_tensor(np.eye(count, dtype=np.int64)[np.asarray(x)])
