"""Graphs without weights, for captioning without torch: they lie beside the weights of a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import torch
from torch import Tensor, nn

from wsac.clap.encoder import GRAPHS
from wsac.clap.pocket.pocket_clap import PocketClap
from wsac.clap.public.public_clap import PublicClap
from wsac.decoder import TransformerDecoder
from wsac.decoder.onnx_decoder import PREFILL, STEP
from wsac.inference.captioner import Captioner
from wsac.inference.hub_captioner import CARD
from wsac.io.checked_json import add_files

from .graphs import Graph, Inputs, write_decoder, write_graph


def add_graphs(captioner: Captioner, folder: Path) -> list[Path]:
    """Write the graphs of a captioner into its folder, and those of its own CLAP into its ``clap``;
    a public one is copied there.

    Returns what was written. Raises ModelError for a captioner that has no graphs (``can_export``).
    """
    places = [folder / name for name in (PREFILL, STEP)]
    decoder, clap = cast(TransformerDecoder, captioner.decoder), captioner.clap
    own = folder / "clap"
    if isinstance(clap, PublicClap):
        clap.save(own, fingerprint=clap.fingerprint)
        add_files(own / "clap.json", lambda part: write_public_towers(clap, part))
    elif own.is_dir():
        add_files(own / "clap.json", lambda part: write_towers(cast(PocketClap, clap), part))
    places += [own / name for name in GRAPHS if (own / name).is_file()]
    add_files(folder / CARD, lambda part: write_steps(decoder, part))
    return places


def write_towers(clap: PocketClap, folder: Path) -> None:
    """log-mel [B, n_mels, frames] → [B, D], and token ids [B, L] → [B, D]; not normalised."""
    config = clap.config
    log_mel = torch.zeros(2, config.n_mels, config.frames // 2)
    tokens = torch.ones(2, min(9, config.text_tokens), dtype=torch.long)
    inputs: tuple[Inputs, Inputs] = (
        {"log_mel": (log_mel, {0: "batch", 2: "frames"})},
        {"token_ids": (tokens, {0: "batch", 1: "length"})},
    )
    towers = Graph(clap, lambda x: clap.audio(x)), Graph(clap, lambda x: clap.text(x))
    for name, tower, values in zip(GRAPHS, towers, inputs, strict=True):
        _write_skeleton(tower, values, folder / name)


def write_public_towers(clap: PublicClap, folder: Path) -> None:
    """log-mel in dB [B, frames, 64] → [B, D], and token ids with their mask [B, L] → [B, D]."""
    sounds = torch.zeros(2, round(clap.window_seconds * clap.sample_rate))
    ids, mask = (torch.full((2, 7), value, dtype=torch.long) for value in (2, 1))
    axes: dict[int, Any] = {0: "batch", 1: "frames"}
    if clap.family.shorter != "as it is":  # all windows are made equally long
        del axes[1]
    same = torch.export.Dim.DYNAMIC  # a dimension that another input has named
    inputs: tuple[Inputs, Inputs] = (
        {"log_mel": (clap.log_mel(clap.prepare(sounds)), axes)},
        {"ids": (ids, {0: "batch", 1: "length"}), "mask": (mask, {0: same, 1: same})},
    )
    audio = Graph(clap, lambda x: clap.audio_tower(x))
    text = Graph(clap, lambda ids, mask: clap.text_tower(ids, mask))
    for name, tower, values in zip(GRAPHS, (audio, text), inputs, strict=True):
        _write_skeleton(tower, values, folder / name)


def write_steps(decoder: TransformerDecoder, folder: Path) -> None:
    """What ``OnnxDecoder`` reads; see ``graphs.write_decoder``."""
    with TemporaryDirectory() as place:
        whole = Path(place, PREFILL), Path(place, STEP)
        write_decoder(decoder, *whole, optimize=False)
        for path in whole:
            without_weights(path, decoder.state_dict(), folder / path.name)


def _write_skeleton(graph: nn.Module, inputs: Inputs, path: Path) -> None:
    with TemporaryDirectory() as place:
        whole = Path(place, path.name)
        write_graph(graph, whole, inputs, ["projected"], optimize=False)
        without_weights(whole, cast(Graph, graph).module.state_dict(), path)


def without_weights(whole: Path, weights: Mapping[str, Tensor], path: Path) -> None:
    """Write a graph of ``write_graph`` with the names of its weights alone, for ``Session``."""
    import onnx

    model = onnx.load(whole)
    graph, names = model.graph, dict[str, str]()
    own = {tensor.name for tensor in graph.initializer}
    for tensor in graph.initializer:
        name = tensor.name.removeprefix("module.")
        if name not in weights:
            continue  # a number of the graph itself
        names[tensor.name] = name
        shape, kind = list(tensor.dims), tensor.data_type
        tensor.Clear()
        tensor.name, tensor.data_type, tensor.data_location = name, kind, tensor.EXTERNAL
        tensor.dims.extend(shape)
        tensor.external_data.add(key="location", value="weights")
    for node in graph.node:
        if node.op_type == "Conv" and node.input[2:] and node.input[2] not in own:
            del node.input[2:]  # zeros, made anew in each run; without them onnxruntime fuses more
        node.input[:] = [names.get(name, name) for name in node.input]
        for about in ("name", "doc_string", "metadata_props"):
            node.ClearField(about)
    del graph.value_info[:], model.metadata_props[:]
    model.ClearField("producer_version")  # the same graph from every build of torch
    path.write_bytes(model.SerializeToString(deterministic=True))
