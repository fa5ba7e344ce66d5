"""Caption sounds with onnxruntime and NumPy: python onnx_caption.py FOLDER dog.wav ...

FOLDER was written by wsac export --onnx.
"""

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # or onnxruntime reports its use to its makers

import numpy as np
import onnxruntime
import soundfile

if len(sys.argv) < 3 or sys.argv[1] in ("-h", "--help"):
    sys.exit(__doc__)
folder = Path(sys.argv[1])
config = json.loads((folder / "config.json").read_text("utf-8"))
pieces = json.loads((folder / "tokenizer.json").read_text("utf-8"))["model"]["vocab"]
graphs = [folder / f"{name}.onnx" for name in ("audio", "bridge", "prefill", "step")]
audio, bridge, prefill, step = map(onnxruntime.InferenceSession, graphs)


def embed(sound):  # [T] → [1, D]: the mean of its windows, weighted by length, then bridged
    starts = range(0, len(sound), config["hop"])
    windows = [sound[i : i + config["window"]] for i in starts]
    tails = [window for window in windows[1:] if len(window) >= config["shortest_tail"]]
    total = sum(len(w) * audio.run(None, {"waveform": w[None]})[0] for w in windows[:1] + tails)
    return bridge.run(None, {"audio_embedding": total / np.linalg.norm(total)})[0]


def write(embedding):  # [1, D] → token ids, greedily
    logits, keys, values = prefill.run(None, {"embedding": embedding})
    tokens = []
    while len(tokens) < config["max_tokens"]:
        logits[0, [config["pad"], config["begin"]]] = -np.inf
        if (token := int(logits[0].argmax())) == config["end"]:
            break
        tokens.append(token)
        feed = {"token": np.array([token]), "keys": keys, "values": values}
        logits, keys, values = step.run(None, feed)
    return tokens


def spell(tokens):  # byte-level BPE: each character stands for a byte, from 256 on for unprintable
    printed = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = sorted({*range(256)} - {*printed})
    byte = {chr(b): b for b in printed} | {chr(256 + i): b for i, b in enumerate(others)}
    names = {number: piece for piece, number in pieces.items()}
    text = bytes(byte[char] for token in tokens for char in names[token])
    return text.decode(errors="replace").strip()


errors = []
for file in sys.argv[2:]:
    try:
        channels, rate = soundfile.read(os.fsencode(file), dtype="float32", always_2d=True)
        if rate != config["sample_rate"]:
            raise ValueError(f"resample it to {config['sample_rate']} Hz first")
        sound = channels.mean(axis=1)
        silent = np.abs(sound).max(initial=0) < config["silence_peak"]
        print(config["silence"] if silent else spell(write(embed(sound))))
    except (soundfile.LibsndfileError, ValueError) as error:
        errors.append(f"{file}: {getattr(error, 'error_string', error)}")
if errors:
    sys.exit("\n".join(errors))
