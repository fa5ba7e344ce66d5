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

# What some tests need: how to tell that it is here, what is skipped without it, and how to get it.
NEEDS = (
    (
        "shared recordings",
        lambda: (SHARED / "captions").is_dir(),
        "reference values and real captions",
        f"they are not published; put them in {SHARED}",
    ),
    ("Java", lambda: which("java"), "METEOR and SPICE", "apt-get install default-jre-headless"),
    ("Chromium", lambda: which("chromium"), "pages in a browser", "apt-get install chromium"),
    ("ffmpeg", lambda: which("ffmpeg"), "soft tracks", "apt-get install ffmpeg"),
    ("playwright", lambda: find_spec("playwright"), "pages in a browser", "pip install playwright"),
    (
        "axe",
        lambda: find_spec("axe_playwright_python"),
        "accessibility",
        "pip install axe-playwright-python",
    ),
    ("webvtt-py", lambda: find_spec("webvtt"), "subtitles", "pip install webvtt-py"),
    ("ttconv", lambda: find_spec("ttconv"), "subtitles", "pip install ttconv"),
    ("pycocoevalcap", lambda: find_spec("pycocoevalcap"), "METEOR", "pip install '.[meteor]'"),
    ("peft", lambda: find_spec("peft"), "decoders with LoRA", "pip install '.[llm]'"),
    (
        "accelerate",
        lambda: find_spec("accelerate"),
        "several processes",
        "pip install '.[distributed]'",
    ),
    (
        "mosquitto",
        lambda: which("mosquitto") or which("mosquitto", path="/usr/sbin"),
        "MQTT with a broker",
        "apt-get install mosquitto",
    ),
    ("paho-mqtt", lambda: find_spec("paho"), "MQTT", "pip install '.[mqtt]'"),
    ("starlette", lambda: find_spec("starlette"), "the server", "pip install '.[serve]'"),
    ("httpx2", lambda: find_spec("httpx2"), "the server", "pip install httpx2"),
    ("openai", lambda: find_spec("openai"), "the server", "pip install openai"),
    (
        "schemathesis",
        lambda: find_spec("schemathesis"),
        "the server",
        "pip install schemathesis",
    ),
    ("faiss", lambda: find_spec("faiss"), "approximate search", "pip install '.[search]'"),
    ("webdataset", lambda: find_spec("webdataset"), "exports", "pip install webdataset"),
    ("datasets", lambda: find_spec("datasets"), "exports", "pip install datasets"),
    ("lhotse", lambda: find_spec("lhotse"), "exports", "pip install lhotse"),
    ("duckdb", lambda: find_spec("duckdb"), "archives", "pip install duckdb"),
    ("aac-datasets", lambda: find_spec("aac_datasets"), "exports", "pip install aac-datasets"),
    ("onnxruntime", lambda: find_spec("onnxruntime"), "exports", "pip install '.[export]'"),
    (
        "sentence-transformers",
        lambda: find_spec("sentence_transformers"),
        "Sentence-BERT and FENSE",
        "pip install '.[sbert]'",
    ),
)


def pytest_sessionstart(session):
    """Say first what will be skipped, and why."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(session.config, "workerinput"):
        return
    for name, is_here, tests, remedy in NEEDS:
        if not is_here():
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
    return TransformerDecoder(
        embed_dim=16,
        vocab_size=tokenizer.vocab_size,
        width=16,
        layers=2,
        heads=2,
        prefix_length=2,
        max_tokens=12,
    ).eval()


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
        sizes = {
            "layers": 1,
            "heads": 2,
            "width": 16,
            "prefix_length": 2,
            "vocab_size": 400,
            "max_tokens": 24,
        }
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
