"""Caption decoders: an embedding in, tokens out, behind one protocol."""

from .base import CaptionDecoder
from .transformer import TransformerDecoder

__all__ = ["CaptionDecoder", "TransformerDecoder"]
