"""An evaluation as one HTML page: figures with intervals, histograms, best and worst clips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from wsac.clap import ClapEncoder
from wsac.clap.sounds import embed_sound
from wsac.clap.texts import embed_texts
from wsac.data.audio.stream import load_audio
from wsac.data.captions.corpus import read_captions
from wsac.io.console import progress
from wsac.io.html import ClipCard, PagePart, write_page
from wsac.io.svg_plots import histogram_svg
from wsac.types import AudioError, RecipeError

from .results import Report, counted, figure_rows
from .statistics import LEVEL, RESAMPLES

RATE = 16_000  # Hz of the players
SECONDS = 30.0  # of a clip that the page contains
# metrics that rank the clips, the first that is there
RANKING = "fense spider_fl spider cider_d sbert_sim meteor clapscore rouge_l bleu_1".split()
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
    """Write the page; returns what it could not show, as lines.

    clips: how many of the best and of the worst, by the metric ``by`` (default: the first of
    RANKING that is there). captions: show the nearest to each clip in the space of ``clap``.
    Raises RecipeError for a metric without values of single clips.
    """
    if clips < 0:
        raise RecipeError(f"{clips} clips: give 0 or more")
    values = report.values()
    if by is not None and by not in values:
        what = "no values of it for single clips in the evaluation"
        raise RecipeError(f"{by}: {what}; there are {', '.join(values)}")
    columns = ("metric", "value>", f"{100 * LEVEL:.0f} % interval>", "note")
    missing = [(name, "", "", f"not computed: {why}") for name, why in report.missing.items()]
    parts = [PagePart("Figures", columns=columns, rows=[*figure_rows(report), *missing])]
    pictures = []
    for name, array in values.items():
        if len(np.unique(array[np.isfinite(array)])) > 2:
            picture = histogram_svg(array, title=name, mark=float(np.nanmean(array)))
            pictures.append((f"Histogram of {name}", picture))
    if pictures:
        parts.append(PagePart("How they are spread", pictures=pictures))
    cards = _Cards(report, captions, clap)
    if ranking := by or next((name for name in (*RANKING, *values) if name in values), ""):
        array = values[ranking] if ranking in LESS_IS_BETTER else -values[ranking]
        order = [row for row in np.argsort(array, kind="stable") if np.isfinite(array[row])]
        best, worst = order[:clips], order[clips:][::-1][:clips]
        with progress("report", len(best) + len(worst), unit="clips") as tick:
            for heading, rows in (("Best", best), ("Worst", worst)):
                shown = [cards.card(row, tick) for row in rows]
                if shown:
                    parts.append(PagePart(f"{heading} by {ranking}", cards=shown))
    about = ", ".join(f"{name} {value}" for name, value in report.about.items())
    lines = [about, f"{counted(report)}; set {report.digest}."]
    if report.intervals:
        what = f"percentile bootstrap over clips, {RESAMPLES:,} resamples"
        lines.append(f"Intervals: {what}. Orange: the mean.")
    lines += report.notes
    lines += [f"Left out: {what} ({count:,})." for what, count in report.skipped.items()]
    write_page(path, parts, title=title, summary="\n".join(lines))
    return cards.problems


class _Cards:
    """Cards of single clips; what they lack is noted in ``problems``."""

    def __init__(self, report: Report, captions: Sequence[str], clap: ClapEncoder | None) -> None:
        self.problems: list[str] = []
        self._report, self._captions, self._clap = report, captions, clap
        self._texts = embed_texts(clap, captions) if clap is not None and captions else None

    def card(self, row: int, tick: Callable[[], object]) -> ClipCard:
        item, samples = self._report.items[row], None
        try:
            if item.audio is None:
                raise AudioError(f"{item.id}: its sound is not known")
            samples = load_audio(item.audio, RATE, max_seconds=SECONDS).samples
        except AudioError as error:
            self.problems.append(str(error))
        values = {name: array[row] for name, array in self._report.values().items()}
        facts = [(name, f"{value:.3f}") for name, value in values.items() if np.isfinite(value)]
        if item.confidence is not None:
            facts.insert(0, ("confidence", f"{100 * item.confidence:.0f} %"))
        lines = [("Reference", text) for text in item.references]
        if samples is not None and self._clap is not None and self._texts is not None:
            similarity = self._texts @ embed_sound(self._clap, str(item.audio)).embedding
            nearest = similarity.topk(min(NEAREST, len(similarity))).indices.tolist()
            lines += [("Near", self._captions[i]) for i in nearest]
        tick()
        return ClipCard(item.id, item.candidate, samples, RATE, tuple(facts), tuple(lines))


def read_texts(paths: Sequence[str | Path]) -> list[str]:
    """Every different caption of caption files, in their order."""
    captions = (row.caption.strip() for path in paths for row in read_captions(path))
    return [caption for caption in dict.fromkeys(captions) if caption]
