"""``wsac doctor``: it names what is broken, and everything else is still reported."""

from __future__ import annotations

import json
import os
from importlib import metadata

import pytest

from wsac.cli import doctor
from wsac.inference.captioner import Captioner
from wsac.runtime import machine
from wsac.types import WsacError


@pytest.fixture
def sound_machine(monkeypatch):
    """The self-test is replaced: it takes seconds, and one test runs it."""
    monkeypatch.setattr(doctor, "_self_test", lambda device, notes: {"caption": "A siren"})


@pytest.mark.slow
def test_a_sound_installation_passes(run, tmp_path):
    code, out, err = run("doctor", "--json", "--device", "cpu")
    report = json.loads(out)
    assert (code, report["ok"], report["problems"]) == (0, True, [])
    assert "everything works" in err
    assert report["versions"]["torch"] == metadata.version("torch")
    assert "siren" in report["test"]["caption"].lower()
    assert sum(report["test"]["seconds"].values()) < doctor.SLOW
    assert report["processor"]["threads"] >= 1
    assert report["device"]["device"] == "cpu"
    assert report["caches"]["wsac"]["folder"] == str(tmp_path / "cache")


def test_help_lists_it(run):
    assert "doctor" in run("--help")[1]


@pytest.mark.usefixtures("sound_machine")
def test_as_a_table(run):
    code, out, _ = run("doctor")
    assert code == 0
    for words in ("versions: torch", "processor: usable", "caches: Hub", "java", "disk: "):
        assert words in out
    assert "GOMP_SPINCOUNT" not in out
    assert "bytes" not in out
    assert out.index("test: caption") < out.index("caches: ") < out.index("versions: ")


@pytest.mark.usefixtures("sound_machine")
def test_the_verdict_comes_first_and_leaves_out_what_developers_need(run, monkeypatch):
    absent = "nosuchlibrary>=1; extra == "
    requires(monkeypatch, *(f'{absent}"{name}"' for name in ("meteor", "docs", "release")))
    monkeypatch.setattr(doctor, "_java", lambda: {"java": "no: none", "version": "1"})
    code, out, err = run("doctor")
    assert code == 0
    right = "everything works: a siren was captioned as 'A siren'; "
    assert err.splitlines()[0] == f"{right}only some verbs need what is not installed: meteor"
    assert "extras: meteor" in out
    assert "release" not in out


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "empty"), (20, "0.0 kB"), (9_990, "10.0 kB"), (10**7, "10.0 MB"), (52 * 10**9, "52.0 GB")],
)
def test_sizes_read_well(count, text):
    assert doctor._words({"folder": "f", "bytes": count}) == f"f: {text}"


def requires(monkeypatch, *requirements):
    monkeypatch.setattr(metadata, "requires", lambda name: list(requirements))


@pytest.mark.usefixtures("sound_machine")
def test_a_missing_and_an_old_library_are_named(run, monkeypatch):
    requires(monkeypatch, "torch>=99", "nosuchlibrary>=1", "numpy>=1.26")
    code, out, err = run("doctor", "--json")
    problems = json.loads(out)["problems"]
    assert code == 1
    assert f"torch>=99 (here: {metadata.version('torch')}) is needed" in problems[0]
    assert "nosuchlibrary>=1 is needed" in problems[1]
    assert err.splitlines()[0] == "2 broken; above is what is here"
    assert "Traceback" not in err


@pytest.mark.usefixtures("sound_machine")
def test_each_extra_has_its_command(run, monkeypatch):
    requires(
        monkeypatch,
        'nosuchlibrary>=1; extra == "meteor"',
        'numpy>=1; extra == "sbert"',
        'nosuchlibrary>=1; sys_platform == "nowhere" and extra == "sbert"',
        'wsac[meteor,sbert]; extra == "full-tests"',
    )
    code, out, _ = run("doctor", "--json")
    assert code == 0  # an extra need not be there
    meteor = "no: nosuchlibrary>=1; pip install 'wsac[meteor]'"
    assert json.loads(out)["extras"] == {"meteor": meteor, "sbert": "installed"}


@pytest.mark.usefixtures("sound_machine")
def test_a_microphone_needs_portaudio(run, monkeypatch):
    def absent():
        raise WsacError("PortAudio library not found: apt-get install libportaudio2")

    requires(monkeypatch, 'numpy>=1; extra == "live"')
    monkeypatch.setattr("wsac.listening.live_sources.sound_device", absent)
    code, out, err = run("doctor", "--json")
    assert code == 0
    assert json.loads(out)["extras"]["live"].startswith("no: PortAudio library not found: apt-get")
    assert "only some verbs need what is not installed: live" in err


def test_an_error_is_told_once(run):
    code, _, err = run("doctor", "--device", "foo")
    assert code == 1
    assert len([line for line in err.splitlines() if "foo" in line]) == 1


@pytest.mark.usefixtures("sound_machine")
def test_sources_that_are_not_installed(run, monkeypatch):
    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", absent)
    code, out, _ = run("doctor", "--json")
    assert code == 0
    assert "not installed" in json.loads(out)["versions"]["packages"]


def test_a_captioner_that_does_not_load_is_one_line(run, monkeypatch):
    def damaged(*words, **options):
        raise RuntimeError("weights are damaged\nand more")

    monkeypatch.setattr(Captioner, "load", damaged)
    code, out, err = run("doctor", "--json")
    assert code == 1
    assert json.loads(out)["problems"] == ["test: weights are damaged"]
    assert "error: test: weights are damaged" in err
    assert json.loads(out)["versions"]["torch"]  # the other checks are reported


@pytest.mark.slow
def test_a_wrong_caption_is_a_problem(run, monkeypatch):
    monkeypatch.setattr(doctor, "WORD", "trombone")
    code, _, err = run("doctor")
    assert code == 1
    assert "error: test: the test sound, a siren, was captioned as '" in err


@pytest.mark.usefixtures("sound_machine")
def test_notes_on_caches_disks_and_threads(run, monkeypatch, tmp_path):
    monkeypatch.setattr(os, "access", lambda place, mode: False)
    monkeypatch.setattr(machine, "free_space", lambda folder: 1000)
    monkeypatch.setattr(machine, "usable_cpus", lambda: 0)
    code, out, err = run("doctor", "--json")
    assert code == 0
    notes = "\n".join(json.loads(out)["notes"])
    assert f"{tmp_path / 'cache'}: not writable; set WSAC_CACHE to another folder" in notes
    assert "only 1.0 kB free" in notes
    assert "unset OMP_NUM_THREADS" in notes
    assert "note: " in err


@pytest.mark.usefixtures("sound_machine")
def test_no_home_folder_is_a_note(run, monkeypatch):
    monkeypatch.delenv("WSAC_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("pathlib.Path.home", lambda: (_ for _ in ()).throw(RuntimeError("none")))
    code, out, _ = run("doctor", "--json")
    assert code == 0
    assert "no home folder; set WSAC_CACHE" in json.loads(out)["notes"][0]


@pytest.mark.usefixtures("sound_machine")
def test_a_device_that_is_not_there(run):
    code, _, err = run("doctor", "--device", "nonsense")
    assert code == 1
    assert "error: device: device 'nonsense': unknown; choose cpu, cuda or auto" in err


def test_sizes_count_each_file_once(tmp_path):
    (tmp_path / "blob").write_bytes(b"x" * 1000)
    os.link(tmp_path / "blob", tmp_path / "again")
    assert machine.folder_size(tmp_path) == 1000
    assert machine.folder_size(tmp_path / "absent") == 0
    assert machine.free_space(tmp_path / "absent" / "deeper") > 0
