"""``python -m miniatures.crashing_ray archive build …``: actors that die of some files."""

from __future__ import annotations

import sys

from miniatures import crashing_worker
from wsac.__main__ import run
from wsac.archive.engines import ray_engine


class CrashingActor(ray_engine.Actor):
    """An actor of a process that imports crashing_worker, which does it."""

    worker = crashing_worker


def main() -> None:
    from miniatures import crashing_ray  # by its name, so that actors find the class

    ray_engine.Actor = crashing_ray.CrashingActor
    sys.exit(run())


if __name__ == "__main__":
    main()
