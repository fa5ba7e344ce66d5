"""Decoders of every kind: the cache changes nothing, the cut of the vocabulary is exact, bundles hold what was learned,
runs resume, and a checkpoint of the published code says what it said there."""

from __future__ import annotations

import copy
import json
import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch.testing import assert_close

from miniatures.language_models import byte_level, published, wordpiece, write_lm
from wsac.bridges.memory import SupportMemory
from wsac.data.tokenizer import BOS, EOS, PAD, Tokenizer, vocabulary_size
from wsac.decoder import begin, build
from wsac.decoder.generation import generate
from wsac.decoder.kernels.dropout import drop
from wsac.decoder.pretrained.mappers import MAPPERS, make_mapper
from wsac.decoder.pretrained.vocabulary import FIRST, ForeignTokenizer, keep_pieces, read_backend
from wsac.inference.captioner import Captioner
from wsac.inference.convert import convert_captioner
from wsac.io.config import load_recipe
from wsac.training import decoder as train_decoder
from wsac.training.recipe import Recipe
from wsac.types import ModelError, RecipeError

ODD = ["A dog's bark, low-pitched.", "Rain falls; it isn't (very) loud!"]


@pytest.fixture(scope="module")
def models(captions, tmp_path_factory):
    """Folders by name: gpt2, llama, bert (its tokenizer alone)."""
    folder = tmp_path_factory.mktemp("models")
    found = {kind: write_lm(kind, folder / kind, [*captions, *ODD]) for kind in ("gpt2", "llama")}
    (folder / "bert").mkdir()
    wordpiece([*captions, *ODD]).save(str(folder / "bert" / "tokenizer.json"))
    return found | {"bert": folder / "bert"}


KINDS = {
    "transformer": {"layers": 1, "heads": 2, "width": 16, "prefix_length": 2, "dropout": 0.1},
    "gpt2": {"mapper": "transformer", "mapper_layers": 1, "prefix_length": 3},
    "gpt2-trained": {"frozen": False, "prefix_length": 2, "mapper": "linear"},
    "llm": {"prefix_length": 2, "lora_rank": 2, "instruction": "Describe the sound"},
    "wsac": {"layers": 2, "heads": 2, "width": 16, "vocabulary": "corpus"},
}


@pytest.fixture
def options(models):
    """Recipe options of a kind of KINDS, with changes."""

    def make(name, **changes):
        kind = name.partition("-")[0]
        if kind == "llm" and "peft" not in sys.modules and find_spec("peft") is None:
            pytest.skip("needs peft (pip install 'wsac[llm]')")
        model = {"gpt2": models["gpt2"], "llm": models["llama"], "wsac": models["bert"]}.get(kind)
        given = {
            "kind": kind,
            "max_tokens": 16,
            **KINDS[name],
            **({"model": str(model)} if model else {}),
            **changes,
        }
        return {f"decoder.{key}": value for key, value in given.items()}

    return make


@pytest.fixture
def make(options, captions):
    """(decoder, tokenizer) of a kind."""

    def call(name, prompt_tokens=0, **changes):
        recipe = load_recipe(Recipe, overrides=options(name, **changes))
        torch.manual_seed(0)
        return begin(
            recipe.decoder.model_dump(),
            [*captions, *ODD],
            embed_dim=16,
            prompt_tokens=prompt_tokens,
        )

    return call


def rows_of(tokenizer, texts):
    ids = [torch.tensor([*row, EOS]) for row in tokenizer.encode(texts)]
    return torch.nn.utils.rnn.pad_sequence(ids, batch_first=True, padding_value=PAD)


# -- one protocol -----------------------------------------------------------------------------------------------------
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
    """Beams fan out, cross, die out, and a clip leaves, as in a beam search; against a state of copied rows."""
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


