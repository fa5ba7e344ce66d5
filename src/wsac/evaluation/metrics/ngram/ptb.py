"""Words of a caption as coco-caption sees them: Penn Treebank tokens, lower-case, without punctuation.

BLEU, ROUGE-L and CIDEr-D depend on where a sentence is cut into words, so figures compare only when all cut alike. The
rules were found by watching what Stanford's PTBTokenizer 3.4.1, which coco-caption runs in Java, makes of words, signs
and letters; docs/metrics.md says how far they agree.
"""

from __future__ import annotations

import re
from functools import cache

# Abbreviations that keep their full stop: any, those with a capital, those before a number.
_SHORT = r"""mr mrs ms messrs mme mlle dr drs prof profs rev hon gen ens col capt lt sgt cpl pvt pte pty maj cmdr adm
adj brig sen sens rep reps gov govs pres supt insp det atty sfc spc sr jr esq st ste ft mt rd rt ave blvd ct sq bldg
dept univ assn assoc bros corp co cos inc ltd plc sys jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues
wed thu thurs fri etc vs cf al est mo tel ext asst treas natl intl ala ariz calif colo conn fla ga ind kan kans ky md
mich minn mont neb nev okla penn tenn va vt wis wisc wyo dak jos wm alex elec adv seq ph mfg ph\.d d\.d\.s"""
_SHORT_CAPITAL = "Ark Del Ill La Mass Miss Ore Pa Tex Wash Az"
_SHORT_NUMBER = "no nos p pp fig figs art prop op ca"
# A single letter keeps its full stop too, unless one of these begins a sentence after it.
_STARTS = """A About According Additionally After An As At But Earlier He Her Here However If In It Last Many More Now
Once One Other Our She Since So Some Such That The Their Then There These They This We What When While Yet You"""
# Words with an apostrophe of their own.
_APOSTROPHE = """hallowe'en ev'ry e'er ne'er o'er o'clock o'the ma'am c'mon li'l cap'n nat'l nor'easter qu'il 'em 'til
'till 'cause"""
_FILES = "wav mp3 txt py c h cpp java html htm xml pdf doc docx ppt jpg jpeg png gif bmp zip gz tar exe dll bat cgi php"

# What coco-caption drops. Its list has -LRB- and its like too, but those are lower-case by then, and so they stay.
_DROPPED = {*"'`\".?!,:;-‘’‛‹›“”«»…–—―", "&quot;", "&nbsp;", "&apos;"}
_DROPPED_RUN = re.compile(r"\.(?: ?\.)*|-{2,4}|''|``")
_WRITTEN = {
    "(": "-lrb-",
    ")": "-rrb-",
    "[": "-lsb-",
    "]": "-rsb-",
    "{": "-lcb-",
    "}": "-rcb-",
    "£": "#",
    "€": "$",
    "¤": "$",
    "¢": "cents",
    "¼": "1/4",
    "½": "1/2",
    "¾": "3/4",
    "⅓": "1/3",
    "⅔": "2/3",
    "&amp;": "&",
    "&lt;": "<",
    "&gt;": ">",
    "’s": "'s",
    "’m": "'m",
    "’d": "'d",
    "’ll": "'ll",
    "’re": "'re",
    "’ve": "'ve",
    "n’t": "n't",
}

_PLAIN = re.compile(r"[A-Za-z ,]+\.? ?")
_TWO_WORDS = {"cannot", "gonna", "wanna", "gotta", "lemme", "gimme"}
_ENDINGS = {*_SHORT.split(), *_SHORT_CAPITAL.lower().split()}


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
            words += (
                _WRITTEN.get(lower) or lower.replace("(", "-lrb-").replace(")", "-rrb-")
            ).split()
    return words


@cache
def _pattern() -> re.Pattern[str]:
    """One pattern for every token. The first rule that fits is taken, so the longer forms come first."""
    sign = "²³¹¼-¾\u2070-\u209c\u2150-\u215e\u2460-\u249b\u24ea-\u24ff\u2776-\u2793"  # numerals, which \w would take
    mark = "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u0610-\u061a\u064b-\u065e\u0900-\u0903\u093c-\u094e\u0e34-\u0e4e"
    never = "\x00-\x1f\x7f\u200b-\u200f\ufe0f\U00010000-\U0010ffff"
    letter, alnum = rf"(?:[^\W\d_{sign}]|[{mark}])", rf"(?:[^\W_{sign}]|[{mark}])"
    end = rf"(?!{alnum})"
    part = rf"{alnum}+(?:-{alnum}+)*"
    point = r"[.,:]\d+"
    clitic = rf"['’](?:s|m|d|ll|re|ve)(?!{letter})"
    n_t = rf"n['’`]t{end}"
    rules = (
        # what is no prose: entities, addresses, mail, tags, faces
        r"(?i:&(?:amp|lt|gt|quot|nbsp|apos);)",
        r"(?i:https?://(?=[^\s./]+\.)|www\.(?=\w))[^\s\"<>|()]*[^\s\"<>|().!?,-]",
        rf"{alnum}[\w.+-]*@+{alnum}[\w@-]*(?:\.{alnum}[\w-]*)*",
        rf"<[!?][^<>]*>|</{letter}[\w:.-]*>|<{letter}[\w:.-]*(?: +{letter}[\w:.-]*)*(?: */)? ?>",
        r"[:;=][-']?[()](?!\w)|[:=]-?[DP](?!\w)|:[\[\]|3O](?!\w)|\^_\^|-_-",
        # words that are two
        rf"(?i:can(?=not{end})|(?:gon|wan)(?=na{end})|got(?=ta{end})|(?:lem|gim)(?=me{end}))(?!\w+['’]\w)",
        rf"(?i:'t(?=(?:is|was)(?:{end}|{n_t})))",
        rf"(?i:{clitic}|{n_t}|{alnum}+?(?={n_t}))",
        # apostrophes
        rf"(?i:{_one_of(_APOSTROPHE)}{end}|['’]n(?:['’]|{end})|ol['’])",
        rf"(?i:[dljy](?!{clitic})['’](?!{letter}{{2}})|[jy](?!{clitic})['’])",
        rf"(?:[A-HK-XZlno]|d)(?!{clitic})['’]{letter}{{2,}}",
        rf"(?<!\w)['’]\d(?:0s|\d){end}",
        # full stops that belong to a word
        rf"(?i:{_one_of(_SHORT)}\.)(?!{letter})|{_one_of(_SHORT_CAPITAL)}\.(?!{letter})",
        rf"(?i:{_one_of(_SHORT_NUMBER)}\.)(?=\s*\d)",
        rf"[A-Za-z](?:\.[A-Za-z])+(?:\.(?!{alnum})|{end}(?!\.{alnum}))(?:-{alnum}+)*",
        rf"[A-Za-z]\.(?!{alnum}|\s+(?:{_one_of(_STARTS)}|{_one_of(_STARTS.upper())}){end})",
        rf"(?i:{alnum}+(?:\.{alnum}+)*\.{_one_of(_FILES)}){end}",
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
    return f"(?:{'|'.join(words.split())})".replace("'", "['’]")
