"""Choose bridge, decoding and run on sounds without captions: do captions pick out their sounds?

For every setting, unlabelled sounds are captioned, and the captions are read back by the CLAP and
compared with all sounds. A setting is good when captions are nearer to their own sound than to the
others (the cycle), and when they are sentences.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wsac.arrays import Tensor
from wsac.inference.caption_options import CaptionOptions
from wsac.inference.captioner import Captioner
from wsac.io.console import progress
from wsac.types import AudioError, RecipeError

HEADS = ("cycle>", "at fault>", "different>", "")  # of the columns that tables of trials end with
# settings that are tried; a captioner is compared with what it does by the plain beam
PLAIN: dict[str, Any] = {"beam_size": 4, "choose": "", "samples": 0, "groups": 1}
BRIDGES = ("ad", "nnd", "topk", "pd", "santa")  # need no gap
MAPS = ("shift", "coral", "procrustes", "wasserstein")  # need one
CHAINS = ("", "+pd", "+santa:weight=0.5,sharpness=100")
VARIANTS = {
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
class TuneOptions:
    """Thresholds of the choice.

    least_words, most_words: of a caption that is neither a stump nor endless. least_sounds: that
    are needed; below few_sounds the choice is often chance. many_faults: share of captions at
    fault from which the captioner seems untrained. more_faults: share of captions by which a
    setting may be worse than the plain one. choice_margin, search_margin: how much larger the
    cycle must be, in units of log N nats (the cost of guessing), with a choice by the CLAP and
    with another search than the plain beam.
    """

    least_words: int = 3
    most_words: int = 30
    least_sounds: int = 10
    few_sounds: int = 50
    many_faults: float = 0.2
    more_faults: float = 0.05
    choice_margin: float = 0.015
    search_margin: float = 0.04


LIMITS = TuneOptions()


@dataclass(frozen=True, slots=True)
class Trial:
    """A setting and its results.

    cycle: mean log-probability, in nats, that a caption is of its own sound among all. margin:
    the part of it that is discounted. faults: share of captions that are no sentence of usual
    length. distinct: share of different captions.
    """

    options: CaptionOptions
    cycle: float
    margin: float
    faults: float
    distinct: float
    captions: tuple[str, ...]


def tune(
    captioner: Captioner,
    sounds: Tensor,
    *,
    bridges: Sequence[str] = (),
) -> list[Trial]:
    """Try settings on audio embeddings ``[N, D]``; the trials, the best first.

    Bridges are tried first, then variants of the best, then ways of decoding with it. All
    begins with a plain beam, so that saved defaults do not matter; they are tried last.
    bridges: to be tried; default: all that the captioner's memory and gap allow. Raises
    AudioError for fewer than ten sounds, RecipeError for impossible bridges.
    """
    if len(sounds) < LIMITS.least_sounds:
        remedy = "give ten or more, better a hundred, as different as those that you will caption"
        raise AudioError(f"{len(sounds)} sounds: {remedy}")
    trials: dict[CaptionOptions, Trial] = {}
    plain = captioner.options.change(**PLAIN)
    with_gap = [name + chain for chain in CHAINS for name in MAPS] if captioner.gap else []
    specs = list(bridges) or [*BRIDGES, *with_gap]
    with progress("tune", len(specs) + 10, unit="settings") as tick:

        def run(options: CaptionOptions) -> CaptionOptions:
            """Try a setting; returns the best until now."""
            if options not in trials:
                trials[options] = try_setting(captioner, options, sounds)
                tick()
            allowed = trials[plain].faults + LIMITS.more_faults
            fluent = (trial for trial in trials.values() if trial.faults <= allowed)
            return max(fluent, key=lambda trial: trial.cycle - trial.margin).options

        best = run(plain)
        for spec in specs:
            best = run(plain.change(bridge=spec))
        chain, plus, last = best.bridge.rpartition("+")
        for variant in VARIANTS.get(last.partition(":")[0], ()):
            best = run(plain.change(bridge=f"{chain}{plus}{variant}"))
        for change in DECODING:
            best = run(best.change(**change))
        best = run(captioner.options)
    others = sorted(trials.values(), key=lambda trial: -trial.cycle)
    return [trials[best], *(trial for trial in others if trial.options != best)]


def tune_runs(
    captioners: Sequence[Captioner], sounds: Tensor, *, bridges: Sequence[str] = ()
) -> list[list[Trial]]:
    """The trials of ``tune`` with each captioner.

    Raises RecipeError too when their CLAPs differ: each CLAP is another measure of the cycle.
    """
    if len({captioner.clap.fingerprint for captioner in captioners}) > 1:
        raise RecipeError("captioners with different CLAPs do not compare; tune each by itself")
    return [tune(captioner, sounds, bridges=bridges) for captioner in captioners]


def best_run(runs: Sequence[Sequence[Trial]]) -> int:
    """The index of the best of the runs by ``tune_runs``: the largest mean cycle.

    The mean is over the settings that were tried with all runs. The largest cycle alone is often
    large by chance, and larger where a bridge makes captions differ more.
    """
    allowed = min(trials[0].faults for trials in runs) + LIMITS.more_faults
    means = shared_means(runs)
    fluent = [i for i, trials in enumerate(runs) if trials[0].faults <= allowed]
    return max(fluent, key=lambda i: means[i])


def shared_means(runs: Sequence[Sequence[Trial]]) -> list[float]:
    """The mean cycle of every run over the settings that were tried with all runs."""
    cycles = [{trial.options: trial.cycle for trial in trials} for trials in runs]
    shared = [options for options in cycles[0] if all(options in run for run in cycles)]
    return [sum(run[options] for options in shared) / max(1, len(shared)) for run in cycles]


def margin(options: CaptionOptions, sounds: int) -> float:
    """Nats by which a setting must be ahead.

    A choice by the CLAP raises the cycle by the choice alone, and greedy captions may find their
    sounds though they are worse sentences.
    """
    if (options.generation.beam_size, options.samples) != (PLAIN["beam_size"], PLAIN["samples"]):
        return LIMITS.search_margin * math.log(sounds)
    return LIMITS.choice_margin * math.log(sounds) if options.choose else 0.0


def try_setting(captioner: Captioner, options: CaptionOptions, sounds: Tensor) -> Trial:
    """Caption the sounds ``[N, D]`` with these options, and measure the captions."""
    captions = captioner.with_options(options).caption_embeddings(sounds)
    texts, clap = tuple(caption.text for caption in captions), captioner.clap
    cycle = cycle_score(clap.embed_text(texts), sounds, clap.temperature)
    faults = sum(at_fault(text) for text in texts) / len(texts)
    distinct = len(set(texts)) / len(texts)
    return Trial(options, cycle, margin(options, len(sounds)), faults, distinct, texts)


def cycle_score(texts: Tensor, sounds: Tensor, temperature: float) -> float:
    """Mean of log softmax over sounds of cosine / temperature, at each caption's own sound.

    texts, sounds: ``[N, D]``, unit norm.
    """
    logits = texts @ sounds.float().T / temperature
    return float(logits.log_softmax(dim=1).diagonal().mean())


def at_fault(caption: str) -> bool:
    """Too short or too long, or three words that occur twice in a row of them."""
    words = caption.lower().split()
    threes = list(zip(words, words[1:], words[2:], strict=False))
    fits = LIMITS.least_words <= len(words) <= LIMITS.most_words
    return not fits or len(set(threes)) < len(threes)


def setting(options: CaptionOptions) -> str:
    """For people: "pd, beam 4", "ad, 16 samples, clap"."""
    beam = f"beam {options.generation.beam_size}"
    search = f"{options.samples} samples" if options.samples else beam
    return ", ".join(filter(None, (options.bridge, search, options.choose)))


def trial_rows(trials: Sequence[Trial], default: CaptionOptions) -> list[tuple[str, ...]]:
    """Rows for people: the setting, its figures, and which is the default one."""
    rows = []
    for trial in trials:
        mark = "usual" if trial.options == default else "best" if trial is trials[0] else ""
        rows.append((*_cells(trial), mark))
    return rows


def run_rows(models: Sequence[str], runs: Sequence[Sequence[Trial]]) -> list[tuple[str, ...]]:
    """Rows for people: every run at its best, and which is the best of all."""
    best, means = best_run(runs), shared_means(runs)
    return [
        (name, f"{means[i]:.3f}", *_cells(trials[0]), "best" if i == best else "")
        for i, (name, trials) in enumerate(zip(models, runs, strict=True))
    ]


def _cells(trial: Trial) -> tuple[str, ...]:
    figures = f"{trial.cycle:.3f}", f"{trial.faults:.1%}", f"{trial.distinct:.1%}"
    return setting(trial.options), *figures
