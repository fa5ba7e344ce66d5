"""A benchmark on disk: scenes as 16-bit WAV, captions with a false one each, and an exact record of each scene."""

from __future__ import annotations

import csv
import io
import json
import multiprocessing
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from wsac.io.console import progress
from wsac.io.files import write_text, write_wav
from wsac.types import WsacError

from .falsehoods import write_false
from .rendering import render_scene
from .sampler import sample_scene, write_captions
from .scene import Scene

RATES = (8_000, 96_000)  # Hz, least and most


def write_scenes(
    folder: str | Path,
    scenes: int,
    seed: int,
    *,
    sample_rate: int = 16_000,
    events: tuple[int, int] = (1, 4),
    seconds: float = 10.0,
    jobs: int = 1,
) -> dict[str, Any]:
    """Write NNNNN.wav, captions.csv (audio, caption, negative: five rows a scene) and scenes.jsonl into a folder.

    Scene i depends on the seed and on i only; the same arguments write the same bytes. Returns what was written.
    Raises WsacError for arguments that cannot be.
    """
    folder = Path(folder)
    _check(scenes, "--scenes", seed, events)
    if not RATES[0] <= sample_rate <= RATES[1]:
        raise WsacError(f"--rate {sample_rate}: use {RATES[0]} to {RATES[1]} Hz")
    if not 1.5 * events[1] <= seconds <= 60:
        raise WsacError(
            f"--seconds {seconds:g}: use {1.5 * events[1]:g} (1.5 for each of the events) to 60"
        )
    if jobs < 1:
        raise WsacError(f"--jobs {jobs}: use 1 or more processes")
    rows: list[tuple[str, ...]] = []
    records, total = [], 0.0
    work = partial(
        _scene, folder=folder, seed=seed, sample_rate=sample_rate, events=events, seconds=seconds
    )
    with progress("scenes", scenes, unit="scenes") as tick:
        for i, (record, false) in enumerate(_each(work, scenes, jobs)):
            name = _name(i)
            rows += [
                (name, caption, wrong)
                for caption, wrong in zip(record["captions"], false, strict=True)
            ]
            records.append(json.dumps({"file": name} | record, ensure_ascii=False))
            total += record["seconds"]
            tick(1)
    _write_csv(folder / "captions.csv", ("audio", "caption", "negative"), rows)
    write_text(folder / "scenes.jsonl", "".join(f"{line}\n" for line in records))
    return {
        "folder": str(folder),
        "scenes": scenes,
        "captions": len(rows),
        "hours": round(total / 3600, 4),
        "seed": seed,
    }


def write_corpus(
    folder: str | Path, captions: int, seed: int, *, events: tuple[int, int] = (1, 4)
) -> dict[str, Any]:
    """Write captions.csv with so many distinct captions and no sound. Returns what was written.

    Raises WsacError for arguments that cannot be.
    """
    _check(captions, "--scenes", seed, events)
    try:
        found = write_captions(np.random.default_rng(seed), captions, events)
    except ValueError as error:
        raise WsacError(f"--scenes {captions}: {error}") from error
    _write_csv(Path(folder) / "captions.csv", ("caption",), [(caption,) for caption in found])
    return {"folder": str(folder), "scenes": 0, "captions": captions, "hours": 0.0, "seed": seed}


def parse_events(text: str) -> tuple[int, int]:
    """ "1-4" or "2" as the least and the most. Raises WsacError for anything else."""
    least, dash, most = text.partition("-")
    numbers = (least, most if dash else least)
    if not all(number.strip() in ("1", "2", "3", "4") for number in numbers) or int(
        numbers[0]
    ) > int(numbers[1]):
        raise WsacError(f"--events {text}: use a number or a range within 1-4, such as 1-2")
    return int(numbers[0]), int(numbers[1])


def draw_scene(
    seed: int, i: int, events: tuple[int, int] = (1, 4), seconds: float = 10.0
) -> tuple[Scene, np.random.Generator]:
    """Scene i of a seed, and the generator that goes on from it: to render it, after its false captions are drawn."""
    rng = np.random.default_rng([seed, i])
    return sample_scene(rng, events, seconds), rng


def _scene(
    i: int, folder: Path, seed: int, sample_rate: int, events: tuple[int, int], seconds: float
) -> tuple[dict[str, Any], list[str]]:
    """Draw, render and write scene i; returns its record and a false caption for each true one."""
    scene, rng = draw_scene(seed, i, events, seconds)
    false = [write_false(scene, rng) for _ in scene.captions]
    samples = render_scene(scene, rng, sample_rate=sample_rate)
    write_wav(folder / _name(i), samples, sample_rate)
    return scene.record(), false


def _each(work: partial[tuple[dict[str, Any], list[str]]], scenes: int, jobs: int) -> Iterator[Any]:
    """Results in order, from this process or from several."""
    if jobs == 1:
        yield from map(work, range(scenes))
        return
    with multiprocessing.get_context("spawn").Pool(min(jobs, scenes)) as pool:
        yield from pool.imap(work, range(scenes), chunksize=4)


def _name(i: int) -> str:
    return f"{i:05d}.wav"


def _check(count: int, option: str, seed: int, events: tuple[int, int]) -> None:
    if count < 1:
        raise WsacError(f"{option} {count}: use 1 or more")
    if seed < 0:
        raise WsacError(f"--seed {seed}: use 0 or more")
    if not 1 <= events[0] <= events[1] <= 4:
        raise WsacError(
            f"--events {events[0]}-{events[1]}: use a number or a range within 1-4, such as 1-2"
        )


def _write_csv(path: Path, header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, text.getvalue())
