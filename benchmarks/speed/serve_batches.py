"""Processor time of a captioned upload, in batches and alone, by the server in this process.

OMP_NUM_THREADS=1 python benchmarks/speed/serve_batches.py shared/audio/esc50
"""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path

import httpx2

from wsac.inference.captioner import Captioner
from wsac.serve.app import create_app
from wsac.serve.serve_options import ServeOptions

CLIENTS = 32
WARM_UP = 16  # uploads that are not counted


async def seconds_each(captioner: Captioner, sounds: list[bytes], batch: int) -> tuple[float, list]:
    """(seconds of processor time for an upload, captions)."""
    options = ServeOptions(batch=batch, queue=CLIENTS, timeout=3600)
    app = create_app(captioner, options, quiet=True)
    places = asyncio.Semaphore(CLIENTS)
    transport = httpx2.ASGITransport(app=app)
    client = httpx2.AsyncClient(transport=transport, base_url="http://local", timeout=None)
    async with app.router.lifespan_context(app), client:

        async def caption(sound: bytes) -> str:
            async with places:
                form = {"file": ("sound", sound)}
                return (await client.post("/v1/audio/captions", files=form)).json()["caption"]

        await asyncio.gather(*map(caption, sounds[:WARM_UP]))
        begin = time.process_time()
        captions = await asyncio.gather(*map(caption, sounds))
        return (time.process_time() - begin) / len(sounds), captions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sounds", type=int, default=96)
    arguments = parser.parse_args()
    files = sorted(arguments.folder.glob("5-*.ogg"))[: arguments.sounds]
    sounds = [path.read_bytes() for path in files]
    captioner, reference = Captioner.load(), None
    for batch in (1, 16):
        seconds, captions = asyncio.run(seconds_each(captioner, sounds, batch))
        reference = reference or captions
        equal = sum(a == b for a, b in zip(captions, reference, strict=True))
        print(f"batch {batch}: {1000 * seconds:.0f} ms an upload, {equal} captions as alone")


if __name__ == "__main__":
    main()
