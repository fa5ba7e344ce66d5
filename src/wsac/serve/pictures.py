"""What the page shows and plays: log-mel pictures of uploads, and synthesised examples."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from wsac.io.mel_pictures import mel_power, strip_png

if TYPE_CHECKING:
    from wsac.data.audio.stream import Recording

COLUMNS = 720  # pixels of a picture, at most
HOP_SECONDS = (0.01, 0.03)  # between two spectra, so that none is missed
EXAMPLE_RATE, EXAMPLE_SECONDS = 16_000, 6.0
EXAMPLES = ("dog_and_rain", "footsteps_then_knocking", "siren", "church_bell", "birds")


def picture_of(recording: Recording) -> bytes:
    """PNG of the log-mel spectrogram: a pixel a cell, from the first sample to the last."""
    low, high = HOP_SECONDS
    hop = min(high, max(low, recording.seconds / COLUMNS))
    return strip_png(mel_power(recording.samples, recording.sample_rate, hop_seconds=hop), COLUMNS)


@lru_cache(maxsize=len(EXAMPLES))
def example_wav(name: str) -> bytes:
    """One of EXAMPLES as WAV: a scene of SoundWorld, the same every time."""
    import io

    import soundfile

    from wsac.data.soundworld import DEMO_SEED, demo_scenes, render_scene

    scene = dict(demo_scenes(EXAMPLE_SECONDS))[f"{name}.wav"]
    rng = np.random.default_rng(DEMO_SEED)
    samples = render_scene(scene, rng, EXAMPLE_SECONDS, EXAMPLE_RATE)
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, EXAMPLE_RATE, format="WAV")
    return buffer.getvalue()
