"""A captioner called as a pipeline, and its repr."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from wsac import AudioError
from wsac.inference.confidence import FEATURES, Calibration, Logistic
from wsac.io.files import write_wav


def test_a_call_is_that_of_a_pipeline(captioner, tmp_path):
    samples = (0.1 * np.sin(np.arange(8_000) / 5)).astype(np.float32)
    write_wav(tmp_path / "tone.wav", samples, 16_000)
    content = (tmp_path / "tone.wav").read_bytes()
    text = captioner.caption(samples, sample_rate=8_000).text
    at_rate = {"array": samples, "sampling_rate": 8_000}
    decoded = SimpleNamespace(data=samples[None], sample_rate=8_000)
    for sound in (
        at_rate,
        {"raw": samples, "sampling_rate": 8_000},
        SimpleNamespace(get_all_samples=lambda: decoded),
    ):
        assert captioner(sound) == {"text": text}
    for sound in (samples, samples.tolist(), torch.from_numpy(samples), samples[None]):
        assert captioner(sound, sample_rate=8_000) == {"text": text}
    rows = captioner(
        [tmp_path / "tone.wav", {"path": str(tmp_path / "tone.wav")}, {"bytes": content}, at_rate]
    )
    assert rows[:3] == [captioner(str(tmp_path / "tone.wav"))] * 3
    assert rows[3] == {"text": text}
    assert captioner(iter([at_rate, at_rate])) == captioner((at_rate, at_rate)) == rows[3:] * 2
    assert captioner([]) == []
    with pytest.raises(AudioError, match="no such file"):
        captioner([at_rate, tmp_path / "none.wav"])


def test_a_call_tells_the_confidence(captioner):
    row = (0.0,) * len(FEATURES)
    calibration = Calibration(Logistic(row, 0.5, row, (1.0,) * len(FEATURES)), threshold=0.4)
    sure = replace(captioner, calibration=calibration)
    (answer,) = sure([np.full(16_000, 0.1, np.float32)])
    assert set(answer) == {"text", "confidence"}
    assert 0 < answer["confidence"] < 1


def test_its_repr_is_a_line(captioner):
    assert re.fullmatch(
        r"Captioner\(clap=\S+, decoder=transformer of \S+ M weights, bridge=\w+, beams=2, "
        r"memory=50, calibrated=False\)",
        repr(captioner),
    )
