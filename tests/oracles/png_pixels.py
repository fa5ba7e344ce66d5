"""A plain reader of the PNG pictures that wsac writes: a palette, no filters."""

from __future__ import annotations

import struct
import zlib

import numpy as np


def png_pixels(png: bytes) -> np.ndarray:
    """Colours [H, W, 3] uint8; checks the signature, the chunks and their checksums."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, {}
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        body = png[at + 4 : at + 8 + length]
        assert zlib.crc32(body) == struct.unpack_from(">I", png, at + 8 + length)[0]
        chunks[body[:4]] = body[4:]
        at += 12 + length
    assert list(chunks) == [b"IHDR", b"PLTE", b"IDAT", b"IEND"]
    width, height, *rest = struct.unpack(">2I5B", chunks[b"IHDR"])
    assert rest == [8, 3, 0, 0, 0]
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert not rows[:, 0].any()
    return np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3)[rows[:, 1:]]