def test_a_moving_average_is_a_decoder_too(make, embeddings, captions):
    """A copy that is not trained itself keeps what was learned, under another name in a checkpoint of both."""
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
        ModelError, match="'rnn': unknown here; choose of transformer, causal-lm, llm, wsac"
    ):
        build("rnn", {})


# -- vocabularies -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["gpt2", "llama"])
@torch.inference_mode()
def test_the_cut_vocabulary_is_the_whole_one_without_the_other_rows(
    make, models, embeddings, captions, kind
):
    """Against the model as transformers reads it: its logits at the kept rows, and no others."""
    from transformers import AutoModelForCausalLM

    decoder, tokenizer = make("gpt2", model=str(models[kind]), mapper="linear")
    whole = AutoModelForCausalLM.from_pretrained(models[kind]).eval()
    decoder.eval()
    assert decoder.vocab_size < len(whole.get_input_embeddings().weight) - 100
    ids = tokenizer.encode(captions[:1])[0][:5]
    theirs = decoder.pieces[torch.tensor(ids)]
    read = byte_level([*captions, *ODD]).encode(captions[0]).ids[:5]
    assert theirs.tolist() == read
    logits, state = decoder.prefill(embeddings[:1], 8)
    for token in ids:
        logits, state = decoder.step(torch.tensor([token]), state)
    x = torch.cat((decoder.mapper(embeddings[:1]), whole.get_input_embeddings()(theirs[None])), 1)
    assert_close(
        logits[0], whole(inputs_embeds=x).logits[0, -1][decoder.pieces], rtol=1e-4, atol=1e-4
    )
    everything, words = make("gpt2", model=str(models[kind]), vocabulary="all")
    assert everything.vocab_size == FIRST + read_backend(models[kind]).get_vocab_size() - 1
    assert words.decode(words.encode(["Zwölf Boxkämpfer"])) == ["Zwölf Boxkämpfer"]


def test_foreign_pieces_become_clean_text_again(captions):
    texts = [*captions[:20], *ODD]
    for backend, same in (
        (byte_level(captions + ODD), str),
        (wordpiece(captions + ODD), str.lower),
    ):
        marks = [backend.token_to_id(mark) for mark in ("[CLS]", "[SEP]")]
        start, end = marks if marks[0] is not None else (None, backend.get_vocab_size() - 1)
        kept = keep_pieces(backend, texts, begin=0, end=end, also=[] if start is None else [start])
        tokenizer = ForeignTokenizer(backend, kept, start)
        rows = tokenizer.encode(texts)
        assert all(FIRST <= token < tokenizer.vocab_size for row in rows for token in row)
        assert tokenizer.decode([[*row, EOS, PAD] for row in rows]) == [
            same(text) for text in texts
        ]
        assert tokenizer.encode(["日本"])[0] == (
            [] if start is None else rows[0][:1]
        )  # nothing kept can write it
        assert (tokenizer.lost(texts), tokenizer.lost([*texts, "日本"])) == (0, 1)


def test_pieces_that_a_captioner_cannot_write_are_told(recipe, tmp_path, capsys):
    train_decoder.train(recipe("wsac", **{"training.epochs": 1}), tmp_path / "first", device="cpu")
    (tmp_path / "more.txt").write_text("A dog barks\nA zither is played\nThe gong sounds\n" * 10)
    again = recipe(
        "wsac", start=str(tmp_path / "first"), **{"corpus.captions": [str(tmp_path / "more.txt")]}
    )
    capsys.readouterr()
    train_decoder.train(again, tmp_path / "second", device="cpu")
    assert re.search(
        r"note: [12] of 3 captions have pieces that the vocabulary of \S+ lacks",
        capsys.readouterr().err,
    )


