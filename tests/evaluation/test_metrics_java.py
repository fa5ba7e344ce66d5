"""METEOR and SPICE: stand-in programs, and the real METEOR where it is installed."""

from __future__ import annotations

import csv
import hashlib
import http.server
import json
import os
import shutil
import stat
import subprocess
import sys
import threading
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from wsac.cli import main
from wsac.evaluation import Item, MissingError, evaluate
from wsac.evaluation.metrics.java.meteor import find_jar, meteor, meteor_from_counts
from wsac.evaluation.metrics.java.runtime import find_java
from wsac.evaluation.metrics.java.spice import spice
from wsac.evaluation.metrics.java.spice_jars import LAST_JAVA, data_folder, install_spice
from wsac.evaluation.metrics.ngram.ptb import tokenize
from wsac.types import WsacError

pytestmark = pytest.mark.slow

SOURCES = Path(__file__).parents[1] / "miniatures" / "java"
# what coco-caption drops
PUNCTUATION = {"''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"}
needs_java = pytest.mark.skipif(
    not (shutil.which("java") and shutil.which("javac")), reason="compiles stand-ins with javac"
)
ITEMS = [
    Item("a", "A dog barks.", ("a dog barks", "Barking!")),
    Item("b", "||| rain |||\nfalls é", ("rain falls ||| é", "wet")),
    Item("c", "wind", ("a bird sings",)),
]


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """Folder with Meteor.jar, parser.jar, nashorn.jar and spice-1.0.jar (needs lib/parser.jar)."""
    folder = tmp_path_factory.mktemp("java")
    sources = sorted(SOURCES.glob("*.java"))
    subprocess.run(["javac", "-encoding", "UTF-8", "-d", folder, *sources], check=True)
    manifests = {
        "Meteor.jar": ("Meteor.class", "Main-Class: Meteor\n"),
        # long lines of a manifest are folded
        "spice-1.0.jar": ("edu/anu/spice/SpiceScorer.class", "Class-Path: lib/parser\n .jar\n"),
        "parser.jar": ("Parser.class", ""),
        "nashorn.jar": ("Engine.class", ""),
    }
    for jar, (compiled, lines) in manifests.items():
        with zipfile.ZipFile(folder / jar, "w") as packed:
            packed.writestr("META-INF/MANIFEST.MF", f"Manifest-Version: 1.0\n{lines}\n")
            packed.write(folder / compiled, compiled)
            if jar == "nashorn.jar":
                packed.writestr("META-INF/services/javax.script.ScriptEngineFactory", "Engine\n")
    return folder


@pytest.fixture
def no_coco(monkeypatch):
    """As if pycocoevalcap were not installed."""
    monkeypatch.setitem(sys.modules, "pycocoevalcap", None)


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("WSAC_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def stand_in(programs, tmp_path, monkeypatch):
    """A package pycocoevalcap whose METEOR is the stand-in."""
    home = tmp_path / "site" / "pycocoevalcap"
    (home / "meteor").mkdir(parents=True)
    (home / "__init__.py").touch()
    shutil.copy(programs / "Meteor.jar", home / "meteor" / "meteor-1.5.jar")
    monkeypatch.delitem(sys.modules, "pycocoevalcap", raising=False)
    monkeypatch.syspath_prepend(tmp_path / "site")


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.mark.skipif(os.name != "posix", reason="writes shell scripts")
def test_java_is_found_or_its_lack_explained(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(
        MissingError, match=r"^METEOR needs Java: there is none on the PATH; install"
    ):
        find_java("METEOR")
    path = script(tmp_path / "bin" / "java", "echo 'openjdk version \"17.0.1\" 2021' >&2")
    assert find_java("METEOR") == (path, 17)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "nowhere"))
    with pytest.raises(MissingError, match=r"JAVA_HOME is .*nowhere, which has no bin/java"):
        find_java("METEOR")
    for n, (text, what) in enumerate(
        {
            "echo 'java version \"1.8.0_392\"' >&2": 8,
            "echo 'openjdk version \"21\" 2023' >&2": 21,
            "echo 'java version \"1.7.0_80\"' >&2": "needs Java 8 or newer: .*/bin/java is",
            "echo 'Unable to locate a Java Runtime' >&2; exit 1": "does not run .Unable to locate",
            "echo 'Error occurred during startup' >&2; exit 1": "does not run .Error occurred",
        }.items()
    ):
        home = tmp_path / f"home{n}"
        path = script(home / "bin" / "java", text)
        monkeypatch.setenv("JAVA_HOME", str(home))
        if isinstance(what, int):
            assert find_java("METEOR") == (path, what)
        else:
            with pytest.raises(MissingError, match=what) as caught:
                find_java("METEOR")
            assert "\n" not in str(caught.value)


