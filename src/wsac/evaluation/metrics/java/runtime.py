"""The Java that METEOR and SPICE run on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from wsac.evaluation.metrics.items import MissingError

OLDEST = 8  # what both jars were compiled for
_REMEDY = f"install Java {OLDEST} or newer, as Debian's default-jre-headless, or set JAVA_HOME"


def find_java(purpose: str) -> tuple[Path, int]:
    """The java of JAVA_HOME, else of the PATH, and its version.

    purpose: the metric, for messages. Raises MissingError when no java is there or it does not run.
    """
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=Path(home, "bin") if home else None)
    if java is None:
        nowhere = "there is none on the PATH"
        where = f"JAVA_HOME is {home}, which has no bin/java" if home else nowhere
        raise MissingError(f"{purpose} needs Java: {where}; {_REMEDY}")
    version, line = _version(java)
    if version is None:
        raise MissingError(f"{purpose} needs Java: {java} does not run ({line}); {_REMEDY}")
    if version < OLDEST:
        raise MissingError(f"{purpose} needs Java {OLDEST} or newer: {java} is {line}; {_REMEDY}")
    return Path(java), version


@cache
def _version(java: str) -> tuple[int | None, str]:
    """(17, 'openjdk version "17.0.15"'), or (None, the reason) for one that does not run."""
    command = [java, "-version"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, str(getattr(error, "strerror", None) or "no answer in a minute")
    output = (done.stderr + done.stdout).strip()
    number = re.search(r'version "(?:1\.)?(\d+)', output)
    line = output.split("\n")[0][:120] or "no output"
    return (int(number[1]) if number and done.returncode == 0 else None), line


def coco_folders() -> list[Path]:
    """The folder of pycocoevalcap, which brings METEOR and SPICE along; none without it."""
    package = find_spec("pycocoevalcap")
    return [Path(folder) for folder in (package and package.submodule_search_locations) or ()]


def complaint(output: str) -> str:
    """The line of a Java program's output that says why it failed."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"Error|Exception", line)]
    return (errors or lines or ["no message"])[0][:200]
