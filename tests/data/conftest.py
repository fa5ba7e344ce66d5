"""Fixtures of the tests of data."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def put(tmp_path):
    """Write str (as UTF-8) or bytes to a file whose name says nothing about its format."""

    def put(content: str | bytes, name: str = "captions.dat") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return put
