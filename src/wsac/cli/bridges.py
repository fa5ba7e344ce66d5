"""The verbs about the modality gap: ``wsac bridges`` and ``wsac gap``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from wsac.io.console import print_json, say, table
from wsac.types import WsacError

from . import common_options as common


def bridges(as_json: common.Json = False) -> None:
    """List the bridges over the modality gap.

    wsac bridges
    """
    from wsac.bridges import KINDS

    fields = ("stage", "name", "options", "pairs", "about")
    rows = [{field: getattr(kind, field) for field in fields} for kind in KINDS.values()]
    cells = []
    for row in sorted(rows, key=lambda row: row["stage"], reverse=True):
        options = ",".join(f"{key}={value}" for key, value in row["options"].items())
        cells.append((row["stage"], row["name"], options, row["about"]))
    common.show(as_json, rows, "", ("stage", "name", "options", "about"), cells)
    if not as_json:
        say("training, head: wsac train --bridge; inference: wsac caption --bridge; + chains them")


def gap(
    audio: common.Recordings = None,
    captions: common.Captions = None,
    pairs: Annotated[Path | None, Option(help="CSV audio,caption, instead of both.")] = None,
    clap: common.Clap = "pocket",
    save: Annotated[Path | None, Option(help="Save the gap as safetensors, for --gap.")] = None,
    out: Annotated[Path | None, common.NewFile] = None,
    offline: common.Offline = False,
    as_json: common.Json = False,
    device: common.Device = "auto",
) -> None:
    """Measure the gap between sounds and texts.

    Shows how far each bridge closes it, and saves what bridges need.

    wsac gap --audio recordings/ --captions captions.txt -o gap.html
    """
    from wsac.bridges.gap import fit_gap
    from wsac.clap import load_clap
    from wsac.clap.collections import embed_audible
    from wsac.clap.texts import embed_texts
    from wsac.data.audio.find import find_audio
    from wsac.data.captions.corpus import merge
    from wsac.data.datasets.pairs import read_pairs
    from wsac.evaluation import gap_report

    paired = pairs is not None
    if paired and (audio or captions):
        raise WsacError("--pairs has sounds and captions; leave --audio and --captions out")
    if not paired and not (audio and captions):
        raise WsacError("give --audio FOLDER and --captions FILE, or --pairs CSV")
    caption_of = {c.path: c.captions[0] for c in read_pairs([pairs])} if pairs else {}
    paths = list(caption_of) or [str(path) for path in find_audio(audio or ())]
    encoder = load_clap(clap, device=device, offline=offline)
    paths, sounds = embed_audible(paths, encoder)
    texts = [row.caption for row in merge(captions).examples] if captions else []
    texts = texts or [caption_of[path] for path in paths]
    if min(len(paths), len(texts)) < (few := gap_report.FEW):
        say(f"note: {len(paths)} sounds and {len(texts)} texts are few; give {few} or more of each")
    text_embeddings = embed_texts(encoder, texts)
    fit = fit_gap(text_embeddings, sounds, paired=paired, fingerprint=encoder.fingerprint)
    figures = gap_report.measure_gap(text_embeddings, sounds, fit, paired=paired)
    if save is not None:
        fit.save(save)
        say(f"{save}: give it as --gap to wsac train and wsac caption")
    if out is not None:
        gap_report.write_gap_page(out, figures, text_embeddings, sounds, fit, texts, paths)
        say(f"{out}: open it in a browser")
    if as_json:
        return print_json(figures)
    table(f"The modality gap of {clap}", ("", ">"), gap_report.figure_rows(figures))
    table("What bridges do", *gap_report.bridge_rows(figures))
    for line in gap_report.legend(figures):
        say(line)
