"""SPICE: what a caption says of objects, their properties and relations, compared as a graph; by its authors' program.

The program is not in any package: spice_install.py puts it into the user's data folder. SPIDEr and SPIDEr-FL follow.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wsac.evaluation.metrics.items import Item, Score
from wsac.evaluation.metrics.ngram.counts import Words
from wsac.types import WsacError

from .runtime import complaint, find_java
from .spice_engine import LAST, build_engine
from .spice_install import find_spice, main_class

MEMORY = "8G"  # what its authors ask for
# Java 9 and later hide from its serialisation library what it looks into
_OPENED = (
    "java.lang",
    "java.lang.invoke",
    "java.math",
    "java.util",
    "java.util.concurrent",
    "java.net",
    "java.text",
    "java.io",
    "java.nio",
)


def spice(items: Sequence[Item], words: Words | None = None) -> list[Score]:
    """spice in [0, 1]: the F-score of the propositions of candidate and references, the mean over the items.

    Words are as in ptb.py, as coco-caption gives them. Needs ``wsac metrics install spice`` and Java.
    Source: Anderson et al. 2016 (arXiv 1607.08822).
    """
    jar, name = find_spice()
    words = words or Words.of(items)
    request = [
        {"image_id": i, "test": candidate, "refs": references}
        for i, (candidate, references) in enumerate(words.texts())
    ]
    per_item = np.array([float(answer) for answer in _run(jar, request)])
    return [Score("spice", float(per_item.mean()), per_item, name)]


def spider(spice_score: Score, cider_score: Score) -> Score:
    """spider: the mean of SPICE and CIDEr-D, in [0, 5.5]. Source: Liu et al. 2017 (arXiv 1612.00370)."""
    if spice_score.per_item is None or cider_score.per_item is None:
        raise WsacError("SPIDEr needs SPICE and CIDEr-D of every caption")
    per_item = (spice_score.per_item + cider_score.per_item) / 2
    return Score("spider", float(per_item.mean()), per_item, spice_score.note)


def _run(jar: Path, request: list[dict]) -> list[float]:
    """The F-score of each request, in their order."""
    java, version = find_java("SPICE")
    with tempfile.TemporaryDirectory(prefix="wsac-spice-") as folder:
        source, target = Path(folder, "in.json"), Path(folder, "out.json")
        source.write_text(json.dumps(request), encoding="utf-8")
        opened = [f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in _OPENED if version >= 9]
        classes = [jar] if version <= LAST else [jar, build_engine(java, version, jar.parent)]
        command: list[str | Path] = [java, "-Xmx" + MEMORY, "-Dfile.encoding=UTF-8", *opened]
        command += [
            "-cp",
            os.pathsep.join(map(str, classes)),
            main_class(jar),
            source,
            "-out",
            target,
        ]
        command += ["-subset", "-silent"]
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", cwd=jar.parent
        )
        if done.returncode or not target.is_file():
            raise WsacError(
                f"SPICE failed: {complaint(done.stderr + done.stdout)}; it needs {MEMORY} of memory, and "
                "Java 8 is what it was made for"
            )
        try:
            answers = json.loads(target.read_text(encoding="utf-8"))
            found = {
                answer["image_id"]: _fraction(answer["scores"]["All"]["f"]) for answer in answers
            }
            return [found[i] for i in range(len(request))]
        except (ValueError, TypeError, KeyError) as error:
            raise WsacError(
                f"SPICE's answer is not whole ({error!r}); run it again, or install it anew"
            ) from error


def _fraction(value: object) -> float:
    number = float(value)  # type: ignore[arg-type]
    if not 0 <= number <= 1:  # nan too
        raise ValueError(f"an F-score of {value}")
    return number
