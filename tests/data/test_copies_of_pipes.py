"""Copies of pipes that a killed process could not remove."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

COPY = """
import io, os, signal, sys
from wsac.data.audio.local_files import local_file
class Pipe(io.BytesIO):
    def seekable(self): return False
    def read(self, size=-1):
        piece = super().read(size)
        if sys.argv[1] == "during" and not piece:
            os.kill(os.getpid(), signal.SIGKILL)
        return piece
path, _ = local_file(Pipe(b"sound" * 1000))
assert path.stat().st_size == 5000
if sys.argv[1] == "behind":
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
@pytest.mark.parametrize("when", ["during", "behind"])
def test_the_next_process_removes_the_copy_of_a_killed_one(tmp_path, when):
    command, settings = [sys.executable, "-c", COPY], os.environ | {"TMPDIR": str(tmp_path)}
    done = subprocess.run([*command, when], env=settings, check=False)
    assert done.returncode == -signal.SIGKILL
    assert [path.suffix for path in tmp_path.iterdir()] == [".sound"]
    subprocess.run([*command, "never"], env=settings, check=True)
    assert list(tmp_path.iterdir()) == []