def test_vocab_txt_reads_like_tokenizer_json(captions, tmp_path):
    made = wordpiece(captions)
    made.save(str(tmp_path / "tokenizer.json"))
    pieces = sorted(made.get_vocab().items(), key=lambda item: item[1])
    (tmp_path / "vocab.txt").write_text("\n".join(piece for piece, _ in pieces) + "\n")
    one, two = (read_backend(tmp_path / name) for name in ("tokenizer.json", "vocab.txt"))
    for text in (*captions[:5], "[SEP] is text here"):
        assert (
            one.encode(text, add_special_tokens=False).ids
            == two.encode(text, add_special_tokens=False).ids
        )
    assert made.token_to_id("[SEP]") not in one.encode("[SEP]", add_special_tokens=False).ids


def test_the_size_of_a_bpe_grows_with_its_corpus(captions):
    assert vocabulary_size(captions) == 512
    assert (
        vocabulary_size(["a dog barks and rain falls"] * 10_000) == 1472
    )  # 60,000 words / 40, in steps of 64
    assert vocabulary_size(["a dog barks and rain falls"] * 70_000) == 4096
    assert Tokenizer.train(captions, 0).vocab_size <= 512


def test_the_bundled_recipe_keeps_its_vocabulary(shared):
    from wsac.data.captions.corpus import merge

    files = [shared / "captions" / f"{name}.train.csv" for name in ("Clotho", "AudioCaps")]
    for paths in (files, files[:1]):
        assert vocabulary_size([one.caption for one in merge(paths).examples]) == 4096


# -- mappers, adapters ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", MAPPERS)
def test_mappers_make_as_many_soft_tokens_as_they_are_told(kind, embeddings):
    mapper = make_mapper(kind, 16, 5, 24, layers=2).eval()
    made = mapper(embeddings)
    assert made.shape == (6, 5, 24)
    assert_close(mapper(embeddings[2:3])[0], made[2])
    assert not torch.allclose(made[0], made[1])
    made.sum().backward()
    assert all(parameter.grad is not None for parameter in mapper.parameters())


def test_only_what_is_trained_is_saved_and_learns(make, embeddings, captions):
    for name, learns in (
        ("gpt2", ("mapper.",)),
        ("gpt2-trained", ("mapper.", "lm.")),
        ("llm", ("mapper.", "lora_")),
    ):
        decoder, tokenizer = make(name)
        before = {key: value.clone() for key, value in decoder.named_parameters()}
        decoder.train()
        optimizer = torch.optim.Adam([p for p in decoder.parameters() if p.requires_grad], 1e-2)
        for _ in range(2):  # LoRA's first matrix has a gradient once the second is not zero
            optimizer.zero_grad()
            decoder.loss(embeddings[:4], rows_of(tokenizer, captions[:4])).backward()
            optimizer.step()
        changed = {
            key for key, value in decoder.named_parameters() if not torch.equal(value, before[key])
        }
        assert changed == {key for key in before if any(part in key for part in learns)} - {
            "lm.lm_head.weight"
        }
        assert set(decoder.state_dict()) - {"kept"} == changed


def test_frozen_models_have_no_dropout(make, embeddings, captions):
    for name, noisy in (("gpt2", False), ("gpt2-trained", True)):
        decoder, tokenizer = make(name)
        tokens = rows_of(tokenizer, captions[:4])
        one, two = (decoder.train().loss(embeddings[:4], tokens).detach() for _ in range(2))
        assert torch.equal(one, two) is not noisy


def test_adapters_begin_as_nothing_and_checkpointing_changes_no_gradient(
    make, embeddings, captions
):
    sizes = {"dtype": "float32", "mapper": "linear"}
    with_it, tokenizer = make("llm", **sizes)
    without, _ = make("llm", checkpointing=False, **sizes)
    plain, _ = make(
        "gpt2",
        model=with_it.model,
        instruction="Describe the sound",
        prefix_length=2,
        mapper="linear",
    )
    plain.mapper.load_state_dict(with_it.mapper.state_dict())
    tokens = rows_of(tokenizer, captions[:4])
    assert_close(
        with_it.train().loss(embeddings[:4], tokens), plain.train().loss(embeddings[:4], tokens)
    )
    checkpointed = [
        any(getattr(m, "gradient_checkpointing", False) for m in d.lm.modules())
        for d in (with_it, without)
    ]
    assert checkpointed == [True, False]
    grads = []
    for decoder in (with_it, without):
        for name, value in decoder.named_parameters():
            if "lora_B" in name:
                value.data.fill_(0.1)
        decoder.mapper.load_state_dict(plain.mapper.state_dict())
        decoder.load_state_dict(with_it.state_dict())
        decoder.train().loss(embeddings[:4], tokens).backward()
        grads.append(
            {name: value.grad for name, value in decoder.named_parameters() if value.requires_grad}
        )
    assert len(grads[0]) == 2 * 2 * 2 + 2  # two layers, q and v, two matrices each; the mapper
    assert_close(grads[0], grads[1])


