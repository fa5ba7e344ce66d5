"""Embeddings of a whole collection of recordings on disk: sharded, resumable, readable with NumPy alone.

A folder holds ``embeddings-00000.npy``, … (``[n, D]``, float16 or float32), ``files.csv`` (row, file, seconds; rows are
counted on from shard to shard), ``errors.csv`` (file, error) and ``index.json`` (fingerprint of the CLAP, dtype).
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wsac.data.audio.find import find_audio
from wsac.io.console import progress, say
from wsac.io.files import atomic_path, read_json, write_json, write_text
from wsac.types import AudioError, ModelError, RecipeError

from . import ClapEncoder
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
) -> dict[str, Any]:
    """Embed files, folders and globs into the folder ``out``; complete shards of an earlier run are kept.

    Returns figures: files, embedded, errors, shards, reused. Raises AudioError when there is no sound, ModelError for a
    folder that holds embeddings of another CLAP or precision, and RecipeError for bad options.
    """
    if dtype not in ("float16", "float32"):
        raise RecipeError(f"dtype '{dtype}': choose float16 or float32")
    if shard < 1:
        raise RecipeError(f"shard {shard}: give the number of files of a shard, 1 or more")
    files, out = find_audio(list(patterns)), Path(out)
    if out.exists() and not out.is_dir():
        raise RecipeError(f"{out}: a file; give --out a folder")
    index = {"fingerprint": clap.fingerprint, "dtype": dtype, "dim": clap.embed_dim, "shard": shard}
    if (out / "index.json").is_file():
        before = read_json(out / "index.json")
        changed = [key for key, value in index.items() if before.get(key) != value]
        if changed:
            raise ModelError(
                f"{out}: holds embeddings of another {' and '.join(changed)}; give another --out"
            )
        others = _others(out, files)
        if others:
            raise RecipeError(
                f"{out}: also holds {len(others):,} recordings that are not named, such as {others[0]}; "
                "name them too, or give another --out"
            )
    write_json(out / "index.json", index)
    rows: list[tuple[int, str, float]] = []
    errors: list[tuple[str, str]] = []
    reused = 0
    with progress("embed", len(files), unit="files") as tick:
        for number, first in enumerate(range(0, len(files), shard)):
            part = files[first : first + shard]
            done = _finished(out, number, part)
            if done is None:
                done = _embed_shard(clap, part, out, number, dtype, tick)
            else:
                reused += 1
                tick(len(part))
            rows += [
                (len(rows) + i, file, seconds) for i, (file, seconds) in enumerate(done["files"])
            ]
            errors += [(file, error) for file, error in done["errors"]]
    if not rows:
        for path in (
            *out.glob("embeddings-*"),
            out / "index.json",
            out / "files.csv",
            out / "errors.csv",
        ):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # of others' files it is not ours to remove
            out.rmdir()
        raise AudioError(
            f"{errors[0][1] or errors[0][0]}; none of the {len(files):,} recordings can be embedded"
        )
    _write_csv(out / "files.csv", ("row", "file", "seconds"), rows)
    _write_csv(out / "errors.csv", ("file", "error"), errors)
    for file, error in errors[:5]:
        say(f"error: {error or file}")
    shards = -(-len(files) // shard)
    for stale in sorted(out.glob("embeddings-*.npy"))[shards:]:
        stale.unlink()
        _facts(out, int(stale.stem.rpartition("-")[2])).unlink(missing_ok=True)
    return {
        "files": len(files),
        "embedded": len(rows),
        "errors": len(errors),
        "shards": shards,
        "reused": reused,
    }


def read_embeddings(folder: str | Path) -> tuple[np.ndarray, list[str]]:
    """All embeddings ``[N, D]`` (memory-mapped when there is one shard) and the names of their files."""
    folder = Path(folder)
    shards = [
        np.load(path, mmap_mode="r", allow_pickle=False)
        for path in sorted(folder.glob("embeddings-*.npy"))
    ]
    if not shards:
        raise ModelError(f"{folder}: no embeddings here; wsac embed audio writes them")
    with (folder / "files.csv").open(newline="", encoding="utf-8") as file:
        names = [row["file"] for row in csv.DictReader(file)]
    return shards[0] if len(shards) == 1 else np.concatenate(shards), names


def embed_sounds(paths: Sequence[str | Path], clap: ClapEncoder) -> torch.Tensor:
    """``[N, D]`` unit norm, from the cache where the files have not changed since.

    Raises AudioError when any of them cannot be decoded, as figures without them would be of another set.
    """
    if not paths:
        raise AudioError("no sounds to embed")
    rows, embeddings, figures = _cached(paths, clap)
    known = [row for row in rows if row is not None]
    if len(known) < len(rows):
        what = f"cannot be decoded, one of {figures['errors']} of {figures['files']}"
        raise AudioError(
            f"{paths[rows.index(None)]}: {what}; leave it and its captions out, or get the file again"
        )
    return torch.from_numpy(np.array(embeddings[known]))


def embed_audible(paths: Sequence[str | Path], clap: ClapEncoder) -> tuple[list[str], torch.Tensor]:
    """The same of those files that can be decoded, and their names; the others are said.

    Raises AudioError when none can.
    """
    rows, embeddings, _ = _cached(paths, clap)
    kept = {i: row for i, row in enumerate(rows) if row is not None}
    if not kept:
        raise AudioError(f"none of the {len(paths)} sounds can be decoded; see the lines above")
    return [str(paths[i]) for i in kept], torch.from_numpy(
        np.array(embeddings[list(kept.values())])
    )


def _cached(
    paths: Sequence[str | Path], clap: ClapEncoder
) -> tuple[list[int | None], np.ndarray, dict[str, Any]]:
    """The row of each file, None where it cannot be decoded; the embeddings; and what embed_folder tells."""
    names = [str(Path(path).absolute()) for path in paths]
    key = "\0".join((clap.fingerprint, *names))
    folder = (
        cache_folder()
        / "sounds"
        / hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()[:32]
    )
    figures = embed_folder(clap, names, folder, dtype="float32")
    embeddings, known = read_embeddings(folder)
    places = {name: row for row, name in enumerate(known)}
    return [places.get(name) for name in names], embeddings, figures


def _embed_shard(
    clap: ClapEncoder, part: Sequence[Path], out: Path, number: int, dtype: str, tick
) -> dict[str, Any]:
    rows, files, errors = [torch.empty(0, clap.embed_dim)], [], []
    for file, sound in zip(part, embed_many(clap, part), strict=True):
        if isinstance(sound, AudioError):
            errors.append((str(file), str(sound)))
        else:
            rows.append(sound.embedding[None])
            files.append((str(file), round(sound.end, 3)))
        tick()
    with atomic_path(_shard(out, number)) as path, path.open("wb") as target:
        np.save(target, torch.cat(rows).numpy().astype(dtype), allow_pickle=False)
    done = {"key": _key(part), "files": files, "errors": errors}
    write_json(_facts(out, number), done)
    return done


def _others(out: Path, files: Sequence[Path]) -> list[str]:
    """Recordings that the folder holds, that are still there, and that are not among the files."""
    named = {str(file) for file in files}
    held = [
        name
        for path in sorted(out.glob("embeddings-*.json"))
        for name, _ in read_json(path)["files"]
    ]
    return [name for name in held if name not in named and Path(name).is_file()]


def _finished(out: Path, number: int, part: Sequence[Path]) -> dict[str, Any] | None:
    """What is known of a shard that an earlier run finished on the same files, unchanged since."""
    if not (_facts(out, number).is_file() and _shard(out, number).is_file()):
        return None
    done = read_json(_facts(out, number))
    return done if done["key"] == _key(part) else None


def _key(part: Sequence[Path]) -> str:
    facts = [
        (str(path), path.stat().st_size, path.stat().st_mtime_ns) if path.is_file() else str(path)
        for path in part
    ]
    return json.dumps(facts)


def _shard(out: Path, number: int) -> Path:
    return out / f"embeddings-{number:05d}.npy"


def _facts(out: Path, number: int) -> Path:
    return out / f"embeddings-{number:05d}.json"


def _write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, text.getvalue())
