"""Caption sounds with onnxruntime and NumPy: python onnx_caption.py FOLDER dog.wav (FOLDER: of wsac export --onnx)."""

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # or onnxruntime reports its use to its makers

import numpy as np
import onnxruntime
import soundfile

folder = Path(sys.argv[1])
config, vocabulary = (
    json.loads((folder / name).read_text("utf-8")) for name in ("config.json", "tokenizer.json")
)
audio, bridge, prefill, step = (
    onnxruntime.InferenceSession(folder / f"{name}.onnx")
    for name in ("audio", "bridge", "prefill", "step")
)


def embed(
    sound,
):  # [T] → [1, D]: the mean of its windows, weighted by length, brought among the texts
    windows = [sound[i : i + config["window"]] for i in range(0, len(sound), config["hop"])]
    kept = windows[:1] + [
        window for window in windows[1:] if len(window) >= config["shortest_tail"]
    ]
    total = sum(len(window) * audio.run(None, {"waveform": window[None]})[0] for window in kept)
    return bridge.run(None, {"audio_embedding": total / np.linalg.norm(total)})[0]


def write(embedding):  # [1, D] → token ids, greedily
    logits, keys, values = prefill.run(None, {"embedding": embedding})
    tokens = []
    while len(tokens) < config["max_tokens"]:
        logits[0, [config["pad"], config["begin"]]] = -np.inf
        if (token := int(logits[0].argmax())) == config["end"]:
            break
        tokens.append(token)
        logits, keys, values = step.run(
            None, {"token": np.array([token]), "keys": keys, "values": values}
        )
    return tokens


def spell(
    tokens,
):  # byte-level BPE: a character stands for a byte, those from 256 on for bytes that cannot be printed
    printed = [*range(33, 127), *range(161, 173), *range(174, 256)]
    byte = {chr(b): b for b in printed} | {
        chr(256 + i): b for i, b in enumerate(sorted({*range(256)} - {*printed}))
    }
    pieces = {number: piece for piece, number in vocabulary["model"]["vocab"].items()}
    return (
        bytes(byte[char] for token in tokens for char in pieces[token])
        .decode(errors="replace")
        .strip()
    )


for file in sys.argv[2:]:
    try:
        channels, rate = soundfile.read(file, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        sys.exit(f"{file}: cannot be read ({error.error_string})")
    if rate != config["sample_rate"]:
        sys.exit(f"{file}: resample it to {config['sample_rate']} Hz first")
    sound = channels.mean(axis=1)
    print(
        config["silence"]
        if np.abs(sound).max() < config["silence_peak"]
        else spell(write(embed(sound)))
    )
