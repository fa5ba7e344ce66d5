"""The kinds of decoders by name. The libraries of a kind are imported when it is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from wsac.arrays import need_torch
from wsac.data.tokenizer import Tokenizer
from wsac.types import ModelError

if TYPE_CHECKING:
    from .base import CaptionDecoder

KINDS = {
    "transformer": "transformer:TransformerDecoder",
    "causal-lm": "pretrained.causal_lm:CausalLmDecoder",
    "llm": "pretrained.lora:LlmDecoder",
    "wsac": "pretrained.wsac_paper:WsacDecoder",
}

WHOLE = ("transformer", "wsac")  # kinds whose weights all lie in the bundle


def kind_of(name: str) -> type[CaptionDecoder]:
    """The class of a kind. Raises ModelError for an unknown name."""
    if name not in KINDS:
        raise ModelError(f"decoder '{name}': unknown here; choose from {', '.join(KINDS)}")
    module, _, decoder = KINDS[name].partition(":")
    known: type[CaptionDecoder] = getattr(import_module(f"wsac.decoder.{module}"), decoder)
    return known


def build(
    kind: str, config: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]] | None = None
) -> CaptionDecoder:
    """The decoder of a bundle, by its ``config``; load its ``state_dict`` next.

    shapes: of the tensors to come. Raises ValueError, before memory is taken, when the sizes in
    ``config`` are not theirs.
    """
    need_torch(f"a decoder of kind {kind}", ModelError)
    if shapes is not None:
        from wsac.runtime.sizes import check_config, check_shapes

        check_config(config, shapes)
        if kind in WHOLE:
            check_shapes(lambda: kind_of(kind)(**config), shapes)
    return kind_of(kind)(**config)


def begin(
    options: Mapping[str, Any], texts: Sequence[str], *, embed_dim: int, prompt_tokens: int = 0
) -> tuple[CaptionDecoder, Tokenizer]:
    """A decoder to be trained, and its tokenizer. options: of the recipe, with "kind"."""
    kind = kind_of(options["kind"])
    return kind.begin(options, texts, embed_dim=embed_dim, prompt_tokens=prompt_tokens)
