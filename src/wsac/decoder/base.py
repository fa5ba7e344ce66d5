"""The protocol of decoders: what generation, training and the bundle ask of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from wsac.data.tokenizer import Tokenizer


class CaptionDecoder(nn.Module, ABC):
    """A ``DecoderRuntime`` in torch, which can be trained. It reads unit-norm ``[B, D]``."""

    kind: ClassVar[str] = ""  # name in recipes and bundles
    vocab_size: int
    max_tokens: int  # of the longest caption
    prompt_tokens: int = 0  # length of the prompts that it reads
    config: dict[str, Any]  # arguments of the constructor, for the bundle
    fingerprint: str = ""  # of the model that it was built on

    @classmethod
    def begin(
        cls, options: Mapping[str, Any], texts: Sequence[str], *, embed_dim: int, prompt_tokens: int
    ) -> tuple[CaptionDecoder, Tokenizer]:
        """An untrained decoder and its tokenizer.

        options: of the recipe's decoder. texts: all that it must be able to read and write.
        embed_dim: D.
        prompt_tokens: length of its prompts. Raises RecipeError for bad options, ModelError for a
        bad model.
        """
        raise NotImplementedError

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def read_tokenizer(self, path: str | Path) -> Tokenizer:
        """The tokenizer of a bundle, after its weights are loaded. Raises ModelError."""
        return Tokenizer.load(path)

    @abstractmethod
    def loss(
        self,
        embedding: Tensor,
        tokens: Tensor,
        prompt: Tensor | None = None,
        *,
        label_smoothing: float = 0.0,
    ) -> Tensor:
        """Mean cross-entropy in nats per real token.

        tokens: [B, L], each row ends with the end token, then padding. prompt: [B, P] token ids to
        read first, for a decoder made for P of them.
        """

    @abstractmethod
    def prefill(
        self, embedding: Tensor, max_tokens: int, prompt: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        """See ``DecoderRuntime``."""

    @abstractmethod
    def step(self, token: Tensor, state: Any) -> tuple[Tensor, Any]: ...

    @abstractmethod
    def select(self, state: Any, rows: Tensor) -> Any: ...


def constructor_config(values: Mapping[str, Any]) -> dict[str, Any]:
    """``CaptionDecoder.config`` from the ``locals()`` of a constructor that has only keywords."""
    return {name: value for name, value in values.items() if name not in ("self", "__class__")}
