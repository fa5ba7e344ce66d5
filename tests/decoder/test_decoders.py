"""Decoders of every kind: the cache changes nothing, bundles hold what was learned, runs resume."""

from __future__ import annotations

import copy
import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.testing import assert_close

from miniatures.decoder_kinds import KINDS, ODD, rows_of
from miniatures.language_models import write_lm
from wsac.data.tokenizer import BOS, PAD
from wsac.decoder import build
from wsac.inference.captioner import Captioner
from wsac.training import decoder as train_decoder
from wsac.training.steps import DecoderTraining
from wsac.types import ModelError


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("prompt_tokens", [0, 6])
@torch.inference_mode()
def test_cached_steps_equal_the_training_path_alone_and_in_a_batch(
    make, captions, embeddings, name, prompt_tokens
):
    decoder, tokenizer = make(
        name,
        prompt_tokens,
        **({} if name == "transformer" else {"dtype": "float32"}) if name != "wsac" else {},
    )
    decoder.eval()
    assert (decoder.vocab_size, decoder.max_tokens) == (tokenizer.vocab_size, 16)
    tokens = rows_of(tokenizer, captions[:4])[:, :7]
    prompt = torch.tensor(
        [[BOS, 9, 8, 7, 6, 5], [BOS, 9, PAD, PAD, PAD, PAD], [PAD] * 6, [BOS, 5, 5, 5, BOS, 4]]
    )
    prompt = prompt if prompt_tokens else None
    logits, state = decoder.prefill(embeddings[:4], 10, prompt)
    total, words = torch.zeros(4), torch.zeros(4)
    for token in tokens.T:
        logits[:, [PAD, BOS]] = -torch.inf if name != "transformer" else logits[:, [PAD, BOS]]
        found = logits.float().log_softmax(-1).gather(1, token[:, None])[:, 0]
        total, words = total + torch.where(token != PAD, found, 0), words + (token != PAD)
        order = torch.tensor([3, 1, 0, 2])  # exchanged and back again, as a beam search would
        state = decoder.select(decoder.select(state, order), order.argsort())
        logits, state = decoder.step(token, state)
    assert_close(
        decoder.loss(embeddings[:4], tokens, prompt),
        -total.sum() / words.sum(),
        rtol=1e-4,
        atol=1e-4,
    )
    for row in range(4):
        one = None if prompt is None else prompt[row : row + 1]
        assert_close(
            decoder.loss(embeddings[row : row + 1], tokens[row : row + 1], one),
            -total[row] / words[row],
            rtol=1e-4,
            atol=1e-4,
        )
    if prompt_tokens:
        first, _ = decoder.prefill(embeddings[:4], 10, prompt)
        none, _ = decoder.prefill(embeddings[:4], 10)
        assert_close(first[2], none[2])  # an empty prompt is none
        assert not torch.allclose(first[0], none[0])


@torch.inference_mode()
def test_select_repeats_and_drops_rows_and_leaves_the_first_state_alone(make, embeddings):
    decoder, _ = make("gpt2", 4)
    decoder.eval()
    _, state = decoder.prefill(embeddings[:3], 8, torch.tensor([[BOS, 5, 6, PAD]] * 3))
    token = torch.tensor([7, 8, 9])
    rows = torch.tensor([2, 0, 2, 2])
    chosen, _ = decoder.step(token[rows], decoder.select(state, rows))
    whole, _ = decoder.step(token, state)
    assert_close(chosen, whole[rows])


