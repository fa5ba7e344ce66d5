"""Damage to any file that wsac writes is noticed: refused in one line, or made again and equal."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from wsac.io.console import be_quiet

FAULTS = Path(__file__).parents[2] / "benchmarks" / "faults"


@pytest.mark.slow
def test_no_damage_changes_a_result_in_silence(monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(FAULTS))
    import damage
    import kills  # noqa: F401  (all of the scripts can be imported)

    try:
        table = damage.main(["--count", "16", "--seed", "7"])
    finally:
        be_quiet(False)  # the scripts silence their process
    assert {name.partition("/")[0] for name in table} == {
        *("bundle", "clap", "gap", "collection", "store", "run"),
        *("scores", "evaluation", "text cache", "sound cache"),
    }
    bad = {name: row for name, row in table.items() if row["silent"] or row["traceback"]}
    assert bad == {}, capsys.readouterr().out
    healed = (
        "text cache",
        "sound cache",
        "store",
        "scores",
        "run/metrics.jsonl",
        "collection/embeddings",
    )
    for name, row in table.items():
        if name.startswith(healed):
            assert row["refused"] <= 1, name  # the twin of a collection names other recordings
    for module in ("damage", "formats", "kills"):
        sys.modules.pop(module, None)
