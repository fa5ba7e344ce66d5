"""How fast the metrics are that need no model, against pycocoevalcap's way, and what 100,000
captions take of memory.

    python benchmarks/speed/metrics_speed.py ../shared/captions/Clotho.test.csv

The first caption of each clip is scored against all five, by ours and by pycocoevalcap's tokenizer
(Java), BLEU, ROUGE-L and CIDEr, in turns; the median of the ratios is printed. Needs the extra
[meteor] and Java for the comparison.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from wsac.data.captions.corpus import read_captions
from wsac.evaluation import Item, evaluate

NAMES = ["bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l", "cider_d"]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("captions", type=Path, help="captions with their clips")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--items",
        type=int,
        help="only score so many, repeated as need be, and print time and memory",
    )
    options = parser.parse_args()
    clips: dict[str, list[str]] = {}
    for row in read_captions(options.captions):
        clips.setdefault(str(row.clip), []).append(row.caption)
    if options.items:
        return alone(list(clips.values()), options.items)
    items = [Item(clip, texts[0], tuple(texts)) for clip, texts in clips.items()]
    evaluate(items, NAMES)
    ours, theirs, everything = [], [], []
    for _ in range(options.rounds):
        ours.append(timed(lambda: evaluate(items, NAMES)))
        theirs.append(timed(lambda: pycocoevalcap(items)))
        everything.append(timed(lambda: evaluate(items, "fast")))
    ratio = statistics.median(b / a for a, b in zip(ours, theirs, strict=True))
    print(f"{len(items):,} captions, {sum(len(item.references) for item in items):,} references")
    print(f"BLEU, ROUGE-L, CIDEr-D with intervals: {statistics.median(ours):.2f} s")
    print(f"the set fast, with intervals: {statistics.median(everything):.2f} s")
    print(
        f"pycocoevalcap, BLEU, ROUGE-L, CIDEr-D: {statistics.median(theirs):.2f} s, "
        f"{ratio:.1f} times ours"
    )
    for count in (10_000, 100_000):
        subprocess.run(
            [sys.executable, __file__, str(options.captions), "--items", str(count)], check=True
        )


def alone(texts: list[list[str]], count: int) -> None:
    """Score ``count`` captions that differ by a number, so that no cache of whole captions
    helps.
    """
    items = []
    for i in range(count):
        candidate, *rest = texts[i % len(texts)]
        items.append(Item(str(i), f"{candidate} {i}", (f"{candidate} {i // 2}", *rest)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = timed(lambda: evaluate(items, "fast"))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(
        f"{count:,} captions: {seconds:.1f} s, "
        f"{grown / 1024:,.0f} MB more than the items themselves"
    )


def pycocoevalcap(items: list[Item]) -> None:
    import contextlib
    import io

    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    with contextlib.redirect_stdout(io.StringIO()):
        cutter = PTBTokenizer()
        references = cutter.tokenize(
            {i: [{"caption": text} for text in item.references] for i, item in enumerate(items)}
        )
        candidates = cutter.tokenize(
            {i: [{"caption": item.candidate}] for i, item in enumerate(items)}
        )
        for metric in (Bleu(4), Rouge(), Cider()):
            metric.compute_score(references, candidates)


def timed(run) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
