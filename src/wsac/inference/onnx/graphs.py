"""The parts of a captioner as ONNX graphs: audio tower, bridge, and the decoder with its cache.

Every batch is dynamic, so is the length of a sound. Weights and memory are inside the graphs.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsac.bridges import Bridge, Chain
from wsac.bridges.retrieval import NearestNeighbour, Projection, Santa, TopMean
from wsac.clap.pocket.pocket_clap import PocketClap
from wsac.decoder import TransformerDecoder
from wsac.types import ModelError, first_line

Inputs = dict[str, tuple[Tensor, dict[int, Any]]]  # examples, and names of their dynamic dimensions
LISTED = (Projection, NearestNeighbour, TopMean, Santa)  # bridges with a memory, written out below


def write_audio(clap: PocketClap, path: Path) -> None:
    """waveform [B, T], one window or less, at the CLAP's rate → embedding [B, D], unit norm."""
    half_window = torch.zeros(2, round(clap.window_seconds * clap.sample_rate / 2))
    inputs: Inputs = {"waveform": (half_window, {0: "batch", 1: "samples"})}
    write_graph(Graph(clap, clap.encode_audio), path, inputs, ["embedding"])


def write_bridge(bridge: Bridge, embed_dim: int, path: Path) -> None:
    """audio_embedding [B, D] → embedding [B, D]. Raises ModelError for a bridge without graph."""
    inputs: Inputs = {"audio_embedding": (torch.zeros(2, embed_dim), {0: "batch"})}
    write_graph(BridgeGraph(bridge), path, inputs, ["embedding"])


def write_decoder(
    decoder: TransformerDecoder, prefill: Path, step: Path, *, optimize: bool = True
) -> None:
    """Two graphs. The cache is keys and values, [layers, B, heads, filled, ·].

    prefill: embedding [B, D] → logits [B, V] of the first token, and the cache.
    step: token [B], keys, values → logits [B, V], and the cache with one more position.
    """

    def first(embedding: Tensor) -> tuple[Tensor, ...]:
        cache: Any = GrowingCache()
        logits, grown = cast(Any, decoder).begin_caption(embedding, cache)
        return logits, *grown

    def following(token: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, ...]:
        cache: Any = GrowingCache(keys, values)
        logits, grown = cast(Any, decoder).step(token, cache)
        return logits, *grown

    outputs = ["logits", "next_keys", "next_values"]
    embedding = torch.zeros(2, int(decoder.config["embed_dim"]))
    inputs: Inputs = {"embedding": (embedding, {0: "batch"})}
    write_graph(Graph(decoder, first), prefill, inputs, outputs, optimize)
    head = decoder.width // decoder.heads
    cache = torch.zeros(len(decoder.blocks), 2, decoder.heads, decoder.before, head)
    same = torch.export.Dim.DYNAMIC  # a dimension that another input has named
    inputs = {
        "token": (torch.zeros(2, dtype=torch.long), {0: "batch"}),
        "keys": (cache, {1: same, 3: "filled"}),
        "values": (cache.clone(), {1: same, 3: same}),
    }
    write_graph(Graph(decoder, following), step, inputs, outputs, optimize)


class Graph(nn.Module):
    """A function of tensors, with the module whose weights it uses."""

    def __init__(self, module: nn.Module, function: Callable[..., Any]) -> None:
        super().__init__()
        self.module, self.forward = module, function


class BridgeGraph(nn.Module):
    """Audio embedding [B, D] → the embedding [B, D] that the decoder reads, unit norm.

    Bridges with a memory are written out without the tiles of ``bridges``, which would fix the
    batch.
    Raises ModelError for one that is not among them.
    """

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self.parts = list(bridge.bridges) if isinstance(bridge, Chain) else [bridge]
        for i, part in enumerate(self.parts):
            memory = getattr(part, "memory", None)
            if memory is not None and not isinstance(part, LISTED):
                problem = f"bridge {type(part).__name__} cannot be exported"
                raise ModelError(f"{problem}; give --bridge santa, pd, nnd or ad")
            self.register_buffer(f"memory_{i}", None if memory is None else memory.embeddings)

    def forward(self, embedding: Tensor) -> Tensor:
        for i, part in enumerate(self.parts):
            memory = getattr(self, f"memory_{i}")
            if memory is None:
                embedding = part(embedding)
                continue
            similarity = embedding @ memory.T  # [B, N], cosine
            if isinstance(part, Projection):
                temperature = part.temperature or part.clap_temperature
                weights = (similarity / temperature).softmax(dim=-1)
                embedding = F.normalize(weights @ memory, dim=-1)
            elif isinstance(part, NearestNeighbour):
                embedding = memory[similarity.argmax(dim=-1)]
            elif isinstance(part, (TopMean, Santa)):
                scores, rows = similarity.topk(min(part.k, len(memory)), dim=-1)
                embedding = part.of(embedding, scores, memory[rows])
        return embedding.clone()  # a graph without a node has no output


class GrowingCache:
    """The decoder's cache as tensors that grow: nothing is written in place, no size is fixed.

    keys, values: [layers, B, heads, filled, ·], or None before the first position.
    """

    beams = 1

    def __init__(self, keys: Tensor | None = None, values: Tensor | None = None) -> None:
        self.parts: Any = keys, values
        self.layers: list[list[Tensor]] = []
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


def write_graph(
    module: nn.Module, path: Path, inputs: Inputs, outputs: list[str], optimize: bool = True
) -> None:
    """Export a module. Raises ModelError when this version of torch cannot.

    optimize: fold weights into others; without it each has its own name.
    """
    with torch.no_grad(), _quiet_exporter():
        try:
            program: Any = torch.onnx.export(
                module.eval(),
                tuple(example for example, _ in inputs.values()),
                input_names=list(inputs),
                output_names=outputs,
                dynamic_shapes=tuple(axes for _, axes in inputs.values()),
                dynamo=True,
                optimize=optimize,
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            reason = first_line(error.__cause__ or error)
            problem = f"torch {torch.__version__} cannot export this ({reason})"
            raise ModelError(f"{path.name}: {problem}") from error
        program.save(path, external_data=False)


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    log = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = log.level
    log.setLevel(logging.ERROR)  # it warns that torchvision, which is not needed, is not installed
    # torch 2.13 copies its own trees in a way that it has deprecated
    deprecated = r"`isinstance\(treespec, LeafSpec\)` is deprecated"
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", deprecated, FutureWarning)
            effects = "While compiling, we found certain side effects"  # transformers' own hooks
            warnings.filterwarnings("ignore", effects, UserWarning)
            yield
    finally:
        log.setLevel(level)
