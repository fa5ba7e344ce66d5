"""The wheel and the source archive: the same bytes twice, small, complete, and fit for an index."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LARGEST = 35_000_000  # bytes of a wheel
pytestmark = pytest.mark.slow


def python(*words: object) -> str:
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    python("-m", "hatchling", "build", "-d", folder)
    return folder


def test_a_build_gives_the_same_bytes_again(built, tmp_path):
    python("-m", "hatchling", "build", "-d", tmp_path)
    files = sorted(path.name for path in built.iterdir())
    assert [Path(name).suffix for name in files] == [".whl", ".gz"]
    for name in files:
        assert (built / name).read_bytes() == (tmp_path / name).read_bytes()


def test_the_wheel_holds_every_file_of_the_package_and_little_else(built):
    (wheel,) = built.glob("*.whl")
    assert wheel.stat().st_size < LARGEST
    files = [path for path in (ROOT / "src").rglob("*") if path.is_file()]
    wanted = {str(path.relative_to(ROOT / "src")) for path in files if path.suffix != ".pyc"}
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert packed == wanted


@pytest.mark.skipif(not find_spec("twine"), reason="needs twine: pip install '.[release]'")
def test_an_index_takes_it(built):
    python("-m", "twine", "check", "--strict", *built.iterdir())


@pytest.mark.skipif(
    not find_spec("check_wheel_contents"),
    reason="needs check-wheel-contents: pip install '.[release]'",
)
def test_the_wheel_installs_nothing_beside_the_package(built):
    python("-m", "check_wheel_contents", *built.glob("*.whl"))
