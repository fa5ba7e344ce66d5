"""The array library: torch where it is installed, else NumPy under the same names.

What uses a captioner is written once, with the functions of torch that ``numpy_functions`` has too.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

# WSAC_ARRAYS=numpy: as if torch were not installed
WITH_TORCH = os.environ.get("WSAC_ARRAYS") != "numpy" and find_spec("torch") is not None

if TYPE_CHECKING or WITH_TORCH:
    import torch
    import torch.nn.functional as F
    from torch import Generator, Tensor
else:
    # NumPy's own threads would wait for work in a loop, and take the processors from onnxruntime
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from . import numpy_functions as torch
    from .numpy_functions import F, Generator, Tensor

__all__ = ["WITH_TORCH", "F", "Generator", "Tensor", "need_torch", "torch"]


def need_torch(what: str, error: type[Exception]) -> None:
    """Raises an error for what works with torch only, where it is missing."""
    if not WITH_TORCH:
        raise error(f"{what} needs torch: pip install 'wsac[train]'")
