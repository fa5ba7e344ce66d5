"""The captioner: sound in, sentences out, whatever the source; one folder on disk."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile
import torch
from torch.testing import assert_close

from wsac import AudioError, Caption, Captioner, ModelError, RecipeError
from wsac.clap.sounds import embed_many, embed_sound
from wsac.data.soundworld import KINDS
from wsac.decoder.generation import GenerationOptions, generate_best, generate_samples


@pytest.fixture
def wav(tmp_path):
    samples = KINDS["siren"].render(np.random.default_rng(0), 3.3, 16_000)
    soundfile.write(tmp_path / "siren.wav", samples, 16_000, subtype="FLOAT")
    return tmp_path / "siren.wav", samples


def test_a_path_an_array_and_a_tensor_are_the_same_sound(captioner, wav):
    path, samples = wav
    captions = captioner.caption_batch([path, str(path), samples, torch.from_numpy(samples)])
    assert len({caption.text for caption in captions}) == 1
    assert_close(torch.tensor([c.logprob for c in captions]), torch.full((4,), captions[0].logprob))
    assert all(caption.end == pytest.approx(3.3) and caption.start == 0 for caption in captions)
    assert captions[0].logprob < 0
    assert captioner.caption(path).text == captions[0].text


def test_sounds_heard_together_are_heard_one_by_one(clap, wav, tmp_path, monkeypatch):
    path, samples = wav
    soundfile.write(tmp_path / "short.wav", samples[:20_000], 16_000, subtype="FLOAT")
    soundfile.write(tmp_path / "silent.wav", np.zeros(16_000), 16_000)
    (tmp_path / "broken.wav").write_text("no sound")
    monkeypatch.setattr("wsac.clap.sounds.FILES_AT_ONCE", 3)
    monkeypatch.setattr("wsac.clap.sounds.LONG", 2.0)  # the siren is long: it is streamed
    sounds = [
        path,
        tmp_path / "short.wav",
        tmp_path / "broken.wav",
        samples[:5000],
        tmp_path / "silent.wav",
    ]
    found = list(embed_many(clap, sounds))
    with pytest.raises(AudioError) as broken:
        embed_sound(clap, sounds[2])
    assert isinstance(found[2], AudioError)
    assert str(found.pop(2)) == str(broken.value)
    for one, sound in zip(found, sounds[:2] + sounds[3:], strict=True):
        alone = embed_sound(clap, sound)
        assert_close(one.embedding, alone.embedding)
        assert (one.start, one.end, one.notes, one.silent) == (
            alone.start,
            alone.end,
            alone.notes,
            alone.silent,
        )
    assert [one.silent for one in found] == [False, False, False, True]


def test_windows_cover_the_sound_with_their_times(captioner, wav):
    path, samples = wav
    from_file = list(captioner.caption_windows(path, window_seconds=1.0))
    from_array = list(captioner.caption_windows(samples, window_seconds=1.0))
    assert [(c.start, c.end) for c in from_file] == [(0, 1), (1, 2), (2, 3), (3, 3.3)]
    assert [c.text for c in from_file] == [c.text for c in from_array]
    overlapping = [
        (c.start, c.end)
        for c in captioner.caption_windows(path, window_seconds=1.0, hop_seconds=0.5)
    ]
    assert overlapping[:3] == [(0, 1), (0.5, 1.5), (1, 2)]
    assert overlapping[-1][1] == pytest.approx(3.3)
    assert [
        (c.start, c.end)
        for c in captioner.caption_windows(samples, window_seconds=1.0, hop_seconds=0.5)
    ] == (overlapping)


def test_silence_is_called_silence(captioner):
    quiet = np.zeros(16_000, np.float32)
    assert captioner.caption(quiet) == Caption("Silence", 0.0, 0.0, 1.0)
    half = np.concatenate(
        (quiet, np.random.default_rng(0).uniform(-0.1, 0.1, 16_000).astype(np.float32))
    )
    texts = [caption.text for caption in captioner.caption_windows(half, window_seconds=1.0)]
    assert texts[0] == "Silence"
    assert texts[1] != "Silence"


def test_a_scrap_at_the_end_is_no_window_of_its_own(captioner):
    sound = np.random.default_rng(0).uniform(-0.1, 0.1, 32_001).astype(np.float32)
    found = [(c.start, c.end) for c in captioner.caption_windows(sound, window_seconds=1.0)]
    assert found == [(0, 1), (1, 32_001 / 16_000)]
    assert len(list(captioner.caption_windows(sound[:100], window_seconds=1.0))) == 1


def test_options_make_a_new_captioner(captioner, wav):
    other = captioner.with_options(bridge="ad", beam_size=1)
    assert other.decoder is captioner.decoder
    assert (captioner.options.bridge, other.options.bridge) == ("pd", "ad")
    for bridge in ("ad", "nnd", "pd"):
        assert captioner.with_options(bridge=bridge).caption(wav[0]).logprob < 0
    with pytest.raises(RecipeError, match="unknown here; choose of ad, coral, nnd, pd"):
        captioner.with_options(bridge="best")
    with pytest.raises(RecipeError, match="temperature -1"):
        captioner.with_options(bridge="pd:temperature=-1")
    with pytest.raises(RecipeError, match="choice 'vote'"):
        captioner.with_options(choose="vote")
    with pytest.raises(RecipeError, match="16 samples and no way to choose one"):
        captioner.with_options(samples=16)
    with pytest.raises(RecipeError, match="0 candidates"):
        captioner.with_options(candidates=0)
    with pytest.raises(RecipeError, match="give a whole number from 1"):
        captioner.with_options(beam_size=0)


def test_another_memory(captioner, wav):
    other = captioner.with_memory(["a dog barks", "rain falls"])
    assert len(other.memory) == 2
    nearest = other.with_options(bridge="nnd").bridge(captioner.embed(wav[0]).embedding[None])
    assert any(torch.equal(nearest[0], row) for row in other.memory.embeddings)
    assert len(captioner.memory) > 2  # the first one is as it was


def test_choosing_among_candidates(captioner, wav):
    """Both ways by hand, from the same best captions."""
    audio = captioner.embed(wav[0]).embedding[None]
    options = {"beam_size": 6, "candidates": 6}
    [found] = generate_best(captioner.decoder, captioner.bridge(audio), GenerationOptions(6, 24), 6)
    texts = captioner.tokenizer.decode(one.tokens for one in found)
    assert len(set(texts)) > 2
    embedded = captioner.clap.embed_text(texts)
    fit = embedded @ audio[0] + 0.05 * torch.tensor([one.logprob for one in found])
    agreement = (embedded @ embedded.T).mean(1)
    for way, value in (("clap", fit), ("mbr", agreement), ("", torch.tensor([1.0] + [0.0] * 5))):
        caption = captioner.with_options(choose=way, **options).caption(wav[0])
        assert caption.text == texts[int(value.argmax())]
        assert caption.logprob == pytest.approx(found[int(value.argmax())].logprob, abs=1e-5)


def test_choosing_among_samples(captioner, wav):
    heard = [captioner.embed(path) for path in wav[:2]]
    other = captioner.with_options(choose="clap", samples=8)
    texts = [caption.text for caption in other.describe(heard)]
    audio = torch.stack([one.embedding for one in heard])
    found = generate_samples(
        captioner.decoder, captioner.bridge(audio), GenerationOptions(4, 24), 8
    )
    for text, sound, row in zip(texts, audio, found, strict=True):
        written = captioner.tokenizer.decode(one.tokens for one in row)
        fit = captioner.clap.embed_text(written) @ sound + 0.05 * torch.tensor(
            [one.logprob for one in row]
        )
        assert text == written[int(fit.argmax())]


def test_save_and_load_give_the_same_captions(captioner, wav, tmp_path):
    captioner.save(tmp_path / "run", memory_precision="float32")
    again = Captioner.load(tmp_path / "run")
    moved = (tmp_path / "run").rename(tmp_path / "moved")
    third = Captioner.load(moved)
    assert again.options == captioner.options
    assert again.caption(wav[0]) == third.caption(wav[0])
    assert not [path for path in moved.rglob("*") if path.suffix in {".pkl", ".pt", ".bin"}]
    captioner.save(tmp_path / "half", half=True, memory_precision="int8")
    small, large = (
        sum(p.stat().st_size for p in (tmp_path / d).glob("*.safetensors"))
        for d in ("half", "moved")
    )
    assert small < 0.6 * large
    assert Captioner.load(tmp_path / "half").caption(wav[0]).logprob < 0


def test_wrong_folders_and_samples_are_explained(captioner, tmp_path):
    with pytest.raises(ModelError, match="no captioner here"):
        Captioner.load(tmp_path)
    captioner.save(tmp_path)
    card = json.loads((tmp_path / "captioner.json").read_text())
    (tmp_path / "captioner.json").write_text(json.dumps(card | {"clap_fingerprint": "another"}))
    with pytest.raises(ModelError, match="trained with CLAP another"):
        Captioner.load(tmp_path)
    (tmp_path / "captioner.json").write_text("{")
    with pytest.raises(Exception, match="not valid JSON"):
        Captioner.load(tmp_path)
    (tmp_path / "captioner.json").write_text(json.dumps(card))
    (tmp_path / "decoder.safetensors").unlink()
    with pytest.raises(ModelError, match="not a captioner of this version"):
        Captioner.load(tmp_path)
    for bad in (np.zeros((2, 100)), np.zeros(0)):
        with pytest.raises(AudioError, match="mono samples"):
            captioner.caption(bad)
        with pytest.raises(AudioError, match="mono samples"):
            list(captioner.caption_windows(bad))
    with pytest.raises(AudioError, match="cannot be embedded"):
        captioner.caption(np.full(16_000, np.nan))
    with pytest.raises(AudioError, match=r"missing\.wav"):
        captioner.caption("missing.wav")
    assert captioner.caption_batch([]) == []
