"""The verbs about CLAP models: ``wsac clap list|info|embed``, ``wsac convert-clap`` and ``wsac embed audio``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from wsac.io.console import print_json, say, table
from wsac.types import WsacError

from .common_options import ClapOption, DeviceOption, JsonOption, OfflineOption, TokenizerOption

PLAIN: dict[str, Any] = {"no_args_is_help": True, "add_completion": False, "rich_markup_mode": None}
clap = typer.Typer(
    name="clap",
    help="The CLAP models that are known, and what one makes of a text or a sound.",
    **PLAIN,
)
embed = typer.Typer(name="embed", help="Embeddings of whole collections, on disk.", **PLAIN)

ClapArgument = Annotated[
    str, typer.Argument(help="A name of wsac clap list, a Hub id, a folder or a checkpoint file.")
]


@clap.command("list")
def show_list(as_json: JsonOption = False) -> None:
    """The public checkpoints that are known by name.

    wsac clap list
    """
    from dataclasses import asdict

    from wsac.clap.public.catalog import CATALOG
    from wsac.clap.public.families import FAMILIES

    pocket: dict[str, Any] = {
        "name": "pocket",
        "dim": 256,
        "licence": "CC BY-NC 4.0",
        "overlap": "their captions; docs/pocket.md",
    }
    rows = [pocket | {"sample_rate": 16_000, "window_seconds": 10.0}]
    for row in CATALOG.values():
        family = FAMILIES[row.family]
        rows.append(
            asdict(row)
            | {"sample_rate": family.sample_rate, "window_seconds": family.window_seconds}
        )
    if as_json:
        return print_json(rows)
    cells = [
        (
            row["name"],
            row["dim"],
            f"{row['sample_rate'] / 1000:g} kHz",
            f"{row['window_seconds']:g} s",
            row["licence"],
            row["overlap"] + (" (by hand)" if row.get("manual") else ""),
        )
        for row in rows
    ]
    table(
        "", ("name", "dim>", "rate>", "window>", "licence", "seen of Clotho and AudioCaps"), cells
    )
    return None


@clap.command()
def info(
    name: ClapArgument,
    tokenizer: TokenizerOption = None,
    offline: OfflineOption = False,
    as_json: JsonOption = False,
) -> None:
    """What a CLAP is: sizes, rate, window, fingerprint.

    wsac clap info pocket
    """
    from wsac.clap import load_clap

    model = load_clap(name, tokenizer=tokenizer, offline=offline)
    parameters = sum(p.numel() for p in model.parameters()) if hasattr(model, "parameters") else 0
    facts = {
        "name": name,
        "fingerprint": model.fingerprint,
        "embed_dim": model.embed_dim,
        "sample_rate": model.sample_rate,
        "window_seconds": model.window_seconds,
        "parameters": parameters,
        "temperature": getattr(model, "temperature", None),
    }
    if as_json:
        print_json(facts)
    else:
        table(
            "",
            ("", ">"),
            [
                (key.replace("_", " "), f"{value:g}" if isinstance(value, float) else str(value))
                for key, value in facts.items()
            ],
        )


@clap.command("embed")
def embed_one(
    name: ClapArgument,
    text: Annotated[list[str] | None, typer.Option(help="A sentence; repeatable.")] = None,
    audio: Annotated[list[Path] | None, typer.Option(help="A sound file; repeatable.")] = None,
    tokenizer: TokenizerOption = None,
    offline: OfflineOption = False,
    as_json: JsonOption = False,
) -> None:
    """Embed texts and sounds, and show how similar each is to each.

    wsac clap embed pocket --text "a dog barks" --audio dog.wav
    """
    import torch

    from wsac.clap import load_clap
    from wsac.clap.sounds import listen

    if not text and not audio:
        raise WsacError('nothing to embed; give --text "a dog barks" or --audio FILE')
    model = load_clap(name, tokenizer=tokenizer, offline=offline)
    names = [*(text or []), *map(str, audio or [])]
    rows = [
        *(model.embed_text(text) if text else ()),
        *(listen(model, file).embedding for file in audio or []),
    ]
    embeddings = torch.stack(rows)
    similarity = embeddings @ embeddings.T
    if as_json:
        print_json(
            {
                "fingerprint": model.fingerprint,
                "names": names,
                "embeddings": embeddings.tolist(),
                "similarity": similarity.tolist(),
            }
        )
        return
    heads = [f"{i}>" for i in range(1, len(names) + 1)]
    cells = [
        (f"{i}  {n}", *(f"{v:.3f}" for v in row))
        for i, (n, row) in enumerate(zip(names, similarity, strict=True), 1)
    ]
    table("cosine similarity", ("", *heads), cells)


@embed.command("audio")
def embed_audio(
    files: Annotated[
        list[str], typer.Argument(help="Sound files, folders or globs.", metavar="FILE...")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The folder; a stopped run in it goes on.")
    ],
    name: ClapOption = "pocket",
    dtype: Annotated[str, typer.Option(help="float16 or float32.")] = "float16",
    shard: Annotated[int, typer.Option(help="Files of a shard.")] = 1024,
    tokenizer: TokenizerOption = None,
    offline: OfflineOption = False,
    as_json: JsonOption = False,
    device: DeviceOption = "auto",
) -> None:
    """Embed a collection of recordings into .npy files.

    wsac embed audio recordings/ -o embeddings
    """
    from wsac.clap import load_clap
    from wsac.clap.collections import embed_folder
    from wsac.runtime.device import pick_device

    model = load_clap(name, device=pick_device(device), tokenizer=tokenizer, offline=offline)
    done = embed_folder(model, files, out, dtype=dtype, shard=shard)
    if as_json:
        print_json(done)
    else:
        kept = f", {done['reused']} of them from before" if done["reused"] else ""
        say(
            f"{out}: {done['embedded']:,} of {done['files']:,} recordings; .npy files: {done['shards']}{kept}"
        )
    if done["errors"]:
        say(
            f"{done['errors']} of {done['files']} files could not be embedded; errors.csv names them"
        )
        raise typer.Exit(1)


def convert(
    source: Annotated[
        str, typer.Argument(help="A checkpoint file, or a name of wsac clap list.", metavar="IN")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")],
    tokenizer: TokenizerOption = None,
    offline: OfflineOption = False,
) -> None:
    """Write a public checkpoint as safetensors and JSON, so that its pickle is read a single time.

    wsac convert-clap HTSAT-BERT-PT.pt --tokenizer bert/ -o wavcaps
    """
    from wsac.clap import load_clap

    model = load_clap(source, tokenizer=tokenizer, offline=offline)
    model.save(out)
    say(f"{out}: {model.fingerprint}; give it as --clap {out}")
