"""Embeddings of a collection of recordings on disk: sharded, resumable, readable with NumPy alone.

A folder holds ``embeddings-00000.npy``, … (``[n, D]``, float16 or float32), ``files.csv`` (row,
file, seconds; row counts through all shards), ``errors.csv`` (file, error) and ``index.json``
(fingerprint of the CLAP, dtype).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from wsac.arrays import torch
from wsac.data.audio.audio_options import AS_IS, AudioOptions
from wsac.data.audio.find import find_audio
from wsac.io.arrays import map_array, write_array
from wsac.io.checked_json import read_record, write_record
from wsac.io.console import progress, say
from wsac.io.files import read_json, write_csv, write_json
from wsac.io.locks import LOCK, alone_in, sweep
from wsac.types import AudioError, ModelError, RecipeError, WsacError

from .encoder import ClapEncoder
from .sounds import embed_many
from .texts import cache_folder, or_without_cache

SHARD = 1024  # files


def embed_folder(
    clap: ClapEncoder,
    patterns: Sequence[str],
    out: str | Path,
    *,
    names: Sequence[str] = (),
    dtype: str = "float16",
    shard: int = SHARD,
    audio_options: AudioOptions = AS_IS,
) -> dict[str, int]:
    """Embed files, folders and globs into the folder ``out``; complete shards of an earlier run
    stay.

    names: more files, as they are. Returns counts: files, embedded, errors, shards, reused. Raises
    AudioError when there is no sound, ModelError for a folder with embeddings of another CLAP or
    precision, RecipeError for bad options, WsacError while another process writes to the folder.
    """
    if dtype not in ("float16", "float32"):
        raise RecipeError(f"dtype '{dtype}': choose float16 or float32")
    if shard < 1:
        raise RecipeError(f"shard {shard}: give the number of files of a shard, 1 or more")
    files, out = find_audio(list(patterns), names), Path(out)
    if out.exists() and not out.is_dir():
        raise RecipeError(f"{out}: a file; give --out a folder")
    with alone_in(out):
        return _embed_files(clap, files, out, dtype, shard, audio_options)


def _embed_files(
    clap: ClapEncoder,
    files: Sequence[Path],
    out: Path,
    dtype: str,
    shard: int,
    audio_options: AudioOptions = AS_IS,
) -> dict[str, int]:
    sweep(out)
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
            done = _finished(out, number, index, part)
            if done is None:
                done = _embed_shard(clap, part, out, number, index, tick, audio_options)
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
    """All embeddings ``[N, D]``, memory-mapped when there is one shard, and their files' names.

    Raises ModelError when there are none, or a shard is damaged.
    """
    paths, names, shards = sorted(Path(folder).glob("embeddings-*.npy")), [], []
    if not paths:
        raise ModelError(f"{folder}: no embeddings here; wsac embed audio writes them")
    for path in paths:
        done = _card(path)
        array = map_array(path, done["key"]) if done else None
        if done is None or array is None:
            remedy = "give its wsac embed audio command again, which makes this part again"
            raise ModelError(f"{path}: damaged, of an older wsac, or without its .json; {remedy}")
        shards.append(array)
        names += [file for file, _ in done["files"]]
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
    key = "\0".join(files[str(path)] for path in paths)
    rows, embeddings = _cached(list(files.values()), key, clap)
    names = [str(path) for path in paths if files[str(path)] in rows]
    order = [rows[files[name]] for name in names]
    return names, torch.from_numpy(np.array(embeddings[order]))


def _cached(files: list[str], names: str, clap: ClapEncoder) -> tuple[dict[str, int], np.ndarray]:
    """Rows by file, and embeddings, from the cache; without one where it cannot be written."""
    with or_without_cache():
        key = f"{clap.fingerprint}\0{names}".encode(errors="surrogateescape")
        folder = cache_folder() / "sounds" / hashlib.sha256(key).hexdigest()[:32]
        with alone_in(folder, wait=True):
            try:
                _embed_files(clap, find_audio(files), folder, "float32", SHARD)
            except AudioError:
                raise
            except WsacError:  # damaged: it is made again
                for path in folder.iterdir():
                    if path.name != LOCK:
                        path.unlink()
                _embed_files(clap, find_audio(files), folder, "float32", SHARD)
            embeddings, embedded = read_embeddings(folder)
        return {file: row for row, file in enumerate(embedded)}, embeddings
    paths = [Path(file) for file in files]
    sounds = dict(zip(files, embed_many(clap, paths), strict=True))
    if not (good := {file: s for file, s in sounds.items() if not isinstance(s, AudioError)}):
        raise AudioError(f"{next(iter(sounds.values()))}; none of the recordings can be embedded")
    array = torch.stack([sound.embedding for sound in good.values()]).numpy()
    return {file: row for row, file in enumerate(good)}, array


def _embed_shard(
    clap: ClapEncoder,
    part: Sequence[Path],
    out: Path,
    number: int,
    index: dict[str, Any],
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
    array, key = torch.cat(rows).numpy(), _key(index, part)
    write_array(_shard(out, number, "npy"), [array], array.shape, np.dtype(index["dtype"]), key)
    done = {"key": key, "files": files, "errors": errors}
    write_record(_shard(out, number, "json"), done)
    return done


def _check_folder(out: Path, index: dict[str, Any], files: Sequence[Path]) -> None:
    """Refuse a folder that holds other embeddings, or existing recordings that are not named."""
    if not (out / "index.json").is_file():
        return
    before = read_json(out / "index.json")
    before = before if isinstance(before, dict) else {}
    if changed := [key for key, value in index.items() if before.get(key) != value]:
        what = " and ".join(changed)
        raise ModelError(f"{out}: holds embeddings of another {what}; give another --out")
    named = {str(file) for file in files}
    cards = map(_card, sorted(out.glob("embeddings-*.npy")))
    names = [name for card in cards if card for name, _ in card["files"]]
    if others := [name for name in names if name not in named and Path(name).is_file()]:
        what = f"{len(others):,} recordings that are not named, such as {others[0]}"
        raise RecipeError(f"{out}: also holds {what}; name them too, or give another --out")


def _finished(
    out: Path, number: int, index: dict[str, Any], part: Sequence[Path]
) -> dict[str, Any] | None:
    """What an earlier run wrote about a shard, if it is complete and its files have not changed."""
    path, key = _shard(out, number, "npy"), _key(index, part)
    done = _card(path)
    return done if done and done["key"] == key and map_array(path, key) is not None else None


def _card(path: Path) -> dict[str, Any] | None:
    """What is written beside the .npy of a shard; None if it is missing or damaged."""
    with suppress(WsacError):
        return read_record(path.with_suffix(".json"))
    return None


def _key(index: dict[str, Any], part: Sequence[Path]) -> str:
    facts: list[Any] = [index]
    for path in part:
        size = (path.stat().st_size, path.stat().st_mtime_ns) if path.is_file() else ()
        facts.append((str(path), *size) if size else str(path))
    return json.dumps(facts)


def _shard(out: Path, number: int, suffix: str) -> Path:
    return out / f"embeddings-{number:05d}.{suffix}"
