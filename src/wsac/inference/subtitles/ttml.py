"""TTML, in the text profile of IMSC 1.1, which broadcasters and streaming services take.

Source: W3C, TTML2 and "TTML Profiles for Internet Media Subtitles and Captions 1.1".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.sax.saxutils import escape

from wsac.io.console import clock

from .cues import Cue

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


def to_ttml(cues: Sequence[Cue], *, title: str = "") -> str:
    """An XML document. Characters that XML does not allow become U+FFFD."""
    head = HEAD.format(profile=PROFILE, title=escape(_allowed(title)))
    return head + "".join(map(_paragraph, range(1, len(cues) + 1), cues)) + TAIL


def _paragraph(number: int, cue: Cue) -> str:
    lines = "<br/>".join(escape(_allowed(line)) for line in cue.text.split("\n"))
    start, end = (clock(seconds, 3, hours=2) for seconds in (cue.start, cue.end))
    times = f'begin="{start}" end="{end}"'
    return f'      <p xml:id="c{number}" {times}>{lines}</p>\n'


def _allowed(text: str) -> str:
    return re.sub("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)
