"""The metrics by name, what each needs, and named sets of metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from wsac.arrays import need_torch
from wsac.types import ModelError, WsacError, did_you_mean

from .items import Item, MissingError, Score
from .java.meteor import meteor
from .java.spice import spice, spider
from .ngram.bleu import bleu, self_bleu
from .ngram.cider import cider_d
from .ngram.counts import Words
from .ngram.diversity import distinct, length, novelty, vocabulary
from .ngram.rouge import rouge_l


@dataclass(frozen=True, slots=True)
class Models:
    """What metrics need beside the items; None: the default.

    training: a caption file, for novelty. clap: for clapscore. encoder: for sbert_sim.
    checker: for fer.
    """

    training: Path | None = None
    clap: str | None = None
    encoder: str | None = None
    checker: str | None = None
    device: str = "auto"
    offline: bool = False

    def load(self, load: Callable[..., Any], name: str | None, default: str, option: str) -> Any:
        """A model on the device; a default that is not available is missing, not an error."""
        from wsac.runtime.device import pick_device

        try:
            return load(name or default, device=pick_device(self.device), offline=self.offline)
        except ModelError as error:
            raise error if name else MissingError(f"{error} ({option})") from error


@dataclass
class Task:
    """Items on their way through the metrics. Words are cut once, every metric runs once."""

    items: Sequence[Item]
    models: Models = field(default_factory=Models)
    done: dict[str, Score] = field(default_factory=dict)

    @cached_property
    def words(self) -> Words:
        return Words.of(self.items)

    def score(self, name: str) -> Score:
        """The score of a metric. Raises MissingError when it needs what is not installed."""
        if name not in self.done:
            self.done.update((score.name, score) for score in METRICS[name].run(self))
        return self.done[name]


@dataclass(frozen=True, slots=True)
class Metric:
    """run: computes this metric, perhaps with others. extra: what has to be installed first."""

    run: Callable[[Task], list[Score]]
    references: bool = True
    extra: str = ""


def _counted(
    metric: Callable[..., list[Score]], references: bool = True, extra: str = ""
) -> Metric:
    return Metric(lambda task: metric(task.items, task.words), references, extra)


def _novelty(task: Task) -> list[Score]:
    from wsac.data.captions.corpus import read_captions

    if task.models.training is None:
        raise MissingError("needs the captioner's training captions: --training-text FILE")
    return novelty(task.items, (row.caption for row in read_captions(task.models.training)))


def _sbert_sim(task: Task) -> list[Score]:
    need_torch("it", MissingError)
    from .model.encoders import load_encoder
    from .model.fense import DEFAULT_ENCODER, sbert_sim

    name = task.models.encoder
    return sbert_sim(task.items, task.models.load(load_encoder, name, DEFAULT_ENCODER, "--encoder"))


def _fer(task: Task) -> list[Score]:
    need_torch("it", MissingError)
    from .model.fense import fer
    from .model.fluency import DEFAULT_CHECKER, load_checker

    name = task.models.checker
    return fer(task.items, task.models.load(load_checker, name, DEFAULT_CHECKER, "--checker"))


def _clapscore(task: Task) -> list[Score]:
    from wsac.clap import load_clap

    from .model.clapscore import clapscore

    if absent := sum(item.audio is None for item in task.items):
        what = f"{absent:,} of {len(task.items):,} are not there"
        raise MissingError(f"needs the sounds, and {what}: --audio FOLDER")
    return clapscore(task.items, task.models.load(load_clap, task.models.clap, "pocket", "--clap"))


def _spider(task: Task) -> list[Score]:
    return [spider(task.score("spice"), task.score("cider_d"))]


def _penalised(task: Task, name: str, plain: str) -> list[Score]:
    need_torch("it", MissingError)
    from .model.fense import penalised

    return [penalised(task.score(plain), task.score("fer"), name)]


_fense = partial(_penalised, name="fense", plain="sbert_sim")
_spider_fl = partial(_penalised, name="spider_fl", plain="spider")


_BLEU = ("bleu_1", "bleu_2", "bleu_3", "bleu_4")
_DISTINCT = ("distinct_1", "distinct_2")
_VARIETY = ("length", "vocabulary", *_DISTINCT, "self_bleu")
_CLAPSCORE = ("clapscore", "retrieval_r1", "retrieval_r10", "retrieval_mrr")
METRICS: dict[str, Metric] = {
    **dict.fromkeys(_BLEU, _counted(bleu)),
    "meteor": _counted(meteor, extra="wsac[meteor] and Java"),
    "rouge_l": _counted(rouge_l),
    "cider_d": _counted(cider_d),
    "spice": _counted(spice, extra="wsac metrics install spice, and Java"),
    "spider": Metric(_spider, extra="as spice"),
    "spider_fl": Metric(_spider_fl, extra="as spice, and a detector from the web"),
    "sbert_sim": Metric(_sbert_sim, extra="wsac[sbert], and an encoder from the Hub"),
    "fer": Metric(_fer, references=False, extra="a detector from the web"),
    "fense": Metric(_fense, extra="as sbert_sim and fer"),
    **dict.fromkeys(_CLAPSCORE, Metric(_clapscore, references=False, extra="the sounds")),
    "length": _counted(length, references=False),
    "vocabulary": _counted(vocabulary, references=False),
    **dict.fromkeys(_DISTINCT, _counted(distinct, references=False)),
    "self_bleu": _counted(self_bleu, references=False),
    "novelty": Metric(_novelty, references=False, extra="the training captions"),
}
_DCASE = "meteor cider_d spice spider spider_fl fense sbert_sim fer vocabulary"
SETS: dict[str, tuple[str, ...]] = {
    "compact": ("cider_d", "meteor", "rouge_l", "bleu_4"),
    "fast": (*_BLEU, "rouge_l", "cider_d", *_VARIETY),
    "classic": (*_BLEU, "meteor", "rouge_l", "cider_d", "spice", "spider"),
    "dcase2024": tuple(_DCASE.split()),
    "reference-free": (*_CLAPSCORE, *_VARIETY, "novelty"),
}


def resolve(wanted: Sequence[str]) -> tuple[list[str], set[str]]:
    """The metrics of names and sets, each once, and those of them asked for by name.

    Raises WsacError for an unknown name, or none.
    """
    explicit: dict[str, bool] = {}
    for name in (name.strip().lower() for name in wanted):
        if name in METRICS:
            explicit[name] = True
        elif name in SETS:
            for member in SETS[name]:
                explicit.setdefault(member, False)
        else:
            remedy = did_you_mean(name, (*SETS, *METRICS))
            if name == "cider":
                remedy = "CIDEr itself is not offered, only CIDEr-D: cider_d; "
            known = f"sets: {', '.join(SETS)}; metrics: {', '.join(METRICS)}"
            raise WsacError(f"no metric {name!r}; {remedy}{known}")
    if not explicit:
        raise WsacError(f"no metrics named; sets: {', '.join(SETS)}")
    return list(explicit), {name for name, by_name in explicit.items() if by_name}
