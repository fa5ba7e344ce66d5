"""What makes training fast and small changes nothing of what is learned."""

from __future__ import annotations

import copy
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn
from torch.testing import assert_close

from miniatures.decoder_kinds import tiny_decoder
from oracles.plain_search import plain_blocks
from wsac import train
from wsac.bridges import memory as memory_module
from wsac.bridges.memory import SupportMemory
from wsac.bridges.retrieval import Projection
from wsac.clap.texts import cache_folder, embed_texts
from wsac.data.tokenizer import EOS, PAD
from wsac.data.tokens import TokenRows
from wsac.decoder.kernels.cross_entropy import linear_cross_entropy
from wsac.decoder.kernels.packing import Packing
from wsac.runtime.device import has_bfloat16
from wsac.runtime.seeding import generator_for
from wsac.training.decoder import prepare
from wsac.training.optim import adamw, autocast, update_average
from wsac.training.steps import DecoderTraining
from wsac.types import ModelError


def weights(run):
    return load_file(run / "decoder.safetensors")


def same(one, two):
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("limit", [3, 40])
def test_flat_tokens_make_the_batches_that_lists_made(captions, tokenizer, limit):
    lists = [torch.tensor([*ids[: limit - 1], EOS]) for ids in tokenizer.encode(captions)]
    rows = TokenRows.make(captions, tokenizer, limit, batch=7)
    some = torch.randperm(len(captions), generator=torch.Generator().manual_seed(0))[:50]
    some[-1] = len(captions) - 1  # whose padding lies beyond the end
    wanted = nn.utils.rnn.pad_sequence(
        [lists[i] for i in some], batch_first=True, padding_value=PAD
    )
    assert len(rows) == len(captions)
    assert torch.equal(rows.batch(some), wanted)
    assert rows.lengths(some).tolist() == [len(lists[i]) for i in some]


def test_batches_are_those_of_the_plain_loop(tiny_recipe, tmp_path):
    recipe = tiny_recipe(**{"training.batch_size": 8, "training.accumulate": 2})
    training = prepare(recipe, tmp_path / "run", device="cpu")
    tokens, train_rows = training.material.tokens, training.material.train_rows
    lengths = tokens.lengths(torch.arange(len(tokens))).tolist()
    rng, size, plain = generator_for(recipe.training.seed, "order", 1), 16, []
    order = torch.randperm(len(train_rows), generator=rng).tolist()
    rows = [int(train_rows[i]) for i in order]
    for first in range(0, len(rows), size):
        plain.append(sorted(rows[first : first + size], key=lambda row: lengths[row]))
    assert [batch.tolist() for batch in training.batches(1)] == plain


@pytest.mark.slow
def test_accumulated_batches_are_one_large_batch(tiny_recipe, tmp_path):
    found = {}
    for name, (size, count) in {"whole": (30, 1), "parts": (10, 3), "others": (10, 1)}.items():
        sizes = {"training.batch_size": size, "training.accumulate": count, "training.epochs": 1}
        train(tiny_recipe(**sizes, **{"training.precision": "float32"}), tmp_path / name)
        found[name] = weights(tmp_path / name)
    for name, value in found["whole"].items():
        assert_close(found["parts"][name], value, rtol=0, atol=2e-5)
    apart = max(
        float((found["others"][name] - value).abs().max()) for name, value in found["whole"].items()
    )
    assert apart > 1e-3  # what another size of the update would make of the weights


def test_packed_rows_come_back_and_so_do_their_gradients():
    real = torch.arange(9) < torch.tensor([[9], [1], [4]])
    packing, x = Packing(real), torch.randn(3, 9, 5, requires_grad=True)
    packed = packing.pack(x)
    assert packed.shape == (64, 5)
    assert torch.equal(packed[:14], x[real])
    assert not packed[14:].any()
    assert torch.equal(packing.unpack(packed), torch.where(real[:, :, None], x, 0))
    wanted = torch.randn(3, 9, 5)
    (packing.unpack(packed**2) * wanted).sum().backward()
    assert_close(x.grad, torch.where(real[:, :, None], 2 * x * wanted, 0))


