"""A benchmark on disk: scenes as 16-bit WAV, true and false captions, a record of each scene."""

from __future__ import annotations

import json
import multiprocessing
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from wsac.io.console import progress, say
from wsac.io.files import write_csv, write_text, write_wav
from wsac.io.locks import alone_in
from wsac.types import WsacError

from .falsehoods import write_false
from .kinds import render_scene
from .sampler import sample_scene, write_captions
from .scene import Scene

SCENE = re.compile(r'^\{"file": "(\d{5,}\.wav)"', re.MULTILINE)  # a line of scenes.jsonl
PLAN = ".scenes.jsonl"  # there while a run writes
RATES = (8_000, 96_000)  # Hz, lowest and highest
EVENTS_REMEDY = "use a number or a range within 1-4, such as 1-2"
SceneDraw = tuple[Scene, np.random.Generator]


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
    """Write NNNNN.wav, captions.csv (audio, caption, negative: five rows a scene) and scenes.jsonl.

    Scene i depends on the seed and on i only. The same arguments write the same bytes.
    Returns what was written. Raises WsacError for invalid arguments.
    """
    _check(scenes, seed, events)
    if not RATES[0] <= sample_rate <= RATES[1]:
        raise WsacError(f"--rate {sample_rate}: use {RATES[0]} to {RATES[1]} Hz")
    shortest = 1.5 * events[1]
    if not shortest <= seconds <= 60:
        remedy = f"use {shortest:g} (1.5 for each of the events) to 60"
        raise WsacError(f"--seconds {seconds:g}: {remedy}")
    if jobs < 1:
        raise WsacError(f"--jobs {jobs}: use 1 or more processes")
    folder = Path(folder)
    with alone_in(folder):
        return _write_all(folder, scenes, seed, sample_rate, events, seconds, jobs)


def _write_all(
    folder: Path,
    scenes: int,
    seed: int,
    sample_rate: int,
    events: tuple[int, int],
    seconds: float,
    jobs: int,
) -> dict[str, Any]:
    rows: list[tuple[str, ...]] = []
    records, total = [], 0.0
    draw = partial(draw_scene, seed, events=events, seconds=seconds)
    work = partial(_write_scene, draw=draw, folder=folder, sample_rate=sample_rate)
    with _planned(folder, scenes), progress("scenes", scenes, unit="scenes") as tick:
        for i, (record, false) in enumerate(_each(work, scenes, jobs)):
            name = _name(i)
            pairs = zip(record["captions"], false, strict=True)
            rows += [(name, caption, negative) for caption, negative in pairs]
            records.append(json.dumps({"file": name} | record, ensure_ascii=False))
            total += record["seconds"]
            tick(1)
        write_csv(folder / "captions.csv", ("audio", "caption", "negative"), rows)
        write_text(folder / "scenes.jsonl", "".join(f"{line}\n" for line in records))
    return _summary(folder, scenes, len(rows), round(total / 3600, 4), seed)


@contextmanager
def _planned(folder: Path, scenes: int) -> Iterator[None]:
    """Remove the tables of an earlier run, and its scenes from this number on.

    A run that fails leaves no scenes; one that is killed leaves the list of them, for the next.
    """
    plan, texts = folder / PLAN, []
    for path in (plan, folder / "scenes.jsonl"):
        if path.is_file():
            texts.append(path.read_text(encoding="utf-8", errors="replace"))
    own = set(SCENE.findall("\n".join(texts)))
    names = sorted(own | {_name(i) for i in range(scenes)})
    write_text(plan, "".join(json.dumps({"file": name}) + "\n" for name in names))
    for table in ("captions.csv", "scenes.jsonl") if own else ():
        (folder / table).unlink(missing_ok=True)
    stale = [name for name in own if int(name[:-4]) >= scenes and (folder / name).is_file()]
    for name in stale:
        (folder / name).unlink()
    if stale:
        say(f"{folder}: deleted {len(stale):,} scenes of an earlier run")
    try:
        yield
    except BaseException:
        for name in (*names, "captions.csv"):
            (folder / name).unlink(missing_ok=True)
        raise
    finally:
        plan.unlink(missing_ok=True)


def write_corpus(
    folder: str | Path, captions: int, seed: int, *, events: tuple[int, int] = (1, 4)
) -> dict[str, Any]:
    """Write captions.csv with this number of distinct captions, and no sound.

    Returns what was written. Raises WsacError for invalid arguments.
    """
    _check(captions, seed, events)
    try:
        sentences = write_captions(np.random.default_rng(seed), captions, events)
    except ValueError as error:
        raise WsacError(f"--scenes {captions}: {error}") from error
    rows = [(sentence,) for sentence in sentences]
    with alone_in(Path(folder)), _planned(Path(folder), 0):
        write_csv(Path(folder) / "captions.csv", ("caption",), rows)
    return _summary(folder, 0, captions, 0.0, seed)


def parse_events(text: str) -> tuple[int, int]:
    """Read "1-4" or "2" as lowest and highest number. Raises WsacError for anything else."""
    low, dash, high = (part.strip() for part in text.partition("-"))
    bounds = (low, high if dash else low)
    if not set(bounds) <= {"1", "2", "3", "4"} or bounds[0] > bounds[1]:
        raise WsacError(f"--events {text}: {EVENTS_REMEDY}")
    return int(bounds[0]), int(bounds[1])


def draw_scene(
    seed: int, i: int, events: tuple[int, int] = (1, 4), seconds: float = 10.0
) -> SceneDraw:
    """Scene i of a seed, and the generator to draw its false captions and then its sound from."""
    rng = np.random.default_rng([seed, i])
    return sample_scene(rng, events, seconds), rng


def _write_scene(
    i: int, draw: Callable[[int], SceneDraw], folder: Path, sample_rate: int
) -> tuple[dict[str, Any], list[str]]:
    """Draw, render and write scene i. Returns its record and a false caption for each true one."""
    scene, rng = draw(i)
    false = [write_false(scene, rng) for _ in scene.captions]
    write_wav(folder / _name(i), render_scene(scene, rng, sample_rate=sample_rate), sample_rate)
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


def _check(count: int, seed: int, events: tuple[int, int]) -> None:
    if count < 1:
        raise WsacError(f"--scenes {count}: use 1 or more")
    if seed < 0:
        raise WsacError(f"--seed {seed}: use 0 or more")
    if not 1 <= events[0] <= events[1] <= 4:
        raise WsacError(f"--events {events[0]}-{events[1]}: {EVENTS_REMEDY}")


def _summary(
    folder: str | Path, scenes: int, captions: int, hours: float, seed: int
) -> dict[str, Any]:
    counts = {"scenes": scenes, "captions": captions, "hours": hours, "seed": seed}
    return {"folder": str(folder)} | counts
