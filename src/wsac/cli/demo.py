"""``wsac demo``: the whole job once, on a grammar's captions and synthesised recordings."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from wsac.io.console import say, table

if TYPE_CHECKING:
    from wsac.inference.captioner import Captioner
    from wsac.io.html import ClipCard

SAMPLE_RATE = 16_000  # Hz
SECONDS = 10.0  # of each recording
CAPTIONS = 6_000
COLUMNS = ("file", "caption", "log-prob>", "seconds>")
SUMMARY = (
    f"A captioner trained on {CAPTIONS:,} sentences and no sound describes eight synthesised "
    "recordings.\nLog-probability is the mean per token in nats; seconds is the time to decode, "
    "embed and caption."
)


def demo(
    out: Annotated[
        Path, Option("--out", "-o", help="Folder for recordings, model and report.")
    ] = Path("demo"),
    epochs: Annotated[int, Option(min=1, help="Passes over the captions.")] = 8,
) -> None:
    """Train and caption once, on generated data.

    Writes captions, eight synthesised recordings, the captioner and a report.

    wsac demo --out demo
    """
    import numpy as np

    from wsac.data.soundworld import DEMO_SEED, write_captions
    from wsac.io.config import load_recipe
    from wsac.io.files import write_text
    from wsac.io.html import PagePart, write_page
    from wsac.training.decoder import train
    from wsac.training.recipe import Recipe

    began, captions, page = time.perf_counter(), out / "captions.txt", out / "report.html"
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
    recordings = write_recordings(out / "recordings")
    cards = [_describe(captioner, path, truth) for path, truth in recordings]
    rows = []
    for card in cards:
        rows.append((card.name, card.caption, *(text.removesuffix(" s") for _, text in card.facts)))
    table("Eight recordings that the captioner has never heard", COLUMNS, rows)
    parts = [PagePart(cards=cards)]
    write_page(page, parts, title="wsac: captions from text alone", summary=SUMMARY)
    say(f"{page}: players, pictures and captions; open it in a browser")


def write_recordings(folder: Path) -> list[tuple[Path, str]]:
    """Synthesise the eight demo recordings as 16-bit WAV. Returns (path, true caption) of each."""
    import numpy as np

    from wsac.data.soundworld import DEMO_SEED, demo_scenes, render_scene
    from wsac.io.files import write_wav

    recordings = []
    for i, (name, scene) in enumerate(demo_scenes()):
        samples = render_scene(scene, np.random.default_rng(DEMO_SEED + i), SECONDS, SAMPLE_RATE)
        write_wav(folder / name, samples, SAMPLE_RATE)
        recordings.append((folder / name, scene.captions[0]))
    return recordings


def _describe(captioner: Captioner, path: Path, truth: str) -> ClipCard:
    from wsac.data.audio.stream import load_audio
    from wsac.io.html import ClipCard

    began = time.perf_counter()
    caption = captioner.caption(path)
    spent = time.perf_counter() - began
    samples = load_audio(path, SAMPLE_RATE).samples
    facts = ("log-probability", f"{caption.logprob:.2f}"), ("captioned in", f"{spent:.2f} s")
    return ClipCard(path.name, caption.text, samples, SAMPLE_RATE, facts, (("Truth", truth),))
