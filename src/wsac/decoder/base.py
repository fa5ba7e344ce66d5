"""What generation, training and the bundle ask of a decoder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor, nn

from wsac.data.tokenizer import Tokenizer


class CaptionDecoder(nn.Module, ABC):
    """Writes a caption from a unit-norm embedding ``[B, D]``.

    Token ids 0 (padding) and 1 (beginning) are never predicted, 2 ends a caption, words begin at 3, whatever vocabulary
    lies behind. ``State`` is whatever the decoder keeps between steps; callers only pass it on. ``state_dict`` holds
    what a bundle or a checkpoint must keep; what a decoder reads from elsewhere is not in it.
    """

    kind: ClassVar[str] = ""  # its name in recipes and bundles
    vocab_size: int
    max_tokens: int  # the longest caption it can write
    prompt_tokens: int = 0  # the length of the prompts that it reads
    config: dict[str, Any]  # what the constructor takes, for the bundle
    fingerprint: str = ""  # of the model that it was built on

    @classmethod
    def begin(
        cls, options: Mapping[str, Any], texts: Sequence[str], *, embed_dim: int, prompt_tokens: int
    ) -> tuple[CaptionDecoder, Tokenizer]:
        """An untrained decoder and its tokenizer, from the recipe's decoder options.

        texts: all that it must be able to read and write. embed_dim: D. prompt_tokens: the length of its prompts.
        Raises RecipeError or ModelError for options that cannot be, or a model that cannot be used.
        """
        raise NotImplementedError

    def read_tokenizer(self, path: str | Path) -> Tokenizer:
        """The tokenizer of a bundle, once the weights are loaded. Raises ModelError."""
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
        """Mean cross-entropy in nats per real token. tokens: [B, L], each row ends with the end token, then padding.

        prompt: [B, P] token ids to be read before writing, for a decoder that was made for P of them.
        """

    @abstractmethod
    def prefill(
        self, embedding: Tensor, max_tokens: int, prompt: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        """Logits ``[B, V]`` of the first token, and the state with room for ``max_tokens``."""

    @abstractmethod
    def step(self, token: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Logits ``[B, V]`` after one more token ``[B]``."""

    @abstractmethod
    def select(self, state: Any, rows: Tensor) -> Any:
        """The state of the given rows: indices [B'], or [C', S'] of the S' beams that each of C' clips goes on with, in
        the order of the clips. Then the state that was given need not be of use any more."""
