"""Many clients at once ask ``wsac serve``; each answer is compared with what its input must give.

python benchmarks/speed/serve_load.py                      # 64 clients for 60 s; then unbatched
python benchmarks/speed/serve_load.py --requests 20000     # memory over many small requests

Clients send sounds of SoundWorld of 0.3 to 12 s, each of another length. One upload in twelve is
no sound or a broken one, and one in twelve is left by its client before an answer. The first server
gets SIGTERM in the end, while all clients ask. Exit code 1 if an answer is lost, wrong or a 5xx.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from served import Connection, Server, form, json_body, leave

from wsac.data.soundworld import render_scene, sample_scene
from wsac.inference.batch import rounded
from wsac.inference.captioner import Captioner
from wsac.inference.tagger import Tagger

RATE = 16_000  # Hz
SHORT = 0.2  # seconds of the sounds of many requests
LABELS = ("a dog barking", "rain", "a siren")
LEAVERS = 12  # one client in so many leaves
BAD = {b"": 422, b"RIFF\x00\x00\x00\x00WAVEfmt ": 422, b"<html>no sound</html>": 415}
LOST = (OSError, asyncio.IncompleteReadError)


@dataclass(frozen=True)
class Case:
    """A request and what must come: ``right`` is told the status and the body."""

    request: bytes
    right: Callable[[int, bytes], bool]


@dataclass
class Tally:
    """What a phase saw. seconds: of requests. wrong: answers that are not their input's."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    lost: int = 0
    left: int = 0
    late: int = 0  # sent after SIGTERM and refused: never accepted

    @property
    def failures(self) -> int:
        errors = sum(count for status, count in self.statuses.items() if status >= 500)
        return len(self.wrong) + self.lost + errors


def write_sound(folder: Path, seed: int, seconds: float) -> Path:
    rng = np.random.default_rng(seed)
    samples = render_scene(sample_scene(rng, (1, 2), captions=0), rng, 10.0, RATE)
    path = folder / f"{seed}.{('wav', 'flac', 'ogg')[seed % 3]}"
    soundfile.write(path, np.resize(samples, round(seconds * RATE)), RATE)
    return path


def caption_cases(captioner: Captioner, folder: Path, count: int, longest: float) -> list[Case]:
    """Sounds of as many lengths, whose captions the library has written one by one."""
    cases = []
    for i, seconds in enumerate(np.geomspace(longest, 0.3, count) if count > 1 else [longest]):
        path = write_sound(folder, i, seconds)
        caption = rounded(captioner.caption(path))
        expected = {"file": path.name, "end": caption.end}
        cases.append(
            Case(
                form("/v1/audio/captions", path.name, path.read_bytes()),
                lambda status, body, expected=expected, text=caption.text: (
                    status == 200
                    and expected.items() <= (row := json.loads(body)).items()
                    and text == (row["caption"] or row["guess"])  # an unsure one is a guess
                ),
            )
        )
    return cases


def bad_cases() -> list[Case]:
    return [
        Case(
            form("/v1/audio/captions", "bad.wav", content),
            lambda status, body, expected=expected: status == expected,
        )
        for content, expected in BAD.items()
    ]


def small_cases(captioner: Captioner, folder: Path) -> list[Case]:
    """Tags of 0.2 s sounds, embeddings of texts and, one in sixteen, captions of 0.2 s sounds."""
    cases, tagger = caption_cases(captioner, folder, 1, SHORT), Tagger(captioner.clap, LABELS)
    for i in range(15):
        if i % 2:
            text = f"a dog barks {i} times"
            numbers = captioner.clap.embed_text([text])[0].numpy()
            request = json_body("/v1/embeddings", json.dumps({"input": text}).encode())
            cases.append(Case(request, lambda status, body, want=numbers: _close(body, want)))
            continue
        path = write_sound(folder, i, SHORT)
        best = tagger.tag(path)[0].label
        request = form("/v1/audio/tags", path.name, path.read_bytes(), labels=",".join(LABELS))
        cases.append(
            Case(
                request,
                lambda status, body, name=path.name, best=best: (
                    status == 200
                    and (row := json.loads(body))["file"] == name
                    and row["tags"][0]["label"] == best
                ),
            )
        )
    return cases


def _close(body: bytes, expected: np.ndarray) -> bool:
    rows = json.loads(body).get("data", [{"embedding": []}])
    return bool(np.allclose(rows[0]["embedding"], expected, atol=1e-5))


