"""What an installation holds: one version of everything, its hashes, and its licences."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT, BUILD = CONFIG["project"], CONFIG["dependency-groups"]["build"]
HASH = re.compile(r"\s+--hash=sha256:[0-9a-f]{64}")
LOCKS = ("requirements.lock", "requirements-all.lock")


def pins(name: str) -> dict[str, set[str]]:
    """Library to versions; a library may have one for each of several Pythons."""
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    versions: dict[str, set[str]] = {}
    for line in lines:
        if name in LOCKS:
            assert HASH.search(line), f"{line[:60]}: no hash"
        requirement = Requirement(HASH.sub("", line).strip())
        specifiers = list(requirement.specifier)
        assert [s.operator for s in specifiers] == ["=="], line
        versions.setdefault(canonicalize_name(requirement.name), set()).add(specifiers[0].version)
    return versions


def wanted(extras: bool) -> list[Requirement]:
    optional = PROJECT["optional-dependencies"].values() if extras else []
    lists = [PROJECT["dependencies"], BUILD, CONFIG["build-system"]["requires"], *optional]
    requirements = [Requirement(text) for group in lists for text in group]
    return [requirement for requirement in requirements if requirement.name != "wsac"]


@pytest.mark.parametrize(
    ("name", "extras"),
    [("constraints.txt", True), ("requirements.lock", False), ("requirements-all.lock", True)],
)
def test_every_dependency_is_pinned_within_its_bounds(name, extras):
    versions = pins(name)
    for requirement in wanted(extras):
        pinned = versions.get(canonicalize_name(requirement.name))
        assert pinned, f"{requirement.name}: run make lock"
        assert all(map(requirement.specifier.contains, pinned)), f"{requirement}: run make lock"


@pytest.mark.parametrize("name", LOCKS)
def test_the_locks_hold_the_versions_of_the_constraints(name):
    constraints = pins("constraints.txt")
    assert all(constraints[library] == versions for library, versions in pins(name).items())


def test_the_lock_with_all_extras_holds_every_constraint():
    assert pins("requirements-all.lock") == pins("constraints.txt")


def test_the_measured_torch_is_the_pinned_one():
    assert pins("requirements-all.lock")["torch"] == {"2.13.0"}


def test_the_licence_of_ffmpeg_is_the_documented_one():
    import av._core

    if av._core.library_meta["libavcodec"]["license"] == "LGPL version 3 or later":
        text = (ROOT / "LICENSES.md").read_text(encoding="utf-8")
        assert "LGPL version 3 or later" in text
        for encoder in ("libx264", "libx265"):
            if encoder in av.codecs_available:
                assert encoder in text


def test_the_security_page_names_files_that_exist():
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    for place in re.findall(r"`((?:tests|benchmarks)/\S+?\.py)`", text):
        assert (ROOT / place).is_file(), place
