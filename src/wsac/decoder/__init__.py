"""Caption decoders: an embedding in, tokens out, behind one protocol."""

from wsac.arrays import WITH_TORCH

from .decoder_runtime import DecoderRuntime
from .factory import begin, build

if WITH_TORCH:
    from .base import CaptionDecoder
    from .transformer import TransformerDecoder

__all__ = ["CaptionDecoder", "DecoderRuntime", "TransformerDecoder", "begin", "build"]
