"""The clauses of a caption, without those of speech or music that others show."""

from __future__ import annotations

import re
from collections.abc import Collection

from .event_phrase import event_phrase

BETWEEN = re.compile(
    r"[,;.]|\b(?:as|while|whilst|when|before|after|then|and|with|followed by|accompanied by)\b",
    re.IGNORECASE,
)
OF_KIND = {
    "speech": r"sp(?:ea|o)k\w*|speech|talk\w*|sa(?:ys?|id)|convers\w+|narrat\w+|announc\w+|voices?",
    "music": r"music\w*|s[aiu]ngs?|singing|songs?|melod\w+|guitars?|pianos?|violins?|flutes?",
}


def without_kinds(caption: str, kinds: Collection[str]) -> str:
    """What a caption tells besides speech or music: "a cat is crying" of "A man speaking while a
    cat is crying". "" when nothing else is there; a caption of other sounds stays as it is.

    kinds: "speech" or "music", as in CueOptions.skip.
    """
    words = "|".join(OF_KIND[kind] for kind in kinds if kind in OF_KIND)
    pattern = re.compile(rf"\b(?:{words})\b", re.IGNORECASE)
    if not words or not pattern.search(caption):
        return caption
    for clause in BETWEEN.split(caption):
        if clause and clause.strip() and not pattern.search(clause):
            phrase = event_phrase(clause)
            if phrase.verb or phrase.doing:
                return clause.strip()
    return ""
