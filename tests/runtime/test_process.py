"""Importing wsac changes nothing; ``configure_process`` does, and leaves what the user has set."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from wsac.runtime import process
from wsac.runtime.process import CACHE_SIZES, SPIN, configure_process

SETTINGS = {*CACHE_SIZES, *SPIN, "OMP_NUM_THREADS", "OMP_WAIT_POLICY"}

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


@pytest.mark.slow
def test_importing_changes_neither_the_environment_nor_the_umask():
    plain = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    run = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL], env=plain, capture_output=True, text=True, check=False
    )
    assert run.stdout == "[] True\n", run.stderr


def test_the_command_line_configures_the_process_before_it_imports_torch():
    code = (
        "import os, sys; from wsac.cli import main; main(['--version']); "
        "print('torch' in sys.modules, os.environ['LRU_CACHE_CAPACITY'])"
    )
    plain = {name: value for name, value in os.environ.items() if name not in SETTINGS}
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


def test_idle_threads_sleep_soon_unless_the_user_chose_a_policy(monkeypatch):
    monkeypatch.setattr(os, "environ", {})
    configure_process()
    assert os.environ["GOMP_SPINCOUNT"] == SPIN["GOMP_SPINCOUNT"]
    monkeypatch.setattr(os, "environ", {"OMP_WAIT_POLICY": "ACTIVE"})
    configure_process()
    assert "GOMP_SPINCOUNT" not in os.environ


@pytest.mark.parametrize(
    ("cpus", "user", "threads"), [(2, None, "2"), (2, "5", "5"), (8, None, None)]
)
def test_a_quota_limits_the_threads_unless_the_user_did(monkeypatch, cpus, user, threads):
    monkeypatch.setattr(os, "environ", {} if user is None else {"OMP_NUM_THREADS": user})
    monkeypatch.setattr(process, "allowed_cpus", lambda: 8)
    monkeypatch.setattr(process, "usable_cpus", lambda: cpus)
    configure_process()
    assert os.environ.get("OMP_NUM_THREADS") == threads
