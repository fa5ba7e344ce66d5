"""Embeddings of a collection of recordings on disk: sharded, resumable, readable with NumPy alone.

A folder holds ``embeddings-00000.npy``, … (``[n, D]``, float16 or float32), ``files.csv`` (row,
file, seconds; row counts through all shards), ``errors.csv`` (file, error) and ``index.json``
(fingerprint of the CLAP, dtype).
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wsac.data.audio.audio_options import AS_IS, AudioOptions
from wsac.data.audio.find import find_audio
from wsac.io.console import progress, say
from wsac.io.files import atomic_path, read_json, write_csv, write_json
from wsac.types import AudioError, ModelError, RecipeError

from .encoder import ClapEncoder
from .sounds import embed_many
from .texts import cache_folder

SHARD = 1024  # files


def embed_folder(
    clap: ClapEncoder,
    patterns: Sequence[str],
    out: str | Path,
    *,
    dtype: str = "float16",
    shard: int = SHARD,
    audio_options: AudioOptions = AS_IS,
) -> dict[str, int]:
    """Embed files, folders and globs into the folder ``out``; complete shards of an earlier run
    stay.

    Returns counts: files, embedded, errors, shards, reused. Raises AudioError when there is no
    sound, ModelError for a folder with embeddings of another CLAP or precision, RecipeError for bad
    options.
    """
    if dtype not in ("float16", "float32"):
        raise RecipeError(f"dtype '{dtype}': choose float16 or float32")
    if shard < 1:
        raise RecipeError(f"shard {shard}: give the number of files of a shard, 1 or more")
    files, out = find_audio(list(patterns)), Path(out)
    if out.exists() and not out.is_dir():
        raise RecipeError(f"{out}: a file; give --out a folder")
    index: dict[str, Any] = {
        "fingerprint": clap.fingerprint,
        "dtype": dtype,
        "dim": clap.embed_dim,
        "shard": shard,
    }
    index |= {"track": audio_options.track, "channel": audio_options.channel}
    _check_folder(out, index, files)
    write_json(out / "index.json", index)
    rows: list[tuple[int, str, float]] = []
    errors: list[tuple[str, str]] = []
    reused = 0
    shards = range(0, len(files), shard)
    with progress("embed", len(files), unit="files") as tick:
        for number, start in enumerate(shards):
            part = files[start : start + shard]
            done = _finished(out, number, part)
            if done is None:
                done = _embed_shard(clap, part, out, number, dtype, tick, audio_options)
            else:
                reused += 1
                tick(len(part))
            for file, seconds in done["files"]:
                rows.append((len(rows), file, seconds))
            errors += [(file, error) for file, error in done["errors"]]
    if not rows:
        own = (out / name for name in ("index.json", "files.csv", "errors.csv"))
        for path in (*out.glob("embeddings-*"), *own):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # files of others stay
            out.rmdir()
        reason = errors[0][1] or errors[0][0]
        raise AudioError(f"{reason}; none of the {len(files):,} recordings can be embedded")
    write_csv(out / "files.csv", ("row", "file", "seconds"), rows)
    write_csv(out / "errors.csv", ("file", "error"), errors)
    for file, error in errors[:5]:
        say(f"error: {error or file}")
    for stale in sorted(out.glob("embeddings-*.npy"))[len(shards) :]:
        stale.unlink()
        stale.with_suffix(".json").unlink(missing_ok=True)
    counts = {"files": len(files), "embedded": len(rows), "errors": len(errors)}
    return counts | {"shards": len(shards), "reused": reused}


def read_embeddings(folder: str | Path) -> tuple[np.ndarray, list[str]]:
    """All embeddings ``[N, D]``, memory-mapped when there is one shard, and their files' names."""
    folder = Path(folder)
    paths = sorted(folder.glob("embeddings-*.npy"))
    if not paths:
        raise ModelError(f"{folder}: no embeddings here; wsac embed audio writes them")
    shards = [np.load(path, mmap_mode="r", allow_pickle=False) for path in paths]
    with (folder / "files.csv").open(newline="", encoding="utf-8") as file:
        names = [row["file"] for row in csv.DictReader(file)]
    return shards[0] if len(shards) == 1 else np.concatenate(shards), names


