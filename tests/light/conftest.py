"""Commands in processes that cannot import torch, whether it is installed or not.

An environment without torch runs these tests with ``pytest --confcutdir tests/light tests/light``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

ABSENT = ("torch", "transformers")
BLOCK = f"import sys\nfor name in {ABSENT}:\n    sys.modules[name] = None\n"
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> Run:
    """``wsac`` with these words, or Python with ``code``; an error of the command is no failure."""
    pytest.importorskip("onnxruntime", reason="needs onnxruntime, which stands in for torch")
    blocked, cache = tmp_path_factory.mktemp("blocked"), tmp_path_factory.mktemp("cache")
    (blocked / "sitecustomize.py").write_text(BLOCK, encoding="utf-8")
    path = os.pathsep.join(filter(None, (str(blocked), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path, "WSAC_CACHE": str(cache), "COLUMNS": "200"}

    def call(*words: object, code: str = "", cwd: Path | None = None):
        program = ("-c", code) if code else ("-m", "wsac")
        return subprocess.run(
            [sys.executable, *program, *map(str, words)],
            **{"env": environment, "cwd": cwd, "capture_output": True, "text": True},
            stdin=subprocess.DEVNULL,
        )

    return call


@pytest.fixture(scope="session")
def sounds(tmp_path_factory) -> Path:
    """A folder with three sounds of two seconds: a sweep, noise, and beeps."""
    folder, rate = tmp_path_factory.mktemp("sounds"), 16_000
    seconds = np.arange(2 * rate) / rate
    beeps = np.sin(2 * np.pi * 900 * seconds) * (seconds % 0.5 < 0.1)
    waves = {
        "sweep": 0.4 * np.sin(2 * np.pi * (200 + 300 * seconds) * seconds),
        "noise": 0.1 * np.random.default_rng(0).standard_normal(len(seconds)),
        "beeps": 0.5 * beeps,
    }
    for name, wave in waves.items():
        soundfile.write(folder / f"{name}.wav", wave.astype(np.float32), rate)
    return folder
