"""A Hub on this machine, where nobody is signed in."""

from __future__ import annotations

import pytest

from miniatures.hub_server import hub_in_process
from wsac.inference.hub_captioner import fetch_captioner


@pytest.fixture
def hub(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    fetch_captioner.cache_clear()
    with hub_in_process(monkeypatch, tmp_path / "cache-of-the-hub") as made:
        yield made
    fetch_captioner.cache_clear()
