"""What generation and training ask of a decoder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor, nn


class CaptionDecoder(nn.Module, ABC):
    """Writes a caption from a unit-norm embedding ``[B, D]``.

    Token id 0 is padding and is never predicted; a caption ends with the end token. ``State`` is whatever the decoder
    keeps between steps; callers only pass it on.
    """

    vocab_size: int
    max_tokens: int  # the longest caption it can write
    config: dict[str, Any]  # what the constructor takes, for the bundle

    @abstractmethod
    def loss(self, embedding: Tensor, tokens: Tensor, prompt: Tensor | None = None) -> Tensor:
        """Mean cross-entropy in nats per real token. tokens: [B, L], each row ends with the end token, then padding.

        prompt: [B, P] token ids to be read before writing, for a decoder that was made for P of them.
        """

    @abstractmethod
    def prefill(self, embedding: Tensor, max_tokens: int, prompt: Tensor | None = None) -> tuple[Tensor, Any]:
        """Logits ``[B, V]`` of the first token, and the state with room for ``max_tokens``."""

    @abstractmethod
    def step(self, token: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Logits ``[B, V]`` after one more token ``[B]``."""

    @abstractmethod
    def select(self, state: Any, rows: Tensor) -> Any:
        """The state of the given rows, for beam search. rows: [B'] indices."""
