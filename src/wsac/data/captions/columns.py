"""What columns are called: of sounds, of captions, of references and of labels.

A layout that is not read yet usually needs a name here and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

_FILES = "clip file_name filename fname file audio audio_file audio_path path wav".split()
# the likelier first: of several in a table the first is taken
SOUND_COLUMNS = (*_FILES, "youtube_id", "image_id", "audio_id", "audiocap_id", "id", "source")
SCORED_SOUNDS = (*SOUND_COLUMNS, "key", "name")
# used when no column is called caption: DCASE's, then those of web tables, then SLAM-LLM's
OTHER_CAPTIONS = ("caption_predicted", "text", "sentence", "description", "target", "mrefs")
CANDIDATES = (
    *("candidate", "prediction", "predicted_caption", "caption_predicted", "hypothesis"),
    *("cands", "candidates", "preds", "caption", "text", "target"),
)
REFERENCE_LISTS = ("references", "refs", "mrefs", "mult_references", "captions")
REFERENCES = ("reference", "ref", "caption", "text", "target")
SCORES = {*CANDIDATES, *REFERENCE_LISTS, *REFERENCES}
LABELS = ("display_name", "label", "labels", "class", "category")

_CAPTION = re.compile(r"captions?[_ -]?\d*")
_NUMBERED = re.compile(r"(?:captions?|references?|refs?|raw)[ _-]?\d+")
# headers also without captions: these names, or any with an underscore, begin no sentence
HEADER_ONLY = {"filename", "fname", "filepath", "ytid"}
_OTHER_WORDS = {"start", "end", "duration", "split", "label", "labels", "tags", "keywords"}
HEADER_WORDS = {*SOUND_COLUMNS, *HEADER_ONLY, *_OTHER_WORDS}

# what programs write for a missing value
MISSING = {"nan", "none", "null", "na", "n/a", "#n/a", "<na>", "nat", "undefined", "-"}


def is_missing(text: str) -> bool:
    """Whether a caption is a program's word for a missing value, such as ``nan`` or ``#N/A``."""
    return len(text) < 20 and text.strip().lower() in MISSING


@lru_cache(maxsize=64)
def caption_columns(names: tuple[str, ...], numbered: bool = False) -> tuple[str, ...]:
    """Columns of captions: all of caption, captions and caption_N, else one called text or alike.

    names: lower-case. numbered: only caption_N.
    """
    columns = tuple(name for name in names if _CAPTION.fullmatch(name))
    if numbered:
        return tuple(name for name in columns if name[-1].isdigit())
    return columns or tuple(name for name in OTHER_CAPTIONS if name in names)[:1]


def numbered_columns(names: Iterable[str]) -> tuple[str, ...]:
    """Columns such as caption_1 and ref_2, of which a row may have fewer."""
    return tuple(name for name in names if _NUMBERED.fullmatch(name))


def is_caption_name(name: str) -> bool:
    """Whether a lower-case name is caption, captions or caption_N."""
    return bool(_CAPTION.fullmatch(name))


def is_column(name: str) -> bool:
    """Whether a lower-case name is one that columns have."""
    return name in HEADER_WORDS or name in OTHER_CAPTIONS or bool(_CAPTION.fullmatch(name))


def name_list(names: Iterable[str]) -> str:
    """The first eight names, quoted, for an error message."""
    names = list(names)
    shown = ", ".join(repr(name[:40]) for name in names[:8])
    return f"{shown} and {len(names) - 8} more" if len(names) > 8 else shown or "nothing"


def clip_name(record: dict[str, Any], names: Iterable[str]) -> str | None:
    """The clip that a record names; AudioCaps names a clip by its video and start second.

    As written: some file names of Clotho begin with a space.
    """
    for name in names:
        value = record.get(name)
        if isinstance(value, (str, int)) and str(value).strip():
            start = record.get("start_time") if name == "youtube_id" else None
            return str(value) if start in (None, "") else f"{value}_{start}"
    return None