@pytest.mark.parametrize("prompt_tokens", [0, 3])
def test_training_without_padding_has_the_gradients_of_the_plain_formula(prompt_tokens):
    torch.manual_seed(0)
    decoder = tiny_decoder(8, 30, max_tokens=9, dropout=0.0, prompt_tokens=prompt_tokens)
    embedding = torch.randn(3, 8)
    prompt = torch.tensor([[4, 5, PAD], [6, 6, 6], [PAD] * 3]) if prompt_tokens else None
    tokens = torch.tensor(
        [[5, 9, 7, 7, 8, EOS], [4, EOS, PAD, PAD, PAD, PAD], [9, 8, 5, EOS, PAD, PAD]]
    )
    decoder.loss(embedding, tokens, prompt).backward()
    found = {name: value.grad.clone() for name, value in decoder.named_parameters()}
    decoder.zero_grad()
    x = torch.cat(
        (decoder._opening(embedding, prompt), decoder._embed(tokens[:, :-1], decoder.before)), dim=1
    )
    logits = (
        decoder.norm(plain_blocks(decoder, x)[:, decoder.before - 1 :]) @ decoder.tokens.weight.T
    )
    F.cross_entropy(logits.flatten(0, 1), tokens.flatten(), ignore_index=PAD).backward()
    for name, value in decoder.named_parameters():
        assert_close(found[name], value.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.skipif(
    not has_bfloat16(), reason="this processor has no bfloat16 products to keep ready"
)
def test_batches_of_many_shapes_are_not_all_kept_ready():
    """475 MB without a limit: what is kept for a shape that never comes again."""
    code = """
import wsac, ctypes, torch
from pathlib import Path

def held():
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    return int(Path("/proc/self/status").read_text().partition("RssAnon:")[2].split()[0]) >> 10

def products(first, last):
    for rows in range(first, last):
        with torch.autocast("cpu", torch.bfloat16):
            layer(torch.randn(rows, 256)).float().sum().backward()

layer = torch.nn.Linear(256, 1024)
products(500, 600)
before = held()
products(600, 1000)
print(held() - before)
"""
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert int(found.stdout) < 100


@pytest.mark.slow
def test_averaged_accumulated_runs_resume_bit_for_bit(tiny_recipe, tmp_path, stop_at):
    recipe = tiny_recipe(
        **{
            "training.average": 0.9,
            "training.accumulate": 2,
            "training.save_every": 4,
            "training.evaluate_every": 5,
            "decoder.dropout": 0.1,
        }
    )
    train(recipe, tmp_path / "whole")
    with stop_at(DecoderTraining, 10):
        train(recipe, tmp_path / "stopped")
    train(recipe, tmp_path / "stopped")
    both = [load_file(tmp_path / name / "checkpoint.safetensors") for name in ("whole", "stopped")]
    assert same(*both)
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "stopped"))
    assert (tmp_path / "whole" / "metrics.jsonl").read_text() == (
        tmp_path / "stopped" / "metrics.jsonl"
    ).read_text()
    saved, kept = weights(tmp_path / "whole"), both[0]
    assert all(
        torch.equal(saved[name], kept[f"model.average.{name}"]) for name in saved
    )  # the last was the best
    assert not torch.equal(kept["model.average.prefix.weight"], kept["model.model.prefix.weight"])


def test_the_average_follows_and_forgets_its_beginning():
    model, average = nn.Linear(2, 1), nn.Linear(2, 1)
    wanted = average.weight.detach().clone()
    for step in range(30):
        decay = min(0.5, (1 + step) / (10 + step))
        wanted = decay * wanted + (1 - decay) * model.weight.detach()
        update_average(average, model, 0.5, step)
    assert_close(average.weight.detach(), wanted)
    assert_close(average.weight, model.weight, rtol=0, atol=1e-6)


