"""Cues as text: SRT, VTT, TTML and ASS for players, JSON, CSV and Audacity labels for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from html import escape
from typing import Any

from wsac.io.csv_text import csv_line
from wsac.io.json_text import to_json
from wsac.types import RecipeError, did_you_mean

from .cues import Cue
from .ttml import to_ttml

SUFFIXES = {
    "srt": ".srt",
    "vtt": ".vtt",
    "ttml": ".ttml",
    "ass": ".ass",
    "json": ".json",
    "csv": ".csv",
    "audacity": ".txt",
}
COLUMNS = ("start", "end", "text", "captions", "confidence", "prominence", "sustained", "kind")


def check_format(name: str) -> str:
    """The name. Raises RecipeError for an unknown one."""
    if name not in SUFFIXES:
        near = did_you_mean(name, SUFFIXES)
        raise RecipeError(f"format {name!r}: {near}there are {', '.join(SUFFIXES)}")
    return name


def to_text(
    cues: Sequence[Cue], name: str, *, title: str = "", left_out: Mapping[str, int] | None = None
) -> str:
    """A whole file of cues in a format of SUFFIXES. title: of the document, where it has one.
    left_out: how many sounds got no cue, by reason; for JSON."""
    match check_format(name):
        case "ttml":
            return to_ttml(cues, title=title)
        case "json":
            rows = [_row(cue) | {"spans": _spans(cue)} for cue in cues]
            return to_json({"cues": rows, "left_out": dict(left_out or {})}, indent=2) + "\n"
        case "csv":
            rows = [_row(cue) | _facts(cue) for cue in cues]
            return "".join(map(csv_line, (COLUMNS, *([row[c] for c in COLUMNS] for row in rows))))
        case "audacity":
            lines = (f"{c.start:.6f}\t{c.end:.6f}\t{' '.join(c.text.split())}\n" for c in cues)
            return "".join(lines)
        case _:
            return _with_pysubs2(cues, name, title)


def _with_pysubs2(cues: Sequence[Cue], name: str, title: str) -> str:
    import pysubs2

    document = pysubs2.SSAFile()
    document.info["Title"] = title.replace("\n", " ")
    document.info |= {"PlayResX": "384", "PlayResY": "288"}
    for cue in cues:
        text = cue.text if name != "vtt" else escape(cue.text, quote=False)
        text = text.replace("\n", "\\N")
        start, end = round(1000 * cue.start), round(1000 * cue.end)
        document.append(pysubs2.SSAEvent(start=start, end=end, text=text))
    return document.to_string(name)


def _row(cue: Cue) -> dict[str, Any]:
    return {"start": round(cue.start, 3), "end": round(cue.end, 3), "text": cue.text}


def _spans(cue: Cue) -> list[dict[str, Any]]:
    facts = [asdict(span) for span in cue.spans]
    return [{k: round(v, 4) if isinstance(v, float) else v for k, v in f.items()} for f in facts]


def _facts(cue: Cue) -> dict[str, Any]:
    """Of the first of its spans; the captions of all."""
    captions = "; ".join(span.text for span in cue.spans)
    first = cue.spans[0] if cue.spans else None
    facts = {name: getattr(first, name, "") for name in COLUMNS[4:]}
    facts["confidence"] = "" if facts["confidence"] is None else facts["confidence"]
    facts = {k: round(v, 4) if isinstance(v, float) else v for k, v in facts.items()}
    return {"captions": captions} | facts
