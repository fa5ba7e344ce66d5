"""The kinds of decoders by name. The libraries of a kind are imported when it is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from wsac.data.tokenizer import Tokenizer
from wsac.types import ModelError

from .base import CaptionDecoder

KINDS = {
    "transformer": "transformer:TransformerDecoder",
    "causal-lm": "pretrained.causal_lm:CausalLmDecoder",
    "llm": "pretrained.lora:LlmDecoder",
    "wsac": "pretrained.wsac_paper:WsacDecoder",
}


def kind_of(name: str) -> type[CaptionDecoder]:
    """The class of a kind. Raises ModelError for an unknown name."""
    if name not in KINDS:
        raise ModelError(f"decoder '{name}': unknown here; choose from {', '.join(KINDS)}")
    module, _, decoder = KINDS[name].partition(":")
    return getattr(import_module(f"wsac.decoder.{module}"), decoder)  # type: ignore[no-any-return]


def build(kind: str, config: Mapping[str, Any]) -> CaptionDecoder:
    """The decoder of a bundle, by its ``config``; load its ``state_dict`` next."""
    return kind_of(kind)(**config)


def begin(
    options: Mapping[str, Any], texts: Sequence[str], *, embed_dim: int, prompt_tokens: int = 0
) -> tuple[CaptionDecoder, Tokenizer]:
    """A decoder to be trained, and its tokenizer. options: of the recipe, with "kind"."""
    kind = kind_of(options["kind"])
    return kind.begin(options, texts, embed_dim=embed_dim, prompt_tokens=prompt_tokens)