def test_an_llm_has_small_weights_and_precise_adapters(make):
    decoder, _ = make("llm")
    kinds = {name: value.dtype for name, value in decoder.named_parameters()}
    assert {kind for name, kind in kinds.items() if "lora_" in name or "mapper" in name} == {
        torch.float32
    }
    assert {
        kind for name, kind in kinds.items() if "lora_" not in name and "mapper" not in name
    } == {torch.bfloat16}
    with pytest.raises(
        RecipeError, match=r"decoder\.lora_targets \['attention'\] fit no layer .* q_proj"
    ):
        make("llm", lora_targets=["attention"])


def test_dropout_drops_a_share_and_keeps_the_mean():
    torch.manual_seed(0)
    x = torch.randn(
        1001, 999, requires_grad=True
    )  # no multiple of the numbers that are drawn at once
    y = drop(x, 0.1, True)
    kept = y != 0
    assert abs(kept.float().mean() - 0.9) < 4 * (0.09 / x.numel()) ** 0.5  # four standard errors
    assert_close(y[kept], x[kept] / 0.9, rtol=1e-4, atol=0)
    y.sum().backward()
    assert_close(x.grad, kept / 0.9, rtol=1e-4, atol=0)
    each, lagged = kept.float().mean(1), (kept[:, 1:] & kept[:, :-1]).float().mean()
    assert (
        each.std() < 1.2 * (0.09 / 999) ** 0.5
    )  # no row is favoured, and neighbours are independent
    assert abs(lagged - 0.81) < 0.002
    torch.manual_seed(0)
    torch.randn(1001, 999)
    assert torch.equal(drop(x, 0.1, True), y)
    assert drop(x, 0.1, False) is x
    assert drop(x, 0.0, True) is x
    assert drop(x.to(torch.bfloat16), 0.5, True).dtype == torch.bfloat16


# -- the whole path ---------------------------------------------------------------------------------------------------
@pytest.fixture
def recipe(options, captions, clap_folder, tmp_path):
    (tmp_path / "captions.txt").write_text("\n".join(captions[:120]) + "\n")

    def call(name, prompt=0, **changes):
        values = {
            "clap": str(clap_folder),
            "corpus.captions": [str(tmp_path / "captions.txt")],
            "training.batch_size": 40,
            "training.epochs": 2,
            "training.learning_rate": 0.01,
            "memory.precision": "float32",
            "memory.size": 40,
            "prompt.count": prompt,
            "prompt.tokens": 16,
        } | changes
        return load_recipe(Recipe, overrides=options(name) | values)

    return call


@pytest.fixture
def sound(tmp_path):
    path = tmp_path / "sound.wav"
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal(16_000), 16_000)
    return path


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
    code, out, _ = run("caption", sound, "--model", folder, "--json")
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
        ".png",
        ".txt",
    }
    if not whole:
        assert card["decoder"]["model"] == str(
            models["gpt2" if name == "gpt2" else "llama"].resolve()
        )


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


