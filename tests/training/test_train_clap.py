"""Contrastive training: what is put together and said of it, what happens to the pictures, the
losses, the runs.
"""

from __future__ import annotations

import csv
import json
import os
import shutil

import numpy as np
import pytest
import soundfile
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from wsac.clap.retrieval_scores import evaluate, label_embeddings, recall_at
from wsac.data.datasets.pairs import read_pairs
from wsac.data.soundworld import KINDS
from wsac.io.config import load_recipe
from wsac.training.clap import augment
from wsac.training.clap.batches import draw_ahead, workers_for
from wsac.training.clap.clap_recipe import ClapRecipe
from wsac.training.clap.contrastive import ClapTraining, train_clap
from wsac.training.clap.losses import label_loss, order_loss, pair_loss
from wsac.training.clap.mixing import (
    COUNTED,
    Composer,
    Example,
    crop,
    far,
    in_both_orders,
    loudness,
    random_level,
)
from wsac.training.clap.store import AudioStore
from wsac.types import AudioError, CorpusError, WsacError

RATE = 16_000
WORDS = {
    "siren": "a siren wails",
    "rain": "rain falls",
    "dog": "a dog barks",
    "clock": "a clock ticks",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Tones of four pitches as four labels, three recordings each, and a click that can be
    counted.
    """
    folder = tmp_path_factory.mktemp("pairs")
    with (folder / "pairs.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("audio", "caption", "label"))
        for pitch, (name, words) in zip((300, 700, 1500, 3000), WORDS.items(), strict=True):
            for i in range(3):
                t = np.arange(int(1.6 * RATE)) / RATE
                tone = (
                    0.3
                    * np.sin(2 * np.pi * pitch * (1 + 0.02 * i) * t)
                    * (1 + 0.3 * np.sin(2 * np.pi * 3 * t))
                )
                soundfile.write(folder / f"{name}{i}.wav", tone, RATE)
                rows.writerow((f"{name}{i}.wav", words, name))  # beside the CSV
                rows.writerow((f"{name}{i}.wav", f"the sound of a {name}", name))
        click = np.exp(-np.arange(1600) / 200) * np.sin(np.arange(1600))
        soundfile.write(folder / "click.wav", click, RATE)
        rows.writerow(("click.wav", "a click", "click"))
    return folder


@pytest.fixture(scope="module")
def composer(folder, tmp_path_factory):
    clips = read_pairs([folder / "pairs.csv"])
    return Composer(clips, AudioStore(clips, RATE, tmp_path_factory.mktemp("store")), balance=0.5)


def pitches(samples):
    """The strongest of the four tones in each quarter of the samples."""
    found = []
    for part in np.array_split(samples, 4):
        spectrum = np.abs(np.fft.rfft(part))
        hertz = np.fft.rfftfreq(len(part), 1 / RATE)
        found.append(
            max(
                (300, 700, 1500, 3000),
                key=lambda p: spectrum[(hertz > 0.9 * p) & (hertz < 1.15 * p)].sum(),
            )
        )
    return found


# -- what is put together
# --------------------------------------------------------------------------------------------
def test_crops_keep_their_length():
    rng = np.random.default_rng(0)
    for n in (10, 99, 100, 101, 1000):
        samples = np.arange(1, n + 1, dtype=np.float32)
        assert all(crop(samples, 100, rng).shape == (100,) for _ in range(20))
    assert 10 ** (-25 / 20) - 1e-6 <= np.abs(random_level(np.ones(10, np.float32), rng)).max() <= 1


def test_drawing_balances_the_labels(composer):
    rows = composer.draw(np.random.default_rng(0), 4000)
    labels = [composer.clips[row].label for row in rows]
    assert composer.labels == sorted({*WORDS, "click"})
    # weights n ** -0.5 of each clip: 3 * 3 ** -0.5 for a label of three, 1 for the click
    assert labels.count("click") / 4000 == pytest.approx(1 / (1 + 4 * 3**0.5), abs=0.02)
    rows = composer.distinct(np.random.default_rng(0), 4)
    assert len({composer.clips[row].label for row in rows}) == 4


def test_a_short_sound_is_counted(composer):
    row = next(i for i, clip in enumerate(composer.clips) if clip.label == "click")
    seen = set()
    for seed in range(200):
        example = composer.event(row, 4 * RATE, np.random.default_rng(seed))
        counts = {
            n
            for n, patterns in COUNTED.items()
            if example.caption in [p.format(a="a click") for p in patterns]
        }
        if counts:
            loud = np.abs(example.samples) > 0.3
            onsets = 1 + int((np.diff(np.flatnonzero(loud)) > 0.05 * RATE).sum())
            assert {onsets} == counts
            assert example.false not in ("", example.caption)
            assert not any(example.false == p.format(a="a click") for p in COUNTED[onsets])
            seen |= counts
    assert seen == {2, 3, 4}


def test_sequences_are_heard_in_the_order_that_is_said(composer):
    tone = dict(zip(WORDS, (300, 700, 1500, 3000), strict=True))
    rows = {clip.label: i for i, clip in enumerate(composer.clips)}
    said = {composer.clips[i].captions: label for label, i in rows.items()}
    told = 0
    for seed in range(80):
        rng = np.random.default_rng(seed)
        example = composer.sequence(
            [rows["siren"], rows["rain"], rows["dog"], rows["clock"]], 4 * RATE, rng
        )
        assert example.false not in ("", example.caption)
        if len(example.labels) > 2:
            continue
        told += 1
        place = {
            label: min(example.caption.find(c) % 999 for c in captions)
            for captions, label in said.items()
        }
        first, second = sorted(("siren", "rain"), key=place.__getitem__)
        if "after" in example.caption and "after that" not in example.caption:
            first, second = second, first
        found = pitches(example.samples)
        assert (found[0], found[-1]) == (tone[first], tone[second]) == (300, 700)
    assert told > 20


def test_twins_are_the_same_sounds_in_both_orders(composer):
    tone = dict(zip(WORDS, (300, 700, 1500, 3000), strict=True))
    told = 0
    for seed in range(40):
        one, other = composer.twins(4 * RATE, np.random.default_rng(seed))
        assert len(one.samples) == len(other.samples) == 4 * RATE
        assert np.sort(one.samples).tolist() == np.sort(other.samples).tolist()
        orders = []
        for example in (one, other):
            place = {
                pitch: example.caption.find(name)
                for name, pitch in tone.items()
                if name in example.caption
            }
            if len(place) < 2:
                break
            order = sorted(place, key=place.__getitem__)
            if "after" in example.caption and "after that" not in example.caption:
                order.reverse()
            found = pitches(example.samples)
            assert (found[0], found[-1]) == tuple(order)
            orders.append(order)
        if len(orders) == 2:
            told += 1
            assert orders[0] == orders[1][::-1]
    assert told > 3


def test_whole_sounds_in_both_orders_may_have_pauses():
    rng = np.random.default_rng(0)
    a, b = (np.full(100, 1.0), "a bell"), (np.full(50, 2.0), "a dog")
    for _ in range(20):
        one, other = in_both_orders(a, b, 200, rng)
        for example, order in ((one, [1.0, 2.0]), (other, [2.0, 1.0])):
            heard = example.samples[example.samples > 0]
            assert heard.tolist() == sorted(heard.tolist(), reverse=order[0] > order[1])
            assert len(heard) == 150
            assert {"a bell", "a dog"} <= {n for n in ("a bell", "a dog") if n in example.caption}
    one, _ = in_both_orders(a, b, 150, rng)
    assert (one.samples > 0).all()


def test_an_overlay_holds_both_and_its_false_caption_another(composer):
    rows = {clip.label: i for i, clip in enumerate(composer.clips)}
    for seed in range(40):
        rng = np.random.default_rng(seed)
        example = composer.overlay([rows["siren"], rows["dog"], rows["rain"]], 2 * RATE, rng)
        words = {label: composer.clips[row].captions for label, row in rows.items()}
        assert all(any(c in example.caption for c in words[label]) for label in ("siren", "dog"))
        assert not any(c in example.caption for c in words["rain"])
        assert any(c in example.false for c in words["rain"])
        assert sum(any(c in example.false for c in words[label]) for label in ("siren", "dog")) == 1


def test_far_sounds_lose_their_treble_and_gain_an_echo():
    rng = np.random.default_rng(0)
    click = np.zeros(RATE, np.float32)
    click[100] = 1
    distant = far(click, RATE, rng)
    assert loudness(distant[2000:6000]) > 1e-4
    spectrum = np.abs(np.fft.rfft(distant))
    assert spectrum[200:800].mean() > 5 * spectrum[4000:].mean()


# -- what happens to the pictures
# -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "name", ["level", "colour", "room", "noise", "band_limits", "spec_augment"]
)
def test_a_disturbed_picture_stays_one(name):
    picture = (torch.randn(16, 64, 100, generator=torch.Generator().manual_seed(0)) * 2 - 6).clamp(
        min=augment.FLOOR
    )
    torch.manual_seed(0)
    changed = getattr(augment, name)(picture)
    torch.manual_seed(0)
    assert torch.equal(getattr(augment, name)(picture), changed)
    assert changed.shape == picture.shape
    assert changed.isfinite().all()
    touched = (changed != picture).flatten(1).any(dim=1)
    assert touched.any()
    assert name == "spec_augment" or not touched.all()
    assert changed.min() >= augment.FLOOR - 1e-4


def test_a_room_only_adds_what_comes_later():
    picture = torch.full((64, 8, 60), augment.FLOOR)
    picture[:, :, 30] = 0.0
    torch.manual_seed(0)
    wet = augment.room(picture, chance=1.0)
    assert (wet[:, :, :30] < augment.FLOOR + 1.2).all()  # the floor's own echo
    assert_close(wet[:, :, 30], picture[:, :, 30], rtol=0, atol=1.0)
    assert (wet[:, :, 31:40] > augment.FLOOR + 2).all()
    assert (wet[:, :, 31:50].diff(dim=-1) < 0).all()


# -- losses ----------------------------------------------------------------------------------------
# -------------------
def test_order_loss_is_of_directions_alone():
    rng = torch.Generator().manual_seed(0)
    text = F.normalize(torch.randn(8, 16, generator=rng), dim=-1)
    assert float(order_loss(text, text)) == pytest.approx(0, abs=1e-6)
    assert float(order_loss(0.01 * text + 1, text)) == pytest.approx(
        0, abs=1e-3
    )  # whatever the length
    swapped = text.view(4, 2, 16).flip(1).reshape(8, 16)
    assert float(order_loss(swapped, text)) == pytest.approx(2, abs=1e-6)


def test_label_loss_is_least_at_the_own_label():
    prototypes = F.normalize(torch.eye(4) + 0.01, dim=-1)
    losses = [float(label_loss(prototypes[k : k + 1] / 0.05, prototypes, [(1,)])) for k in range(4)]
    assert min(losses) == losses[1] < 0.1
    both = F.normalize(prototypes[1] + prototypes[2], dim=-1)[None]
    assert float(label_loss(both / 0.05, prototypes, [(1, 2)])) < losses[0]


def test_false_captions_are_further_negatives(clap, composer):
    rows = composer.draw(np.random.default_rng(0), 4)
    examples = [
        composer.overlay(
            composer.distinct(np.random.default_rng(i), 3), RATE, np.random.default_rng(i)
        )
        for i, _ in enumerate(rows)
    ]
    from dataclasses import replace

    clap.eval()
    losses = []
    for batch in (examples, [replace(one, false="") for one in examples]):
        torch.manual_seed(0)
        waveforms = torch.from_numpy(np.stack([one.samples for one in batch]))
        losses.append(float(pair_loss(clap, waveforms, batch).detach()))
    assert all(one.false for one in examples)
    assert losses[0] > losses[1]


def test_other_processes_draw_what_this_one_would():
    def draw(step: int) -> tuple[str, list[Example]]:
        samples = np.random.default_rng(step).uniform(-1, 1, (2, 50)).astype(np.float32)
        return "events", [Example(row, f"{step} {i}") for i, row in enumerate(samples)]

    alone, together = (list(draw_ahead(draw, range(3, 8), workers)) for workers in (0, 2))
    assert [examples[0].caption for _, _, examples in alone] == [
        f"{step} 0" for step in range(3, 8)
    ]
    for (_, one, said), (_, other, also) in zip(alone, together, strict=True):
        assert torch.equal(one, other)
        assert [example.caption for example in said] == [example.caption for example in also]
    first = np.random.default_rng(3).uniform(-1, 1, (2, 50))
    np.testing.assert_allclose(alone[0][1].numpy() / 32767, first, atol=1 / 32000)
    assert workers_for("cpu") == 0


# -- retrieval -------------------------------------------------------------------------------------
# -------------------
def test_recall_counts_ranks_and_ties():
    similarity = torch.tensor([[0.9, 0.1, 0.2], [0.5, 0.4, 0.3], [0.1, 0.1, 0.1]])
    found = recall_at(similarity, torch.eye(3, dtype=torch.bool), (1, 2, 3))
    assert found == {
        "R@1": pytest.approx(1 / 3),
        "R@2": pytest.approx(2 / 3),
        "R@3": 1.0,
    }  # the tie is last
    assert recall_at(similarity, torch.ones(3, 3, dtype=torch.bool), (1,)) == {"R@1": 1.0}


def test_label_embeddings_are_means_of_captions(clap, folder):
    clips = read_pairs([folder / "pairs.csv"])
    (one,) = label_embeddings(clap, clips, ["dog"])
    both = clap.embed_text(["a dog barks", "the sound of a dog"]).mean(dim=0)
    assert_close(one, both / both.norm())


# -- runs ------------------------------------------------------------------------------------------
# -------------------
def tiny_recipe(folder, **changes):
    sizes = {
        "embed_dim": 16,
        "channels": [8, 8, 16, 16, 16],
        "audio_width": 16,
        "audio_layers": 1,
        "vocab_size": 300,
        "text_width": 16,
        "text_layers": 1,
    }
    training = {
        "steps": 30,
        "batch_size": 8,
        "crop_seconds": 1.0,
        "mixtures": 0.2,
        "scene_share": 0.2,
        "warmup_steps": 5,
        "save_every": 10,
        "evaluate_every": 20,
        "average": 0.9,
    }
    return load_recipe(
        ClapRecipe, overrides={"pairs": [str(folder / "pairs.csv")], **sizes, **training, **changes}
    )


def write_scenes(folder, path):
    rng = np.random.default_rng(0)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("audio", "caption", "negative"))
        for i in range(4):
            soundfile.write(
                path.parent / f"scene{i}.wav",
                KINDS["siren"].render(rng, 2.0, RATE)
                if i % 2
                else 0.1 * rng.standard_normal(2 * RATE),
                RATE,
            )
            rows.writerow(
                (f"scene{i}.wav", "a siren, then rain" if i % 2 else "noise", "rain, then a siren")
            )
    return path


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    recipe = tiny_recipe(
        folder,
        steps=200,
        evaluate_every=100,
        mixtures=0,
        scene_share=0,
        validation=[str(folder / "pairs.csv")],
        seed=1,
    )
    return train_clap(recipe, out, device="cpu"), out


@pytest.mark.slow
def test_training_tells_sounds_apart_and_says_so(trained, folder):
    model, out = trained
    scores = evaluate(model, read_pairs([folder / "pairs.csv"]))
    # 13 sounds and 9 captions: one sound is 8 points, and machines differ by two of them
    assert scores["audio_to_text_R@1"] >= 0.5
    assert scores["zero_shot"] >= 0.6
    assert (
        scores["audio_to_text_R@1"] <= scores["audio_to_text_R@5"] <= scores["audio_to_text_R@10"]
    )
    assert {"clap.json", "clap.safetensors", "tokenizer.json", "recipe.toml"} <= {
        p.name for p in out.iterdir()
    }
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(10, 201, 10))
    assert [row["step"] for row in rows if "pairs zero_shot" in row] == [100, 200]
    # what is measured is the moving average that is kept; saved in half precision, so nearly the
    # same
    assert rows[-1]["pairs audio_to_text_R@1"] == pytest.approx(
        scores["audio_to_text_R@1"], abs=0.1
    )


@pytest.mark.slow
def test_training_resumes_bit_for_bit(folder, tmp_path, stop_at):
    changes = {
        "scenes": [str(write_scenes(folder, tmp_path / "scenes.csv"))],
        "scene_share": 0.5,
        "validation": [str(folder / "pairs.csv")],
    }
    whole = train_clap(tiny_recipe(folder, **changes), tmp_path / "whole", device="cpu")
    with stop_at(ClapTraining, 23):
        train_clap(tiny_recipe(folder, **changes), tmp_path / "cut", device="cpu")
    assert (
        train_clap(tiny_recipe(folder, **changes), tmp_path / "cut", device="cpu").fingerprint
        == whole.fingerprint
    )
    cut, uncut = (
        [
            {k: v for k, v in json.loads(line).items() if k != "seconds"}
            for line in (tmp_path / run / "metrics.jsonl").read_text().splitlines()
        ]
        for run in ("cut", "whole")
    )
    assert cut == uncut


@pytest.mark.slow
def test_training_goes_on_from_another_clap(folder, tmp_path):
    first = train_clap(tiny_recipe(folder, steps=20), tmp_path / "first", device="cpu")
    sounds = [
        0.1 * torch.randn(RATE, generator=torch.Generator().manual_seed(seed)) for seed in range(4)
    ]
    changes = {
        "start": str(tmp_path / "first"),
        "text_steps": 0,
        "steps": 3,
        "warmup_steps": 0,
        "audio_width": 32,
    }
    near = train_clap(
        tiny_recipe(folder, **changes, learning_rate=1e-6, text_learning_rate=1e-6),
        tmp_path / "near",
        device="cpu",
    )
    assert near.config == first.config
    assert near.tokenizer.encode(["a dog barks"]) == first.tokenizer.encode(["a dog barks"])
    like = [
        float((model.embed_audio(sounds) * first.embed_audio(sounds)).sum(-1).min())
        for model in (near, first)
    ]
    assert like == pytest.approx([1, 1], abs=0.05)  # statistics of the batches move on
    far = train_clap(
        tiny_recipe(folder, **changes, learning_rate=1e-2), tmp_path / "far", device="cpu"
    )
    assert float((far.embed_audio(sounds) * first.embed_audio(sounds)).sum(-1).min()) < 0.9
    # the recipe that is written says what was trained, and the run belongs to that beginning
    assert (
        load_recipe(ClapRecipe, tmp_path / "near/recipe.toml").audio_width
        == first.config.audio_width
        != 32
    )
    shutil.copytree(
        tmp_path / "far", tmp_path / "first", dirs_exist_ok=True, ignore=lambda *_: ["recipe.toml"]
    )
    with pytest.raises(WsacError, match="other"):
        train_clap(
            tiny_recipe(folder, **changes, learning_rate=1e-6, text_learning_rate=1e-6),
            tmp_path / "near",
            device="cpu",
        )


@pytest.mark.parametrize(
    ("start", "message"),
    [("out", "the same folder"), ("./nowhere", "nowhere"), ("public", "not a pocket CLAP")],
)
def test_a_beginning_that_does_not_fit_is_named(folder, tmp_path, monkeypatch, start, message):
    monkeypatch.chdir(tmp_path)
    if start == "public":
        monkeypatch.setattr(
            "wsac.training.clap.contrastive.load_clap", lambda name, device: object()
        )
    with pytest.raises(WsacError, match=message):
        train_clap(tiny_recipe(folder, start=start), tmp_path / "out", device="cpu")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_bfloat16_is_close_and_its_losses_are_finite(folder, tmp_path):
    model = train_clap(tiny_recipe(folder, precision="bfloat16", steps=20), tmp_path, device="cpu")
    sound = [0.1 * torch.randn(RATE, generator=torch.Generator().manual_seed(0))]
    exact = model.embed_audio(sound)
    with torch.autocast("cpu", torch.bfloat16):
        near = model.embed_audio(sound)
    assert near.dtype == torch.float32
    assert float((near * exact).sum()) > 0.99
    assert float((near - exact).abs().max()) > 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("place,caption\na.wav,x\n", "line 1: no column audio"),
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


def test_decoded_sounds_follow_the_content_not_the_date(folder, tmp_path):
    sound = tmp_path / "a.wav"
    path = tmp_path / "pairs.csv"
    path.write_text(f"audio,caption\n{sound},a tone\n")
    rng = np.random.default_rng(0)
    soundfile.write(sound, 0.1 * rng.standard_normal(RATE), RATE)
    first = AudioStore(read_pairs([path]), RATE, tmp_path)
    os.utime(sound, (0, 0))
    assert AudioStore(read_pairs([path]), RATE, tmp_path).key == first.key
    before = first[0]
    soundfile.write(sound, 0.1 * rng.standard_normal(RATE), RATE)
    second = AudioStore(read_pairs([path]), RATE, tmp_path)
    assert second.key != first.key
    assert not np.array_equal(second[0], before)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],  # cut
        lambda data: data[:9] + bytes([data[9] ^ 1]) + data[10:],  # one bit
        lambda data: data + b"\0\0",
        lambda data: b"",
    ],
)
def test_damaged_decoded_sounds_are_decoded_again(folder, tmp_path, damage):
    pairs = read_pairs([folder / "pairs.csv"])
    AudioStore(pairs, RATE, tmp_path)
    path = tmp_path / "audio.i16"
    right = path.read_bytes()
    path.write_bytes(damage(right))
    again = AudioStore(pairs, RATE, tmp_path)
    assert path.read_bytes() == right
    assert sum(len(again[row]) for row in range(len(pairs))) == len(right) // 2


def test_sounds_that_are_missing_are_counted(folder, tmp_path, capsys):
    path = tmp_path / "pairs.csv"
    path.write_text("audio,caption\n" + "".join(f"none{i}.wav,a sound\n" for i in range(9)))
    with pytest.raises(AudioError, match="none of the 9 sound files"):
        AudioStore(read_pairs([path]), RATE, tmp_path)
    assert "4 more, 9 of 9 in all" in capsys.readouterr().err


@pytest.mark.slow
def test_the_order_of_sounds_is_learned(folder, tmp_path):
    """Told from the same sounds in the other order, of pieces that were not trained on; chance is a
    half.
    """
    sizes = {
        "embed_dim": 32,
        "audio_width": 32,
        "text_width": 32,
        "crop_seconds": 1.6,
        "batch_size": 16,
    }
    recipe = tiny_recipe(
        folder,
        steps=800,
        scene_share=0,
        mixtures=0,
        order_share=0.3,
        text_steps=0,
        save_every=800,
        evaluate_every=800,
        learning_rate=3e-3,
        text_learning_rate=1e-2,
        **sizes,
    )
    model = train_clap(recipe, tmp_path / "run", device="cpu")
    clips = read_pairs([folder / "pairs.csv"])
    composer = Composer(clips, AudioStore(clips, RATE, tmp_path), 0.5)
    pairs = [composer.twins(2 * RATE, np.random.default_rng([9, i])) for i in range(200)]
    one, other = (
        model.embed_audio([torch.from_numpy(pair[i].samples) for pair in pairs]) for i in (0, 1)
    )
    true, false = (model.embed_text([pair[i].caption for pair in pairs]) for i in (0, 1))
    told = (((one - other) * (true - false)).sum(dim=1) > 0).float().mean()
    assert (
        float(told) >= 0.62
    )  # far from chance for 200 pairs: 3.4 standard deviations; three seeds gave 0.82 and more


@pytest.mark.slow
def test_the_order_of_events_is_learned_from_text_alone(folder, tmp_path):
    """Of a scene two true captions and one with its events exchanged: the text tower learns to keep
    them apart.
    """
    names = ["bell", "dog", "siren", "drum", "horn", "bird"]
    lines = ["audio,caption,negative"]
    for i, (a, b) in enumerate((a, b) for a in names for b in names if a != b):
        lines += [
            f"{i}.wav,a {a} then a {b},a {b} then a {a}",
            f"{i}.wav,a {b} after a {a},a {a} after a {b}",
        ]
        soundfile.write(tmp_path / f"{i}.wav", 0.1 * np.sin(np.arange(8000) / (3 + i)), RATE)
    (tmp_path / "scenes.csv").write_text("\n".join(lines) + "\n")
    changes = {
        "text_steps": 400,
        "steps": 1,
        "text_width": 32,
        "embed_dim": 32,
        "text_batch": 64,
        "save_every": 400,
    }
    recipe = tiny_recipe(
        folder, scenes=[str(tmp_path / "scenes.csv")], text_learning_rate=3e-3, average=0, **changes
    )
    model = train_clap(recipe, tmp_path / "run", device="cpu")
    told = []
    for scene in read_pairs([tmp_path / "scenes.csv"]):
        one, other, false = model.embed_text([*scene.captions, scene.negatives[0]])
        told.append(float(one @ other) > float(one @ false))
    assert sum(told) / len(told) >= 0.9


def test_rows_of_a_sound_are_joined_with_their_negatives(tmp_path):
    path = tmp_path / "scenes.csv"
    path.write_text(
        "audio,caption,negative\na.wav,x then y,y then x\na.wav,first x then y,\nb.wav,z,x\n"
    )
    one, other = read_pairs([path])
    assert (one.captions, one.negatives) == (("x then y", "first x then y"), ("y then x",))
    assert (one.label, other.negatives) == ("a.wav", ("x",))
