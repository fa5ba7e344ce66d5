"""Learning from a tagger: its segments, the losses, whole runs that resume."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch

from wsac.clap.pocket.pocket_clap import PocketClap
from wsac.clap.pocket.pocket_config import PocketConfig
from wsac.data.tokenizer import Tokenizer
from wsac.training.clap.clap_recipe import ClapRecipe
from wsac.training.clap.contrastive import ClapTraining, train_clap
from wsac.training.clap.distillation import (
    NONE,
    UNKNOWN,
    Heads,
    Segments,
    _named,
    distillation_loss,
)
from wsac.types import CorpusError, RecipeError

CAPTIONS = ["a dog barks", "rain falls", "a siren wails", "a clock ticks"]
CLASSES = ["Dog", "Rain", "Siren", "Silence"]
MELS, FRAMES, MOMENTS = 64, 51, 4


@pytest.fixture(scope="module")
def segments_folder(tmp_path_factory):
    """Three kinds of segments: energy in the low, middle or high bands; class and caption agree."""
    folder, rng = tmp_path_factory.mktemp("segments"), np.random.default_rng(0)
    kinds = rng.integers(0, 3, 48)
    mels = rng.normal(-8, 1, (48, MELS, FRAMES))
    scores = np.full((48, MOMENTS, 4), 0.01)
    for row, kind in enumerate(kinds):
        mels[row, 20 * kind : 20 * (kind + 1)] += 8
        scores[row, :, kind] = 0.8
    labels = np.full((48, 3), NONE)
    labels[:, 0] = np.where(kinds == 2, UNKNOWN, kinds)
    profiles = np.full((4, 4), 0.02) + np.diag([0.9, 0.9, 0.9, 0.9])
    arrays = {"log_mels": mels, "scores": scores, "features": rng.normal(0, 1, (48, 8))}
    for name, array in (arrays | {"profiles": profiles}).items():
        np.save(folder / f"{name}.npy", array.astype(np.float16))
    np.save(folder / "labels.npy", labels.astype(np.int32))
    labels = {"dog": ["a dog", "a dog barks"], "rain": ["rain", "it rains"]}
    words = {"classes": CLASSES, "unimportant": ["Silence"], "captions": CAPTIONS}
    (folder / "words.json").write_text(json.dumps(words | {"labels": labels}))
    return folder


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """An untrained pocket CLAP, as small as can be."""
    torch.manual_seed(0)
    tokenizer = Tokenizer.train([*CAPTIONS, *CLASSES], 300, lowercase=True)
    sizes = {"channels": (8, 8, 16, 16, 16), "audio_width": 16, "audio_layers": 1, "embed_dim": 16}
    text = {"vocab_size": tokenizer.vocab_size, "text_width": 16, "text_layers": 1}
    clap = PocketClap(PocketConfig(**sizes, **text), tokenizer)
    folder = tmp_path_factory.mktemp("start")
    clap.save(folder)
    return folder


@pytest.mark.parametrize("size", [1, 8, 48])
def test_a_batch_is_a_part_the_whole_or_pairs(segments_folder, size):
    segments, shapes = Segments.load(segments_folder), set()
    for seed in range(60):
        mels, scores, features, labels = segments.batch(np.random.default_rng(seed), size)
        assert len(mels) == len(scores) == len(features) == len(labels)
        assert 1 <= scores.shape[1] <= 2 * MOMENTS
        shapes.add("part" if mels.shape[-1] < FRAMES else "whole" if len(mels) == size else "pairs")
    assert shapes == ({"part", "whole"} if size == 1 else {"part", "whole", "pairs"})


def test_shares_of_labels_and_how_many_sounds_have_one():
    sounds = torch.tensor(
        [[0, NONE, NONE], [1, 0, NONE], [1, UNKNOWN, NONE], [UNKNOWN, NONE, NONE]]
    )
    shares, complete = _named(sounds, 2)
    assert shares.tolist() == [[1, 0], [0.5, 0.5], [0, 1], [0, 0]]
    assert complete.tolist() == [1, 1, 0.5, 0]


@pytest.mark.slow
def test_the_tower_learns_what_the_teacher_says(segments_folder, start):
    """After training each kind of segment is nearest to its own caption."""
    clap = PocketClap.load(start)
    segments = Segments.load(segments_folder)
    heads = Heads(16, 4, 8)
    clap.text.requires_grad_(False)
    loss = distillation_loss(clap, heads, segments, "cpu")
    parameters = [*clap.audio.parameters(), *heads.parameters()]
    optimizer = torch.optim.Adam(parameters, 3e-3)
    rng, losses = np.random.default_rng(0), []
    clap.train()
    torch.manual_seed(0)
    for _ in range(60):
        losses.append(loss(rng, 24))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])
    clap.eval()
    with torch.no_grad():
        audio = clap.audio(torch.from_numpy(segments.log_mels.astype(np.float32)))
        nearest = (audio @ clap.embed_text(CAPTIONS).T).argmax(1)
    kinds = segments.scores.mean(1).argmax(1)
    assert (nearest.numpy() == kinds).mean() > 0.9


def recipe(segments, origin, pairs, **changes):
    fields = {"pairs": (str(pairs),), "segments": str(segments), "start": str(origin)}
    sizes = {"text_steps": 0, "steps": 12, "batch_size": 8, "crop_seconds": 1.0}
    more = {"segment_share": 0.6, "save_every": 4, "warmup_steps": 2, "average": 0.5}
    return ClapRecipe(**(fields | sizes | more | changes))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    import soundfile

    folder, rng = tmp_path_factory.mktemp("pairs"), np.random.default_rng(1)
    rows = ["audio,caption,label"]
    for name, caption in zip("abcd", CAPTIONS, strict=True):
        soundfile.write(folder / f"{name}.wav", 0.1 * rng.standard_normal(16_000), 16_000)
        rows.append(f"{name}.wav,{caption},{name}")
    path = folder / "pairs.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.mark.slow
def test_a_run_resumes_bit_for_bit_and_the_text_tower_stays(
    segments_folder, start, pairs, tmp_path, stop_at
):
    made = [recipe(segments_folder, start, pairs) for _ in range(2)]
    whole = train_clap(made[0], tmp_path / "whole", device="cpu")
    with stop_at(ClapTraining, 7):
        train_clap(made[1], tmp_path / "cut", device="cpu")
    cut = train_clap(made[1], tmp_path / "cut", device="cpu")
    assert cut.fingerprint == whole.fingerprint
    before = PocketClap.load(start)
    for name, value in before.text.state_dict().items():
        assert torch.equal(value, whole.text.state_dict()[name]), name
    moved = [
        not torch.equal(a, b)
        for a, b in zip(before.audio.parameters(), whole.audio.parameters(), strict=True)
    ]
    assert all(moved)


def test_other_segments_are_other_material(segments_folder, start, pairs, tmp_path, stop_at):
    folder = tmp_path / "segments"
    shutil.copytree(segments_folder, folder)
    with stop_at(ClapTraining, 5):
        train_clap(recipe(folder, start, pairs), tmp_path / "run", device="cpu")
    np.save(folder / "labels.npy", np.full((48, 3), NONE, np.int32))
    with pytest.raises(RecipeError):
        train_clap(recipe(folder, start, pairs), tmp_path / "run", device="cpu")


@pytest.mark.parametrize("damage", ["no folder", "fewer labels", "other classes"])
def test_segments_that_do_not_fit_are_named(segments_folder, tmp_path, damage):
    folder = tmp_path / "segments"
    if damage != "no folder":
        folder.mkdir()
        for path in segments_folder.iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        if damage == "fewer labels":
            np.save(folder / "labels.npy", np.zeros((3, 3), np.int32))
        else:
            words = json.loads((folder / "words.json").read_text())
            (folder / "words.json").write_text(json.dumps(words | {"classes": ["Dog"]}))
    with pytest.raises(CorpusError, match=str(folder)):
        Segments.load(folder)


@pytest.mark.parametrize("changes", [{"start": ""}, {"text_steps": 5}])
def test_segments_need_a_text_tower_that_stays(segments_folder, start, pairs, tmp_path, changes):
    with pytest.raises(RecipeError, match="segments"):
        train_clap(recipe(segments_folder, start, pairs, **changes), tmp_path / "run", device="cpu")
