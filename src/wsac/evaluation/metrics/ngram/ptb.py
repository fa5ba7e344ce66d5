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
    """One pattern for every token. The first rule that fits is taken: longer forms come first."""
    # numerals, which \w would take
    sign = "²³¹¼-¾\u2070-\u209c\u2150-\u215e\u2460-\u249b\u24ea-\u24ff\u2776-\u2793"
    mark = "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u0610-\u061a\u064b-\u065e"
    mark += "\u0900-\u0903\u093c-\u094e\u0e34-\u0e4e"
    never = "\x00-\x1f\x7f\u200b-\u200f\ufe0f\U00010000-\U0010ffff"
    letter, alnum = rf"(?:[^\W\d_{sign}]|[{mark}])", rf"(?:[^\W_{sign}]|[{mark}])"
    end = rf"(?!{alnum})"
    part = rf"{alnum}+(?:-{alnum}+)*"
    point = r"[.,:]\d+"
    clitic = rf"['’](?:s|m|d|ll|re|ve)(?!{letter})"
    starts = _one_of("starts")
    n_t = rf"n['’`]t{end}"
    rules = (
        # what is no prose: entities, addresses, mail, tags, faces
        r"(?i:&(?:amp|lt|gt|quot|nbsp|apos);)",
        r"(?i:https?://(?=[^\s./]+\.)|www\.(?=\w))[^\s\"<>|()]*[^\s\"<>|().!?,-]",
        rf"{alnum}[\w.+-]*@+{alnum}[\w@-]*(?:\.{alnum}[\w-]*)*",
        rf"<[!?][^<>]*>|</{letter}[\w:.-]*>|<{letter}[\w:.-]*(?: +{letter}[\w:.-]*)*(?: */)? ?>",
        r"[:;=][-']?[()](?!\w)|[:=]-?[DP](?!\w)|:[\[\]|3O](?!\w)|\^_\^|-_-",
        # words that are two
        rf"(?i:can(?=not{end})|(?:gon|wan)(?=na{end})|got(?=ta{end})|(?:lem|gim)(?=me{end}))"
        r"(?!\w+['’]\w)",
        rf"(?i:'t(?=(?:is|was)(?:{end}|{n_t})))",
        rf"(?i:{clitic}|{n_t}|{alnum}+?(?={n_t}))",
        # apostrophes
        rf"(?i:{_one_of('apostrophe')}{end}|['’]n(?:['’]|{end})|ol['’])",
        rf"(?i:[dljy](?!{clitic})['’](?!{letter}{{2}})|[jy](?!{clitic})['’])",
        rf"(?:[A-HK-XZlno]|d)(?!{clitic})['’]{letter}{{2,}}",
        rf"(?<!\w)['’]\d(?:0s|\d){end}",
        # full stops that belong to a word
        rf"(?i:{_one_of('short')}\.)(?!{letter})|{_one_of('short_capital')}\.(?!{letter})",
        rf"(?i:{_one_of('short_number')}\.)(?=\s*\d)",
        rf"[A-Za-z](?:\.[A-Za-z])+(?:\.(?!{alnum})|{end}(?!\.{alnum}))(?:-{alnum}+)*",
        rf"[A-Za-z]\.(?!{alnum}|\s+(?:{starts}|{starts.upper()}){end})",
        rf"(?i:{alnum}+(?:\.{alnum}+)*\.{_one_of('files')}){end}",
        rf"{letter}{alnum}*(?:\.{letter}{alnum}*)+(?:-{alnum}+)*|{letter}+(?:[!?]{letter}+)+",
        # numbers
        rf"\d+(?:[.,]\d+)+{alnum}*(?:-{alnum}+)+",
        rf"\d+/\d+/\d+{end}|[-+]?(?:\d+|(?={point}))(?:{point})+|[-+]\d+",
        # words
        r"(?i:[cf]#|c\+\+)|(?:[A-Z]{1,2}|US)\$|[A-Z]+&[A-Z]+",
        rf"{part}(?:/{part}){{1,2}}",
        rf"{alnum}+(?:[_-]{alnum}+)*",
        rf"@{letter}\w*|#{letter}+",
        # signs
        r"[!?]{2,}|\.(?: ?\.){2,}|-{5,}|-{2,4}|\*+|_+|<<|>>|#{2,}|@{2,}",
        rf"[^\s\w{never}]|[{sign}]",
    )
    return re.compile("|".join(rules))


def _one_of(words: str) -> str:
    return f"(?:{'|'.join(_LISTS[words].split())})".replace("'", "['’]")