@pytest.mark.parametrize("name", ["gpt2", "llm", "wsac"])
def test_a_resumed_run_ends_as_one_that_was_never_stopped(recipe, tmp_path, stop_at, name):
    given = recipe(name, 2 if name == "llm" else 0, **{"training.save_every": 2})
    train_decoder.train(given, tmp_path / "whole", device="cpu")
    with stop_at(train_decoder.DecoderTraining, 3):
        train_decoder.train(given, tmp_path / "stopped", device="cpu")
    train_decoder.train(given, tmp_path / "stopped", device="cpu")
    for file in ("decoder.safetensors", "checkpoint.safetensors"):
        one, two = (load_file(tmp_path / run / file) for run in ("whole", "stopped"))
        assert one.keys() == two.keys()
        assert all(torch.equal(one[key], two[key]) for key in one)
    assert ("model.lm.transformer.h.0.attn.c_attn.weight" in one) is (
        name == "wsac"
    )  # no checkpoint of a frozen base


# -- mistakes ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "causal-lm"}, "kind 'causal-lm' needs a model"),
        (
            {"kind": "transformer", "mapper": "mlp", "frozen": False},
            "frozen is no option of a decoder of kind 'transf",
        ),
        (
            {"kind": "llm", "model": "x", "frozen": False},
            "frozen is no option of a decoder of kind 'llm'",
        ),
        ({"kind": "wsac", "lora_rank": 4}, "lora_rank is no option of a decoder of kind 'wsac'"),
        ({"kind": "gpt2", "width": 64}, "width is no option of a decoder of kind 'causal-lm'"),
        ({"kind": "rnn"}, "kind"),
        ({"vocab_size": 20}, "vocab_size 20 is less than 300"),
    ],
)
def test_options_of_other_kinds_are_refused(values, message):
    with pytest.raises(RecipeError, match=message) as error:
        load_recipe(Recipe, overrides={f"decoder.{key}": value for key, value in values.items()})
    assert "\n" not in str(error.value)


def test_kinds_have_their_own_defaults():
    gpt2 = load_recipe(Recipe, overrides={"decoder.kind": "gpt2"}).decoder
    assert (gpt2.kind, gpt2.model, gpt2.prefix_length) == ("causal-lm", "openai-community/gpt2", 10)
    wsac = load_recipe(Recipe, overrides={"decoder.kind": "wsac"}).decoder
    assert (wsac.layers, wsac.heads, wsac.width, wsac.prefix_length, wsac.max_tokens) == (
        4,
        4,
        768,
        1,
        22,
    )
    assert wsac.vocabulary == "all"


@pytest.mark.parametrize(
    ("name", "kind"), [("gpt2", "causal-lm"), ("drcap", "llm"), ("wsac", "transformer")]
)
def test_the_recipes_of_decoders_load(name, kind):
    recipe = load_recipe(
        Recipe, Path(__file__).parents[2] / "src" / "wsac" / "recipes" / f"{name}.toml"
    )
    assert (recipe.decoder.kind, recipe.decoder.dtype == "bfloat16") == (kind, kind == "llm")
    assert recipe.prompt.count == (3 if name == "drcap" else 0)


