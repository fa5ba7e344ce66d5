"""Choosing bridge, decoding and run for a user who has sounds but no captions: by whether a caption finds its sound.

For every setting the captions of unlabelled sounds are written, read back by the CLAP, and compared with all sounds. A
setting is good when captions are nearer to their own sound than to the others (the cycle), and when they are sentences.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from wsac.inference.caption_options import CaptionOptions
from wsac.inference.captioner import Captioner
from wsac.io.console import progress
from wsac.types import AudioError, RecipeError

WORDS = (3, 30)  # words of a caption that is neither a stump nor endless
HEADS = ("cycle>", "at fault>", "different>", "")  # of the columns that tables of trials end with
MANY = 0.2  # of the captions at fault: told, as the captioner is hardly trained
LEAST, FEW = 10, 50  # sounds: of fewer than few the best is often so by chance
SLACK = 0.05  # so many more captions at fault than by the plain setting are let pass
SEARCH = 0.04  # of what guessing costs, log N nats, must another search be ahead: the CLAP, choosing, judges itself
CHOICE = 0.015  # the same for a choice among the captions of the plain beam, which are all likely sentences
PLAIN: dict[str, Any] = {
    "beam_size": 4,
    "choose": "",
    "samples": 0,
    "groups": 1,
}  # what decoding is compared with
BRIDGES = ("ad", "nnd", "topk", "pd", "santa")  # what needs no gap
TURNED = ("shift", "coral", "procrustes", "wasserstein")
WITH_GAP = (
    *TURNED,
    *(f"{name}+pd" for name in TURNED),
    *(f"{name}+santa:weight=0.5,sharpness=100" for name in TURNED),
)
REFINED = {
    "pd": ("pd:temperature=0.003", "pd:temperature=0.03", "pd:temperature=0.1"),
    "topk": ("topk:k=2", "topk:k=10", "topk:k=20"),
    "santa": ("santa:weight=0.3", "santa:weight=0.5", "santa:weight=0.5,sharpness=100"),
}
DECODING: tuple[dict[str, Any], ...] = (
    {"beam_size": 1, "choose": ""},
    {"beam_size": 4, "choose": "mbr"},
    {"beam_size": 4, "choose": "clap"},
    {"choose": "clap", "samples": 16},
)


@dataclass(frozen=True, slots=True)
class Trial:
    """A setting and what came of it.

    cycle: mean log-probability, in nats, that a caption is of its own sound among all. margin: what of it is not
    believed. faults: share of captions that are no sentence of usual length. distinct: share of different captions.
    """

    options: CaptionOptions
    cycle: float
    margin: float
    faults: float
    distinct: float
    captions: tuple[str, ...]


def tune(captioner: Captioner, sounds: Tensor, *, bridges: Sequence[str] = ()) -> list[Trial]:
    """Try settings on audio embeddings ``[N, D]``; the trials, the best first, the usual setting among them.

    All begins with a plain beam, so that a choice that was written into the captioner before is made anew.

    bridges: the first to be tried; left out, all that the captioner has what for. Then variants of the best, then ways
    of decoding with it. Raises AudioError for fewer than ten sounds, RecipeError for bridges that cannot be.
    """
    if len(sounds) < LEAST:
        raise AudioError(
            f"{len(sounds)} sounds: give ten or more, better a hundred, that differ as those to come do"
        )
    known: dict[CaptionOptions, Trial] = {}
    plain = captioner.options.change(**PLAIN)
    first = list(bridges) or [*BRIDGES, *(WITH_GAP if captioner.gap is not None else ())]
    with progress("tune", len(first) + 10, unit="settings") as tick:

        def run(options: CaptionOptions) -> None:
            if options not in known:
                known[options] = _trial(captioner, options, sounds)
                tick()

        run(plain)
        for spec in first:
            run(plain.change(bridge=spec))
        for spec in _variants(_best(known, plain).options.bridge):
            run(plain.change(bridge=spec))
        for change in DECODING:
            run(_best(known, plain).options.change(**change))
        run(captioner.options)
    best = _best(known, plain)
    return [
        best,
        *sorted((t for t in known.values() if t is not best), key=lambda trial: -trial.cycle),
    ]


def tune_runs(
    captioners: Sequence[Captioner], sounds: Tensor, *, bridges: Sequence[str] = ()
) -> list[list[Trial]]:
    """The trials of ``tune`` with each captioner.

    Raises RecipeError too unless all have one CLAP: the cycles of two would be by two measures.
    """
    if len({one.clap.fingerprint for one in captioners}) > 1:
        raise RecipeError(
            "these captioners have different CLAPs, whose cycles do not compare; tune each by itself"
        )
    return [tune(one, sounds, bridges=bridges) for one in captioners]


def best_run(found: Sequence[Sequence[Trial]]) -> int:
    """Which run is best, of trials by ``tune_runs``: the largest mean cycle over the settings that were tried with all.

    So training bridges and noise are chosen too. The largest cycle alone is often large by chance, and larger where a
    bridge makes captions differ more.
    """
    allowed = min(trials[0].faults for trials in found) + SLACK
    means = shared_means(found)
    return max(
        (i for i, trials in enumerate(found) if trials[0].faults <= allowed), key=lambda i: means[i]
    )


def shared_means(found: Sequence[Sequence[Trial]]) -> list[float]:
    """Of every run the mean cycle over the settings that were tried with all."""
    shared = set.intersection(*({trial.options for trial in trials} for trials in found))
    return [
        sum(trial.cycle for trial in trials if trial.options in shared) / max(1, len(shared))
        for trials in found
    ]


def _best(known: dict[CaptionOptions, Trial], plain: CaptionOptions) -> Trial:
    """The largest cycle, above its margin, of settings with captions hardly more often at fault than the plain ones."""
    allowed = known[plain].faults + SLACK
    return max(
        (trial for trial in known.values() if trial.faults <= allowed),
        key=lambda trial: trial.cycle - trial.margin,
    )


def margin(options: CaptionOptions, sounds: int) -> float:
    """Nats by which a setting must be ahead: a choice by the CLAP raises the cycle by the choice alone, and greedy
    captions may find their sounds though they are worse sentences."""
    if (options.generation.beam_size, options.samples) != (PLAIN["beam_size"], PLAIN["samples"]):
        return SEARCH * math.log(sounds)
    return CHOICE * math.log(sounds) if options.choose else 0.0


def _variants(spec: str) -> Iterator[str]:
    """The same chain with other values of its last bridge."""
    before, plus, last = spec.rpartition("+")
    for other in REFINED.get(last.partition(":")[0], ()):
        yield f"{before}{plus}{other}"


def _trial(captioner: Captioner, options: CaptionOptions, sounds: Tensor) -> Trial:
    changed = captioner.with_options(options)
    written = [caption.text for caption in changed.caption_embeddings(sounds)]
    temperature = captioner.clap.temperature
    return Trial(
        options,
        cycle_score(captioner.clap.embed_text(written), sounds, temperature),
        margin(options, len(sounds)),
        sum(map(at_fault, written)) / len(written),
        len(set(written)) / len(written),
        tuple(written),
    )


def cycle_score(texts: Tensor, sounds: Tensor, temperature: float) -> float:
    """Mean of log softmax over sounds of cosine / temperature, at each caption's own sound. texts, sounds: [N, D]."""
    logits = texts @ sounds.float().T / temperature
    return -float(F.cross_entropy(logits, torch.arange(len(texts))))


