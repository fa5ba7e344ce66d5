"""The Java that METEOR and SPICE run on: find one that works, or say in one line what is missing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from wsac.evaluation.metrics.items import MissingError

OLDEST = 8  # what both jars were compiled for
_GET = f"install a Java runtime, {OLDEST} or newer (tested: 17), such as Debian's default-jre-headless, or set JAVA_HOME"


def find_java(purpose: str) -> tuple[Path, int]:
    """The java of JAVA_HOME, else of the PATH, and its version. Raises MissingError for none, or none that runs."""
    if home := os.environ.get("JAVA_HOME"):
        found = next(
            (path for name in ("java", "java.exe") if (path := Path(home, "bin", name)).is_file()),
            None,
        )
        if found is None:
            raise MissingError(
                f"{purpose} needs Java: JAVA_HOME is {home}, which has no bin/java; correct it, or {_GET}"
            )
    elif which := shutil.which("java"):
        found = Path(which)
    else:
        raise MissingError(f"{purpose} needs Java, and there is none on the PATH; {_GET}")
    version, line = _version(found)
    if version is None:
        raise MissingError(f"{purpose} needs Java: {found} does not run ({line}); {_GET}")
    if version < OLDEST:
        raise MissingError(f"{purpose} needs Java {OLDEST} or newer: {found} is {line}; {_GET}")
    return found, version


@cache
def _version(java: Path) -> tuple[int | None, str]:
    """(17, 'openjdk version "17.0.15"'), or (None, the reason) for one that does not run."""
    try:
        done = subprocess.run(
            [java, "-version"], capture_output=True, text=True, errors="replace", timeout=60
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, str(getattr(error, "strerror", None) or "no answer in a minute")
    line = next(
        (line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()),
        "no output",
    )
    found = re.search(r'version "(?:1\.)?(\d+)', done.stderr + done.stdout)
    return (int(found[1]) if found and done.returncode == 0 else None), line[:120]


def complaint(stderr: str) -> str:
    """What a Java program died of, in a few words."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    telling = [line for line in lines if re.search(r"Error|Exception", line)]
    return (telling or lines or ["no message"])[0][:200]
