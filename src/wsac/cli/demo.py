"""``wsac demo``: the whole job once, on a grammar's captions and synthesised recordings."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

from typer import Option

from wsac.io.console import say, table

from . import common_options as common

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
    out: Annotated[Path, common.Folder] = Path("demo"),
    epochs: Annotated[int, Option(min=1, help="Passes over the captions.")] = 8,
) -> None:
    """Train and caption once, on generated data.

    Writes captions, eight synthesised recordings, the captioner and a report.

    wsac demo --out demo
    """
    import numpy as np

    from wsac.data.audio.stream import load_audio
    from wsac.data.soundworld import DEMO_SEED, demo_scenes, render_scene, write_captions
    from wsac.io.config import load_recipe
    from wsac.io.files import write_text, write_wav
    from wsac.io.html import ClipCard, PagePart, write_page
    from wsac.training.decoder import train
    from wsac.training.recipe import Recipe

    began, captions, page = time.perf_counter(), out / "captions.txt", out / "report.html"
    sentences = write_captions(np.random.default_rng(DEMO_SEED), CAPTIONS, events=(1, 2))
    write_text(captions, "\n".join(sentences) + "\n")
    say(f"{captions}: {CAPTIONS:,} captions from a small grammar; no sound is used in training")
    options = {"corpus.captions": [str(captions)], "training.epochs": epochs}
    options |= {"decoder.vocab_size": 1024, "training.batch_size": 64}
    captioner = train(load_recipe(Recipe, overrides=options), out / "run")
    say(f"trained in {time.perf_counter() - began:.0f} s")
    cards, rows = [], []
    for i, (name, scene) in enumerate(demo_scenes()):
        path = out / "recordings" / name
        samples = render_scene(scene, np.random.default_rng(DEMO_SEED + i), SECONDS, SAMPLE_RATE)
        write_wav(path, samples, SAMPLE_RATE)
        began = time.perf_counter()
        caption = captioner.caption(path)
        logprob, spent = f"{caption.logprob:.2f}", f"{time.perf_counter() - began:.2f}"
        facts = ("log-probability", logprob), ("captioned in", f"{spent} s")
        samples, truth = load_audio(path, SAMPLE_RATE).samples, (("Truth", scene.captions[0]),)
        cards.append(ClipCard(name, caption.text, samples, SAMPLE_RATE, facts, truth))
        rows.append((name, caption.text, logprob, spent))
    table("Eight recordings that the captioner does not know", COLUMNS, rows)
    parts = [PagePart(cards=cards)]
    write_page(page, parts, title="wsac: captions from text alone", summary=SUMMARY)
    say(f"{page}: players, pictures and captions; open it in a browser")