def at_fault(caption: str) -> bool:
    """Too short or too long, or three words that come again one after the other."""
    words = caption.lower().split()
    threes = list(zip(words, words[1:], words[2:], strict=False))
    return not WORDS[0] <= len(words) <= WORDS[1] or len(set(threes)) < len(threes)


def setting(options: CaptionOptions) -> str:
    """For people: "pd, beam 4", "ad, 16 samples, clap"."""
    drawn = (
        f"{options.samples} samples" if options.samples else f"beam {options.generation.beam_size}"
    )
    return ", ".join(filter(None, (options.bridge, drawn, options.choose)))


def trial_rows(trials: Sequence[Trial], usual: CaptionOptions) -> list[tuple[str, ...]]:
    """For people: the setting, its figures, and which is the usual one."""
    return [
        (
            *_cells(trial),
            "usual" if trial.options == usual else "best" if trial is trials[0] else "",
        )
        for trial in trials
    ]


def run_rows(models: Sequence[str], found: Sequence[Sequence[Trial]]) -> list[tuple[str, ...]]:
    """For people: every run at its best, and which is the best of all."""
    first, means = best_run(found), shared_means(found)
    return [
        (name, f"{means[i]:.3f}", *_cells(trials[0]), "best" if i == first else "")
        for i, (name, trials) in enumerate(zip(models, found, strict=True))
    ]


def _cells(trial: Trial) -> tuple[str, ...]:
    return (
        setting(trial.options),
        f"{trial.cycle:.3f}",
        f"{trial.faults:.1%}",
        f"{trial.distinct:.1%}",
    )
