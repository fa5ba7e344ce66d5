"""The same numbers every time on a GPU: deterministic training, and products in full float32.

On a CPU nothing is changed, since torch computes so there anyhow. The settings are torch's, of the
whole process; they are put back afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

from wsac.arrays import torch
from wsac.types import RecipeError

# cuBLAS sums in an order that depends on its workspace, and this size keeps it.
CUBLAS = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}

_lock = Lock()
_before: list[tuple[bool, bool]] = []  # one for each that is inside full_float32


def prepare_cublas() -> None:
    """Let products be deterministic later. Call it before the first one on a GPU: torch looks then
    whether they can be, once in a process."""
    for name, value in CUBLAS.items():
        os.environ.setdefault(name, value)


@contextmanager
def deterministic(device: str | torch.device, wanted: bool = True) -> Iterator[None]:
    """Inside, training on CUDA gives the same weights, bit for bit, from the same seed.

    torch takes the deterministic form of every operation (gradients of embeddings and indices,
    scatter_add, index_copy), cuDNN that of convolutions, and attention is computed in plain steps:
    the gradients of its fused kernels are added up in the order in which threads finish. Random
    numbers are seeded by their place of use (``seeding``), also on the device. Does nothing without
    ``wanted`` or on another device. Raises RecipeError where an operation has no such form.
    Source: pytorch.org/docs/stable/notes/randomness.html, torch.use_deterministic_algorithms.
    """
    if not wanted or torch.device(device).type != "cuda":
        yield
        return
    from torch.nn.attention import SDPBackend, sdpa_kernel

    prepare_cublas()
    uninitialized: Any = torch.utils.deterministic
    cudnn = torch.backends.cudnn
    strict, warns = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    before = cudnn.deterministic, cudnn.benchmark, uninitialized.fill_uninitialized_memory
    try:
        torch.use_deterministic_algorithms(True)
        cudnn.deterministic, cudnn.benchmark = True, False
        uninitialized.fill_uninitialized_memory = False  # we read no memory that we have not set
        with full_float32(device), sdpa_kernel(SDPBackend.MATH):
            yield
    except RuntimeError as error:
        if "deterministic" not in str(error):
            raise
        reason = " ".join(str(error).split())[:200]
        raise RecipeError(f"{reason}; --fast-nondeterministic trains without it") from error
    finally:
        torch.use_deterministic_algorithms(strict, warn_only=warns)
        cudnn.deterministic, cudnn.benchmark, uninitialized.fill_uninitialized_memory = before


@contextmanager
def full_float32(device: str | torch.device) -> Iterator[None]:
    """Inside, products and convolutions in float32 on CUDA are not rounded to TF32.

    TF32, with ten bits, is torch's default for convolutions there, and moves an embedding by 4e-5
    from one size of a batch to another. Threads may be inside at once: the last to leave puts the
    settings back.
    """
    if torch.device(device).type != "cuda":
        yield
        return
    products, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    with _lock:
        own = products.allow_tf32, convolutions.allow_tf32
        _before.append(_before[0] if _before else own)
        products.allow_tf32 = convolutions.allow_tf32 = False
    try:
        yield
    finally:
        with _lock:
            before = _before.pop()
            if not _before:
                products.allow_tf32, convolutions.allow_tf32 = before
