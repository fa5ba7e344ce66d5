"""Caption thousands of files in one run: when rows come out, how memory grows, what Ctrl-C leaves.

A run over the folder and one over a list in stdin are read row by row, and must give the same rows.
Others are interrupted after random numbers of rows; what they have printed must be whole, and equal
to the beginning of the first.

    python benchmarks/faults/rows.py ../shared/audio --interruptions 9 --json rows.json
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from wsac.data.audio.find import find_audio
from wsac.io.console import table

# says on stderr when each batch has been captioned
CHILD = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
from wsac.cli import main
from wsac.inference.captioner import Captioner
describe = Captioner.describe
def timed(self, sounds):
    captions = describe(self, sounds)
    print(f"batch: {time.time()}", file=sys.stderr, flush=True)
    return captions
Captioner.describe = timed
sys.exit(main(sys.argv[1:]))
"""


def start(words: list[str], **pipes: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", CHILD, "caption", *words]
    # without buffers: what one call has read ahead, another would not see
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "bufsize": 0}
    return subprocess.Popen(command, **(output | pipes))


def memory(process: subprocess.Popen[bytes]) -> tuple[float, float]:
    """Resident memory and its peak, in MB."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    facts = dict(line.split(":", 1) for line in status.splitlines())
    return tuple(int(facts[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))  # type: ignore[return-value]


def drain(process: subprocess.Popen[bytes]) -> list[bytes]:
    """The lines of stderr, which a thread reads meanwhile."""
    lines: list[bytes] = []
    thread = threading.Thread(target=lambda: lines.extend(process.stderr or ()))
    thread.start()
    process.messages = thread  # type: ignore[attr-defined]
    return lines


def whole_run(words: list[str], every: int, names: bytes | None = None) -> dict[str, Any]:
    began = time.time()
    process = start([*words, "--jsonl"], stdin=subprocess.PIPE if names else None)
    messages = drain(process)
    if names and process.stdin:
        process.stdin.write(names)
        process.stdin.close()
    rows, first, sizes = [], 0.0, {}
    assert process.stdout is not None
    for line in io.BufferedReader(process.stdout):  # type: ignore[type-var]
        first = first or time.time()
        rows.append(json.loads(line))
        if len(rows) % every == 0:
            sizes[len(rows)] = memory(process)
    code = process.wait()
    process.messages.join()  # type: ignore[attr-defined]
    batch = next(float(line.split()[-1]) for line in messages if line.startswith(b"batch"))
    seconds = {"start to first row": first - began, "first batch to first row": first - batch}
    seconds |= {"all": time.time() - began}
    return {"code": code, "rows": rows, "memory": sizes, "seconds": seconds}


def interrupted_run(words: list[str], style: str, rows: int) -> tuple[int, list[Any], str]:
    """Exit code, rows and last message of a run that gets Ctrl-C after so many rows."""
    process = start([*words, f"--{style}"])
    messages = drain(process)
    assert process.stdout is not None
    stream, text, count = io.BufferedReader(process.stdout), b"", 0  # type: ignore[type-var]
    mark = b'    "file": ' if style == "json" else b""
    while count < rows:
        line = stream.readline()
        if not line:
            break
        text += line
        count += line.startswith(mark)
    process.send_signal(signal.SIGINT)
    text += stream.read()
    code = process.wait()
    process.messages.join()  # type: ignore[attr-defined]
    return code, parse(style, text.decode()), messages[-1].decode().strip()


def parse(style: str, text: str) -> list[Any]:
    if style == "json":
        return [(row["file"], row["caption"], row["guess"]) for row in json.loads(text)]
    if style == "jsonl":
        lines = map(json.loads, text.splitlines())
        return [(row["file"], row["caption"], row["guess"]) for row in lines]
    table_rows = csv.DictReader(io.StringIO(text, newline=""))
    return [(row["file"], row["caption"], row["guess"]) for row in table_rows]


def show(name: str, run: dict[str, Any]) -> None:
    seconds = ", ".join(f"{what} {value:.2f} s" for what, value in run["seconds"].items())
    print(f"{name}: {len(run['rows']):,} rows, code {run['code']}; {seconds}")
    sizes = [(rows, *(f"{size:.0f}" for size in pair)) for rows, pair in run["memory"].items()]
    table("resident memory, MB", ("rows>", "now>", "peak>"), sizes)
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("audio")
    parser.add_argument("--every", type=int, default=500, help="rows between sizes of memory")
    parser.add_argument("--interruptions", type=int, default=9)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    files = [str(path) for path in find_audio([options.audio])]
    names = b"".join(os.fsencode(file) + b"\0" for file in files)
    listed = whole_run(["--files-from", "-", "-0"], options.every, names)
    show("list in stdin", listed)
    expected = [(row["file"], row["caption"], row["guess"]) for row in listed["rows"]]
    rng, faults = random.Random(0), []
    for number in range(options.interruptions):
        style = ("json", "jsonl", "csv")[number % 3]
        code, rows, message = interrupted_run([options.audio], style, rng.randint(1, 200))
        wanted = f"stopped after {len(rows):,} of {len(files):,} files"
        if (code, rows, message) != (130, expected[: len(rows)], wanted):
            faults.append((style, code, len(rows), message))
    print(f"{options.interruptions} interruptions; faults: {faults}", flush=True)
    folder = whole_run([options.audio], options.every)
    show("folder", folder)
    equal = listed["rows"] == folder["rows"]
    print(f"equal rows: {equal}")
    runs = {"list": listed, "folder": folder}
    if options.json:
        facts = {name: {k: v for k, v in run.items() if k != "rows"} for name, run in runs.items()}
        facts |= {"files": len(files), "equal": equal, "faults": faults}
        options.json.write_text(json.dumps(facts, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
