"""Check exported graphs: onnxruntime must give the embeddings and tokens that torch gives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wsac.decoder.generation import GenerationOptions, generate
from wsac.decoder.onnx_decoder import OnnxDecoder
from wsac.inference.captioner import Captioner
from wsac.runtime.onnx_session import Session
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


def check(captioner: Captioner, folder: Path, *, audio: bool) -> dict[str, float | int]:
    """Compare the graphs in ``folder`` with the captioner.

    audio: whether the audio tower is among the graphs. Returns the largest difference of an audio
    embedding and of a bridged embedding, and the number of captions compared. Raises ModelError
    when an embedding differs by more than TOLERANCE, or any token of a greedy caption differs.
    """
    results: dict[str, float | int] = {}
    embeddings = [captioner.clap.embed_text(SENTENCES)]
    if audio:
        clap: Any = captioner.clap
        tower, differences = Session(folder / "audio.onnx"), []
        for sounds in sounds_to_compare(clap.window_seconds, clap.sample_rate):
            with torch.inference_mode():
                embeddings.append(clap.encode_audio(sounds))
            what = "audio.onnx: embeddings of sounds"
            differences.append(_difference(embeddings[-1], tower(sounds)[0], what))
        results["audio_difference"] = max(differences)
    embedding = torch.cat(embeddings)
    bridged, in_onnx = captioner.bridge(embedding), Session(folder / "bridge.onnx")(embedding)[0]
    results["bridge_difference"] = _difference(bridged, in_onnx, "bridge.onnx: bridged embeddings")
    decoder = OnnxDecoder(folder, captioner.decoder.config)
    options = GenerationOptions(1, captioner.decoder.max_tokens)
    expected = [caption.tokens for caption in generate(captioner.decoder, bridged, options)]
    written = [caption.tokens for caption in generate(decoder, in_onnx, options)]
    wrong = sum(a != b for a, b in zip(expected, written, strict=True))
    if wrong:
        what = f"{wrong} of {len(written)} captions differ in their tokens from torch's"
        raise ModelError(f"prefill.onnx, step.onnx: {what}; {REMEDY}")
    return results | {"captions": len(written)}


def sounds_to_compare(window_seconds: float, sample_rate: int) -> Iterator[Tensor]:
    """Waveforms [2, T], a sweep and noise, of 3 %, 37 % and all of a window."""
    for share in (0.03, 0.37, 1.0):
        seconds = np.arange(round(share * window_seconds * sample_rate)) / sample_rate
        sweep = 0.5 * np.sin(2 * np.pi * (200 + 300 * seconds) * seconds)
        noise = 0.1 * np.random.default_rng(0).standard_normal(len(seconds))
        yield torch.from_numpy(np.stack((sweep, noise)).astype(np.float32))


def _difference(expected: Tensor, actual: Tensor, what: str) -> float:
    """The largest. Raises ModelError when it is more than TOLERANCE, or not a number."""
    difference = float((expected - actual).abs().max())
    if not difference <= TOLERANCE:
        problem = f"differ from torch's by {difference:.1e}, more than {TOLERANCE:g}"
        raise ModelError(f"{what} {problem}; {REMEDY}")
    return difference
