"""The captioner: sounds in, captions out, whatever the source."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
import torch
from torch.testing import assert_close

from wsac import AudioError, Caption, RecipeError
from wsac.clap.sounds import AudioEmbedding
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


@pytest.fixture
def mixed(wav, tmp_path):
    """A short file, a broken one, samples, and a silent file."""
    path, samples = wav
    soundfile.write(tmp_path / "silent.wav", np.zeros(16_000), 16_000)
    (tmp_path / "broken.wav").write_text("no sound")
    return [path, tmp_path / "broken.wav", samples[:5000], tmp_path / "silent.wav"]


def test_many_captions_stream_in_order_with_errors_in_place(captioner, mixed):
    taken = []

    def sounds():
        for sound in mixed * 12:
            taken.append(sound)
            yield sound

    stream = captioner.caption_many(sounds())
    results = [next(stream)]
    assert len(taken) == 32, "the stream reads more than a batch ahead"
    results += stream
    assert len(results) == 48
    assert [str(result) for result in results[4:]] == [str(result) for result in results[:-4]]
    for sound, result in zip(mixed, results, strict=False):
        assert isinstance(result, AudioError) == (sound is mixed[1])
        assert result.file == ("" if isinstance(sound, np.ndarray) else str(sound))
        if isinstance(result, Caption):
            alone = captioner.caption(sound)
            assert (result.text, result.notes) == (alone.text, alone.notes)
    assert results[3].text == "Silence"
    assert results[3].notes[0].startswith("silent: ")
    with pytest.raises(AudioError, match=r"broken\.wav"):
        captioner.caption_batch(mixed)


def test_windows_of_many_sounds(captioner, mixed):
    results = list(captioner.caption_many(mixed, window_seconds=1.0))
    files = [str(mixed[0])] * 4 + [str(mixed[1]), "", str(mixed[3])]
    assert [result.file for result in results] == files
    assert isinstance(results[4], AudioError)
    assert results[-1].notes[0].startswith("silent: ")
    assert [result.text for result in results[:4]] == [
        caption.text for caption in captioner.caption_windows(mixed[0], window_seconds=1.0)
    ]


def test_captions_of_embeddings_are_those_of_their_sounds(captioner, mixed):
    sounds = [captioner.embed(sound) for sound in (mixed[0], mixed[2])]
    embeddings = torch.stack([sound.embedding for sound in sounds])
    written, described = captioner.caption_embeddings(embeddings), captioner.describe(sounds)
    assert [caption.text for caption in written] == [caption.text for caption in described]
    assert [caption.end for caption in described] == [sound.end for sound in sounds]
    assert captioner.caption_embeddings(embeddings[:0]) == captioner.describe([]) == []


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


def test_silence_is_not_decoded(captioner, monkeypatch):
    def decoded(embeddings):
        raise AssertionError(embeddings)

    monkeypatch.setattr(captioner, "caption_embeddings", decoded)
    quiet = [AudioEmbedding(torch.zeros(1), 0.0, 1.0, silent=True)] * 2
    assert [caption.text for caption in captioner.describe(quiet)] == ["Silence"] * 2


def test_silence_is_called_silence(captioner):
    quiet = np.zeros(16_000, np.float32)
    note = "silent: the mono mix has no sound above -60 dBFS (all samples are 0)"
    assert captioner.caption(quiet) == Caption("Silence", 0.0, 0.0, 1.0, notes=(note,))
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
    assert captioner.with_options(other.options).options == other.options


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"bridge": "best"}, "unknown here; choose from ad, coral, nnd, pd"),
        ({"bridge": "pd:temperature=-1"}, "temperature -1"),
        ({"choose": "vote"}, "choice 'vote'"),
        ({"samples": 16}, "16 samples and no way to choose one"),
        ({"candidates": 0}, "0 candidates"),
        ({"beam_size": 0}, "give a whole number from 1"),
        ({"max_tokens": 5}, "unknown caption option 'max_tokens'; known: bridge, "),
        ({"beams": 5}, "unknown caption option 'beams'"),
        ({"samples": 1.5}, "samples = 1.5: give a whole number"),
    ],
)
def test_impossible_options_are_explained(captioner, changes, words):
    with pytest.raises(RecipeError, match=words):
        captioner.with_options(**changes)


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
    sounds = [captioner.embed(audio) for audio in wav]
    other = captioner.with_options(choose="clap", samples=8)
    texts = [caption.text for caption in other.describe(sounds)]
    audio = torch.stack([sound.embedding for sound in sounds])
    found = generate_samples(
        captioner.decoder, captioner.bridge(audio), GenerationOptions(4, 24), 8
    )
    for text, sound, row in zip(texts, audio, found, strict=True):
        written = captioner.tokenizer.decode(one.tokens for one in row)
        fit = captioner.clap.embed_text(written) @ sound + 0.05 * torch.tensor(
            [one.logprob for one in row]
        )
        assert text == written[int(fit.argmax())]


def test_wrong_sounds_are_explained(captioner):
    for bad in (np.zeros((20, 100)), np.zeros(0)):
        with pytest.raises(AudioError, match="mono samples"):
            captioner.caption(bad)
        with pytest.raises(AudioError, match="mono samples"):
            list(captioner.caption_windows(bad))
    with pytest.raises(AudioError, match="samples are NaN or infinite"):
        captioner.caption(np.full(16_000, np.nan))
    with pytest.raises(AudioError, match=r"missing\.wav"):
        captioner.caption("missing.wav")
    for window in (None, 1.0):
        with pytest.raises(AudioError, match="str: one sound; give a list of sounds"):
            list(captioner.caption_many("a.wav", window))
    with pytest.raises(AudioError, match="str: one sound; give a list of sounds"):
        captioner.caption_batch("a.wav")
    assert captioner.caption_batch([]) == []


def test_samples_of_another_rate_scale_and_shape_are_the_same_sound(captioner):
    samples = 0.3 * np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    expected = captioner.caption(samples)
    whole = np.round(samples * 32767).astype(np.int16)
    for audio in (
        whole,
        np.stack([whole] * 2),
        np.stack([whole] * 2, axis=1),
        {"array": samples, "sampling_rate": 16_000},
    ):
        assert captioner.caption(audio).text == expected.text
    (window,) = captioner.caption_windows(whole, sample_rate=8_000, window_seconds=2.0)
    assert window.end == captioner.caption(whole, sample_rate=8_000).end == 2.0
    assert captioner.caption_batch([whole], sample_rate=32_000)[0].end == 0.5
