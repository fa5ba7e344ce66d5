"""A captioner called as transformers' pipelines for speech are, and shown in one line."""

from __future__ import annotations

from numbers import Number
from typing import TYPE_CHECKING, Any

from wsac.clap.sounds import is_one_sound
from wsac.types import Caption

if TYPE_CHECKING:
    from .captioner import Captioner


def call(captioner: Captioner, sounds: Any, sample_rate: int | None = None) -> Any:
    """What ``Captioner.__call__`` returns.

    A sound is a path, a file object, an array of any shape that is one sound, a list of numbers, a
    mapping of a dataset or a decoder. Any other iterable, such as a column of a dataset, is many.
    Raises AudioError for the first that cannot be read.
    """
    if _is_one(sounds):
        return _row(captioner.caption(sounds, sample_rate=sample_rate))
    rows = captioner.caption_batch(sounds, sample_rate=sample_rate)
    return [_row(caption) for caption in rows]


def _is_one(sounds: Any) -> bool:
    if is_one_sound(sounds) or hasattr(sounds, "get_all_samples"):
        return True
    if isinstance(sounds, list | tuple):
        return bool(sounds) and isinstance(sounds[0], Number)
    return hasattr(sounds, "ndim") and getattr(sounds.dtype, "kind", "f") in "fiu"


def _row(caption: Caption) -> dict[str, Any]:
    row: dict[str, Any] = {"text": caption.text}
    return row if caption.confidence is None else row | {"confidence": caption.confidence}


def parts_of(captioner: Captioner) -> str:
    """Its CLAP, the size of its decoder, bridge, beams, memory and confidence, in a line."""
    clap, options = captioner.clap, captioner.options
    weights = sum(parameter.numel() for parameter in captioner.decoder.parameters())
    parts = {
        "clap": clap.source or clap.fingerprint[:15],
        "decoder": f"{captioner.decoder.kind} of {weights / 1e6:.3g} M weights",
        "bridge": options.bridge,
        "beams": options.generation.beam_size,
        "memory": len(captioner.memory) if captioner.memory is not None else 0,
        "calibrated": captioner.calibration is not None,
    }
    return ", ".join(f"{name}={value}" for name, value in parts.items())
