"""Caption decoders: an embedding in, tokens out, behind one protocol."""

from .base import CaptionDecoder
from .factory import begin, build
from .transformer import TransformerDecoder

__all__ = ["CaptionDecoder", "TransformerDecoder", "begin", "build"]
