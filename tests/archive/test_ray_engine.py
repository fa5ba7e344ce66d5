"""The ray engine: the shards of the local engine, whoever dies in between. Ray starts slowly."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from wsac.archive.engines import ray_cluster

TESTS = Path(__file__).parents[1]
PATIENCE = 300  # seconds for what takes twenty


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "shards").glob("part*")}


@pytest.fixture
def command(tmp_path, model, monkeypatch):
    """wsac archive build of tmp_path/sounds, two files a shard, two actors."""
    pytest.importorskip("ray", reason="ray is not installed: pip install 'wsac[ray]'")
    paths = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))

    def make(*options, program="wsac"):
        words = [sys.executable, "-m", program, "archive", "build", tmp_path / "sounds"]
        words += ["--out", tmp_path / "archive", "--model", model, "--shard-files", 2]
        return [str(word) for word in [*words, "--engine", "ray", "--workers", 2, *options]]

    return make


def actors_of(driver: int) -> list[int]:
    """The processes of the actors in the session of a driver."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            words = (folder / "stat").read_text()
            name = (folder / "cmdline").read_bytes()
        except (OSError, ValueError):
            continue
        session = words.rpartition(")")[2].split()[3]
        if folder.name.isdigit() and session == str(driver) and name.startswith(b"ray::Actor"):
            found.append(int(folder.name))
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for actors in /proc")
def test_killed_actors_and_a_killed_driver_change_nothing(tmp_path, build, make_sounds, command):
    """Two actors and the driver, by SIGKILL; then the same command. The shards are those of one
    process."""
    make_sounds(tmp_path / "sounds", 60)
    build(out=tmp_path / "whole", shard_files=2)
    archive, rng, kills = tmp_path / "archive", random.Random(0), 0
    driver = subprocess.Popen(command(), stderr=subprocess.DEVNULL, start_new_session=True)
    until = time.monotonic() + PATIENCE
    while driver.poll() is None and time.monotonic() < until:
        time.sleep(0.1)
        if kills == 2 and len(contents(archive)) > 6:
            driver.kill()
        elif kills < 2 and (actors := actors_of(driver.pid)) and contents(archive):
            os.kill(rng.choice(actors), signal.SIGKILL)
            kills += 1
            time.sleep(1)
    assert kills == 2
    assert driver.wait(PATIENCE) in (0, -signal.SIGKILL)
    before = contents(archive)
    done = subprocess.run(command(), capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert before.items() <= contents(archive).items()
    assert contents(archive) == contents(tmp_path / "whole")


@pytest.mark.slow
def test_what_kills_its_actor_twice_is_set_aside(tmp_path, make_sounds, command):
    sounds = make_sounds(tmp_path / "sounds", 3)
    (sounds / "001.wav").rename(sounds / "poison.wav")
    words = command(program="miniatures.crashing_ray")
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 1, done.stderr
    [error] = [line for line in done.stderr.splitlines() if "poison" in line]
    assert "poison.wav: set aside, since its process ended twice (it crashed, was killed" in error
    assert "1 of 3 files could not be captioned" in done.stderr


def test_without_the_extra(tmp_path, run, make_sounds, monkeypatch):
    make_sounds(tmp_path / "sounds", 1)
    monkeypatch.setattr(ray_cluster, "find_spec", lambda name: None)
    build = ("archive", "build", tmp_path / "sounds", "--out", tmp_path / "a", "--engine", "ray")
    code, _, err = run(*build)
    assert code == 1
    assert "the ray engine needs ray; pip install 'wsac[ray]', or --engine local" in err
    assert not (tmp_path / "a").exists()


def test_addresses_where_nothing_is(tmp_path, run, make_sounds, monkeypatch):
    make_sounds(tmp_path / "sounds", 1)
    monkeypatch.setattr(ray_cluster, "find_spec", lambda name: name)
    build = ("archive", "build", tmp_path / "sounds", "--out", tmp_path / "a", "--engine", "ray")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for address, words in (
        (f"127.0.0.1:{port}", "no Ray cluster answers there (Connection refused)"),
        ("ray://head:10001", "give auto, or HOST:PORT of the head"),
        ("head", "give auto, or HOST:PORT"),
        ("head:99999", "give auto, or HOST:PORT"),
    ):
        code, _, err = run(*build, "--address", address)
        assert code == 1
        assert f"--address {address}: " in err
        assert words in err
    assert not (tmp_path / "a").exists()


@pytest.mark.slow
def test_an_address_where_something_else_is(tmp_path, make_sounds, command):
    """One line, within a minute: it does not speak ray."""
    make_sounds(tmp_path / "sounds", 1)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        words = command("--address", address)
        done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[-1].startswith(f"error: --address {address}: cannot connect (")
    assert len(lines) <= 2


def test_options_that_exclude_each_other(tmp_path, run, make_sounds):
    make_sounds(tmp_path / "sounds", 1)
    build = ("archive", "build", tmp_path / "sounds", "--out", tmp_path / "a")
    for options, words in (
        (("--engine", "spark"), "engine 'spark': give local or ray"),
        (("--address", "auto"), "--address is of a Ray cluster; add --engine ray"),
        (("--engine", "ray", "--workers", 0), "the ray engine needs 1 or more"),
    ):
        code, _, err = run(*build, *options)
        assert code == 1
        assert words in err
