"""What generation needs of a decoder, whatever computes it: torch or onnxruntime."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from wsac.arrays import Tensor, torch
from wsac.data.tokenizer import Tokenizer


class DecoderRuntime(Protocol):
    """Writes captions token by token.

    Token ids 0 (padding) and 1 (beginning) are never predicted, 2 ends a caption, pieces begin at
    3, in every vocabulary. The state is what it keeps between steps; callers only pass it on.
    """

    max_tokens: int  # of the longest caption
    prompt_tokens: int  # length of the prompts that it reads
    config: dict[str, Any]  # its sizes, for the bundle

    @property
    def kind(self) -> str: ...

    @property
    def device(self) -> torch.device: ...

    def eval(self) -> Any:
        """Prepare for writing."""

    def parameters(self) -> Iterable[Tensor]:
        """All weights."""

    def state_dict(self) -> dict[str, Tensor]:
        """What a bundle must store; a model that is read from elsewhere is not in it."""

    def read_tokenizer(self, path: str | Path) -> Tokenizer:
        """The tokenizer of a bundle, after its weights are loaded. Raises ModelError."""

    def prefill(
        self, embedding: Tensor, max_tokens: int, prompt: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        """Logits ``[B, V]`` of the first token, and the state with room for ``max_tokens``."""

    def step(self, token: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Logits ``[B, V]`` after one more token ``[B]``, and the next state."""

    def select(self, state: Any, rows: Tensor) -> Any:
        """The state of these rows; the old state may be of no use afterwards.

        rows: indices [B'], or [C', S']: the S' beams with which each of C' clips goes on, in the
        order of the clips.
        """
