"""The sizes of a model before it is made, to compare them with weights that are to be loaded."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

LARGEST = 1 << 20  # sizes up to here need not be in the weights, such as a length
DEEPEST = 64  # layers that a model may leave unused
# what changes numbers, not sizes
VALUES = (
    *(torch.Tensor.normal_, torch.Tensor.uniform_, torch.Tensor.mul, torch.Tensor.log),
    *(nn.init.normal_, nn.init.uniform_, nn.init.kaiming_uniform_),
)


class _SizesOnly(TorchFunctionMode):
    """Numbers are neither drawn nor scaled: on the meta device the first time that this is done
    imports ``torch._dynamo``, for two seconds and into 100 MB."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in VALUES:
            return args[0] if args else kwargs["tensor"]
        func = torch.empty if func is torch.randn else func
        return func(*args, **(kwargs or {}))


def check_config(config: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise ValueError for a size that cannot be one of these weights, by its name.

    No size exceeds the count of numbers in the weights, and no depth that of tensors.
    """
    numbers = sum(map(math.prod, shapes.values()))
    for name, value in config.items():
        most = max(len(shapes), DEEPEST) if name.endswith("layers") else max(numbers, LARGEST)
        if isinstance(value, int | float) and value > most:
            raise ValueError(f"{name} {value:g} does not fit weights of {numbers:,} numbers")


def check_shapes(make: Callable[[], nn.Module], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise ValueError when the tensors of the model to be made differ from ``shapes`` by name.

    No memory is taken for it.
    """
    with torch.device("meta"), _SizesOnly():
        sizes = {name: tuple(value.shape) for name, value in make().state_dict().items()}
    for name in {**sizes, **shapes}:
        if sizes.get(name) != shapes.get(name):
            stored, wanted = shapes.get(name, "missing"), sizes.get(name, "none")
            raise ValueError(f"'{name}' is {stored} in the weights and {wanted} by the sizes")
