"""Damaged sounds are read or refused in one line: a small run of the fuzzer of sounds."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

FAULTS = Path(__file__).parents[2] / "benchmarks" / "faults"


@pytest.fixture
def fuzz_sounds(monkeypatch):
    monkeypatch.syspath_prepend(str(FAULTS))
    import fuzz_sounds

    yield fuzz_sounds
    for module in ("fuzz_sounds", "fuzzing"):
        del sys.modules[module]


@pytest.mark.parametrize("count", [100, pytest.param(3000, marks=pytest.mark.slow)])
def test_damaged_sounds_are_read_or_refused(tmp_path, capfd, fuzz_sounds, count):
    def printed() -> bool:
        return bool(capfd.readouterr().err)

    outcomes = fuzz_sounds.fuzz(count, 0, tmp_path / "keep", printed)
    assert set(outcomes) == {"read", "refused"}
    assert outcomes["read"] > outcomes["refused"] > 0
    assert outcomes.total() == count