def test_fused_adamw_is_adamw_and_leaves_frozen_weights_alone(decoder):
    plain = copy.deepcopy(decoder)
    decoder.tokens.weight.requires_grad_(False)
    plain.tokens.weight.requires_grad_(False)
    fused = adamw(decoder, 0.1)
    other = torch.optim.AdamW(
        [
            {
                "params": [p for p in plain.parameters() if p.requires_grad and p.ndim > 1],
                "weight_decay": 0.1,
            },
            {"params": [p for p in plain.parameters() if p.ndim < 2], "weight_decay": 0.0},
        ],
        foreach=False,
    )
    before = decoder.tokens.weight.clone()
    for step in range(3):
        for model, optimizer in ((decoder, fused), (plain, other)):
            rng = torch.Generator().manual_seed(step)
            loss = model.loss(
                torch.randn(4, 16, generator=rng), torch.randint(3, 90, (4, 6), generator=rng)
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    for one, two in zip(decoder.parameters(), plain.parameters(), strict=True):
        assert_close(one, two)
    assert torch.equal(decoder.tokens.weight, before)


@pytest.mark.slow
def test_bfloat16_learns_what_float32_learns(tiny_recipe, tmp_path):
    losses = {}
    for precision in ("float32", "bfloat16"):
        recipe = tiny_recipe(**{"training.precision": precision, "training.learning_rate": 0.01})
        train(recipe, tmp_path / precision)
        rows = (tmp_path / precision / "metrics.jsonl").read_text().splitlines()
        losses[precision] = float(rows[-1].split('"validation_loss": ')[1].split(",")[0])
        assert all(value.dtype == torch.float32 for value in weights(tmp_path / precision).values())
    assert losses["bfloat16"] != losses["float32"]
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.02)


def test_auto_is_bfloat16_only_where_it_pays(monkeypatch):
    for native in (True, False):
        monkeypatch.setattr(
            "wsac.training.optim.has_bfloat16", lambda device, native=native: native
        )
        with autocast("auto", "cpu"):
            assert torch.is_autocast_enabled("cpu") is native
        with autocast("float32", "cpu"):
            assert not torch.is_autocast_enabled("cpu")
        with autocast("bfloat16", "cpu"):
            assert torch.is_autocast_enabled("cpu")
    assert has_bfloat16("mps") is False


def test_half_embeddings_are_written_as_they_are_made(clap, captions, tmp_path, monkeypatch):
    monkeypatch.setattr("wsac.clap.texts.AT_ONCE", 50)
    half, whole = embed_texts(clap, captions, half=True), embed_texts(clap, captions)
    assert half.dtype == torch.float16
    assert whole.dtype == torch.float32
    assert_close(F.normalize(half.float(), dim=-1), whole, rtol=0, atol=3e-4)
    assert sorted(str(np.load(path).dtype) for path in cache_folder().glob("*.npy")) == [
        "float16",
        "float32",
    ]
    monkeypatch.setenv("WSAC_CACHE", str(tmp_path / "file"))
    (tmp_path / "file").write_text("no folder")
    assert torch.equal(embed_texts(clap, captions, half=True), half)  # without a cache the same

    def broken(*_):
        raise ModelError("no tokenizer")

    monkeypatch.setattr(type(clap), "embed_text", broken)
    monkeypatch.setenv("WSAC_CACHE", str(tmp_path / "other"))
    with pytest.raises(ModelError, match="no tokenizer"):
        embed_texts(clap, captions)


def test_a_memory_of_rows_in_half_precision_is_the_same_memory(embeddings, tmp_path, monkeypatch):
    rows = torch.tensor([4, 1, 5])
    memory = SupportMemory(embeddings.half(), rows)
    assert len(memory) == 3
    assert_close(memory.embeddings, embeddings[rows], rtol=0, atol=1e-3)
    assert_close(memory.embeddings.norm(dim=1), torch.ones(3))
    assert torch.equal(
        memory.take(torch.tensor([[2], [0]])), memory.embeddings[torch.tensor([[2], [0]])]
    )
    assert torch.equal(memory.only(torch.tensor([1])).embeddings, memory.embeddings[1:2])
    monkeypatch.setattr(memory_module, "TILE", 32)  # two entries
    assert [len(tile) for tile in memory.tiles()] == [2, 1]
    memory.save(tmp_path / "m.safetensors", "float16")
    kept = SupportMemory.load(tmp_path / "m.safetensors")
    monkeypatch.setattr(memory_module, "WHOLE", 0)
    mapped = SupportMemory.load(tmp_path / "m.safetensors")
    assert mapped._stored.dtype == torch.float16
    assert_close(mapped.embeddings, kept.embeddings)


