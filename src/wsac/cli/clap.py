"""The verbs about CLAP models: ``wsac clap``, ``wsac convert-clap`` and ``wsac embed audio``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

from wsac.io.console import part_of, print_json, say
from wsac.types import WsacError

from . import common_options as common

clap = typer.Typer(name="clap", help="List, describe and try CLAP models.", **common.PLAIN)
embed = typer.Typer(name="embed", help="Embed whole collections of recordings.", **common.PLAIN)

ClapArgument = Annotated[str, Argument(help="A name (wsac clap list), Hub id, folder or file.")]


@clap.command("list")
def show_list(as_json: common.Json = False) -> None:
    """List the public checkpoints that wsac knows by name.

    wsac clap list
    """
    from dataclasses import asdict

    from wsac.clap.public.catalog import CATALOG, FAMILIES

    pocket: dict[str, Any] = {"name": "pocket", "dim": 256, "sample_rate": 16_000}
    pocket |= {"window_seconds": 10.0, "licence": "CC BY-NC 4.0"}
    rows = [pocket | {"overlap": "their captions; docs/pocket.md"}]
    for entry in CATALOG.values():
        family = FAMILIES[entry.family]
        rate, window = family.sample_rate, family.window_seconds
        rows.append(asdict(entry) | {"sample_rate": rate, "window_seconds": window})
    cells = []
    for row in rows:
        overlap = row["overlap"] + (" (by hand)" if row.get("manual") else "")
        sizes = f"{row['sample_rate'] / 1000:g} kHz", f"{row['window_seconds']:g} s"
        cells.append((row["name"], row["dim"], *sizes, row["licence"], overlap))
    columns = ("name", "dim>", "rate>", "window>", "licence", "seen of Clotho and AudioCaps")
    common.show(as_json, rows, "", columns, cells)


@clap.command()
def info(
    name: ClapArgument,
    tokenizer: common.Tokenizer = None,
    offline: common.Offline = False,
    as_json: common.Json = False,
) -> None:
    """Describe a CLAP: sizes, sample rate, window, fingerprint.

    wsac clap info pocket
    """
    from wsac.clap import load_clap

    model = load_clap(name, tokenizer=tokenizer, offline=offline)
    facts: dict[str, Any] = {"name": name}
    for key in ("fingerprint", "embed_dim", "sample_rate", "window_seconds"):
        facts[key] = getattr(model, key)
    if hasattr(model, "parameters"):
        facts["parameters"] = sum(p.numel() for p in model.parameters())
    facts["temperature"] = model.temperature
    rows = []
    for key, value in facts.items():
        rows.append((key.replace("_", " "), f"{value:g}" if isinstance(value, float) else value))
    common.show(as_json, facts, "", ("", ">"), rows)


@clap.command("embed")
def embed_few(
    name: ClapArgument,
    text: Annotated[list[str] | None, Option(help="A sentence. Repeatable.")] = None,
    audio: Annotated[list[Path] | None, Option(help="A sound file. Repeatable.")] = None,
    tokenizer: common.Tokenizer = None,
    offline: common.Offline = False,
    as_json: common.Json = False,
) -> None:
    """Show how similar some texts and sounds are to each other.

    wsac clap embed pocket --text "a dog barks" --audio dog.wav
    """
    from wsac.arrays import torch
    from wsac.clap import load_clap
    from wsac.clap.sounds import embed_sound

    if not text and not audio:
        raise WsacError('nothing to embed; give --text "a dog barks" or --audio FILE')
    model = load_clap(name, tokenizer=tokenizer, offline=offline)
    names = [*(text or []), *map(str, audio or [])]
    texts = model.embed_text(text) if text else ()
    sounds = [embed_sound(model, file).embedding for file in audio or []]
    embeddings = torch.stack([*texts, *sounds])
    similarity = embeddings @ embeddings.T  # cosine
    facts = {"fingerprint": model.fingerprint, "names": names}
    arrays = {"embeddings": embeddings.tolist(), "similarity": similarity.tolist()}
    rows = []
    for number, (label, cosines) in enumerate(zip(names, similarity, strict=True), 1):
        rows.append((f"{number}  {label}", *(f"{cosine:.3f}" for cosine in cosines)))
    columns = ("", *(f"{number}>" for number in range(1, len(names) + 1)))
    common.show(as_json, facts | arrays, "cosine similarity", columns, rows)


@embed.command("audio")
def embed_audio(
    out: common.Out,
    files: common.Files = None,
    files_from: common.FilesFrom = None,
    null: common.Null = False,
    name: common.Clap = "pocket",
    dtype: Annotated[str, Option(help="float16 or float32.")] = "float16",
    shard: Annotated[int, Option(help="Recordings per .npy file.")] = 1024,
    track: common.Track = None,
    channel: common.Channel = None,
    tokenizer: common.Tokenizer = None,
    offline: common.Offline = False,
    as_json: common.Json = False,
    device: common.Device = "auto",
) -> None:
    """Embed a collection of recordings into .npy files.

    wsac embed audio recordings/ -o embeddings
    """
    from wsac.data.audio.audio_options import AudioOptions

    options = AudioOptions.parse(track, channel)
    sounds = common.find_sounds(files or (), common.listed_files(files, files_from, null))
    from wsac.clap import load_clap
    from wsac.clap.collections import embed_folder

    model = load_clap(name, device=device, tokenizer=tokenizer, offline=offline)
    sizes: dict[str, Any] = {"dtype": dtype, "shard": shard}
    done = embed_folder(model, (), out, names=sounds, audio_options=options, **sizes)
    if as_json:
        print_json(done)
    else:
        count = part_of(done["embedded"], done["files"], "recording")
        reused = f", {done['reused']} of them from an earlier run" if done["reused"] else ""
        say(f"{out}: {count}; .npy files: {done['shards']}{reused}")
    if done["errors"]:
        failed = part_of(done["errors"], done["files"], "file")
        say(f"{failed} could not be embedded; see errors.csv")
        raise typer.Exit(1)


def convert_clap(
    source: Annotated[str, Argument(help="A checkpoint: its file or name.", metavar="IN")],
    out: Annotated[Path, common.Folder],
    tokenizer: common.Tokenizer = None,
    offline: common.Offline = False,
) -> None:
    """Convert a public CLAP checkpoint to safetensors.

    Its pickle is then read only once.

    wsac convert-clap HTSAT-BERT-PT.pt --tokenizer bert/ -o wavcaps
    """
    from wsac.clap import load_clap
    from wsac.io.files import atomic_folder

    model = load_clap(source, tokenizer=tokenizer, offline=offline)
    with atomic_folder(out) as part:
        model.save(part)
    converted = load_clap(out, tokenizer=tokenizer)  # its fingerprint is of its own files
    say(f"{out}: {converted.fingerprint}; use it with --clap {out}")
