"""The metrics by name, what each needs, and the sets that people ask for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from wsac.evaluation.metrics.java.meteor import meteor
from wsac.evaluation.metrics.java.spice import spice, spider
from wsac.evaluation.metrics.ngram.bleu import bleu
from wsac.evaluation.metrics.ngram.cider import cider_d
from wsac.evaluation.metrics.ngram.counts import Words
from wsac.evaluation.metrics.ngram.diversity import distinct, length, novelty, vocabulary
from wsac.evaluation.metrics.ngram.rouge import rouge_l
from wsac.evaluation.metrics.ngram.self_bleu import self_bleu
from wsac.types import ModelError, WsacError, did_you_mean

from .items import Item, MissingError, Score


@dataclass(frozen=True, slots=True)
class Models:
    """What the metrics need beside the items; left out: the usual ones.

    training: a caption file, for novelty. clap: of clapscore. encoder: of sbert_sim. checker: of fer.
    """

    training: Path | None = None
    clap: str | None = None
    encoder: str | None = None
    checker: str | None = None
    device: str = "auto"
    offline: bool = False


@dataclass
class Task:
    """Items on their way through the metrics: cut into words once, and every metric computed once."""

    items: Sequence[Item]
    models: Models = field(default_factory=Models)
    done: dict[str, Score] = field(default_factory=dict)

    @cached_property
    def words(self) -> Words:
        return Words.of(self.items)

    def score(self, name: str) -> Score:
        if name not in self.done:
            self.done.update((score.name, score) for score in METRICS[name].run(self))
        return self.done[name]


@dataclass(frozen=True, slots=True)
class Metric:
    """run: gives this metric, and perhaps others with it. extra: what has to be installed or fetched first."""

    run: Callable[[Task], list[Score]]
    references: bool = True
    extra: str = ""


def _novelty(task: Task) -> list[Score]:
    from wsac.data.captions.corpus import read_captions

    if task.models.training is None:
        raise MissingError(
            "needs the captions that the captioner was trained on: --training-text FILE"
        )
    return novelty(task.items, (row.caption for row in read_captions(task.models.training)))


def _sbert_sim(task: Task) -> list[Score]:
    from wsac.evaluation.metrics.model.encoders import load_encoder
    from wsac.evaluation.metrics.model.sbert import DEFAULT_ENCODER, sbert_sim
    from wsac.runtime.device import pick_device

    def load():
        name = task.models.encoder or DEFAULT_ENCODER
        return load_encoder(
            name, device=pick_device(task.models.device), offline=task.models.offline
        )

    return sbert_sim(task.items, _usual(load, task.models.encoder, "--encoder"))


def _fer(task: Task) -> list[Score]:
    from wsac.evaluation.metrics.model.fense import fer
    from wsac.evaluation.metrics.model.fluency import DEFAULT_CHECKER, load_checker
    from wsac.runtime.device import pick_device

    def load():
        name = task.models.checker or DEFAULT_CHECKER
        return load_checker(
            name, device=pick_device(task.models.device), offline=task.models.offline
        )

    return fer(task.items, _usual(load, task.models.checker, "--checker"))


def _clapscore(task: Task) -> list[Score]:
    from wsac.clap import load_clap
    from wsac.evaluation.metrics.model.clapscore import clapscore
    from wsac.runtime.device import pick_device

    silent = sum(item.audio is None for item in task.items)
    if silent:
        raise MissingError(
            f"needs the sounds, and {silent:,} of {len(task.items):,} were not found: --audio FOLDER"
        )
    clap = load_clap(
        task.models.clap or "pocket",
        device=pick_device(task.models.device),
        offline=task.models.offline,
    )
    return clapscore(task.items, clap)


def _penalised(of: str, name: str) -> Callable[[Task], list[Score]]:
    def run(task: Task) -> list[Score]:
        from wsac.evaluation.metrics.model.fense import penalised

        return [penalised(task.score(of), task.score("fer"), name)]

    return run


def _usual(load: Callable, chosen: str | None, option: str):
    """A model; where the usual one cannot be had the metric is missing, where the user named one it is an error."""
    try:
        return load()
    except ModelError as error:
        raise error if chosen else MissingError(f"{error} ({option})") from error


_BLEU = Metric(lambda task: bleu(task.items, task.words))
_DISTINCT = Metric(lambda task: distinct(task.items, task.words), references=False)
_CLAPSCORE = Metric(_clapscore, references=False, extra="the sounds")
METRICS: dict[str, Metric] = {
    "bleu_1": _BLEU,
    "bleu_2": _BLEU,
    "bleu_3": _BLEU,
    "bleu_4": _BLEU,
    "meteor": Metric(lambda task: meteor(task.items, task.words), extra="wsac[meteor] and Java"),
    "rouge_l": Metric(lambda task: rouge_l(task.items, task.words)),
    "cider_d": Metric(lambda task: cider_d(task.items, task.words)),
    "spice": Metric(
        lambda task: spice(task.items, task.words), extra="wsac metrics install spice, and Java"
    ),
    "spider": Metric(
        lambda task: [spider(task.score("spice"), task.score("cider_d"))], extra="as spice"
    ),
    "spider_fl": Metric(
        _penalised("spider", "spider_fl"), extra="as spice, and a detector from the web"
    ),
    "sbert_sim": Metric(_sbert_sim, extra="a sentence encoder from the Hub"),
    "fer": Metric(_fer, references=False, extra="a detector from the web"),
    "fense": Metric(_penalised("sbert_sim", "fense"), extra="as sbert_sim and fer"),
    "clapscore": _CLAPSCORE,
    "retrieval_r1": _CLAPSCORE,
    "retrieval_r10": _CLAPSCORE,
    "retrieval_mrr": _CLAPSCORE,
    "length": Metric(lambda task: length(task.items, task.words), references=False),
    "vocabulary": Metric(lambda task: vocabulary(task.items, task.words), references=False),
    "distinct_1": _DISTINCT,
    "distinct_2": _DISTINCT,
    "self_bleu": Metric(lambda task: self_bleu(task.items, task.words), references=False),
    "novelty": Metric(_novelty, references=False, extra="the training captions"),
}
_BLEUS = ("bleu_1", "bleu_2", "bleu_3", "bleu_4")
_VARIETY = ("length", "vocabulary", "distinct_1", "distinct_2", "self_bleu")
SETS: dict[str, tuple[str, ...]] = {
    "compact": ("cider_d", "meteor", "rouge_l", "bleu_4"),
    "fast": (*_BLEUS, "rouge_l", "cider_d", *_VARIETY),
    "classic": (*_BLEUS, "meteor", "rouge_l", "cider_d", "spice", "spider"),
    "dcase2024": (
        "meteor",
        "cider_d",
        "spice",
        "spider",
        "spider_fl",
        "fense",
        "sbert_sim",
        "fer",
        "vocabulary",
    ),
    "reference-free": (
        "clapscore",
        "retrieval_r1",
        "retrieval_r10",
        "retrieval_mrr",
        *_VARIETY,
        "novelty",
    ),
}


def resolve(wanted: Sequence[str]) -> tuple[list[str], set[str]]:
    """Names and sets to names, each once, and those of them that were asked for by name. Raises for unknown ones."""
    names: dict[str, bool] = {}
    for name in (name.strip().lower() for name in wanted):
        if name in SETS:
            for member in SETS[name]:
                names.setdefault(member, False)
        elif name in METRICS:
            names[name] = True
        else:
            remedy = did_you_mean(name, (*SETS, *METRICS))
            remedy = (
                "CIDEr itself is not offered, only CIDEr-D: cider_d; "
                if name == "cider"
                else remedy
            )
            raise WsacError(
                f"no metric {name!r}; {remedy}sets: {', '.join(SETS)}; metrics: {', '.join(METRICS)}"
            )
    if not names:
        raise WsacError(f"no metrics named; sets: {', '.join(SETS)}")
    return list(names), {name for name, explicit in names.items() if explicit}
