"""NumPy arrays with the methods of torch that captioning uses; each does what torch documents.

Numbers lie in memory as torch has them, so ``from_numpy`` and ``Tensor.numpy`` copy nothing.
"""

# mypy: ignore-errors
# a method of torch takes dim where NumPy's takes axis

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import numpy as np


class Device(NamedTuple):
    type: str = "cpu"


class Sorted(NamedTuple):
    values: Tensor
    indices: Tensor


class Tensor(np.ndarray):
    """An array with methods of torch.Tensor. Scalars that NumPy gives have no such methods."""

    device, is_cuda = Device(), False
    add_, sub_, mul_, div_ = (
        getattr(np.ndarray, f"__i{x}__") for x in "add sub mul truediv".split()
    )

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

    def is_floating_point(self):
        return self.dtype.kind == "f"

    def numel(self):
        return self.size

    def element_size(self):
        return self.itemsize

    def new_empty(self, shape):
        return as_tensor(np.zeros(shape, self.dtype))

    def clamp(self, min=None, max=None):
        return as_tensor(np.clip(np.asarray(self), min, max))

    def norm(self, dim=None, keepdim=False):
        return as_tensor(np.linalg.norm(np.asarray(self), axis=dim, keepdims=keepdim))

    def std(self, dim=None):
        return as_tensor(np.asarray(self).std(axis=dim, ddof=1))

    def cov(self):
        return as_tensor(np.cov(np.asarray(self)).astype(self.dtype))

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
        values = np.asarray(self)
        top = values.max(axis=dim, keepdims=True)
        total = np.log(np.exp(values - top).sum(axis=dim, keepdims=True)) + top
        return as_tensor(total.squeeze(dim))

    def max(self, dim=None):
        return self.amax() if dim is None else Sorted(self.amax(dim), self.argmax(dim))

    def aminmax(self):
        return self.amin(), self.amax()

    def argsort(self, dim=-1, stable=True):
        return self.sort(dim).indices

    def sort(self, dim=-1, descending=False):
        values = np.asarray(self)
        keys = -values if descending else values
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
        assert step == 1
        return as_tensor(np.lib.stride_tricks.sliding_window_view(np.asarray(self), size, axis=dim))

    def diagonal(self, offset=0):
        size = min(self.shape[0], self.shape[1] - offset)
        return as_tensor(np.einsum("ii->i", np.asarray(self)[:size, offset : offset + size]))


def wrapped(function: Any) -> Any:
    def call(*values, **options):
        arrays = [np.asarray(x) if isinstance(x, Tensor) else x for x in values]
        return as_tensor(function(*arrays, **options))

    return call


def _method(name: str) -> Any:
    """NumPy's function as a method with ``dim`` and ``keepdim``."""
    function = getattr(np, name)

    def reduce(self, dim=None, keepdim=False):
        return as_tensor(function(np.asarray(self), axis=dim, keepdims=keepdim))

    return reduce


for _name in "sum mean amax amin all any argmax argmin".split():
    setattr(Tensor, _name, _method(_name))
for _name in "exp log log10 sqrt square abs isfinite tril bincount quantile".split():
    setattr(Tensor, _name, wrapped(getattr(np, _name)))
Tensor.nonzero = wrapped(np.argwhere)
KINDS = {"float": "f4", "double": "f8", "half": "f2", "long": "i8", "bool": "?"}
for _name, _kind in KINDS.items():
    setattr(Tensor, _name, lambda self, kind=_kind: self.astype(kind, copy=False))


def as_tensor(values, dtype=None, device=None):
    return np.asarray(values, dtype).view(Tensor)
