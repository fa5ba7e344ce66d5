"""Find moments by words or by a sound: the spans of a recording that fit best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wsac.arrays import Tensor, torch
from wsac.clap import ClapEncoder
from wsac.clap.sounds import Audio, embed_example
from wsac.data.audio.audio_options import AS_IS, AudioOptions
from wsac.data.audio.stream import AudioStream, opened
from wsac.inference.spans.find_spans import find_spans
from wsac.inference.spans.span import Passage
from wsac.types import RecipeError

from .moment_scores import MomentScorer
from .queries import Query

SAME = 0.5  # share of a moment from which on a worse one over it is the same sound again
COVERED = 0.2  # share of a moment from which on what sounds beside it counts
TOP = 10


@dataclass(frozen=True, slots=True)
class Moment:
    """A part of a recording that fits a query.

    start, end: seconds. score: how well it fits, comparable within the query. probability: that it
    is what was searched for, in [0, 1]; None for a CLAP without calibration. file: the path, "" for
    samples.
    """

    query: str
    start: float
    end: float
    score: float
    probability: float | None = None
    file: str = ""


class MomentFinder:
    """Finds moments in many recordings.

    >>> finder = MomentFinder(load_clap(), all_queries("glass breaking"))
    >>> finder.find("film.mp4")          # [Moment(query="glass breaking", start=..., ...), ...]
    """

    def __init__(
        self,
        clap: ClapEncoder,
        queries: Sequence[Query],
        top: int = TOP,
        scorer: MomentScorer | None = None,
    ) -> None:
        """top: moments of each query. scorer: that of another finder, to save time.

        Raises RecipeError for a top below 1, AudioError for a sound to resemble that cannot be
        read.
        """
        if top < 1:
            raise RecipeError(f"top {top}: nothing would be shown; give 1 or more")
        self.clap, self.queries, self.top = clap, list(queries), top
        self.scorer = scorer or MomentScorer(clap)
        self._wanted = [self._embed(query) for query in queries]
        embed = self.scorer.embed_texts
        self._unwanted = [embed(q.without) if q.without else None for q in queries]

    def find(self, audio: Audio | AudioStream, audio_options: AudioOptions = AS_IS) -> list[Moment]:
        """The best moments of each query, best first, in the order of the queries.

        The sound is streamed. Raises AudioError.
        """
        with opened(audio, self.clap.sample_rate, audio_options) as stream:
            passages = list(find_spans(self.clap, stream))
        if not passages:
            return []
        embeddings = torch.stack([passage.embedding for passage in passages])
        moments: list[Moment] = []
        for query, wanted, unwanted in zip(self.queries, self._wanted, self._unwanted, strict=True):
            kind = "sound" if query.like else "text"
            scores = self.scorer(wanted[None], embeddings, kind)
            fit = scores.score[0]
            sure = None if scores.probability is None else scores.probability[0]
            if unwanted is not None:
                free = self._free_of(unwanted, passages, embeddings)
                sure = None if sure is None else sure * free
                fit = fit + free.clamp(min=1e-6).log()
            rows = [
                Moment(
                    *(query.text, passage.start, passage.end, round(float(fit[i]), 4)),
                    None if sure is None else round(float(sure[i]), 4),
                    stream.file,
                )
                for i, passage in enumerate(passages)
            ]
            moments += best_of(once(best_of(rows, len(rows))), self.top)
        return moments

    def _embed(self, query: Query) -> Tensor:
        if query.like:
            return embed_example(self.clap, query.like)
        return self.scorer.embed_texts([query.wanted])[0]

    def _free_of(self, unwanted: Tensor, passages: Sequence[Passage], embeddings: Tensor) -> Tensor:
        """The probability that nothing unwanted sounds in or beside each passage, [N]."""
        scores = self.scorer(unwanted, embeddings)
        share = scores.probability
        if share is None:
            share = torch.sigmoid(scores.score)
        there = share.amax(dim=0)
        starts = torch.tensor([passage.start for passage in passages])
        ends = torch.tensor([passage.end for passage in passages])
        common = torch.minimum(ends, ends[:, None]) - torch.maximum(starts, starts[:, None])
        beside = common >= COVERED * (ends - starts)[:, None]
        return 1 - (there * beside).amax(dim=1)


def once(moments: Sequence[Moment]) -> list[Moment]:
    """Of one recording, best first: without the background that a better event lies in."""
    different: list[Moment] = []
    for moment in moments:
        if not any(_lies_over(moment, better) for better in different):
            different.append(moment)
    return different


def _lies_over(moment: Moment, better: Moment) -> bool:
    common = min(moment.end, better.end) - max(moment.start, better.start)
    return common >= SAME * (better.end - better.start)


def best_of(moments: Sequence[Moment], top: int) -> list[Moment]:
    """The best moments of a query, best first; of equal ones, the earliest."""
    return sorted(moments, key=lambda m: (-m.score, m.file, m.start))[:top]