def broken(models, folder, kind):
    """A folder of a language model that something is wrong with."""
    shutil.copytree(models["llama"], folder)
    config = json.loads((folder / "config.json").read_text())
    match kind:
        case "no tokenizer":
            (folder / "tokenizer.json").unlink()
        case "no weights":
            (folder / "model.safetensors").unlink()
        case "no end":
            config["eos_token_id"] = None
        case "other size":
            config["hidden_size"] = 48
        case "cut short":
            whole = (folder / "model.safetensors").read_bytes()
            (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
        case "no language model":
            config = {"model_type": "clap"}
        case "other tokenizer":
            found = json.loads((folder / "tokenizer.json").read_text())
            found["added_tokens"] += [
                found["added_tokens"][-1] | {"id": 500 + i, "content": f"<{i}>"} for i in range(9)
            ]
            (folder / "tokenizer.json").write_text(json.dumps(found))
        case "short":
            config["max_position_embeddings"] = 20
        case "bidirectional":
            from transformers import BertConfig, BertForMaskedLM

            shutil.rmtree(folder)
            sizes = {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
            BertForMaskedLM(BertConfig(vocab_size=440, hidden_size=32, **sizes)).save_pretrained(
                folder
            )
            shutil.copy(models["llama"] / "tokenizer.json", folder)
            return
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("no tokenizer", "no tokenizer.json; give a folder with"),
        ("no weights", "no model.safetensors; load the model with transformers"),
        ("no end", "no eos_token_id that its tokenizer knows"),
        ("other size", "sizes differ from config.json"),
        ("cut short", "not a causal language model that transformers can read"),
        ("no language model", "not a causal language model"),
        ("other tokenizer", "do not belong together"),
        ("short", "20 positions, but 10 before the caption and 16 of it"),
        ("bidirectional", "not a causal language model: its words depend on those that follow"),
    ],
)
def test_models_that_do_not_fit_are_one_line_and_leave_nothing(
    recipe, run, models, tmp_path, kind, message
):
    from wsac.io.config import save_recipe

    broken(models, tmp_path / "base", kind)
    given = {"decoder.model": str(tmp_path / "base"), "decoder.prefix_length": 10}
    save_recipe(recipe("gpt2", **given), tmp_path / "r.toml")
    code, _, err = run(
        "train", "--recipe", tmp_path / "r.toml", "--out", tmp_path / "run", "--device", "cpu"
    )
    assert code == 1
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["gpt2", "wsac"])
def test_a_folder_that_is_not_there(make, tmp_path, name):
    with pytest.raises(ModelError, match="nowhere: no such"):
        make(name, model=str(tmp_path / "nowhere"))


def test_an_llm_without_peft(make, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ModelError, match=r"needs peft; pip install 'wsac\[llm\]'"):
        make("llm")


# -- checkpoints of the published code --------------------------------------------------------------------------------
@torch.inference_mode()
def plain_loop(state, gpt2, embedding, end):
    """What the published code does with one embedding [D]: the prefix, then the likeliest token, 30 times."""
    weight, bias = state["clap_project.model.0.weight"], state["clap_project.model.0.bias"]
    prefix = F.linear(embedding[None], weight, bias)[:, None]
    tokens: list[int] = []
    for _ in range(30):
        words = gpt2.transformer.wte(torch.tensor([tokens], dtype=torch.long))
        tokens.append(int(gpt2(inputs_embeds=torch.cat((prefix, words), 1)).logits[0, -1].argmax()))
        if tokens[-1] == end:
            break
    return tokens


def test_a_converted_checkpoint_says_what_it_said(run, captions, clap_folder, sound, tmp_path):
    file, gpt2 = published(tmp_path / "theirs", captions)
    end = read_backend(tmp_path / "theirs").token_to_id("[SEP]")
    code, _, err = run(
        "convert-captioner",
        file,
        "--clap",
        clap_folder,
        "--tokenizer",
        tmp_path / "theirs",
        "--out",
        tmp_path / "run",
    )
    assert code == 0, err
    captioner = Captioner.load(tmp_path / "run", device="cpu")
    decoder, state = captioner.decoder, torch.load(file, weights_only=True)
    audio = F.normalize(torch.randn(24, 16, generator=torch.Generator().manual_seed(0)), dim=-1)
    found = generate(decoder, audio, captioner.options.generation)
    rows = [one.tokens if len(one.tokens) == 30 else [*one.tokens, EOS] for one in found]
    theirs = [plain_loop(state, gpt2, one, end) for one in audio]
    assert [decoder.pieces[row].tolist() for row in map(torch.tensor, rows)] == theirs
    lengths = {len(row) for row in theirs}
    assert 30 in lengths, "no row reaches the limit"
    assert len(lengths) > 2, "no row ends by itself"
    assert len({token for row in theirs for token in row}) > 20
    assert (
        captioner.options.bridge,
        captioner.options.generation.beam_size,
        decoder.max_tokens,
    ) == (
        "ad",
        1,
        30,
    )
    assert captioner.memory is None
    assert captioner.caption(sound).logprob < 0