@pytest.mark.parametrize("name", KINDS)
@torch.inference_mode()
def test_beams_that_share_a_cache_equal_rows_of_their_own(make, embeddings, name):
    """Beams fan out, cross, die out, and a clip leaves, as in a beam search.

    Against a state of copied rows.
    """
    decoder, _ = make(name, 4)
    decoder.eval()
    prompt = torch.tensor([[BOS, 5, 6, PAD]] * 3)
    (_, shared), (_, copied) = (decoder.prefill(embeddings[:3], 10, prompt) for _ in range(2))
    lines = [
        torch.tensor([[0, 0, 0], [1, 1, 1], [2, 2, 2]]),
        torch.tensor([[2, 0, 0], [4, 3, 5], [8, 8, 8]]),
        torch.tensor([[1, 0, 1], [7, 8, 6]]),  # the second clip has left
        torch.tensor([[2, 1], [3, 5]]),
        torch.tensor([[0], [2]]),
        torch.tensor([[0, 0], [1, 1]]),
    ]
    for place, rows in enumerate(lines):
        token = 5 + (torch.arange(rows.numel()) * 7 + place) % 20
        shared, copied = decoder.select(shared, rows), decoder.select(copied, rows.flatten())
        (found, shared), (expected, copied) = (
            decoder.step(token, shared),
            decoder.step(token, copied),
        )
        assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", KINDS)
def test_a_bundle_gives_back_the_same_decoder(make, embeddings, captions, name, tmp_path):
    decoder, tokenizer = make(
        name, **({"lora_targets": ["q_proj", "o_proj"]} if name == "llm" else {})
    )
    with torch.no_grad():
        for parameter in decoder.parameters():
            if parameter.requires_grad:
                parameter += 0.01 * torch.randn(parameter.shape)  # trained, as it were
    tokenizer.save(tmp_path / "tokenizer.json")
    config = json.loads(json.dumps(decoder.config))
    again = build(decoder.kind, config)
    again.load_state_dict(decoder.state_dict())
    tokens = rows_of(tokenizer, captions[:3])[:, :16]
    assert torch.equal(
        again.eval().loss(embeddings[:3], tokens), decoder.eval().loss(embeddings[:3], tokens)
    )
    assert again.read_tokenizer(tmp_path / "tokenizer.json").encode(ODD) == tokenizer.encode(ODD)
    assert again.fingerprint == decoder.fingerprint


@pytest.mark.slow
def test_a_moving_average_is_a_decoder_too(make, embeddings, captions):
    """A copy that is not trained itself keeps what was learned,
    under another name in a checkpoint of both.
    """
    for name in ("gpt2", "gpt2-trained", "llm"):
        decoder, tokenizer = make(name)
        average = copy.deepcopy(decoder).requires_grad_(False)
        assert average.state_dict().keys() == decoder.state_dict().keys()
        both = torch.nn.ModuleDict({"model": decoder, "average": average})
        with torch.no_grad():
            for value in both.state_dict().values():
                if value.is_floating_point():
                    value += 0.01
        other, _ = make(name)
        again = torch.nn.ModuleDict({"model": other, "average": copy.deepcopy(other)})
        again.load_state_dict(both.state_dict())
        tokens = rows_of(tokenizer, captions[:3])[:, :16]
        for key in both:
            one, two = (models[key].eval().loss(embeddings[:3], tokens) for models in (again, both))
            assert_close(
                one, two, rtol=1e-4, atol=1e-4
            )  # the kernels for frozen weights differ in the last bits
        state = decoder.state_dict()
        del state[next(name for name in state if name.startswith(("lm.", "mapper.")))]
        with pytest.raises(RuntimeError, match="Missing key"):
            other.load_state_dict(state)


