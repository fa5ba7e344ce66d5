"""An evaluation as one HTML page: figures with intervals, how they are spread, and the best and worst clips to hear."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wsac.clap import ClapEncoder
from wsac.clap.sounds import embed_sound
from wsac.clap.texts import embed_texts
from wsac.data.audio.stream import load_audio
from wsac.data.captions.corpus import read_captions
from wsac.evaluation.results import counted, figure_rows
from wsac.io.console import progress
from wsac.io.html import ClipCard, PagePart, write_page
from wsac.io.plots import histogram_png
from wsac.types import AudioError, RecipeError

from . import Item, Report, Score
from .statistics import LEVEL, RESAMPLES

RATE = 16_000  # Hz of the players
SECONDS = 30.0  # of a clip that are kept in the page
LIKELY = (
    "fense",
    "spider_fl",
    "spider",
    "cider_d",
    "sbert_sim",
    "meteor",
    "clapscore",
    "rouge_l",
    "bleu_1",
)
LESS_IS_BETTER = ("fer", "self_bleu")
NEAREST = 3  # retrieved captions of a clip


def write_evaluation(
    report: Report,
    path: str | Path,
    *,
    title: str = "Evaluation",
    clips: int = 5,
    by: str | None = None,
    captions: Sequence[str] = (),
    clap: ClapEncoder | None = None,
) -> list[str]:
    """Write the page; returns what it could not show, a line each.

    clips: so many of the best and of the worst, by the metric ``by`` (left out: the first that has values of single
    clips, of FENSE, SPIDEr, CIDEr-D and so on). captions: of those nearest to a clip in the space of ``clap`` three are
    shown. Raises RecipeError for a metric without such values.
    """
    if clips < 0:
        raise RecipeError(f"{clips} clips: give 0 or more")
    chosen = _chosen(report, by)
    columns = ("metric", "value>", f"{100 * LEVEL:.0f} % interval>", "note")
    parts = [PagePart("Figures", columns=columns, rows=_rows(report))]
    if pictures := [_histogram(score) for score in report.scores.values() if _varies(score)]:
        parts.append(PagePart("How they are spread", pictures=pictures))
    cards = _Cards(report, captions, clap)
    if chosen is not None and clips:
        order = _order(chosen)
        best, worst = order[:clips], order[clips:][-clips:][::-1]
        with progress("report", len(best) + len(worst), unit="clips") as tick:
            for heading, rows in (
                (f"Best by {chosen.name}", best),
                (f"Worst by {chosen.name}", worst),
            ):
                made = []
                for row in rows:
                    made.append(cards.card(row))
                    tick()
                if made:
                    parts.append(PagePart(heading, cards=made))
    write_page(path, parts, title=title, summary=_summary(report))
    return cards.problems


def _chosen(report: Report, by: str | None) -> Score | None:
    usable = {name: score for name, score in report.scores.items() if score.per_item is not None}
    if by is not None and by not in usable:
        raise RecipeError(
            f"{by}: no values of it for single clips in the evaluation; there are {', '.join(usable)}"
        )
    return (
        usable[by]
        if by
        else next((usable[name] for name in (*LIKELY, *usable) if name in usable), None)
    )


def _order(score: Score) -> list[int]:
    """Rows from the best to the worst; those without a value are left out."""
    values = np.asarray(score.per_item, float)
    known = [row for row in range(len(values)) if np.isfinite(values[row])]
    sign = 1 if score.name in LESS_IS_BETTER else -1
    return sorted(known, key=lambda row: sign * values[row])


def _varies(score: Score) -> bool:
    return (
        score.per_item is not None
        and len(np.unique(score.per_item[np.isfinite(score.per_item)])) > 2
    )


def _histogram(score: Score) -> tuple[str, bytes]:
    values = np.asarray(score.per_item, float)
    return f"Histogram of {score.name}", histogram_png(
        values, title=score.name, mark=float(np.nanmean(values))
    )


def _rows(report: Report) -> list[tuple[str, ...]]:
    return [
        *figure_rows(report),
        *((name, "", "", f"not computed: {why}") for name, why in report.missing.items()),
    ]


def _summary(report: Report) -> str:
    lines = [", ".join(f"{name} {value}" for name, value in report.about.items())]
    lines.append(f"{counted(report)}; set {report.digest}.")
    if report.intervals:
        lines.append(
            f"Intervals: percentile bootstrap over clips, {RESAMPLES:,} resamples. Orange: the mean."
        )
    lines += report.notes
    lines += [f"Left out: {what} ({count:,})." for what, count in report.skipped.items()]
    return "\n".join(lines)


class _Cards:
    """Cards of single clips; what they lack is noted in ``problems``."""

    def __init__(self, report: Report, captions: Sequence[str], clap: ClapEncoder | None) -> None:
        self.problems: list[str] = []
        self._report, self._captions, self._clap = report, captions, clap
        self._texts = embed_texts(clap, captions) if clap is not None and captions else None

    def card(self, row: int) -> ClipCard:
        item = self._report.items[row]
        samples = self._samples(item)
        values = {
            n: score.per_item[row]
            for n, score in self._report.scores.items()
            if score.per_item is not None
        }
        facts = [(name, f"{value:.3f}") for name, value in values.items() if np.isfinite(value)]
        if item.confidence is not None:
            facts.insert(0, ("confidence", f"{100 * item.confidence:.0f} %"))
        lines = [("Reference", text) for text in item.references]
        if samples is not None:
            lines += [("Near", text) for text in self._nearest(str(item.audio))]
        return ClipCard(item.id, item.candidate, samples, RATE, tuple(facts), tuple(lines))

    def _samples(self, item: Item) -> np.ndarray | None:
        if item.audio is None:
            self.problems.append(f"{item.id}: its sound is not known")
            return None
        try:
            return load_audio(item.audio, RATE, max_seconds=SECONDS).samples
        except AudioError as error:
            self.problems.append(str(error))
            return None

    def _nearest(self, audio: str) -> list[str]:
        if self._texts is None or self._clap is None:
            return []
        similarity = self._texts @ embed_sound(self._clap, audio).embedding
        return [
            self._captions[i]
            for i in similarity.topk(min(NEAREST, len(similarity))).indices.tolist()
        ]


def read_texts(paths: Sequence[str | Path]) -> list[str]:
    """Every different caption of caption files, in their order."""
    captions = (row.caption.strip() for path in paths for row in read_captions(path))
    return [caption for caption in dict.fromkeys(captions) if caption]
