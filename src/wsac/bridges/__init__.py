"""Bridges over the modality gap: noise, retrieval and alignment. See docs/bridges.md."""

from . import alignment, noise, retrieval
from .bridge import (
    KINDS,
    Bridge,
    BridgeContext,
    Chain,
    inference_bridge,
    option,
    parse,
    register,
    training_bridge,
)
from .memory import nearest, nearest_rows

__all__ = [
    "KINDS",
    "Bridge",
    "BridgeContext",
    "Chain",
    "alignment",
    "inference_bridge",
    "nearest",
    "nearest_rows",
    "noise",
    "option",
    "parse",
    "register",
    "retrieval",
    "training_bridge",
]
