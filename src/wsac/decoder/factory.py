"""The kinds of decoders by their names; the libraries of a kind are loaded when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wsac.data.tokenizer import Tokenizer
from wsac.types import ModelError

from .base import CaptionDecoder


def kind_of(name: str) -> type[CaptionDecoder]:
    """The class behind a name. Raises ModelError for one that is not known."""
    match name:
        case "transformer":
            from .transformer import TransformerDecoder

            return TransformerDecoder
        case "causal-lm":
            from wsac.decoder.pretrained.causal_lm import CausalLmDecoder

            return CausalLmDecoder
        case "llm":
            from wsac.decoder.pretrained.lora import LlmDecoder

            return LlmDecoder
        case "wsac":
            from wsac.decoder.pretrained.wsac_paper import WsacDecoder

            return WsacDecoder
    raise ModelError(f"decoder '{name}': unknown here; choose of transformer, causal-lm, llm, wsac")


def build(kind: str, config: Mapping[str, Any]) -> CaptionDecoder:
    """The decoder of a bundle, from what ``decoder.config`` was; its ``state_dict`` is to be loaded next."""
    return kind_of(kind)(**config)


def begin(
    options: Mapping[str, Any], texts: Sequence[str], *, embed_dim: int, prompt_tokens: int = 0
) -> tuple[CaptionDecoder, Tokenizer]:
    """A decoder to be trained, and its tokenizer; see ``CaptionDecoder.begin``. options: of the recipe, with "kind"."""
    return kind_of(options["kind"]).begin(
        options, texts, embed_dim=embed_dim, prompt_tokens=prompt_tokens
    )
