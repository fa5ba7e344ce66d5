"""What every bridge can be made from: a memory, a gap fitted on pairs, a temperature."""

from __future__ import annotations

import pytest

from miniatures.unit_embeddings import unit
from wsac.bridges import BridgeContext
from wsac.bridges.gap import fit_gap
from wsac.bridges.memory import SupportMemory


@pytest.fixture(scope="session")
def context() -> BridgeContext:
    text, audio = unit(90, 1, offset=0.3), unit(90, 2, offset=-0.4)
    return BridgeContext(SupportMemory(text), fit_gap(text, audio, paired=True), 0.05)
