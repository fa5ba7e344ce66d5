"""Words of a caption as coco-caption sees them: Penn Treebank tokens without punctuation.

BLEU, ROUGE-L and CIDEr-D depend on where a sentence is cut into words. The rules were written by
watching what Stanford's PTBTokenizer 3.4.1, which coco-caption runs in Java, makes of words, signs
and letters; docs/metrics.md says how far they agree.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path

_LISTS = tomllib.loads(Path(__file__).with_name("ptb.toml").read_text(encoding="utf-8"))
# What coco-caption drops. Its list has -LRB- too, but that is lower-case by then, and so it stays.
_DROPPED = {*"'`\".?!,:;-‘’‛‹›“”«»…–—―", "&quot;", "&nbsp;", "&apos;"}
_DROPPED_RUN = re.compile(r"\.(?: ?\.)*|-{2,4}|''|``")
_PLAIN = re.compile(r"[A-Za-z ,]+\.? ?")
_TWO_WORDS = {"cannot", "gonna", "wanna", "gotta", "lemme", "gimme"}
_ENDINGS = {*_LISTS["short"].split(), *_LISTS["short_capital"].lower().split()}


def tokenize(caption: str) -> list[str]:
    """The words of a caption, in lower case and without punctuation; none when there are none."""
    if _PLAIN.fullmatch(caption):  # nearly all captions, and ten times faster
        words = caption.lower().replace(",", " ").replace(".", "").split()
        short = "." in caption and words and (len(words[-1]) == 1 or words[-1] in _ENDINGS)
        if not short and _TWO_WORDS.isdisjoint(words):
            return words
    words = []
    for token in _pattern().findall(caption.replace("\u00ad", "")):  # soft hyphens are not seen
        lower = token.lower()
        if lower not in _DROPPED and not _DROPPED_RUN.fullmatch(lower):
            plain = lower.replace("(", "-lrb-").replace(")", "-rrb-")
            words += _LISTS["written"].get(lower, plain).split()
    return words


@cache
def _pattern() -> re.Pattern[str]:
    """One pattern for every token: the rules of ptb.toml with their <parts> filled in."""
    pattern = "|".join(_LISTS["rules"])
    for name, part in reversed(_LISTS["parts"].items()):
        pattern = pattern.replace(f"<{name}>", part)
    for name in ("starts", "apostrophe", "short", "short_capital", "short_number", "files"):
        words = f"(?:{'|'.join(_LISTS[name].split())})".replace("'", "['’]")
        pattern = pattern.replace(f"<{name}>", words).replace(f"<{name.upper()}>", words.upper())
    return re.compile(pattern)