def test_projection_in_bfloat16_is_near_and_float32(embeddings):
    memory = SupportMemory(
        F.normalize(torch.randn(500, 16, generator=torch.Generator().manual_seed(5)), dim=-1)
    )
    exact = Projection(memory)(embeddings)
    for kept in (memory, SupportMemory(memory.embeddings.bfloat16())):
        with torch.autocast("cpu", torch.bfloat16):
            found = Projection(kept)(embeddings)
        assert found.dtype == torch.float32
        assert (found * exact).sum(dim=1).min() > 0.99
        assert not torch.equal(found, exact)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_hundred_thousand_captions_take_little_memory(tmp_path):
    """In a process of its own: reading, tokens, embeddings and support memory, from file to
    bundle.
    """
    code = """
import sys, torch
from pathlib import Path
from wsac.clap.texts import embed_texts
from wsac.data.captions.corpus import merge
from wsac.bridges.memory import SupportMemory
from wsac.data.tokens import TokenRows
from wsac.data.tokenizer import Tokenizer

class Clap:
    fingerprint, embed_dim = "fake", 256
    def embed_text(self, captions):
        return torch.nn.functional.normalize(torch.ones(len(captions), 256), dim=-1)

def work(path, out):
    captions = [example.caption for example in merge(path).examples]
    tokens = TokenRows.make(captions, Tokenizer.train(captions[:2000], 400), 40)
    texts = embed_texts(Clap(), captions, half=True)
    SupportMemory(texts, torch.arange(len(captions))[::2]).save(out)
    return float(texts[:, 0].float().sum()) + len(tokens)  # every page is read

folder = sys.argv[1]
kinds = "dog cat bird car bell".split()
names = [f"A {a} {b} {c}" for a in kinds for b in range(100) for c in range(200)]
for count, name in ((1000, "few"), (100_000, "many")):
    with open(f"{folder}/{name}.txt", "w") as file:
        file.writelines(f"{line} plays near the old station\\n" for line in names[:count])
del names
work(f"{folder}/few.txt", f"{folder}/few.safetensors")
# not ru_maxrss, which begins with what the parent held
peak = lambda: int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024
before = peak()
work(f"{folder}/many.txt", f"{folder}/many.safetensors")
print(peak() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert (
        float(done.stdout) < 180
    )  # MB, of which 51 are the embeddings' file; as they were held before, above 400


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("rows", [1, 32, 75])
def test_cross_entropy_over_the_vocabulary_is_that_of_torch(smoothing, rows):
    """Loss and both gradients, in one part or several; scaled by what comes back."""
    torch.manual_seed(0)
    hidden, weight = torch.randn(rows, 12), torch.randn(40, 12)
    target = torch.randint(40, (rows,))
    found = []
    for way in ("ours", "torch"):
        h, w = hidden.clone().requires_grad_(), weight.clone().requires_grad_()
        if way == "ours":
            loss = linear_cross_entropy(h, w, target, smoothing)
        else:
            loss = F.cross_entropy(h @ w.T, target, label_smoothing=smoothing)
        (0.3 * loss).backward()
        found.append((loss.detach(), h.grad, w.grad))
    for ours, theirs in zip(*found, strict=True):
        assert_close(ours, theirs, atol=1e-6, rtol=1e-5)


def test_cross_entropy_in_bfloat16_stays_near():
    torch.manual_seed(0)
    hidden, weight, target = (
        torch.randn(64, 32),
        torch.randn(500, 32) / 6,
        torch.randint(500, (64,)),
    )
    w = weight.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        loss = linear_cross_entropy(hidden, w, target)
    loss.backward()
    assert loss.dtype == w.grad.dtype == torch.float32
    exact = weight.clone().requires_grad_()
    F.cross_entropy(hidden @ exact.T, target).backward()
    assert abs(loss.item() - float(F.cross_entropy(hidden @ weight.T, target))) < 0.01
    assert float((w.grad - exact.grad).norm() / exact.grad.norm()) < 0.02
