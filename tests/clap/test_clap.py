"""The pocket CLAP: unit norm, determinism, any length, the order of sounds, the crop policy, the
disk.
"""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from wsac import load_clap
from wsac.clap import ClapEncoder
from wsac.clap.encoder import WindowPool
from wsac.clap.pocket.melspec import LogMel, mel_filters
from wsac.clap.pocket.pocket_clap import PocketClap
from wsac.types import ModelError


def sounds(*lengths):
    rng = torch.Generator().manual_seed(5)
    return [torch.randn(n, generator=rng) * 0.1 for n in lengths]


def test_it_follows_the_protocol(clap):
    assert isinstance(clap, ClapEncoder)
    for embedding in (
        clap.embed_text(["a dog", "rain falls on a roof"]),
        clap.embed_audio(sounds(16_000, 3, 50_000)),
    ):
        assert embedding.dtype == torch.float32
        assert_close(embedding.norm(dim=-1), torch.ones(len(embedding)))
    assert clap.embed_text([]).shape == (0, 16)


def test_batching_and_order_change_nothing(clap, captions):
    waveforms = sounds(16_000, 7_000, 40_000, 16_000, 100)
    together, alone = (
        clap.embed_audio(waveforms),
        torch.cat([clap.embed_audio([w]) for w in waveforms]),
    )
    assert_close(together, alone, rtol=1e-5, atol=1e-6)
    assert torch.equal(clap.embed_audio(waveforms), together)
    texts = captions[:20]
    assert_close(clap.embed_text(texts, batch_size=3), clap.embed_text(texts), rtol=1e-5, atol=1e-6)
    assert_close(clap.embed_text(texts[::-1]).flip(0), clap.embed_text(texts), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("quietest", [-120.0, -30.0])
def test_mixed_lengths_in_one_batch_change_nothing(clap, quietest):
    """Each is what it is alone, whatever pads it: odd and even frames, short and quiet ones."""
    config = replace(clap.config, quietest=quietest)
    model = PocketClap(config, clap.tokenizer).eval()
    model.load_state_dict(clap.state_dict())
    size = round(clap.window_seconds * clap.sample_rate)
    lengths = [3, 9_000, *(12_000 + 322 * i for i in range(9)), size - 1, size, 5 * size // 2]
    waveforms = [sound * 10.0 ** -(i % 4) for i, sound in enumerate(sounds(*lengths))]
    sizes = []
    model.audio.register_forward_hook(lambda part, x, y: sizes.append(len(y)))
    alone = torch.cat([model.embed_audio([sound]) for sound in waveforms])
    del sizes[:]
    together = model.embed_audio(waveforms, slack=1e9)
    assert sizes == [len(lengths) + 2]  # with all windows of the longest
    assert_close(together, alone, atol=2e-6, rtol=0)
    assert torch.pdist(alone).min() > 1e-3  # else mixing up would not be seen


def test_long_audio_is_the_mean_of_its_windows(clap):
    (long,) = sounds(16_000 * 2 + 8_000)
    parts = clap.embed_audio([long[:16_000], long[16_000:32_000], long[32_000:]])
    mean = (parts * torch.tensor([1.0, 1.0, 0.5])[:, None]).sum(0)
    assert_close(clap.embed_audio([long])[0], mean / mean.norm())
    assert_close(
        clap.embed_audio([long[:17_000]]), clap.embed_audio([long[:16_000]])
    )  # a tail under a tenth


@pytest.mark.parametrize("length", [100, 16_000, 17_000, 20_000, 36_800, 40_000, 16_000 * 9 + 1])
def test_a_stream_of_windows_gives_the_embedding_of_the_whole(clap, length):
    (sound,) = sounds(length)
    pool = WindowPool(clap)
    windows = list(sound.split(16_000))
    pool.add(windows[:2])
    pool.add(windows[2:])
    assert_close(pool.embedding(), clap.embed_audio([sound])[0], rtol=1e-5, atol=1e-6)


def test_the_order_of_two_sounds_matters(clap):
    tone = 0.3 * torch.sin(2 * math.pi * 400 * torch.arange(8000) / 16_000)
    hiss = 0.1 * torch.randn(8000, generator=torch.Generator().manual_seed(0))
    one, other = clap.embed_audio([torch.cat((tone, hiss)), torch.cat((hiss, tone))])
    assert float(one @ other) < 1 - 1e-4


def test_temperature_is_the_learned_one(clap):
    assert clap.temperature == pytest.approx(0.07, rel=1e-3)


def test_save_and_load(clap, tmp_path, captions):
    clap.save(tmp_path)
    again = load_clap(tmp_path)
    assert again.fingerprint == clap.fingerprint
    assert torch.equal(again.embed_text(captions[:5]), clap.embed_text(captions[:5]))
    exact = PocketClap(clap.config, clap.tokenizer)
    exact.save(tmp_path / "other")
    loaded = load_clap(tmp_path / "other")
    assert loaded.fingerprint != clap.fingerprint
    assert_close(
        loaded.embed_text(captions[:5]), exact.eval().embed_text(captions[:5]), rtol=0, atol=5e-3
    )  # float16


def test_broken_folders_say_so(clap, tmp_path):
    with pytest.raises(ModelError, match="no CLAP here"):
        load_clap(tmp_path)
    clap.save(tmp_path)
    (tmp_path / "clap.safetensors").write_bytes(b"not tensors")
    with pytest.raises(ModelError, match="not a pocket CLAP"):
        load_clap(tmp_path)
    (tmp_path / "clap.safetensors").unlink()
    with pytest.raises(ModelError, match=r"clap\.safetensors cannot be read or is missing"):
        load_clap(tmp_path)
    for text in ("[]", "5", "null"):
        (tmp_path / "clap.json").write_text(text)
        with pytest.raises(ModelError, match=r"clap\.json: damaged, or not of a CLAP"):
            load_clap(tmp_path)


def test_mel_filters_and_a_pure_tone():
    filters = mel_filters(16_000, 1024, 64, 40.0, 8000.0)
    assert filters.shape == (64, 513)
    assert float(filters.max()) <= 1
    assert (filters >= 0).all()
    tone = torch.sin(2 * math.pi * 1000 * torch.arange(16_000) / 16_000)[None]
    picture = LogMel(16_000, 1024, 320, 64)(tone)
    assert picture.shape == (1, 64, 51)
    peak_hz = float(filters[int(picture[0, :, 25].argmax())].argmax()) * 16_000 / 1024
    assert abs(peak_hz - 1000) < 60
    assert LogMel(16_000, 1024, 320, 64)(torch.zeros(1, 200)).isfinite().all()
