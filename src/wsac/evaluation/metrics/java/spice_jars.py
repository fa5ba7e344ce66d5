"""SPICE's jars: copied once from where the user has them into the data folder, and checked."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from wsac.evaluation.metrics.items import MissingError
from wsac.io.console import say
from wsac.types import WsacError

from .runtime import coco_folders

JAR = "spice-1.0.jar"
STANFORD = "https://nlp.stanford.edu/software/stanford-corenlp-full-2015-12-09.zip"
REMEDY = f"wsac metrics install spice --from {STANFORD}"
LAST_JAVA = 14  # the last version with the JavaScript engine through which SPICE writes its result
_ENGINE = ("nashorn", "asm")  # jars that add such an engine to later versions


def find_spice() -> Path:
    """The installed jar. Raises MissingError when it, or a jar that it needs, is not there."""
    jar = data_folder() / "spice" / JAR
    if not jar.is_file():
        raise MissingError(f"SPICE is not installed: {REMEDY} (a large download; docs/metrics.md)")
    if absent := [name for name in _class_path(jar) if not (jar.parent / name).is_file()]:
        raise MissingError(f"{jar.parent}: {absent[0]} is not there; repeat {REMEDY}")
    return jar


def jar_name(jar: Path) -> str:
    """The version, and eight digits of the SHA-256 that tell which jar it is."""
    return f"SPICE 1.0, jar {hashlib.sha256(jar.read_bytes()).hexdigest()[:8]}"


def install_spice(sources: Sequence[str]) -> None:
    """Copy spice-1.0.jar and the jars that its manifest names into the data folder.

    sources: folders, zip files or addresses of zip files. The first that has a jar wins; those
    of pycocoevalcap, where it is installed, come last. Jars of Nashorn are copied too.
    Raises WsacError when a source cannot be read, or a jar is missing or damaged; then
    nothing is installed.
    """
    target, names = data_folder() / "spice", ", ".join(sources)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".spice-", dir=target.parent) as work:
        jars: dict[str, Path] = {}
        included = [str(folder / "spice") for folder in coco_folders()]
        for number, source in enumerate([*sources, *included]):
            for path in _jars(source, Path(work, str(number))):
                jars.setdefault(path.name, path)
        if JAR not in jars:
            remedy = "name the folder or zip of SPICE too, or first pip install 'wsac[meteor]'"
            raise WsacError(f"{names}: no {JAR} in it; {remedy}")
        engine = [f"lib/{name}" for name in jars if name.startswith(_ENGINE)]
        staged = Path(work, "spice")
        for entry in (JAR, *_class_path(jars[JAR]), *engine):
            jar = jars.get(Path(entry).name)
            if jar is None:
                raise WsacError(f"{names}: no {entry}, which {JAR} needs; add --from {STANFORD}")
            if not zipfile.is_zipfile(jar):
                raise WsacError(f"{jar.name}: damaged, not a jar; get it again")
            (staged / entry).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(jar, staged / entry)
        shutil.rmtree(target, ignore_errors=True)
        staged.replace(target)
    say(f"{target}: {len(list(target.rglob('*.jar')))} jars, {jar_name(target / JAR)}")


def data_folder() -> Path:
    """``$WSAC_DATA``, else ``wsac`` in the platform's folder for the data of programs."""
    if folder := os.environ.get("WSAC_DATA"):
        return Path(folder)
    home, variable = Path.home() / ".local" / "share", "XDG_DATA_HOME"
    if sys.platform == "win32":
        home, variable = Path.home() / "AppData" / "Local", "LOCALAPPDATA"
    if sys.platform == "darwin":
        home, variable = Path.home() / "Library" / "Application Support", ""
    return Path(os.environ.get(variable) or home) / "wsac"


def _jars(source: str, work: Path) -> list[Path]:
    """The jars of a source; an archive is downloaded and unpacked under ``work``."""
    path = Path(source)
    if source.startswith(("http://", "https://")):
        from urllib.request import urlretrieve

        work.mkdir()
        path = work / "download.zip"
        say(f"{source}: downloading")
        try:
            urlretrieve(source, path)
        except (OSError, ValueError) as error:  # also when it is cut short
            remedy = "get it by hand and give its path"
            raise WsacError(f"{source}: cannot be downloaded ({error}); {remedy}") from error
    if path.is_dir():
        return sorted(path.rglob("*.jar"))
    if not path.exists():
        raise WsacError(f"{source}: not found")
    if path.suffix == ".jar":
        return [path]
    try:
        with zipfile.ZipFile(path) as archive:
            jars = [name for name in archive.namelist() if name.endswith(".jar")]
            archive.extractall(work, jars)  # never writes outside of it
    except (zipfile.BadZipFile, OSError) as error:
        raise WsacError(f"{source}: neither a folder nor a zip, is it complete?") from error
    return sorted(work.rglob("*.jar"))


def _class_path(jar: Path) -> list[str]:
    """The files that a jar's manifest asks for, such as ``lib/guava-19.0.jar``."""
    try:
        with zipfile.ZipFile(jar) as archive:
            manifest = archive.read("META-INF/MANIFEST.MF").decode("utf-8", "replace")
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise WsacError(f"{jar}: not a whole Java program ({error}); get it again") from error
    unfolded = manifest.replace("\r\n", "\n").replace("\n ", "")
    entries = " ".join(re.findall("^Class-Path:(.*)", unfolded, re.MULTILINE)).split()
    if any(Path(entry).is_absolute() or ".." in Path(entry).parts for entry in entries):
        raise WsacError(f"{jar}: asks for files outside its folder; this is not SPICE as published")
    return entries
