"""Traps of the original codes of public CLAPs, a test for each."""

from __future__ import annotations

import math

import numpy as np
import pytest
import soundfile
import soxr
import torch
from torch.testing import assert_close
from transformers import ClapFeatureExtractor

from miniatures.public_checkpoints import model, write_file, write_folder
from wsac.clap import load_clap
from wsac.clap.public.cnn14 import Cnn14
from wsac.clap.sounds import embed_many, embed_sound
from wsac.types import ModelError


@pytest.mark.parametrize("fused", [False, True])
def test_log_mel_is_that_of_the_processor(fused, tmp_path):
    """transformers' extractor, as the public files set it, on a clip of one window, which it
    neither cuts nor pads.
    """
    clap = load_clap(write_folder(tmp_path, fused=fused))
    way = "fusion" if fused else "rand_trunc"
    extractor = ClapFeatureExtractor(
        frequency_min=50, frequency_max=14_000, truncation=way, padding="repeatpad"
    )
    time = np.arange(480_000) / 48_000
    sound = 0.2 * np.sin(2 * np.pi * (200 + 300 * time) * time) + 0.02 * np.random.default_rng(
        0
    ).standard_normal(480_000)
    theirs = extractor(sound, sampling_rate=48_000, return_tensors="pt").input_features[0, 0]
    ours = clap.log_mel(clap.prepare(torch.from_numpy(sound).float()[None]))[0]
    assert_close(ours[: len(theirs)], theirs.float(), rtol=0, atol=1e-3)


def test_ms_clap_2023_hears_44_khz_with_filters_for_32(tmp_path):
    filters = load_clap(write_file("msclap-2023", tmp_path)).log_mel.filters
    others = {name: model(name).log_mel.filters for name in ("wavcaps-htsat", "msclap-2022")}
    assert torch.equal(filters, others["wavcaps-htsat"])
    assert not torch.equal(filters, others["msclap-2022"])


def test_laion_rounds_samples_to_16_bits_and_transformers_does_not(tmp_path):
    rough = 0.1 * torch.randn(1, 480_000, generator=torch.Generator().manual_seed(0))
    levels = {name: model(name).prepare(rough) * 32767 for name in ("laion", "transformers")}
    assert_close(levels["laion"], levels["laion"].round(), rtol=0, atol=2e-3)
    assert torch.equal(levels["transformers"], rough * 32767)


def test_layer_norms_of_roberta_have_the_epsilon_of_their_file(tmp_path):
    paths = [write_file("laion", tmp_path / "laion"), write_folder(tmp_path / "folder")]
    layers = [load_clap(path).text.model.embeddings.LayerNorm.eps for path in paths]
    assert layers == [1e-5, 1e-12]


@torch.no_grad()
def test_no_clip_is_ever_called_longer(tmp_path):
    """The fused towers do otherwise with a clip that is_longer; their extractor marks one of a
    batch at random.
    """
    clap = load_clap(write_file("laion-fused", tmp_path))
    log_mel = clap.log_mel(clap.prepare(0.1 * torch.randn(2, 480_000)))
    ours = clap.audio(log_mel)
    fusing = [part for part in clap.audio.model.modules() if hasattr(part, "enable_fusion")]
    assert len(fusing) == 2
    for part in fusing:
        part.enable_fusion = True
    four = log_mel[:, None].expand(-1, 4, -1, -1)
    for longer, same in ((False, True), (True, False)):
        flags = torch.tensor([[longer], [longer]])
        theirs = clap.audio.model(input_features=four, is_longer=flags).pooler_output
        assert torch.allclose(ours, theirs, atol=1e-6) == same


def test_wavcaps_htsat_takes_no_more_than_its_frames(tmp_path):
    """1,024 frames are 10.24 s: windows are 10 s, and what is longer is cut into several."""
    clap = load_clap(write_file("wavcaps-htsat", tmp_path))
    assert clap.window_seconds == 10
    shapes = []
    clap.log_mel.register_forward_hook(lambda *given: shapes.append(given[2].shape[1]))
    clap.embed_audio([0.1 * torch.randn(int(32_000 * 10.3)), 0.1 * torch.randn(32_000 * 21)])
    assert max(shapes) <= 1024


