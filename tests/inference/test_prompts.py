"""Retrieval-augmented decoding: retrieval, the prompt, and a decoder that reads it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from miniatures.decoder_kinds import tiny_decoder
from wsac.bridges.memory import SupportMemory
from wsac.data.tokenizer import BOS, EOS, PAD
from wsac.decoder.generation import GenerationOptions, generate_best
from wsac.inference.captioner import Captioner
from wsac.inference.prompts import Prompter
from wsac.io.config import load_recipe
from wsac.training.decoder import train
from wsac.training.recipe import Recipe
from wsac.types import RecipeError


@pytest.fixture
def prompter(captions, tokenizer, clap):
    some = captions[:60]
    return Prompter.make(
        some, SupportMemory(clap.embed_text(some)), tokenizer, count=2, tokens=20, high=0.999
    )


def test_the_nearest_are_written_one_after_the_other(prompter, tokenizer):
    rows = prompter.embeddings.embeddings[[3, 5]]
    chosen = prompter.nearest(rows)
    assert [row[0] for row in chosen] == [3, 5]
    prompts = prompter.write(chosen)
    assert prompts.shape == (2, 20)
    for line, (first, second) in zip(prompts.tolist(), chosen, strict=True):
        wanted = [BOS, *prompter.rows[first], BOS, *prompter.rows[second]][:20]
        assert line[: len(wanted)] == wanted
        assert set(line[len(wanted) :]) <= {PAD}
    assert prompter.write([[]]).tolist() == [[PAD] * 20]
    assert tokenizer.decode([prompter.rows[3]]) == [prompter.settings.phrases[3]]


def test_a_caption_never_prompts_itself_in_training(prompter):
    rng = torch.Generator().manual_seed(0)
    rows = prompter.embeddings.embeddings
    similarity = rows @ rows.T
    seen = set()
    for _ in range(5):
        for row, chosen in enumerate(prompter.in_band(rows, rng)):
            assert len(chosen) <= 2
            assert all(similarity[row, other] < 0.999 for other in chosen)
            seen.add(tuple(chosen))
    assert len(seen) > 60
    one, two = (prompter.in_band(rows, torch.Generator().manual_seed(4)) for _ in range(2))
    assert one == two
    settings = replace(prompter.settings, low=0.9999, high=0.99991)
    narrow = replace(prompter, settings=settings)
    assert narrow.in_band(rows[:3], rng) == [[], [], []]


def test_labels_are_always_the_nearest(clap, tokenizer):
    labels = ["a dog", "rain", "a bell"]
    prompter = Prompter.make(
        labels, SupportMemory(clap.embed_text(labels)), tokenizer, count=1, labels=True
    )
    rows = clap.embed_text(labels)
    assert prompter.in_band(rows, torch.Generator()) == prompter.nearest(rows) == [[0], [1], [2]]


@torch.inference_mode()
def test_cached_steps_equal_the_training_path_behind_a_prompt(embeddings):
    torch.manual_seed(0)
    decoder = tiny_decoder(prompt_tokens=5).eval()
    prompt = torch.randint(0, 50, (len(embeddings), 5), generator=torch.Generator().manual_seed(1))
    ids = [5, 9, 7, EOS]
    logits, state = decoder.prefill(embeddings, 10, prompt)
    total = torch.zeros(len(embeddings))
    for token in ids:
        total += logits.log_softmax(-1)[:, token]
        logits, state = decoder.step(torch.full((len(embeddings),), token), state)
    tokens = torch.tensor([ids] * len(embeddings))
    losses = torch.stack(
        [
            decoder.loss(e[None], tokens[:1], p[None])
            for e, p in zip(embeddings, prompt, strict=True)
        ]
    )
    assert_close(-total / len(ids), losses)
    other, _ = decoder.prefill(embeddings, 10, prompt.flip(0))
    none, _ = decoder.prefill(embeddings, 10)
    padding, _ = decoder.prefill(embeddings, 10, torch.full_like(prompt, PAD))
    first, _ = decoder.prefill(embeddings, 10, prompt)
    assert not torch.allclose(first, other)
    assert torch.equal(none, padding)
    together = generate_best(decoder, embeddings, GenerationOptions(3, 10), 1, prompt)
    alone = [
        generate_best(decoder, e[None], GenerationOptions(3, 10), 1, p[None])[0]
        for e, p in zip(embeddings, prompt, strict=True)
    ]
    assert [[one.tokens for one in row] for row in together] == [
        [one.tokens for one in row] for row in alone
    ]


@pytest.mark.slow
def test_the_decoder_learns_to_read(tmp_path):
    """Its embedding says nothing, its prompt everything."""
    torch.manual_seed(0)
    decoder = tiny_decoder(
        4, 12, width=32, prefix_length=1, max_tokens=4, prompt_tokens=3, dropout=0
    )
    optimizer = torch.optim.Adam(decoder.parameters(), 3e-3)
    rng = torch.Generator().manual_seed(0)
    for _ in range(150):
        words = torch.randint(3, 12, (64, 1), generator=rng)
        prompt = torch.cat((torch.full((64, 1), BOS), words, torch.full((64, 1), PAD)), 1)
        tokens = torch.cat((words, torch.full((64, 1), EOS)), 1)
        loss = decoder.loss(F.normalize(torch.ones(64, 4), dim=1), tokens, prompt)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.2
    found = generate_best(
        decoder.eval(),
        F.normalize(torch.ones(1, 4), dim=1),
        GenerationOptions(1, 4),
        1,
        torch.tensor([[BOS, 7, PAD]]),
    )
    assert found[0][0].tokens == [7]


@pytest.mark.slow
@pytest.mark.parametrize("labels", [False, True])
def test_training_saves_what_captioning_reads(labels, captions, clap_folder, tmp_path):
    (tmp_path / "captions.txt").write_text("\n".join(captions) + "\n")
    (tmp_path / "labels.txt").write_text("dog\nrain\n\nbell\ndog\n")
    values = {
        "clap": str(clap_folder),
        "corpus.captions": [str(tmp_path / "captions.txt")],
        "prompt.count": 2,
        "prompt.tokens": 16,
        "decoder.layers": 1,
        "decoder.heads": 2,
        "decoder.width": 16,
        "decoder.vocab_size": 400,
        "training.epochs": 1,
        "memory.size": 50,
        "memory.precision": "float32",
        **({"prompt.labels": str(tmp_path / "labels.txt")} if labels else {}),
    }
    captioner = train(load_recipe(Recipe, overrides=values), tmp_path / "run", device="cpu")
    assert captioner.prompter is not None
    assert len(captioner.prompter.settings.phrases) == (3 if labels else 50)
    again = Captioner.load(tmp_path / "run", device="cpu")
    sounds = [torch.from_numpy(0.1 * np.sin(np.arange(16_000) / k)).float() for k in (2, 5, 11)]
    assert [c.text for c in again.caption_batch(sounds)] == [
        c.text for c in captioner.caption_batch(sounds)
    ]
    card = json.loads((tmp_path / "run" / "captioner.json").read_text())
    assert card["prompt"]["labels"] is labels
    audio = captioner.embed(sounds[0]).embedding[None]
    nearest = captioner.prompter.nearest(audio)[0]
    similarity = captioner.prompter.embeddings.embeddings @ audio[0]
    assert nearest == similarity.topk(2).indices.tolist()


def test_labels_that_cannot_be_read(captions, clap_folder, tmp_path):
    (tmp_path / "captions.txt").write_text("\n".join(captions) + "\n")
    (tmp_path / "empty.txt").write_text("\n")
    for name, message in (
        ("none.txt", "cannot read the labels"),
        ("empty.txt", "only blank lines"),
    ):
        values = {
            "clap": str(clap_folder),
            "corpus.captions": [str(tmp_path / "captions.txt")],
            "prompt.count": 1,
            "prompt.labels": str(tmp_path / name),
        }
        with pytest.raises(RecipeError, match=message):
            train(load_recipe(Recipe, overrides=values), tmp_path / "run", device="cpu")
