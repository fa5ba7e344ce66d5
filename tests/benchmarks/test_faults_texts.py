"""Damaged texts are read or refused in one line: a small run of the fuzzer of texts."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from wsac.io.console import be_quiet

FAULTS = Path(__file__).parents[2] / "benchmarks" / "faults"


@pytest.mark.slow
def test_damaged_texts_are_read_or_refused(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(FAULTS))
    import fuzz_texts

    try:
        outcomes = fuzz_texts.fuzz(1200, 0, tmp_path / "keep")
    finally:
        be_quiet(False)  # the script silences its process
    assert {outcome for counts in outcomes.values() for outcome in counts} <= {"read", "refused"}
    assert len(outcomes) == 12
    assert sum(counts["read"] for counts in outcomes.values()) > 100
    for module in ("fuzz_texts", "formats", "fuzzing"):
        sys.modules.pop(module, None)