def test_meteor_without_its_extra(no_coco):
    with pytest.raises(MissingError, match=r"pip install 'wsac\[meteor\]'"):
        meteor(ITEMS)


@needs_java
def test_meteor_of_the_stand_in(stand_in):
    [score] = meteor(ITEMS)
    # all of a in one piece; then rain, falls, é and the bars of b, which are no separators
    assert score.per_item[0] == 1
    assert 0 < score.per_item[1] < 1
    assert score.per_item[2] == 0
    assert score.pooled[0, 20] == 0
    assert score.pooled[1, 0] == len(tokenize(ITEMS[1].candidate))
    assert score.corpus == meteor_from_counts(score.pooled.sum(axis=0))
    report = evaluate(ITEMS, ["meteor"])
    low, high = report.intervals["meteor"]
    assert 0 <= low < report.scores["meteor"].corpus < high <= 1


@needs_java
@pytest.mark.parametrize(
    ("word", "reason"), [("die", "IllegalStateException: out of luck"), ("babble", "no message")]
)
def test_meteor_that_breaks_off(stand_in, word, reason):
    """The process is over afterwards; a ResourceWarning would be an error."""
    with pytest.raises(WsacError, match=rf"METEOR stopped at 'a {word}': .*{reason}") as caught:
        meteor([ITEMS[0], Item("x", f"a {word}", ("a",)), ITEMS[1]])
    assert "\n" not in str(caught.value)


def test_meteor_by_hand():
    # 3 of 4 words (2 of function) match by form in one piece, 1 of them of function, of 3 words
    counts = np.zeros(23)
    counts[[0, 1, 2, 3]] = 4, 3, 2, 1
    counts[[4, 5, 6, 7]] = 2, 2, 1, 1
    counts[[20, 21, 22]] = 1, 3, 3
    precision = (0.75 * 2 + 0.25 * 1) / (0.75 * 2 + 0.25 * 2)
    recall = 1
    mean = precision * recall / (0.85 * precision + 0.15 * recall)
    assert meteor_from_counts(counts) == pytest.approx(mean * (1 - 0.6 * (1 / 3) ** 0.2))
    assert meteor_from_counts(np.zeros((2, 23))).tolist() == [0, 0]


@pytest.mark.slow
def test_golden_meteor(shared):
    if find_spec("pycocoevalcap") is None:
        pytest.skip("needs pip install 'wsac[meteor]'")
    folder = shared / "golden" / "metrics"
    rows = list(
        csv.DictReader(
            (folder / "clotho_eval_conette.csv").read_text(encoding="utf-8").splitlines()
        )
    )
    [score] = meteor(
        [Item(row["file"], row["candidate"], tuple(json.loads(row["references"]))) for row in rows]
    )
    np.testing.assert_allclose(score.per_item, [float(row["meteor"]) for row in rows], atol=1e-9)
    corpus = json.loads((folder / "clotho_eval_conette.corpus.json").read_text(encoding="utf-8"))
    assert score.corpus == pytest.approx(corpus["meteor"], abs=1e-9)


