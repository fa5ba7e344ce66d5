"""Importing wsac changes nothing; ``configure_process`` does, and leaves what the user has set."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from wsac.runtime.process import CACHE_SIZES, configure_process

IMPORT_ALL = """
import os, sys
umask = os.umask(0o027)
before = dict(os.environ)
import wsac, wsac.cli, wsac.io.files, wsac.training.decoder, wsac.inference.captioner
from wsac import Captioner, train
changed = sorted(set(os.environ.items()) ^ set(before.items()))
assert os.umask(0) == 0o027
print(changed, "torch" in sys.modules)
"""


def test_importing_changes_neither_the_environment_nor_the_umask():
    plain = {name: value for name, value in os.environ.items() if name not in CACHE_SIZES}
    run = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL], env=plain, capture_output=True, text=True, check=False
    )
    assert run.stdout == "[] True\n", run.stderr


def test_the_command_line_configures_the_process_before_it_imports_torch():
    code = (
        "import os, sys; from wsac.cli import main; main(['--version']); "
        "print('torch' in sys.modules, os.environ['LRU_CACHE_CAPACITY'])"
    )
    plain = {name: value for name, value in os.environ.items() if name not in CACHE_SIZES}
    run = subprocess.run(
        [sys.executable, "-c", code], env=plain, capture_output=True, text=True, check=False
    )
    assert run.stdout.endswith("False 64\n"), run.stderr


@pytest.mark.parametrize("name", CACHE_SIZES)
def test_what_the_user_has_set_stays(monkeypatch, name):
    for other in CACHE_SIZES:
        monkeypatch.setenv(other, "512")
    monkeypatch.delenv(name)
    configure_process()
    assert {os.environ[other] for other in CACHE_SIZES if other != name} == {"512"}
    assert os.environ[name] == CACHE_SIZES[name]
