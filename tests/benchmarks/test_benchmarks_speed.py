"""The speed benchmark runs as a whole on miniatures, and its baseline computes what we compute."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch.testing import assert_close

from wsac.decoder import TransformerDecoder
from wsac.decoder.generation import GenerationOptions, generate

pytestmark = pytest.mark.slow

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def bench(monkeypatch):
    """The modules of benchmarks/, as scripts see them."""
    monkeypatch.syspath_prepend(str(BENCHMARKS / "speed"))
    before = set(sys.modules)
    import baseline
    import growth
    import world

    import speed

    yield baseline, growth, speed, world
    for name in set(sys.modules) - before:
        if name in ("baseline", "growth", "speed", "world", "clap_throughput"):
            del sys.modules[name]


@pytest.fixture
def sounds(tmp_path):
    for i in range(2):
        samples = np.random.default_rng(i).normal(0, 0.1, 32_000).astype(np.float32)
        soundfile.write(tmp_path / f"{i}.wav", samples, 32_000)
    return tmp_path


def test_everything_runs_on_miniatures(bench, sounds, captions, tmp_path, monkeypatch, capsys):
    _, growth, speed, _ = bench
    monkeypatch.setattr(
        growth, "in_child", lambda work, *arguments: work(*arguments)
    )  # a process takes seconds
    (tmp_path / "captions.txt").write_text("\n".join(captions[:60]) + "\n")
    found = speed.main(
        [
            str(tmp_path / "captions.txt"),
            "--audio",
            str(sounds),
            "--tiny",
            "--rounds",
            "1",
            "--steps",
            "2",
            "--few",
            "2",
            "--memories",
            "50,70",
            "--growth",
            "60",
            "--precision",
            "float32",
            "--json",
            str(tmp_path / "out.json"),
            "--picture",
            str(tmp_path / "out.svg"),
            "--only",
            "training",
            "captioning",
            "decoding",
            "projection",
            "beam",
            "memory",
        ]
    )
    assert json.loads((tmp_path / "out.json").read_text())["training"] == found["training"]
    assert [row["way"] for row in found["training"]] == [
        "baseline",
        "same vocabulary",
        "vocabulary cut",
        "default decoder",
    ]
    assert found["training"][0]["times"] == 1
    assert all(row["of GEMM peak"] > 0 for row in found["training"][1:])
    assert all(row["captions/s"] <= row["steady captions/s"] for row in found["training"])
    assert all(row["equal tokens"] == 1 for row in found["decoding"][1:])
    assert [row["way"] for row in found["projection"]][::3] == [
        "baseline, 50 memories",
        "baseline, 70 memories",
    ]
    assert {name: len(rows) for name, rows in found["growth"].items()} == {
        "corpus": 1,
        "memory": 1,
        "batch": 2,
        "beam": 2,
    }
    assert len(found["memory"]) == len(growth.PROCESSES)
    assert (tmp_path / "out.svg").read_text().startswith("<svg")
    assert "GEMM peak" in capsys.readouterr().out


def test_the_baseline_decodes_and_learns_what_ours_does(bench, embeddings):
    baseline, *_ = bench
    plain, ours = (
        kind(
            embed_dim=16,
            vocab_size=120,
            width=16,
            layers=2,
            heads=2,
            prefix_length=1,
            max_tokens=30,
            dropout=0.0,
        )
        for kind in (baseline.PlainDecoder, TransformerDecoder)
    )
    plain.load_state_dict(ours.state_dict())
    rows = torch.randint(3, 120, (6, 9), generator=torch.Generator().manual_seed(1)).tolist()
    tokens = baseline.pad([row[: 4 + i] for i, row in enumerate(rows)])
    assert_close(plain.plain_loss(embeddings, tokens), ours.loss(embeddings, tokens))
    found = generate(ours, embeddings, GenerationOptions(beam_size=1, max_tokens=baseline.STEPS))
    assert [one.tokens for one in found] == [
        baseline.decode(plain, one[None]) for one in embeddings
    ]


def test_flops_are_those_of_the_products(bench):
    *_, world = bench
    decoder = TransformerDecoder(
        embed_dim=8, vocab_size=50, width=16, layers=2, heads=2, prefix_length=1, max_tokens=9
    )
    from torch.utils.flop_counter import FlopCounterMode

    tokens = torch.randint(3, 50, (64, 6))  # as many as are packed without filling up
    with FlopCounterMode(display=False) as counter:
        decoder.loss(torch.randn(64, 8, requires_grad=True), tokens).backward()
    assert world.flops(decoder, 64, 6, 384) == pytest.approx(counter.get_total_flops(), rel=0.05)


def test_quality_compares_the_defaults_with_the_slow_way(
    sounds, captions, clap_folder, tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(str(BENCHMARKS / "quality"))
    import fast_defaults as quality

    test = tmp_path / "data" / "test"
    test.mkdir(parents=True)
    (tmp_path / "data" / "captions.txt").write_text("\n".join(captions) + "\n")
    scenes = [{"file": f"{i}.wav", "captions": captions[i : i + 3]} for i in range(2)]
    for i in range(2):
        (tmp_path / f"{i}.wav").rename(test / f"{i}.wav")
    (test / "scenes.jsonl").write_text("\n".join(map(json.dumps, scenes)) + "\n")
    small = (
        "decoder.width=16",
        "decoder.layers=1",
        "decoder.heads=2",
        "decoder.vocab_size=300",
        "training.epochs=1",
        "training.batch_size=32",
        f"clap={clap_folder}",
    )
    command = ["--data", str(tmp_path / "data"), "--seeds", "0", "1", "-o", str(tmp_path / "out")]
    for change in small:
        command += ["--set", change]
    rows = quality.main(command)
    assert [row[0] for row in rows] == ["ad", "pd"]
    recipes = {
        way: (tmp_path / "out" / f"{way}-0" / "recipe.toml").read_text() for way in quality.WAYS
    }
    assert 'precision = "float32"' in recipes["slow"] != recipes["fast"]
    assert quality.main(command) == rows  # trained already


def test_ratios_are_medians_of_rounds(bench):
    *_, world = bench
    rows = world.compared({"baseline": [1.0, 2.0, 4.0], "ours": [5.0, 4.0, 40.0]}, "clips/s")
    assert rows == [
        {"way": "baseline", "clips/s": 2.0, "times": 1.0},
        {"way": "ours", "clips/s": 5.0, "times": 5.0},
    ]
    calls = []
    ways = {name: lambda name=name: calls.append(name) or 1.0 for name in "ab"}
    assert world.rounds(ways, 2) == {"a": [1.0, 1.0], "b": [1.0, 1.0]}
    assert calls == list("ababab")