def test_a_converted_captioner_with_a_memory(captions, clap_folder, sound, tmp_path):
    file, _ = published(tmp_path / "theirs", captions)
    (tmp_path / "captions.txt").write_text("\n".join(captions[:30]) + "\n")
    made = convert_captioner(
        file,
        tmp_path / "run",
        clap=clap_folder,
        tokenizer=tmp_path / "theirs" / "tokenizer.json",
        captions=[tmp_path / "captions.txt"],
    )
    again = Captioner.load(tmp_path / "run", device="cpu")
    assert len(again.memory) == len(set(captions[:30]))
    assert again.options.bridge == "pd"
    one, other = again.caption(sound), made.caption(sound)
    assert one.text == other.text
    assert one.logprob == pytest.approx(
        other.logprob, abs=1e-4
    )  # tensors that were read lie elsewhere in memory


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clap_project.model.0.weight": torch.zeros(32, 24)}, "for embeddings of 24 dimensions"),
        (
            {"clap_project.model.0.weight": torch.zeros(64, 16)},
            "64 values make the prefix and the decoder is 32 wide",
        ),
        ({"decoder.transformer.ln_f.bias": torch.zeros(31)}, "does not fit the published WSAC"),
        ({"decoder.transformer.ln_f.bias": None}, "does not fit the published WSAC"),
        ({"clap_project.model.0.weight": None}, "not a checkpoint of the published WSAC"),
        ({"decoder.lm_head.weight": torch.zeros(320, 32)}, "its head is not its embedding"),
        (
            {"decoder.transformer.wte.weight": torch.zeros(50, 32), "decoder.lm_head.weight": None},
            "give the tokenizer of bert-base-uncased",
        ),
    ],
)
def test_checkpoints_that_do_not_fit_are_one_line(
    run, captions, clap_folder, tmp_path, change, message
):
    file, _ = published(tmp_path / "theirs", captions)
    state = torch.load(file, weights_only=True) | change
    torch.save({name: value for name, value in state.items() if value is not None}, file)
    words = ["--clap", clap_folder, "--tokenizer", tmp_path / "theirs", "--out", tmp_path / "run"]
    code, _, err = run("convert-captioner", file, *words)
    assert code == 1
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_what_convert_captioner_cannot_read(run, captions, clap_folder, tmp_path):
    file, _ = published(tmp_path / "theirs", captions)
    byte_level(captions).save(str(tmp_path / "gpt2.json"))
    torch.save({"state": object()}, tmp_path / "code.pt")
    for words, message in (
        ([tmp_path / "none.pt", tmp_path / "theirs"], "no such file"),
        ([tmp_path / "code.pt", tmp_path / "theirs"], "refused"),
        ([file, tmp_path / "nowhere"], "no such tokenizer"),
        ([file, tmp_path / "gpt2.json"], "without [CLS] and [SEP]"),
        ([file, file], "not a tokenizer"),
    ):
        code, _, err = run(
            "convert-captioner",
            words[0],
            "--tokenizer",
            words[1],
            "--clap",
            clap_folder,
            "--out",
            tmp_path / "run",
        )
        assert code == 1
        assert message in err
        assert err.count("\n") == 1


def test_memory_of_other_captions_prompts_with_what_is_known(recipe, tmp_path):
    """Pieces that the cut vocabulary lacks are left out of prompts."""
    captioner = train_decoder.train(
        recipe("llm", 2, **{"training.epochs": 1}), tmp_path / "run", device="cpu"
    )
    other = captioner.with_memory(["日本", "A dog barks"])
    assert isinstance(other.memory, SupportMemory)
    assert other.prompter.rows[0] == ()
    assert other.caption(torch.randn(16_000)).text is not None
