"""The main job once, end to end, on things the project makes itself: grammar → captioner → synthesised recordings."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from wsac.data.soundworld import DEMO_SEED, demo_scenes, render_scene, write_captions
from wsac.inference.captioner import Captioner
from wsac.io.config import load_recipe
from wsac.io.console import say, table
from wsac.io.files import write_text, write_wav
from wsac.io.html import ClipCard, write_report
from wsac.training.decoder import train
from wsac.training.recipe import Recipe

SAMPLE_RATE = 16_000  # Hz
SECONDS = 10.0  # of each recording
CAPTIONS = 6_000


def run_demo(out: str | Path, *, epochs: int = 8) -> list[ClipCard]:
    """Write captions, train on them alone, synthesise eight recordings, caption them, print the table and the report.

    ``out`` gets captions.txt, recordings/, run/ (the captioner) and report.html.
    """
    out, began = Path(out), time.perf_counter()
    captions = out / "captions.txt"
    sentences = write_captions(np.random.default_rng(DEMO_SEED), CAPTIONS, events=(1, 2))
    write_text(captions, "\n".join(sentences) + "\n")
    say(f"{captions}: {CAPTIONS:,} captions from a small grammar; no sound is used in training")
    options = {
        "corpus.captions": [str(captions)],
        "training.epochs": epochs,
        "decoder.vocab_size": 1024,
        "training.batch_size": 64,
    }
    captioner = train(load_recipe(Recipe, overrides=options), out / "run")
    say(f"trained in {time.perf_counter() - began:.0f} s")

    cards = [
        _describe(captioner, path, truth) for path, truth in write_recordings(out / "recordings")
    ]
    table(
        "Eight recordings that the captioner never heard",
        ("file", "caption", "log-prob>", "seconds>"),
        [
            (card.name, card.caption, *(value.removesuffix(" s") for _, value in card.facts))
            for card in cards
        ],
    )
    summary = (
        f"A captioner trained on {CAPTIONS:,} sentences and no sound at all describes eight synthesised recordings.\n"
        "Log-probability is the mean per token in nats; seconds is the time to decode, listen and write."
    )
    write_report(
        out / "report.html", cards, title="wsac: captions from text alone", summary=summary
    )
    say(f"{out / 'report.html'}: players, pictures and captions; open it in a browser")
    return cards


def write_recordings(folder: Path) -> list[tuple[Path, str]]:
    """Synthesise the eight demo recordings as 16-bit WAV; returns each path with a caption that is true of it."""
    found = []
    for i, (name, scene) in enumerate(demo_scenes()):
        samples = render_scene(scene, np.random.default_rng(DEMO_SEED + i), SECONDS, SAMPLE_RATE)
        write_wav(folder / name, samples, SAMPLE_RATE)
        found.append((folder / name, scene.captions[0]))
    return found


def _describe(captioner: Captioner, path: Path, truth: str) -> ClipCard:
    from wsac.data.audio.stream import load_audio

    began = time.perf_counter()
    caption = captioner.caption(path)
    spent = time.perf_counter() - began
    samples = load_audio(path, SAMPLE_RATE).samples
    facts = ("log-probability", f"{caption.logprob:.2f}"), ("captioned in", f"{spent:.2f} s")
    return ClipCard(path.name, caption.text, samples, SAMPLE_RATE, facts, (("Truth", truth),))