async def load(
    server: Server,
    cases: list[Case],
    clients: int,
    going: Callable[[Tally], bool],
    stop_at: Callable[[Tally], bool] = lambda tally: False,
) -> Tally:
    """Clients that ask while ``going``. After ``stop_at`` the server gets SIGTERM, and each client
    asks until it is refused."""
    tally, numbers, stopped = Tally(), itertools.count(), []
    bad, rng = bad_cases(), random.Random(0)

    async def client() -> None:
        connection = Connection(server.port)
        while going(tally):
            number = next(numbers)
            case = rng.choice(bad) if number % 12 == 7 else cases[number % len(cases)]
            if number % LEAVERS == 3 and not stopped:
                tally.left += 1
                await leave(server.port, case.request, rng.random())
                continue
            begin = time.monotonic()
            try:
                while (answer := await connection.ask(case.request))[0] == 429:
                    tally.statuses[429] += 1
                    await asyncio.sleep(0.2)
            except LOST:
                accepted = connection.sent is not None and (
                    not stopped or connection.sent < stopped[0]
                )
                tally.lost += accepted
                tally.late += not accepted
                if stopped:
                    break
                continue
            tally.seconds.append(time.monotonic() - begin)
            tally.statuses[answer[0]] += 1
            if not case.right(*answer):
                tally.wrong.append(f"{answer[0]} {answer[1][:200]!r}")
        connection.close()

    async def watch() -> None:
        while not stop_at(tally):
            await asyncio.sleep(0.05)
        stopped.append(time.monotonic())
        server.stop()

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(client() for _ in range(clients)))
    watching.cancel()
    return tally


def for_seconds(seconds: float) -> Callable[[Tally], bool]:
    end = time.monotonic() + seconds
    return lambda tally: time.monotonic() < end


def measured(server: Server, *arguments: Any) -> tuple[dict[str, Any], Tally]:
    """The figures of a phase, and its tally."""
    before, begin = server.figures(), time.monotonic()
    tally = asyncio.run(load(server, *arguments))
    seconds, after = time.monotonic() - begin, server.figures()
    cpu = after["process_cpu_seconds_total"] - before["process_cpu_seconds_total"]
    p50, p95 = np.quantile(tally.seconds, (0.5, 0.95))
    count = len(tally.seconds)
    row = {"answers": count, "per_second": count / seconds, "p50": p50, "p95": p95}
    row |= {"cpu_ms": 1000 * cpu / count, "left": tally.left, "lost": tally.lost}
    row |= {"wrong": len(tally.wrong), "statuses": dict(sorted(tally.statuses.items()))}
    row["mb"] = after["process_resident_memory_bytes"] / 1e6
    return row, tally


def show(name: str, row: dict[str, Any], tally: Tally) -> int:
    shown = {k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}
    print(json.dumps({"phase": name} | shown), flush=True)
    for line in tally.wrong[:5]:
        print(f"wrong: {line}", file=sys.stderr)
    return tally.failures


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--sounds", type=int, default=96)
    parser.add_argument("--longest", type=float, default=12.0, help="seconds of a sound")
    parser.add_argument("--requests", type=int, default=0, help="so many small ones instead")
    parser.add_argument("--parts", type=int, default=10, help="readings of the memory")
    args = parser.parse_args(argv)
    captioner, failures = Captioner.load(args.model), 0
    options = "--model", args.model, "--queue", str(2 * args.clients)
    with tempfile.TemporaryDirectory() as folder:
        if args.requests:
            cases = small_cases(captioner, Path(folder))
        else:
            cases = caption_cases(captioner, Path(folder), args.sounds, args.longest)
    if args.requests:
        with Server(*options, "--quiet") as server:
            for part in range(1, args.parts + 1):
                most = args.requests // args.parts
                row, tally = measured(
                    server, cases, args.clients, lambda t, most=most: len(t.seconds) < most
                )
                failures += show(f"{part * most} requests", row, tally)
        return int(failures > 0)
    rates = []
    for name, more in (("batches", ()), ("unbatched", ("--batch", "1"))):
        with Server(*options, *more) as server:
            few = asyncio.run(
                load(server, cases, args.clients, lambda t: len(t.seconds) < args.clients)
            )
            row, tally = measured(server, cases, args.clients, for_seconds(args.seconds))
            failures += show(name, row, tally)
            rates.append(row["per_second"])
            if name == "batches":
                before = few.statuses[200] + tally.statuses[200]
                failures += at_the_end(server, cases, args.clients, before)
    print(json.dumps({"times": round(rates[0] / rates[1], 2)}))
    return int(failures > 0)


def at_the_end(server: Server, cases: list[Case], clients: int, before: int) -> int:
    """SIGTERM while all clients ask, once each has had an answer. Returns the failures.

    before: captions that clients had until now; the log of the server must count as many as came.
    """
    busy = for_seconds(600)
    tally = asyncio.run(load(server, cases, clients, busy, lambda t: len(t.seconds) >= clients))
    code = server.wait()
    rows = [json.loads(line) for line in server.lines if line.startswith("{")]
    unseen = sum(row["status"] == 200 and row["path"].startswith("/v1") for row in rows)
    unseen -= before + tally.statuses[200]
    row = {"answers": len(tally.seconds), "lost": tally.lost, "wrong": len(tally.wrong)}
    row |= {"logged but not received": unseen, "refused": tally.late, "exit": code}
    row["statuses"] = dict(sorted(tally.statuses.items()))
    return show("SIGTERM", row, tally) + (code != 0) + (unseen != 0)


if __name__ == "__main__":
    sys.exit(main())
