"""The transformer by onnxruntime: a graph that reads the embedding, and one for each next token."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from wsac.arrays import Tensor, torch
from wsac.data.tokenizer import Tokenizer
from wsac.runtime.onnx_session import Session

PREFILL, STEP = "prefill.onnx", "step.onnx"


class OnnxDecoder:
    """A DecoderRuntime. The state is the cache, keys and values [layers, B, heads, filled, ·].

    weights: of graphs without them. config: of the TransformerDecoder. Raises ValueError when they
    do not fit, OSError when there are no graphs.
    """

    kind, prompt_tokens = "transformer", 0

    def __init__(
        self, folder: Path, config: Mapping[str, Any], weights: Mapping[str, Tensor] | None = None
    ) -> None:
        self._prefill, self._step = (Session(folder / x, weights) for x in (PREFILL, STEP))
        self.config, self.max_tokens = dict(config), int(config["max_tokens"])
        self._weights = weights or {}

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    def to(self, device: Any) -> Self:
        return self

    def eval(self) -> Self:
        return self

    def parameters(self) -> Iterable[Tensor]:
        return self._weights.values()

    def state_dict(self) -> dict[str, Tensor]:
        return dict(self._weights)

    def read_tokenizer(self, path: str | Path) -> Tokenizer:
        return Tokenizer.load(path)

    def prefill(
        self, embedding: Tensor, max_tokens: int, prompt: Tensor | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        logits, *cache = self._prefill(embedding)
        return logits, cache

    def step(self, token: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        logits, *cache = self._step(token, *state)
        return logits, cache

    def select(self, state: list[Tensor], rows: Tensor) -> list[Tensor]:
        return [part[:, rows.flatten()] for part in state]
