"""The parts of a captioner as ONNX graphs: audio tower, bridge, and the decoder with its cache as input and output.

Every batch is dynamic, so is the length of a sound. The graphs stand by themselves: weights and memory are inside.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsac.bridges import Bridge, Chain
from wsac.bridges.retrieval import NearestNeighbour, Projection, Santa, TopMean
from wsac.clap.pocket.pocket_clap import PocketClap
from wsac.decoder import TransformerDecoder
from wsac.types import ModelError

Axes = dict[int, str]  # names of an input's dynamic dimensions


class AudioGraph(nn.Module):
    """waveform [B, T], one window or less, at the rate of the CLAP → embedding [B, D], unit norm."""

    def __init__(self, clap: PocketClap) -> None:
        super().__init__()
        self.clap = clap

    def forward(self, waveform: Tensor) -> Tensor:
        return self.clap.encode_audio(waveform)


class BridgeGraph(nn.Module):
    """Audio embedding [B, D] → the embedding [B, D] that the decoder reads, unit norm.

    What looks into the memory is written out here without the tiles of ``bridges``, which would fix the batch.
    Raises ModelError for a bridge that has not been.
    """

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self.parts = list(bridge.bridges) if isinstance(bridge, Chain) else [bridge]
        for i, part in enumerate(self.parts):
            memory = getattr(part, "memory", None)
            if memory is not None and not isinstance(
                part, (Projection, NearestNeighbour, TopMean, Santa)
            ):
                raise ModelError(
                    f"bridge {type(part).__name__} cannot be exported; give --bridge santa, pd, nnd or ad"
                )
            self.register_buffer(f"memory_{i}", None if memory is None else memory.embeddings)

    def forward(self, embedding: Tensor) -> Tensor:
        for i, part in enumerate(self.parts):
            memory = getattr(self, f"memory_{i}")
            if isinstance(part, Projection):
                weights = (
                    embedding @ memory.T / (part.temperature or part.clap_temperature)
                ).softmax(dim=-1)
                embedding = F.normalize(weights @ memory, dim=-1)
            elif isinstance(part, NearestNeighbour):
                embedding = memory[(embedding @ memory.T).argmax(dim=-1)]
            elif isinstance(part, (TopMean, Santa)):
                scores, rows = (embedding @ memory.T).topk(min(part.k, len(memory)), dim=-1)
                embedding = part.of(embedding, scores, memory[rows])
            else:
                embedding = part(embedding)
        return embedding.clone()  # a graph without a node has no output


class GrowingCache:
    """The decoder's cache as tensors that grow: no size is fixed in the graph, nothing is written in place.

    keys, values: [layers, B, heads, filled, ·], or None before the first position.
    """

    beams = 1

    def __init__(self, keys: Tensor | None = None, values: Tensor | None = None) -> None:
        self.parts, self.layers = (keys, values), []
        self.positions = 0 if keys is None else keys.shape[3]

    def before_step(self) -> GrowingCache:
        return self

    def mask(self, dtype: torch.dtype) -> None:
        return None

    def extend(self, layer: int, *new: Tensor) -> list[Tensor]:
        grown = [part.transpose(1, 2) for part in new]
        if self.positions:
            pairs = zip(self.parts, grown, strict=True)
            grown = [torch.cat((part[layer], more), dim=2) for part, more in pairs]
        self.layers.append(grown)
        return [part.transpose(1, 2) for part in grown]

    def after(self, positions: int) -> tuple[Tensor, Tensor]:
        keys, values = zip(*self.layers, strict=True)
        return torch.stack(keys), torch.stack(values)


class PrefillGraph(nn.Module):
    """embedding [B, D] → logits [B, V] of the first token, and the cache: keys, values."""

    def __init__(self, decoder: TransformerDecoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, embedding: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        cache: Any = GrowingCache()
        logits, grown = self.decoder.begin_caption(embedding, cache)
        return logits, *grown


class StepGraph(PrefillGraph):
    """token [B], keys, values → logits [B, V], and the cache with one more position."""

    def forward(self, token: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        cache: Any = GrowingCache(keys, values)
        logits, grown = self.decoder.step(token, cache)
        return logits, *grown


def write_audio(clap: PocketClap, path: Path) -> None:
    half_window = torch.zeros(2, round(clap.window_seconds * clap.sample_rate / 2))
    _write(
        AudioGraph(clap),
        path,
        {"waveform": (half_window, {0: "batch", 1: "samples"})},
        ["embedding"],
    )


def write_bridge(bridge: Bridge, embed_dim: int, path: Path) -> None:
    """Raises ModelError for a bridge that cannot be exported."""
    _write(
        BridgeGraph(bridge),
        path,
        {"audio_embedding": (torch.zeros(2, embed_dim), {0: "batch"})},
        ["embedding"],
    )


def write_decoder(decoder: TransformerDecoder, prefill: Path, step: Path) -> None:
    embedding = torch.zeros(2, int(decoder.config["embed_dim"]))
    outputs = ["logits", "next_keys", "next_values"]
    _write(PrefillGraph(decoder), prefill, {"embedding": (embedding, {0: "batch"})}, outputs)
    cache = torch.zeros(
        len(decoder.blocks), 2, decoder.heads, decoder.before, decoder.width // decoder.heads
    )
    same: Any = torch.export.Dim.DYNAMIC  # a dimension that another input has named
    inputs: dict[str, tuple[Tensor, Axes]] = {
        "token": (torch.zeros(2, dtype=torch.long), {0: "batch"}),
        "keys": (cache, {1: same, 3: "filled"}),
        "values": (cache.clone(), {1: same, 3: same}),
    }
    _write(StepGraph(decoder), step, inputs, outputs)


def _write(
    module: nn.Module, path: Path, inputs: dict[str, tuple[Tensor, Axes]], outputs: list[str]
) -> None:
    """inputs: examples of them, in order, with the names of their dynamic dimensions."""
    with torch.no_grad(), _quiet_exporter():
        try:
            program: Any = torch.onnx.export(
                module.eval(),
                tuple(example for example, _ in inputs.values()),
                input_names=list(inputs),
                output_names=outputs,
                dynamic_shapes=tuple(axes for _, axes in inputs.values()),
                dynamo=True,
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            reason = str(error.__cause__ or error).splitlines()[0]
            raise ModelError(
                f"{path.name}: torch {torch.__version__} cannot export this ({reason})"
            ) from error
        program.save(path, external_data=False)


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    log = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = log.level
    log.setLevel(
        logging.ERROR
    )  # it warns that torchvision, which nothing here uses, is not installed
    try:
        with warnings.catch_warnings():
            # torch 2.13 copies its own trees by a way that it has deprecated
            warnings.filterwarnings(
                "ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning
            )
            yield
    finally:
        log.setLevel(level)