def test_unknown_kinds_are_named():
    with pytest.raises(
        ModelError, match="'rnn': unknown here; choose from transformer, causal-lm, llm, wsac"
    ):
        build("rnn", {})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "prompt"), [("gpt2", 0), ("gpt2-trained", 0), ("llm", 2), ("wsac", 0)]
)
def test_from_recipe_to_caption(recipe, run, sound, tmp_path, name, prompt, models, clap_folder):
    from wsac.io.config import save_recipe

    folder = tmp_path / "run"
    save_recipe(recipe(name, prompt), tmp_path / "recipe.toml")
    code, _, err = run(
        "train", "--recipe", tmp_path / "recipe.toml", "--out", folder, "--device", "cpu"
    )
    assert code == 0, err
    losses = [
        json.loads(line)["validation_loss"]
        for line in (folder / "metrics.jsonl").read_text().splitlines()
    ]
    assert all(np.isfinite(losses))
    captioner = Captioner.load(folder, device="cpu")
    code, out, _ = run("caption", sound, "--model", folder, "--json", "--device", "cpu")
    assert code == 0
    [row] = json.loads(out)
    caption = captioner.caption(
        sound
    )  # after six updates it may also be that nothing is to be said
    assert (row["caption"], row["logprob"]) == (
        caption.text,
        pytest.approx(caption.logprob, abs=1e-4),
    )
    assert not {"[", "#", "Ġ", "<"} & set(row["caption"])
    saved, card = (
        load_file(folder / "decoder.safetensors"),
        json.loads((folder / "captioner.json").read_text()),
    )
    assert card["decoder"]["kind"] == captioner.decoder.kind
    whole = any(key.startswith("lm.") and "lora" not in key for key in saved)
    assert whole is (name in ("gpt2-trained", "wsac"))
    captioner.save(tmp_path / "half", half=True)
    assert Captioner.load(tmp_path / "half", device="cpu").caption(sound).logprob < 0
    assert {path.suffix for path in folder.rglob("*")} <= {
        "",
        ".json",
        ".jsonl",
        ".toml",
        ".safetensors",
        ".svg",
        ".txt",
    }
    if not whole:
        assert card["decoder"]["model"] == str(
            models["gpt2" if name == "gpt2" else "llama"].resolve()
        )


@pytest.mark.slow
def test_a_base_that_is_gone_moved_or_changed(recipe, run, sound, tmp_path, models):
    base = shutil.copytree(models["gpt2"], tmp_path / "base")
    train_decoder.train(
        recipe("gpt2", **{"decoder.model": str(base), "training.epochs": 1}),
        tmp_path / "run",
        device="cpu",
    )
    text = Captioner.load(tmp_path / "run", device="cpu").caption(sound).text
    base.rename(tmp_path / "moved")
    code, _, err = run("caption", sound, "--model", tmp_path / "run")
    assert code == 1
    line = err.splitlines()[-1]  # those before are of the training
    assert f"error: {base}: no such folder" in line
    assert "write where it lies now as decoder.model in captioner.json" in line
    assert "Traceback" not in err
    card = json.loads((tmp_path / "run" / "captioner.json").read_text())
    card["decoder"]["model"] = str(tmp_path / "moved")
    (tmp_path / "run" / "captioner.json").write_text(json.dumps(card))
    assert Captioner.load(tmp_path / "run", device="cpu").caption(sound).text == text
    write_lm("gpt2", tmp_path / "moved", ["another one"], seed=1)
    with pytest.raises(ModelError, match="moved: has changed since; the decoder was trained on it"):
        Captioner.load(tmp_path / "run", device="cpu")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gpt2", "llm", "wsac"])
def test_a_resumed_run_ends_as_one_that_was_never_stopped(recipe, tmp_path, stop_at, name):
    given = recipe(name, 2 if name == "llm" else 0, **{"training.save_every": 2})
    train_decoder.train(given, tmp_path / "whole", device="cpu")
    with stop_at(DecoderTraining, 3):
        train_decoder.train(given, tmp_path / "stopped", device="cpu")
    train_decoder.train(given, tmp_path / "stopped", device="cpu")
    for file in ("decoder.safetensors", "checkpoint.safetensors"):
        one, two = (load_file(tmp_path / run / file) for run in ("whole", "stopped"))
        assert one.keys() == two.keys()
        assert all(torch.equal(one[key], two[key]) for key in one)
    assert ("model.lm.transformer.h.0.attn.c_attn.weight" in one) is (
        name == "wsac"
    )  # no checkpoint of a frozen base
