"""Batched audio embedding against one clip at a time, as the original codes do it: same weights,
one run, a ratio.

    python benchmarks/speed/clap_throughput.py ../shared/audio/esc50 --family wavcaps-cnn14 \\
        --clips 64

The weights are random, of the published size. The original way: the spectrogram as two convolutions
with 1,024 taps (torchlibrosa), one clip a call, decoding in between. Rounds alternate; the median
of their ratios is printed.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from wsac.clap.public.catalog import FAMILIES
from wsac.clap.public.public_clap import N_FFT, PublicClap
from wsac.data.audio.find import find_audio
from wsac.data.audio.stream import load_audio

BERT = {  # no text is embedded here
    "vocab_size": 512,
    "hidden_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "intermediate_size": 64,
    "max_position_embeddings": 128,
}
CNN14 = {"channels": [64, 128, 256, 512, 1024, 2048]}
HTSAT = {"hidden_size": 768}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("audio", nargs="+", help="recordings, folders or globs")
    parser.add_argument(
        "--family", default="wavcaps-cnn14", choices=("wavcaps-cnn14", "wavcaps-htsat")
    )
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    files = find_audio(options.audio)[: options.clips]
    torch.manual_seed(0)
    audio = CNN14 if options.family == "wavcaps-cnn14" else HTSAT
    model = PublicClap(FAMILIES[options.family], audio, BERT, 1024).eval()
    taps = fourier_taps()

    def original() -> Tensor:
        return torch.cat([one_clip(model, taps, load(model, file)) for file in files])

    def ours() -> Tensor:
        parts = [
            files[first : first + options.batch] for first in range(0, len(files), options.batch)
        ]
        return torch.cat(
            [model.embed_audio([load(model, file) for file in part]) for part in parts]
        )

    apart = float((original() - ours()).abs().max())  # warms both up
    ratios = []
    for _ in range(options.rounds):
        seconds = []
        for way in (original, ours):
            layout = torch.contiguous_format if way is original else torch.channels_last
            if audio is CNN14:
                model.audio.to(memory_format=layout)
            began = time.perf_counter()
            way()
            seconds.append(time.perf_counter() - began)
        ratios.append(seconds[0] / seconds[1])
        rates = [len(files) / time_of_way for time_of_way in seconds]
        print(
            f"one clip at a time {rates[0]:.2f} clips/s, "
            f"batches of {options.batch} {rates[1]:.2f} clips/s"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{options.family}, {len(files)} clips: "
        f"{statistics.median(ratios):.2f} times (median of {options.rounds}); "
        f"embeddings differ by at most {apart:.1e}; peak memory {peak:.0f} MB"
    )


def load(model: PublicClap, file: Path) -> Tensor:
    return torch.from_numpy(load_audio(file, model.sample_rate).samples)


def fourier_taps() -> Tensor:
    """[2 * 513, 1, 1024]: windowed cosines, then sines."""
    angles = (
        2
        * torch.pi
        * torch.outer(torch.arange(N_FFT // 2 + 1), torch.arange(N_FFT)).double()
        / N_FFT
    )
    window = torch.hann_window(N_FFT, dtype=torch.float64)
    return (torch.cat((angles.cos(), -angles.sin())) * window).float()[:, None]


@torch.inference_mode()
def one_clip(model: PublicClap, taps: Tensor, samples: Tensor) -> Tensor:
    padded = F.pad(model.prepare(samples[None])[None], (N_FFT // 2, N_FFT // 2), mode="reflect")[0]
    real, imaginary = F.conv1d(padded[:, None], taps, stride=model.family.hop).chunk(2, dim=1)
    mel = (real.square() + imaginary.square()).transpose(1, 2) @ model.log_mel.filters
    pooled = model.audio(10 * torch.log10(mel.clamp(min=1e-10)))
    return F.normalize(model.audio_projection(pooled), dim=-1)


if __name__ == "__main__":
    main()
