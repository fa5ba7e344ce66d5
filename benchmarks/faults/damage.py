"""Damage every file that wsac writes, thousands of times, and see whether it is noticed.

A read of a damaged file must give the same result, or a result that was made again and is the same,
or one WsacError in one line; never another result, never another exception.

    python benchmarks/faults/damage.py --count 2000 --json damage.json
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import Counter
from pathlib import Path

from formats import Format, next_start, two_worlds

from wsac.types import WsacError

OUTCOMES = ("same", "refused", "silent", "traceback")


def flip(data: bytearray, rng: random.Random) -> bytearray:
    """Flip one bit."""
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return data


def overwrite(data: bytearray, rng: random.Random) -> bytearray:
    """Write other bytes in one to eight places."""
    for _ in range(rng.randint(1, 8)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return data


def retype(data: bytearray, rng: random.Random) -> bytearray:
    """Write another digit in the place of one, as a slip of an editor would."""
    places = [i for i, byte in enumerate(data[:20_000]) if 48 <= byte <= 57]
    if places:
        data[rng.choice(places)] = rng.randrange(48, 58)
    return data


def zero(data: bytearray, rng: random.Random) -> bytearray:
    """Zero a block, as after a power cut."""
    start = rng.randrange(len(data))
    end = min(len(data), start + rng.choice((1, 16, 512, 4096)))
    data[start:end] = bytes(end - start)
    return data


def cut(data: bytearray, rng: random.Random) -> bytearray:
    return data[: rng.randrange(len(data))]


def drop(data: bytearray, rng: random.Random) -> bytearray:
    """Leave out some bytes in the middle."""
    start = rng.randrange(len(data))
    del data[start : start + rng.randint(1, 64)]
    return data


def append(data: bytearray, rng: random.Random) -> bytearray:
    return data + rng.randbytes(rng.randint(1, 64))


MUTATIONS = (flip, flip, overwrite, retype, zero, cut, drop, append)


def outcome(fmt: Format, right: str) -> tuple[str, str]:
    next_start()
    try:
        return ("same", "") if fmt.read() == right else ("silent", "another result")
    except WsacError as error:
        text = str(error)
        return ("traceback", f"two lines: {text}") if "\n" in text else ("refused", text)
    except Exception as error:  # what must never be
        return "traceback", f"{type(error).__name__}: {error}"


def damage(fmt: Format, other: Path | None, count: int, seed: int) -> tuple[Counter, list[str]]:
    """Outcomes of ``count`` damages of a file, and a line for each bad one."""
    rng, right = random.Random(f"{seed} {fmt.name}"), fmt.read()
    pristine = {path: path.read_bytes() for path in fmt.folder.rglob("*") if path.is_file()}
    original, swaps = pristine[fmt.file], [] if other is None else [other.read_bytes()]
    swaps += [data for path, data in pristine.items() if path.suffix == fmt.file.suffix]
    outcomes: Counter = Counter(dict.fromkeys(OUTCOMES, 0))
    bad = []
    for number in range(count):
        mutate = MUTATIONS[number % len(MUTATIONS)]
        kind = mutate.__name__
        data = bytes(mutate(bytearray(original), rng)) if original else b"junk"
        if number < len(swaps):
            kind, data = "another file in its place", swaps[number]
        elif number == len(swaps):
            kind, data = "empty", b""
        fmt.file.write_bytes(data)
        result, words = outcome(fmt, right)
        outcomes[result] += 1
        if result in ("silent", "traceback"):
            bad.append(f"{fmt.name}: {kind}: {result}: {words[:300]}")
        for path in fmt.folder.rglob("*"):
            if path.is_file() and path not in pristine:
                path.unlink()
        for path, content in pristine.items():
            if not path.is_file() or path.read_bytes() != content:
                path.write_bytes(content)
    return outcomes, bad


def main(argv: list[str] | None = None) -> dict[str, dict[str, int]]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=2000, help="damages of each file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="how the names of the files begin")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)
    table: dict[str, dict[str, int]] = {}
    with two_worlds(saved=True) as (world, other_world):
        print(f"{'file':44} " + " ".join(f"{name:>9}" for name in OUTCOMES), "   ms")
        for fmt in list(world.formats()):
            if not fmt.name.startswith(options.only):
                continue
            twin = other_world.folder / fmt.file.relative_to(world.folder)
            began = time.perf_counter()
            other = twin if twin.is_file() and not fmt.alone else None
            counts, bad = damage(fmt, other, options.count, options.seed)
            each = 1000 * (time.perf_counter() - began) / options.count
            table[fmt.name] = dict(counts)
            print(f"{fmt.name:44} " + " ".join(f"{counts[o]:9}" for o in OUTCOMES), f"{each:5.1f}")
            print(*bad[:5], sep="\n", end="\n" if bad else "", flush=True)
    if options.json:
        options.json.write_text(json.dumps(table, indent=2) + "\n")
    return table


if __name__ == "__main__":
    main()
