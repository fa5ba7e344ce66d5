"""How near the events of ``wsac listen`` begin to the truth, and what listening costs.

    python benchmarks/spans/hours.py soundworld --part test --minutes 60 --seed 7 -o runs/spans/hour
    python benchmarks/spans/listening.py runs/spans/hour.flac --speed 20

Plays the recording through ``wsac listen`` in a process of its own, at ``--speed`` times its own
speed, with the labels of its true events (or the built-in list) and compares events with the truth.
An event matches a true one of its label when they overlap; of several, the one that begins nearest
counts. With the built-in list, whose words are others, any label matches. Processor seconds are
those of the whole process, loading included; the memory is its peak.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
from truths import read_truths

OVERLAP = 0.2  # seconds of a true event and its match, at least


def listen(recording: Path, speed: float, options: list[str]) -> tuple[list[dict], dict]:
    """The events, and what they cost."""
    command = [sys.executable, "-m", "wsac", "listen", "--input", str(recording), "--jsonl"]
    begin = time.monotonic()
    with tempfile.TemporaryFile() as out:
        subprocess.run([*command, "--speed", str(speed), *options], stdout=out, check=True)
        out.seek(0)
        events = [json.loads(line) for line in out.read().decode().splitlines()]
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cost = {"processor": used.ru_utime + used.ru_stime, "memory": used.ru_maxrss / 1024}
    return events, cost | {"wall": time.monotonic() - begin}


def matches(events: list[dict], truths: list, own_words: bool) -> list[tuple]:
    """(true event, its event) of those that were noticed."""
    pairs = []
    for truth in truths:
        near = [
            event
            for event in events
            if min(event["end"], truth.end) - max(event["start"], truth.start) >= OVERLAP
            and (not own_words or event["label"] == truth.text)
        ]
        if near:
            pairs.append((truth, min(near, key=lambda e: abs(e["start"] - truth.start))))
    return pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("recording", type=Path)
    parser.add_argument("--speed", type=float, default=20, help="0: as fast as it can")
    parser.add_argument("--seconds", type=float, help="only the first part")
    parser.add_argument("--built-in", action="store_true", help="the built-in list of labels")
    parser.add_argument("--threshold", help="default: that of wsac listen")
    options = parser.parse_args()
    length = soundfile.info(options.recording).duration
    length = min(length, options.seconds or length)
    truths = [truth for truth in read_truths(options.recording) if truth.end <= length]
    sounds = [truth for truth in truths if truth.kind != "background"]
    words = ["--threshold", options.threshold] if options.threshold else []
    words += ["--seconds", str(options.seconds)] if options.seconds else []
    if not options.built_in:
        words += ["--labels", ", ".join(sorted({truth.text for truth in sounds}))]
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    events, cost = listen(options.recording, options.speed, words)
    pairs = matches(events, sounds, not options.built_in)
    starts = np.array([event["start"] - truth.start for truth, event in pairs])
    ends = np.array([event["end"] - truth.end for truth, event in pairs])
    near = [
        any(
            min(e["end"], t.end) - max(e["start"], t.start) >= OVERLAP
            and (options.built_in or e["label"] == t.text)
            for t in truths
        )
        for e in events
    ]
    print(f"audio           {length:,.0f} s, played in {cost['wall']:,.0f} s")
    print(f"true events     {len(sounds)}, noticed {len(pairs)} ({len(pairs) / len(sounds):.0%})")
    print(f"events          {len(events)}, of something that is there {np.mean(near):.0%}")
    print(
        f"start error     median {np.median(np.abs(starts)):.2f} s, within 1 s "
        f"{np.mean(np.abs(starts) <= 1):.0%}"
    )
    print(
        f"end error       median {np.median(np.abs(ends)):.2f} s, within 1 s "
        f"{np.mean(np.abs(ends) <= 1):.0%}"
    )
    print(f"processor       {cost['processor']:.0f} s, {cost['processor'] / length:.1%} of a core")
    print(f"memory          {cost['memory']:,.0f} MiB at its peak")


if __name__ == "__main__":
    main()
