"""Get SPICE's jars from where the user has them, check that they are whole, and keep them in the data folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

from wsac.evaluation.metrics.items import MissingError
from wsac.io.console import progress, say
from wsac.io.files import read_json, write_json
from wsac.types import WsacError

JAR = "spice-1.0.jar"
KNOWN = {
    "6c6a73ae6dd108667047c1818707590413934dcb9f1a62cef6469059b41b3d59": "the one of pycocoevalcap 1.2"
}
STANFORD = "https://nlp.stanford.edu/software/stanford-corenlp-full-2015-12-09.zip"
HOW = f"wsac metrics install spice --from {STANFORD}"


def find_spice() -> tuple[Path, str]:
    """The jar, and a name for it that says which one it is. Raises MissingError when it is not installed."""
    folder = data_folder() / "spice"
    jar, facts = folder / JAR, folder / "spice.json"
    if not jar.is_file() or not facts.is_file():
        raise MissingError(f"SPICE is not installed: {HOW} (a large download; docs/metrics.md)")
    sums = read_json(facts).get("sha256", {})
    absent = [name for name in sums if not (folder / name).is_file()]
    if absent or JAR not in sums:
        raise MissingError(
            f"{folder}: {(absent or [JAR])[0]} is gone since the installation; repeat {HOW}"
        )
    return jar, f"SPICE 1.0, jar {sums[JAR][:8]}"


def install_spice(sources: Sequence[str]) -> dict[str, str]:
    """Copy spice-1.0.jar and the jars that its manifest names from folders, zip files or addresses of zip files.

    The first source that has a file wins; what pycocoevalcap brings along, where it is installed, comes last. Returns
    the SHA-256 of each file, which spice.json keeps. Raises WsacError when a source cannot be read, or a jar is missing
    or damaged; then nothing is installed.
    """
    target = data_folder() / "spice"
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".spice-", dir=target.parent) as work:
        staged = Path(work, "spice")
        pool: dict[str, Path] = {}
        for number, source in enumerate([*sources, *_bundled()]):
            for path in _jars(source, Path(work, str(number))):
                pool.setdefault(path.name, path)
        if JAR not in pool:
            raise WsacError(
                f"{', '.join(sources)}: no {JAR} in it; name the folder or zip of SPICE too, or first "
                "pip install 'wsac[meteor]', which brings it along"
            )
        wanted = {JAR: JAR} | {entry: Path(entry).name for entry in _class_path(pool[JAR])}
        missing = [entry for entry, name in wanted.items() if name not in pool]
        if missing:
            raise WsacError(
                f"{', '.join(sources)}: {missing[0]}{f' and {len(missing) - 1} more' * (len(missing) > 1)} "
                f"not found, which {JAR} needs; add --from {STANFORD}"
            )
        for entry, name in wanted.items():
            (staged / entry).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(pool[name], staged / entry)
        sums = {entry: _checked(staged / entry) for entry in wanted}
        write_json(staged / "spice.json", {"sha256": sums, "from": list(sources)})
        shutil.rmtree(target, ignore_errors=True)
        staged.replace(target)
    say(
        f"{target}: {len(sums)} jars; {JAR} is {KNOWN.get(sums[JAR], f'unknown to us (SHA-256 {sums[JAR]})')}"
    )
    return sums


def data_folder() -> Path:
    """``$WSAC_DATA``, else ``wsac`` where the platform keeps what programs need."""
    if folder := os.environ.get("WSAC_DATA"):
        return Path(folder)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "wsac"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "wsac"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "wsac"


def _bundled() -> list[str]:
    found = find_spec("pycocoevalcap")
    return (
        [str(Path(folder, "spice")) for folder in (found.submodule_search_locations or ())]
        if found
        else []
    )


def _jars(source: str, work: Path) -> Iterator[Path]:
    """The jars of one source, unpacked under ``work`` where they were packed."""
    path = Path(source)
    if source.startswith(("http://", "https://")):
        work.mkdir()
        path = work / (Path(unquote(urlsplit(source).path)).name or "download")
        _download(source, path)
    if path.is_dir():
        yield from sorted(path.rglob("*.jar"))
    elif path.suffix == ".jar" and path.is_file():
        yield path
    elif path.is_file() and zipfile.is_zipfile(path):
        work.mkdir(exist_ok=True)
        with zipfile.ZipFile(path) as packed:
            for entry in packed.infolist():
                name = Path(
                    entry.filename.replace("\\", "/")
                ).name  # never a path of the archive's choosing
                if name.endswith(".jar") and not entry.is_dir():
                    with packed.open(entry) as inside, (work / name).open("wb") as out:
                        shutil.copyfileobj(inside, out, 1 << 20)
                    yield work / name
    else:
        what = (
            "not found"
            if not path.exists()
            else "neither a folder, a jar nor a zip file; is the download complete?"
        )
        raise WsacError(f"{source}: {what}")


def _download(url: str, path: Path) -> None:
    from http.client import HTTPException
    from urllib.request import urlopen

    try:
        with urlopen(url, timeout=60) as answer, path.open("wb") as file:
            size, done = int(answer.headers.get("Content-Length") or 0), 0
            with progress("download", size, unit="bytes") as tick:
                while block := answer.read(1 << 20):
                    file.write(block)
                    done += len(block)
                    tick(len(block))
    except (OSError, HTTPException, ValueError) as error:
        raise WsacError(
            f"{url}: cannot be downloaded ({error}); get it by hand and give its path"
        ) from error
    if size and done != size:
        raise WsacError(f"{url}: cut short, {done:,} of {size:,} bytes; give the command again")


def main_class(jar: Path) -> str:
    """The class that a jar starts with."""
    return _manifest(jar, "Main-Class")[0]


def _class_path(jar: Path) -> list[str]:
    """The files that a jar asks for, as its manifest has them: ``lib/guava-19.0.jar``."""
    entries = _manifest(jar, "Class-Path")
    if any(Path(entry).is_absolute() or ".." in Path(entry).parts for entry in entries):
        raise WsacError(f"{jar}: asks for files outside its folder; this is not SPICE as published")
    return entries


def _manifest(jar: Path, name: str) -> list[str]:
    try:
        with zipfile.ZipFile(jar) as packed:
            manifest = packed.read("META-INF/MANIFEST.MF").decode("utf-8", "replace")
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise WsacError(
            f"{jar}: not a whole Java program ({error}); is the download complete?"
        ) from error
    lines = (
        manifest.replace("\r\n", "\n").replace("\n ", "").split("\n")
    )  # long lines go on after a space
    return next(
        (line.partition(":")[2].split() for line in lines if line.startswith(f"{name}:")), []
    )


def _checked(path: Path) -> str:
    if not zipfile.is_zipfile(path):
        raise WsacError(f"{path.name}: damaged, not a jar; get it again")
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 24):
            found.update(block)
    return found.hexdigest()
