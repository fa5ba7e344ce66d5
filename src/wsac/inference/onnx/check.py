"""Whether exported graphs say in onnxruntime what the captioner says in torch: embeddings, then tokens."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wsac.decoder.generation import GenerationOptions, generate
from wsac.inference.captioner import Captioner
from wsac.types import ModelError

TOLERANCE = 1e-4  # of a value of a unit-norm embedding
REMEDY = "try the versions of torch, onnx and onnxruntime in constraints.txt"
SENTENCES = (
    "A dog barks twice",
    "Rain falls on a roof while thunder rumbles",
    "A man speaks and then a door closes",
    "An engine idles",
    "Birds sing in the distance",
    "Music plays as people clap",
    "Water drips slowly into a sink",
    "A siren wails and a car passes",
)


class Session:
    """A graph, run by onnxruntime: tensors in, tensors out."""

    def __init__(self, path: Path) -> None:
        os.environ.setdefault(
            "ORT_DISABLE_TELEMETRY", "1"
        )  # or it reports its use to its makers, from 1.32 on
        import onnxruntime

        self._session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self._inputs = [one.name for one in self._session.get_inputs()]

    def __call__(self, *inputs: Tensor) -> list[Tensor]:
        values = {name: value.numpy() for name, value in zip(self._inputs, inputs, strict=True)}
        return [torch.from_numpy(out) for out in self._session.run(None, values)]


class OnnxDecoder:
    """Prefill and step graph as ``generate`` wants a decoder. The state is the cache: keys and values."""

    def __init__(self, folder: Path, max_tokens: int) -> None:
        self._prefill, self._step = Session(folder / "prefill.onnx"), Session(folder / "step.onnx")
        self.max_tokens = max_tokens

    def prefill(
        self, embedding: Tensor, max_tokens: int, prompt: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        logits, *cache = self._prefill(embedding)
        return logits, cache

    def step(self, token: Tensor, state: list[Tensor]) -> tuple[Tensor, Any]:
        logits, *cache = self._step(token, *state)
        return logits, cache

    def select(self, state: list[Tensor], rows: Tensor) -> list[Tensor]:
        return [part[:, rows.flatten()] for part in state]


def check(captioner: Captioner, folder: Path, *, audio: bool) -> dict[str, float | int]:
    """How well the graphs in ``folder`` agree with the captioner: the largest difference of an audio and of a bridged
    embedding, and how many captions were compared.

    audio: whether the audio tower is among the graphs. Raises ModelError when an embedding differs by more than
    TOLERANCE, or a token of a greedy caption by anything.
    """
    found: dict[str, float | int] = {}
    embeddings = [captioner.clap.embed_text(SENTENCES)]
    if audio:
        clap: Any = captioner.clap
        tower = Session(folder / "audio.onnx")
        for sounds in sounds_to_compare(clap.window_seconds, clap.sample_rate):
            with torch.inference_mode():
                embeddings.append(clap.encode_audio(sounds))
            difference = _difference(
                embeddings[-1], tower(sounds)[0], "audio.onnx: embeddings of sounds"
            )
            found["audio_difference"] = max(difference, found.get("audio_difference", 0.0))
    embedding = torch.cat(embeddings)
    bridged, in_onnx = captioner.bridge(embedding), Session(folder / "bridge.onnx")(embedding)[0]
    found["bridge_difference"] = _difference(bridged, in_onnx, "bridge.onnx: bridged embeddings")
    decoder: Any = OnnxDecoder(folder, captioner.decoder.max_tokens)
    options = GenerationOptions(
        1, captioner.decoder.max_tokens, captioner.options.generation.length_penalty
    )
    expected = [one.tokens for one in generate(captioner.decoder, bridged, options)]
    got = [one.tokens for one in generate(decoder, in_onnx, options)]
    wrong = sum(a != b for a, b in zip(expected, got, strict=True))
    if wrong:
        what = f"{wrong} of {len(got)} captions differ in their tokens from torch's"
        raise ModelError(f"prefill.onnx, step.onnx: {what}; {REMEDY}")
    return found | {"captions": len(got)}


def sounds_to_compare(window_seconds: float, sample_rate: int) -> Iterator[Tensor]:
    """Waveforms [2, T], a sweep and noise, of a scrap of a window, an odd part of it and the whole."""
    for share in (0.03, 0.37, 1.0):
        seconds = np.arange(round(share * window_seconds * sample_rate)) / sample_rate
        sweep = 0.5 * np.sin(2 * np.pi * (200 + 300 * seconds) * seconds)
        noise = 0.1 * np.random.default_rng(0).standard_normal(len(seconds))
        yield torch.from_numpy(np.stack((sweep, noise)).astype(np.float32))


def _difference(expected: Tensor, got: Tensor, what: str) -> float:
    """Raises ModelError when it is more than TOLERANCE, or not a number."""
    difference = float((expected - got).abs().max())
    if not difference <= TOLERANCE:
        raise ModelError(
            f"{what} differ from torch's by {difference:.1e}, more than {TOLERANCE:g}; {REMEDY}"
        )
    return difference