def test_words_are_those_of_the_program(shared, tmp_path):
    """Every caption of Clotho and AudioCaps, cut by the jar itself."""
    if find_spec("pycocoevalcap") is None:
        pytest.skip("needs pip install 'wsac[meteor]'")
    captions = set()
    for path in (shared / "captions").glob("*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            captions |= {
                v for row in csv.DictReader(file) for k, v in row.items() if k.startswith("caption")
            }
    lines = sorted(" ".join(caption.split()) for caption in captions)
    (tmp_path / "in.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    jar = next((find_jar().parents[1] / "tokenizer").glob("stanford-corenlp-*.jar"))
    command = [
        "java",
        "-cp",
        jar,
        "edu.stanford.nlp.process.PTBTokenizer",
        "-preserveLines",
        "-lowerCase",
        "in.txt",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    theirs = done.stdout.decode("utf-8").split("\n")
    for line, theirs_of_it in zip(lines, theirs, strict=False):
        assert tokenize(line) == [
            word for word in theirs_of_it.split() if word not in PUNCTUATION
        ], line


@pytest.fixture
def server(programs, tmp_path):
    """Serves whole.zip (the Stanford side of SPICE), half.zip (cut short) and nothing else."""
    with zipfile.ZipFile(tmp_path / "whole.zip", "w") as packed:
        packed.write(
            programs / "parser.jar", "stanford/../../parser.jar"
        )  # a path out of the folder is not followed
        packed.writestr("stanford/README.txt", "read me")
    whole = (tmp_path / "whole.zip").read_bytes()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path not in ("/whole.zip", "/half.zip"):
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(whole)))
            self.end_headers()
            self.wfile.write(whole if self.path == "/whole.zip" else whole[:50])

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        thread = threading.Thread(target=served.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()
        thread.join()


@pytest.fixture
def spice_folder(programs, tmp_path):
    (tmp_path / "spice").mkdir()
    shutil.copy(programs / "spice-1.0.jar", tmp_path / "spice")
    return str(tmp_path / "spice")


@needs_java
def test_spice_installed_from_an_address(server, spice_folder, programs, data, no_coco, capsys):
    with pytest.raises(MissingError, match="wsac metrics install spice --from"):
        spice(ITEMS)
    engine = programs / "nashorn.jar"
    sources = [spice_folder, f"{server}/whole.zip", str(engine)]
    command = ["metrics", "install", "spice", *(word for s in sources for word in ("--from", s))]
    assert main(command) == 0
    assert "3 jars" in capsys.readouterr().err
    files = [path.relative_to(data).as_posix() for path in data.rglob("*") if path.is_file()]
    assert sorted(files) == [
        "spice/lib/nashorn.jar",
        "spice/lib/parser.jar",
        "spice/spice-1.0.jar",
    ]
    [score] = spice(ITEMS)
    assert score.per_item.tolist() == [1, 1, 0]
    jar = (data / "spice" / "spice-1.0.jar").read_bytes()
    assert score.note == f"SPICE 1.0, jar {hashlib.sha256(jar).hexdigest()[:8]}"
    report = evaluate(ITEMS, "classic")
    assert list(report.missing) == ["meteor"]
    cider, both = report.scores["cider_d"].per_item, report.scores["spider"].per_item
    np.testing.assert_allclose(both, (score.per_item + cider) / 2)
    for word, what in (
        ("die", "SPICE failed: .*out of luck"),
        ("half", "not whole"),
        ("nan", "not whole"),
    ):
        with pytest.raises(WsacError, match=what) as caught:
            spice([*ITEMS, Item("x", f"a {word}", ("a",))])
        assert "\n" not in str(caught.value)
    if find_java("SPICE")[1] > LAST_JAVA:
        (data / "spice" / "lib" / "nashorn.jar").unlink()
        with pytest.raises(MissingError, match="set JAVA_HOME to Java 8 to 14, or install"):
            spice(ITEMS)
    (data / "spice" / "lib" / "parser.jar").unlink()
    with pytest.raises(MissingError, match=r"lib/parser\.jar is not there"):
        spice(ITEMS)


@needs_java
def test_what_cannot_be_installed(server, spice_folder, programs, data, no_coco, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    shutil.copy(programs / "spice-1.0.jar", broken)
    (broken / "parser.jar").write_bytes(b"PK no zip")
    outside = tmp_path / "outside"
    outside.mkdir()
    with zipfile.ZipFile(outside / "spice-1.0.jar", "w") as packed:
        packed.writestr("META-INF/MANIFEST.MF", "Class-Path: ../../evil.jar\n")
    for sources, what in (
        ([f"{server}/none.zip"], "none.zip: cannot be downloaded .*404"),
        (["http://127.0.0.1:9/x.zip"], "cannot be downloaded"),
        ([f"{server}/half.zip"], "half.zip: cannot be downloaded"),
        ([str(tmp_path / "none")], "none: not found"),
        ([__file__], "neither a folder nor a zip"),
        ([str(tmp_path / "whole.zip")], "no spice-1.0.jar in it"),
        ([spice_folder], "no lib/parser.jar, which spice-1.0.jar needs"),
        ([str(broken)], "parser.jar: damaged"),
        ([str(outside)], "files outside its folder"),
    ):
        with pytest.raises(WsacError, match=what) as caught:
            install_spice(sources)
        assert "\n" not in str(caught.value)
        assert not list(data.iterdir())


def test_install_says_what_it_wants(capsys):
    for words, what in (
        (["spice"], "--from"),
        (["meteor", "--from", "x"], "pip install 'wsac[meteor]'"),
    ):
        assert main(["metrics", "install", *words]) == 1
        assert what in capsys.readouterr().err


def test_the_data_folder(monkeypatch):
    for name in ("WSAC_DATA", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for platform, end in (
        ("linux", ".local/share/wsac"),
        ("darwin", "Library/Application Support/wsac"),
        ("win32", "AppData/Local/wsac"),
    ):
        monkeypatch.setattr("sys.platform", platform)
        assert data_folder() == Path.home() / end
    monkeypatch.setenv("WSAC_DATA", "/data")
    assert data_folder() == Path("/data")
