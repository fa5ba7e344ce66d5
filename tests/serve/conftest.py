"""A server in this process, without a socket, and sounds to send."""

from __future__ import annotations

import asyncio
import io
from contextlib import asynccontextmanager

import numpy as np
import pytest
import soundfile


@pytest.fixture
def wav():
    """Makes the bytes of a WAV of noise: ``wav(seed, seconds)``."""

    def make(seed: int = 0, seconds: float = 1.0, kind: str = "WAV") -> bytes:
        noise = np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * 16_000))
        buffer = io.BytesIO()
        soundfile.write(buffer, noise, 16_000, format=kind)
        return buffer.getvalue()

    return make


@pytest.fixture
def serve(captioner):
    """``with``-block of a client: ``async with serve(max_seconds=3) as client``."""
    for module in ("starlette", "python_multipart", "prometheus_client"):
        pytest.importorskip(module, reason="needs wsac[serve]")
    httpx = pytest.importorskip("httpx2", reason="needs httpx2, a client of HTTP")
    from wsac.serve.app import create_app
    from wsac.serve.serve_options import ServeOptions

    @asynccontextmanager
    async def start(search=None, others=None, teach=(), **options):
        more = {"search": search, "others": others, "teach": teach, "quiet": True}
        app = create_app(captioner, ServeOptions(**options), **more)
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://local") as client:
                yield client

    return start


@pytest.fixture
def asked(serve):
    """Runs ``talk(client)`` against a server with these options, and returns its result."""

    def run(talk, **options):
        async def all_of_it():
            async with serve(**options) as client:
                return await talk(client)

        return asyncio.run(all_of_it())

    return run