def test_the_sixth_block_pools_in_wavcaps_and_not_in_ms_clap():
    features = torch.randn(1, 320, 64)
    pooled = []
    for pools in (True, False):
        torch.manual_seed(0)
        tower = Cnn14([4, 4, 8, 8, 8, 16], pools_last=pools, fc=False).eval()
        blocks = []
        tower.conv_block6.register_forward_hook(lambda *given, kept=blocks: kept.append(given[2]))
        found = tower(features)
        last = torch.nn.functional.avg_pool2d(blocks[0], 2) if pools else blocks[0]
        bands = last.mean(dim=3)
        assert_close(found, bands.amax(dim=2) + bands.mean(dim=2))
        pooled.append(found)
    assert not torch.allclose(*pooled)


def laion_clip(samples, rate):
    """What laion_clap makes of a short file: librosa.load(sr=48000), 16 bits, whole repeats, zeros.

    librosa resamples by soxr_hq and then fits the result to ceil(samples × ratio).
    """
    ratio = float(48_000) / rate
    if rate != 48_000:
        length = math.ceil(len(samples) * ratio)
        samples = soxr.resample(samples, rate, 48_000, "HQ")[:length]
        samples = np.pad(samples, (0, length - len(samples)))
    samples = (np.clip(samples, -1, 1) * 32767.0).astype(np.int16) / np.float32(32767)
    samples = np.tile(samples, int(480_000 / len(samples)))
    return torch.from_numpy(np.pad(samples, (0, 480_000 - len(samples))).astype(np.float32))


@pytest.mark.parametrize("rate", [44_100, 48_000, 32_000])
@pytest.mark.parametrize("seconds", [5, 2.5, 3.1])
def test_crop_laion_is_as_long_as_laion_clap_makes_it(rate, seconds, tmp_path):
    """5 s from 44.1 kHz become 240,001 samples, which fit into ten seconds once, not twice."""
    samples = 0.3 * np.random.default_rng(0).standard_normal(round(rate * seconds))
    soundfile.write(tmp_path / "a.wav", samples.astype(np.float32), rate, subtype="FLOAT")
    path = write_file("laion", tmp_path)
    clap, plain = load_clap(f"{path}#crop=laion"), load_clap(path)
    with torch.inference_mode():
        theirs = clap.encode_audio(laion_clip(samples.astype(np.float32), rate)[None])[0]
    for sound in (
        embed_sound(clap, tmp_path / "a.wav"),
        *embed_many(clap, [tmp_path / "a.wav"]),
        embed_sound(clap, {"array": samples, "sampling_rate": rate}),
    ):
        assert_close(sound.embedding, theirs, rtol=0, atol=1e-4)
    ours = embed_sound(plain, tmp_path / "a.wav").embedding
    assert (ours @ theirs < 0.9999) == (rate == 44_100 and seconds != 3.1)


@pytest.mark.slow
def test_the_way_of_a_clap_is_part_of_its_name_and_fingerprint(tmp_path):
    """Captions that the code of WavCaps cleans, and that of WSAC does not."""
    path = write_file("wavcaps-cnn14", tmp_path)
    clean, raw = load_clap(path), load_clap(f"{path}#raw")
    texts = ["A Dog, BARKS", "a dog barks"]
    assert torch.equal(*clean.embed_text(texts))
    assert not torch.equal(*raw.embed_text(texts))
    assert_close(clean.embed_text(texts[1:]), raw.embed_text(texts[1:]), rtol=0, atol=0)
    assert raw.fingerprint == f"{clean.fingerprint}-raw"
    assert raw.source == f"{clean.source}#raw"
    assert load_clap(raw.source).fingerprint == raw.fingerprint
    for name in (f"{path}#crop=laion", "pocket#raw", "pocket#raw#crop=laion"):  # nothing to change
        plain = load_clap(name.partition("#")[0])
        assert (load_clap(name).fingerprint, load_clap(name).source) == (
            plain.fingerprint,
            plain.source,
        )
    raw.save(tmp_path / "converted")  # the converted one keeps to its way
    for name in ("converted", "converted#raw"):
        again = load_clap(tmp_path / name)
        assert_close(again.embed_text(texts), raw.embed_text(texts), rtol=0, atol=1e-5)
        assert again.fingerprint not in (clean.fingerprint, raw.fingerprint)
    with pytest.raises(ModelError, match="'#row' is not known; #raw or #crop=laion may follow"):
        load_clap(f"{path}#row")
    odd = tmp_path / "a#row" / "b#raw"
    odd.mkdir(parents=True)
    assert load_clap(write_file("laion", odd)).embed_dim == 32
