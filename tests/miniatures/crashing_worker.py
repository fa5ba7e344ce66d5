"""A worker whose process dies of some files, by their names, as of a decoder with a fault.

poison*: killed at once. greedy*: takes 1.5 GB. once*: killed the first time.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from wsac.archive import shard_writer
from wsac.archive.engines import worker

content_id = shard_writer.content_id


def crash(path: Path) -> str | None:
    mark = path.with_suffix(".tried")
    if path.name.startswith("greedy"):
        block = bytearray(3 << 29)
        block[:: 1 << 12] = b"x" * len(block[:: 1 << 12])
        worker.time.sleep(5)
    if path.name.startswith("poison") or (path.name.startswith("once") and not mark.exists()):
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return content_id(path)


shard_writer.content_id = crash

if __name__ == "__main__":
    worker.main()