def embed_sounds(paths: Sequence[str | Path], clap: ClapEncoder) -> torch.Tensor:
    """``[N, D]`` unit norm, from the cache where the files have not changed since.

    Raises AudioError when a file cannot be decoded, as results without it would be of another set.
    """
    if not paths:
        raise AudioError("no sounds to embed")
    names, embeddings = embed_audible(paths, clap)
    files, decodable = dict.fromkeys(map(str, paths)), set(names)
    if missing := [file for file in files if file not in decodable]:
        what = f"cannot be decoded, one of {len(missing)} of {len(files)}"
        remedy = "leave it and its captions out, or get the file again"
        raise AudioError(f"{missing[0]}: {what}; {remedy}")
    return embeddings


def embed_audible(paths: Sequence[str | Path], clap: ClapEncoder) -> tuple[list[str], torch.Tensor]:
    """The names and embeddings ``[N, D]`` of files that can be decoded; the others are reported.

    Raises AudioError when none can.
    """
    files = {str(path): str(Path(path).absolute()) for path in paths}
    key = "\0".join((clap.fingerprint, *(files[str(path)] for path in paths)))
    digest = hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()
    folder = cache_folder() / "sounds" / digest[:32]
    embed_folder(clap, list(files.values()), folder, dtype="float32")
    embeddings, embedded = read_embeddings(folder)
    rows = {file: row for row, file in enumerate(embedded)}
    names = [str(path) for path in paths if files[str(path)] in rows]
    order = [rows[files[name]] for name in names]
    return names, torch.from_numpy(np.array(embeddings[order]))


def _embed_shard(
    clap: ClapEncoder,
    part: Sequence[Path],
    out: Path,
    number: int,
    dtype: str,
    tick: Any,
    audio_options: AudioOptions,
) -> dict[str, Any]:
    rows, files, errors = [torch.empty(0, clap.embed_dim)], [], []
    for file, sound in zip(part, embed_many(clap, part, audio_options), strict=True):
        if isinstance(sound, AudioError):
            errors.append((str(file), str(sound)))
        else:
            rows.append(sound.embedding[None])
            files.append((str(file), round(sound.end, 3)))
        tick()
    with atomic_path(_shard(out, number, "npy")) as path, path.open("wb") as target:
        np.save(target, torch.cat(rows).numpy().astype(dtype), allow_pickle=False)
    done = {"key": _key(part), "files": files, "errors": errors}
    write_json(_shard(out, number, "json"), done)
    return done


def _check_folder(out: Path, index: dict[str, Any], files: Sequence[Path]) -> None:
    """Refuse a folder that holds other embeddings, or existing recordings that are not named."""
    if not (out / "index.json").is_file():
        return
    before = read_json(out / "index.json")
    if changed := [key for key, value in index.items() if before.get(key) != value]:
        what = " and ".join(changed)
        raise ModelError(f"{out}: holds embeddings of another {what}; give another --out")
    named = {str(file) for file in files}
    stored = [read_json(path)["files"] for path in sorted(out.glob("embeddings-*.json"))]
    names = [name for shard in stored for name, _ in shard]
    if others := [name for name in names if name not in named and Path(name).is_file()]:
        what = f"{len(others):,} recordings that are not named, such as {others[0]}"
        raise RecipeError(f"{out}: also holds {what}; name them too, or give another --out")


def _finished(out: Path, number: int, part: Sequence[Path]) -> dict[str, Any] | None:
    """What an earlier run wrote about a shard, if it is complete and its files have not changed."""
    card = _shard(out, number, "json")
    if not (card.is_file() and _shard(out, number, "npy").is_file()):
        return None
    done = read_json(card)
    return done if done["key"] == _key(part) else None


def _key(part: Sequence[Path]) -> str:
    facts: list[Any] = []
    for path in part:
        size = (path.stat().st_size, path.stat().st_mtime_ns) if path.is_file() else ()
        facts.append((str(path), *size) if size else str(path))
    return json.dumps(facts)


def _shard(out: Path, number: int, suffix: str) -> Path:
    return out / f"embeddings-{number:05d}.{suffix}"
