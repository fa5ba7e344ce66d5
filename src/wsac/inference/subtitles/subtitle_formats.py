"""Cues as text: SRT, VTT, TTML and ASS for players, JSON, CSV and Audacity labels for programs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from html import escape
from typing import Any
from xml.sax.saxutils import escape as escape_xml

from wsac.io.console import clock
from wsac.io.csv_text import csv_line
from wsac.io.json_text import to_json
from wsac.types import RecipeError, did_you_mean

from .cues import Cue

SUFFIXES = {
    "srt": ".srt",
    "vtt": ".vtt",
    "ttml": ".ttml",
    "ass": ".ass",
    "json": ".json",
    "csv": ".csv",
    "audacity": ".txt",
}
PROFILE = "http://www.w3.org/ns/ttml/profile/imsc1.1/text"
HEAD = """\
<?xml version="1.0" encoding="UTF-8"?>
<tt xmlns="http://www.w3.org/ns/ttml" xmlns:tts="http://www.w3.org/ns/ttml#styling"
    xmlns:ttp="http://www.w3.org/ns/ttml#parameter" xmlns:ttm="http://www.w3.org/ns/ttml#metadata"
    ttp:timeBase="media" ttp:cellResolution="32 15" ttp:contentProfiles="{profile}"
    xml:lang="en">
  <head>
    <metadata><ttm:title>{title}</ttm:title></metadata>
    <styling>
      <style xml:id="s" tts:fontFamily="proportionalSansSerif" tts:fontSize="100%"
        tts:textAlign="center" tts:color="#ffffff" tts:backgroundColor="#000000c0"/>
    </styling>
    <layout>
      <region xml:id="bottom" tts:origin="10% 80%" tts:extent="80% 15%" tts:displayAlign="after"/>
    </layout>
  </head>
  <body style="s" region="bottom">
    <div>
"""
TAIL = "    </div>\n  </body>\n</tt>\n"
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
            return _to_ttml(cues, title)
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


def _to_ttml(cues: Sequence[Cue], title: str) -> str:
    """In the text profile of IMSC 1.1, which broadcasters and streaming services take. Characters
    that XML does not allow become U+FFFD.

    Source: W3C, TTML2 and "TTML Profiles for Internet Media Subtitles and Captions 1.1".
    """
    head = HEAD.format(profile=PROFILE, title=escape_xml(_allowed(title)))
    return head + "".join(map(_paragraph, range(1, len(cues) + 1), cues)) + TAIL


def _paragraph(number: int, cue: Cue) -> str:
    lines = "<br/>".join(escape_xml(_allowed(line)) for line in cue.text.split("\n"))
    start, end = (clock(seconds, 3, hours=2) for seconds in (cue.start, cue.end))
    times = f'begin="{start}" end="{end}"'
    return f'      <p xml:id="c{number}" {times}>{lines}</p>\n'


def _allowed(text: str) -> str:
    return re.sub("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)
