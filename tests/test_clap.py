"""The pocket CLAP: unit norm, determinism, any length, the crop policy, the disk; and contrastive training."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest
import soundfile
import torch
from torch.testing import assert_close

from wsac import load_clap
from wsac.clap import ClapEncoder
from wsac.clap.base import WindowPool
from wsac.clap.melspec import LogMel, mel_filters
from wsac.clap.pairs import crop, mix, read_pairs
from wsac.clap.pocket import PocketClap
from wsac.recipe import ClapRecipe, load_recipe
from wsac.soundworld import KINDS
from wsac.train_clap import train_clap, zero_shot
from wsac.types import CorpusError, ModelError


def sounds(*lengths):
    rng = torch.Generator().manual_seed(5)
    return [torch.randn(n, generator=rng) * 0.1 for n in lengths]


def test_it_follows_the_protocol(clap):
    assert isinstance(clap, ClapEncoder)
    for embedding in (clap.embed_text(["a dog", "rain falls on a roof"]), clap.embed_audio(sounds(16_000, 3, 50_000))):
        assert embedding.dtype == torch.float32
        assert_close(embedding.norm(dim=-1), torch.ones(len(embedding)))
    assert clap.embed_text([]).shape == (0, 16)


def test_batching_and_order_change_nothing(clap, captions):
    waveforms = sounds(16_000, 7_000, 40_000, 16_000, 100)
    together, alone = clap.embed_audio(waveforms), torch.cat([clap.embed_audio([w]) for w in waveforms])
    assert_close(together, alone, rtol=1e-5, atol=1e-6)
    assert torch.equal(clap.embed_audio(waveforms), together)
    texts = captions[:20]
    assert_close(clap.embed_text(texts, batch_size=3), clap.embed_text(texts), rtol=1e-5, atol=1e-6)
    assert_close(clap.embed_text(texts[::-1]).flip(0), clap.embed_text(texts), rtol=1e-5, atol=1e-6)


def test_long_audio_is_the_mean_of_its_windows(clap):
    (long,) = sounds(16_000 * 2 + 8_000)
    parts = clap.embed_audio([long[:16_000], long[16_000:32_000], long[32_000:]])
    mean = (parts * torch.tensor([1.0, 1.0, 0.5])[:, None]).sum(0)
    assert_close(clap.embed_audio([long])[0], mean / mean.norm())
    assert_close(clap.embed_audio([long[:17_000]]), clap.embed_audio([long[:16_000]]))  # a tail under a tenth


@pytest.mark.parametrize("length", [100, 16_000, 17_000, 40_000, 16_000 * 9 + 1])
def test_a_stream_of_windows_gives_the_embedding_of_the_whole(clap, length):
    (sound,) = sounds(length)
    pool = WindowPool(clap)
    windows = list(sound.split(16_000))
    pool.add(windows[:2])
    pool.add(windows[2:])
    assert_close(pool.embedding(), clap.embed_audio([sound])[0], rtol=1e-5, atol=1e-6)


def test_save_and_load(clap, tmp_path, captions):
    clap.save(tmp_path)
    again = load_clap(tmp_path)
    assert again.fingerprint == clap.fingerprint
    assert torch.equal(again.embed_text(captions[:5]), clap.embed_text(captions[:5]))
    exact = PocketClap(clap.config, clap.tokenizer)
    exact.save(tmp_path / "other")
    loaded = load_clap(tmp_path / "other")
    assert loaded.fingerprint != clap.fingerprint
    assert_close(loaded.embed_text(captions[:5]), exact.eval().embed_text(captions[:5]), rtol=0, atol=5e-3)  # float16


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


def test_crops_and_mixtures_keep_their_length():
    rng = np.random.default_rng(0)
    for n in (10, 99, 100, 101, 1000):
        samples = np.arange(1, n + 1, dtype=np.float32)
        assert all(crop(samples, 100, rng).shape == (100,) for _ in range(20))
    a, b = np.ones(1000, np.float32), -np.ones(1000, np.float32)
    patterns = {mix(a, b, rng)[1] for _ in range(200)}
    assert any("then" in p for p in patterns)
    assert all("{a}" in p and "{b}" in p for p in patterns)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Two kinds of SoundWorld, four short recordings each, as a CSV."""
    folder = tmp_path_factory.mktemp("pairs")
    with (folder / "pairs.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("audio", "caption", "label"))
        for name, words in (("siren", "a siren wails"), ("rain", "rain falls")):
            for i in range(4):
                path = folder / f"{name}{i}.wav"
                soundfile.write(path, KINDS[name].render(np.random.default_rng(i), 1.5, 16_000), 16_000)
                rows.writerow((path, words, name))
                rows.writerow((path, f"the sound of {name}", name))
    return folder / "pairs.csv"


def tiny_clap_recipe(pairs, **changes):
    sizes = {"embed_dim": 16, "channels": [8, 8, 16, 16, 16], "vocab_size": 300, "text_width": 16, "text_layers": 1}
    training = {"steps": 30, "batch_size": 8, "crop_seconds": 1.0, "mixtures": 0.2, "warmup_steps": 5, "save_every": 10}
    return load_recipe(ClapRecipe, overrides={"pairs": [str(pairs)], **sizes, **training, **changes})


def test_contrastive_training_tells_two_sounds_apart(pairs, tmp_path):
    model = train_clap(tiny_clap_recipe(pairs, steps=60), tmp_path)
    accuracy, labels = zero_shot(model, read_pairs([pairs]))
    assert labels == 2
    assert accuracy >= 0.75
    assert {"clap.json", "clap.safetensors", "tokenizer.json", "recipe.toml"} <= {p.name for p in tmp_path.iterdir()}


def test_contrastive_training_resumes(pairs, tmp_path):
    whole = train_clap(tiny_clap_recipe(pairs), tmp_path / "whole")
    recipe = tiny_clap_recipe(pairs)
    import wsac.train_clap as module

    def stop_at_second_save(*args):
        original(*args)
        if args[3]["step"] == 20:
            raise KeyboardInterrupt

    original, module.save_checkpoint = module.save_checkpoint, stop_at_second_save
    try:
        with pytest.raises(KeyboardInterrupt):
            train_clap(recipe, tmp_path / "cut")
    finally:
        module.save_checkpoint = original
    assert train_clap(recipe, tmp_path / "cut").fingerprint == whole.fingerprint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,caption\na.wav,x\n", "line 1: no column audio"),
        ("audio,caption\na.wav,\n", "line 2: audio or caption is empty"),
        ("audio,caption\n", "zero pairs"),
    ],
)
def test_wrong_pairs_are_named(tmp_path, text, message):
    path = tmp_path / "pairs.csv"
    path.write_text(text)
    with pytest.raises(CorpusError, match=message) as error:
        read_pairs([path])
    assert "pairs.csv" in str(error.value)
