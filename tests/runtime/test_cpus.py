"""The number of processors is that of the affinity and of all quotas above this process."""

from __future__ import annotations

import os

import pytest

from wsac.runtime.cpus import usable_cpus

MANY = 64


@pytest.fixture(autouse=True)
def many_processors(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(MANY)), raising=False)


def machine(root, cgroup, files):
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(cgroup)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


QUOTA, PERIOD = (f"cpu/pod/box/cpu.cfs_{name}_us" for name in ("quota", "period"))
V1 = "7:memory:/x\n4:cpu,cpuacct:/pod/box\n"


@pytest.mark.parametrize(
    ("cgroup", "files", "cpus"),
    [
        ("0::/\n", {}, MANY),
        ("0::/\n", {"cpu.max": "max 100000\n"}, MANY),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 2),
        ("0::/pod/box\n", {"pod/box/cpu.max": "400000 100000\n"}, 4),
        (
            "0::/pod/box\n",
            {"pod/cpu.max": "200000 100000\n", "pod/box/cpu.max": "max 100000\n"},
            2,
        ),
        ("0::/\n", {"cpu.max": "5000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "damaged"}, MANY),
        ("0::/\n", {"cpu.max": "9900000 100000\n"}, MANY),
        (
            V1,
            {QUOTA: "300000", PERIOD: "100000"},
            3,
        ),
        (
            V1,
            {QUOTA: "-1", PERIOD: "100000"},
            MANY,
        ),
    ],
)
def test_quotas(tmp_path, cgroup, files, cpus):
    assert usable_cpus(machine(tmp_path, cgroup, files)) == cpus


def test_without_cgroups(tmp_path):
    assert usable_cpus(tmp_path) == MANY
