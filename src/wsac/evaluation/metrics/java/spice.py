"""SPICE, computed by its authors' program, and SPIDEr.

SPICE compares captions as graphs of objects, their properties and relations.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wsac.evaluation.metrics.items import Item, MissingError, Score
from wsac.evaluation.metrics.ngram.counts import Words
from wsac.io.files import read_json
from wsac.types import WsacError

from .runtime import complaint, find_java
from .spice_jars import LAST_JAVA, find_spice, jar_name

MAIN = "edu.anu.spice.SpiceScorer"
MEMORY = "8G"  # what its authors ask for
# Java packages that SPICE's serialisation library looks into, which Java 9 and later hide
_PACKAGES = ("lang", "lang.invoke", "math", "util", "util.concurrent", "net", "text", "io", "nio")


def spice(items: Sequence[Item], words: Words | None = None) -> list[Score]:
    """spice in [0, 1]: the F-score of the propositions of candidate and references; the mean.

    Words are cut as in ptb.py. Raises MissingError without Java or SPICE's jars, which
    ``wsac metrics install spice`` copies, and WsacError when the program fails.
    Source: Anderson et al. 2016 (arXiv 1607.08822).
    """
    jar = find_spice()
    texts = (words or Words.of(items)).texts()
    rows = [{"image_id": i, "test": text, "refs": refs} for i, (text, refs) in enumerate(texts)]
    per_item = np.array(_run(jar, rows))
    return [Score("spice", float(per_item.mean()), per_item, jar_name(jar))]


def spider(spice_score: Score, cider_score: Score) -> Score:
    """spider: the mean of SPICE and CIDEr-D, in [0, 5.5].

    Source: Liu et al. 2017 (arXiv 1612.00370).
    """
    if spice_score.per_item is None or cider_score.per_item is None:
        raise WsacError("SPIDEr needs SPICE and CIDEr-D of every caption")
    per_item = (spice_score.per_item + cider_score.per_item) / 2
    return Score("spider", float(per_item.mean()), per_item, spice_score.note)


def _run(jar: Path, rows: list[dict]) -> list[float]:
    """The F-score of each row, in their order."""
    java, version = find_java("SPICE")
    if version > LAST_JAVA and not any(jar.parent.glob("lib/nashorn*.jar")):
        remedy = f"set JAVA_HOME to Java 8 to {LAST_JAVA}, or install Nashorn: docs/metrics.md"
        what = f"{java}, version {version}, has no JavaScript engine"
        raise MissingError(f"SPICE needs one, and {what}; {remedy}")
    names = _PACKAGES if version >= 9 else ()
    opened = [f"--add-opens=java.base/java.{name}=ALL-UNNAMED" for name in names]
    with tempfile.TemporaryDirectory(prefix="wsac-spice-") as folder:
        source, target = Path(folder, "in.json"), Path(folder, "out.json")
        source.write_text(json.dumps(rows), encoding="utf-8")
        command: list[str | Path] = [java, f"-Xmx{MEMORY}", "-Dfile.encoding=UTF-8", *opened]
        command += ["-cp", f"{jar}{os.pathsep}lib/*", MAIN, source, "-out", target]
        command += ["-subset", "-silent"]
        done = subprocess.run(command, capture_output=True, errors="replace", cwd=jar.parent)
        if done.returncode or not target.is_file():
            reason = complaint(done.stderr + done.stdout)
            raise WsacError(f"SPICE failed: {reason}; it needs {MEMORY} of memory, best Java 8")
        try:
            scores = {row["image_id"]: row["scores"]["All"]["f"] for row in read_json(target)}
            values = [float(scores[i]) for i in range(len(rows))]
            if not all(0 <= value <= 1 for value in values):  # nan too
                raise ValueError("an F-score outside 0 to 1")
        except (WsacError, ValueError, TypeError, KeyError) as error:
            raise WsacError(f"SPICE's answer is not whole ({error!r}); run it again") from error
        return values
