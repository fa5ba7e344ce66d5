"""Miniatures: a CLAP and captioners of a few kilobytes, the same in every run."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from shutil import which

if "PYTEST_XDIST_WORKER" in os.environ:  # a thread each, for the programs that tests start too
    os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pytest
import torch

from miniatures.decoder_kinds import SIZES, tiny_decoder
from wsac.bridges.memory import SupportMemory
from wsac.clap.pocket.pocket_clap import PocketClap
from wsac.clap.pocket.pocket_config import PocketConfig
from wsac.cli import main
from wsac.data.soundworld import write_captions
from wsac.data.tokenizer import Tokenizer
from wsac.decoder import TransformerDecoder
from wsac.inference.caption_options import CaptionOptions
from wsac.inference.captioner import Captioner

SHARED = Path(__file__).parents[2] / "shared"

# What some tests need: its module, which tests are skipped without it, and how to get it.
MODULES = (
    ("playwright", "pages in a browser", "playwright"),
    ("axe_playwright_python", "accessibility", "axe-playwright-python"),
    ("webvtt", "subtitles", "webvtt-py"),
    ("ttconv", "subtitles", "ttconv"),
    ("pycocoevalcap", "METEOR", "'.[meteor]'"),
    ("peft", "decoders with LoRA", "'.[llm]'"),
    ("accelerate", "several processes", "'.[distributed]'"),
    ("paho", "MQTT", "'.[mqtt]'"),
    ("starlette", "the server", "'.[serve]'"),
    ("httpx2", "the server", "httpx2"),
    ("openai", "the server", "openai"),
    ("schemathesis", "the server", "schemathesis"),
    ("faiss", "approximate search", "'.[search]'"),
    ("webdataset", "exports", "webdataset"),
    ("datasets", "exports", "datasets"),
    ("lhotse", "exports", "lhotse"),
    ("duckdb", "archives", "duckdb"),
    ("aac_datasets", "exports", "aac-datasets"),
    ("onnxruntime", "exports", "'.[export]'"),
    ("sentence_transformers", "Sentence-BERT and FENSE", "'.[sbert]'"),
)
PROGRAMS = (
    ("java", "METEOR and SPICE", "default-jre-headless"),
    ("chromium", "pages in a browser", "chromium"),
    ("ffmpeg", "soft tracks", "ffmpeg"),
    ("mosquitto", "MQTT with a broker", "mosquitto"),
)


def missing():
    """What is not here, the tests that are skipped without it, and how to get it."""
    if not (SHARED / "captions").is_dir():
        tests = "reference values and real captions"
        yield "shared recordings", tests, f"they are not published; put them in {SHARED}"
    for program, tests, package in PROGRAMS:
        if not (which(program) or which(program, path="/usr/sbin")):
            yield program, tests, f"apt-get install {package}"
    for module, tests, package in MODULES:
        if not find_spec(module):
            yield module, tests, f"pip install {package}"


def pytest_sessionstart(session):
    """Say first what will be skipped, and why."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(session.config, "workerinput"):
        return
    for name, tests, remedy in missing():
        reporter.write_line(f"no {name}: tests of {tests} will be skipped ({remedy})")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """No test reads or fills the user's cache."""
    monkeypatch.setenv("WSAC_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def run(capsys):
    """Run ``wsac`` in this process; returns (exit code, stdout, stderr)."""

    def call(*words):
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture(scope="session")
def shared() -> Path:
    if not (SHARED / "captions").is_dir():
        pytest.skip("needs the project's shared recordings and captions beside the checkout")
    return SHARED


@pytest.fixture(scope="session")
def captions() -> list[str]:
    return write_captions(np.random.default_rng(0), 240, events=(1, 2))


@pytest.fixture(scope="session")
def tokenizer(captions) -> Tokenizer:
    return Tokenizer.train(captions, 400)


@pytest.fixture(scope="session")
def clap_folder(tokenizer, tmp_path_factory) -> Path:
    """Random weights, the real architecture, 16-dimensional, windows of one second."""
    torch.manual_seed(1)
    config = PocketConfig(
        embed_dim=16,
        channels=(4, 4, 8, 8, 8),
        vocab_size=tokenizer.vocab_size,
        text_width=16,
        text_layers=1,
        text_heads=2,
        window_seconds=1.0,
    )
    folder = tmp_path_factory.mktemp("clap")
    PocketClap(config, tokenizer).save(folder)
    return folder


@pytest.fixture(scope="session")
def clap(clap_folder) -> PocketClap:
    return PocketClap.load(clap_folder)


@pytest.fixture
def decoder(tokenizer) -> TransformerDecoder:
    torch.manual_seed(2)
    return tiny_decoder(vocab_size=tokenizer.vocab_size).eval()


@pytest.fixture
def captioner(clap, decoder, tokenizer, captions) -> Captioner:
    memory = SupportMemory(clap.embed_text(captions[:50]))
    return Captioner(clap, decoder, tokenizer, memory, CaptionOptions.make(beam_size=2))


@pytest.fixture
def embeddings() -> torch.Tensor:
    """[6, 16] unit norm."""
    return torch.nn.functional.normalize(
        torch.randn(6, 16, generator=torch.Generator().manual_seed(3)), dim=-1
    )


@pytest.fixture
def tiny_recipe(tmp_path, captions, clap_folder):
    """Makes training recipes that take a second: the tiny CLAP, tiny sizes, 240 captions."""
    from wsac.io.config import load_recipe
    from wsac.training.recipe import Recipe

    path = tmp_path / "captions.txt"
    path.write_text("\n".join(captions) + "\n", encoding="utf-8")

    def make(**changes):
        sizes = SIZES | {"layers": 1, "vocab_size": 400, "max_tokens": 24}
        overrides = {
            "clap": str(clap_folder),
            "corpus.captions": [str(path)],
            "corpus.validation": 0.1,
            "training.epochs": 3,
            "training.batch_size": 16,
            "training.warmup_steps": 4,
        } | {f"decoder.{key}": value for key, value in sizes.items()}
        return load_recipe(Recipe, overrides=overrides | changes)

    return make


@pytest.fixture
def stop_at(monkeypatch):
    """``with stop_at(DecoderTraining, 10)`` interrupts before step 10, as Ctrl-C does."""

    @contextmanager
    def stopping(training, step):
        update = training.update

        def interrupted(self, number):
            if number == step:
                raise KeyboardInterrupt
            return update(self, number)

        with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
            patch.setattr(training, "update", interrupted)
            yield
            pytest.fail("the training was not interrupted")

    return stopping
