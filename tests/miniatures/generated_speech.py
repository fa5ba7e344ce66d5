"""Subtitle files of speech drawn by a seed, with the habits and faults of many tools."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

WORDS = (
    "Hello.",
    "<i>Who</i> is there?",
    "- One\n- Two",
    "{\\an8}Up there",
    "{\\i1}Wait{\\i0}!",
    "12",
    "\u00e9t\u00e9, na\u00efve",
    '<b>Stop</b>, <font color="#ff0000">now</font>',
    "",
)
NON_LATIN = ("\u4f60\u597d", "\u266a \u041f\u0440\u0438\u0432\u0435\u0442")
HEADER = """[Script Info]
; a comment
Title: x
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, Alignment
Style: Default,Arial,20,2
Style: Top,Arial,20,8

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""
VTT_BLOCKS = (
    "NOTE made by hand\n",
    "NOTE\nof two lines\n00:00 is no time\n",
)
VTT_HEADS = ("WEBVTT", "WEBVTT - a title", "WEBVTT\nKind: captions\nLanguage: en")
VTT_STYLES = ("STYLE\n::cue { color: lime }\n", "REGION\nid:fred\nwidth:40%\n")
SETTINGS = ("", "", " line:0", " align:start position:0%", " line:90% size:80%")


@dataclass(frozen=True)
class Speech:
    """kind: srt, vtt or ass. content: the file. blocks: its cues and comments, in order."""

    kind: str
    content: bytes
    blocks: list[bytes]


def generated_speech(seed: int) -> Speech:
    """2 to 300 cues: times that overlap, touch, run out of order; empty and long cues; comments;
    line ends and codecs of several systems, with and without a mark."""
    rng = Random(seed)
    kind = ("srt", "vtt", "ass")[seed % 3]
    end = rng.choice(("\n", "\r\n", "\r\n", "\r"))
    codec = rng.choice(("utf-8", "utf-8-sig", "utf-16", "cp1252"))
    words = WORDS if codec == "cp1252" else WORDS + NON_LATIN
    rows = _rows(rng, words)
    match kind:
        case "ass":
            head, between = HEADER, "\n"
            blocks = [line for row in rows for line in _dialogue(rng, *row).split("\n")]
        case "vtt":
            parts = [rng.choice(VTT_HEADS), *rng.sample(VTT_STYLES, rng.randint(0, 2))]
            head, blocks, between = "\n\n".join(p.rstrip() for p in parts) + "\n\n", [], "\n\n"
            for i, (start, stop, text) in enumerate(rows):
                name = rng.choice(("", f"cue {i}\n", f"{i}\n"))
                times = f"{_time(start, '.')} --> {_time(stop, '.')}{rng.choice(SETTINGS)}"
                blocks.append(f"{name}{times}\n{text}")
                if rng.random() < 0.05:
                    blocks[-1] += "\n\n" + rng.choice(VTT_BLOCKS).rstrip()
        case _:
            head, between = "", rng.choice(("\n\n", "\n\n", "\n\n\n"))
            first = rng.choice((0, 1, 1, 7))
            blocks = [
                f"{i}\n{_time(start, ',')} --> {_time(stop, ',')}\n{text}"
                for i, (start, stop, text) in enumerate(rows, first)
            ]
    text = head + between.join(blocks) + "\n" * rng.randint(0, 3)
    encoder = {"utf-8-sig": "utf-8", "utf-16": "utf-16-le"}.get(codec, codec)
    mark = {"utf-8-sig": b"\xef\xbb\xbf", "utf-16": b"\xff\xfe"}.get(codec, b"")
    encoded = [block.replace("\n", end).encode(encoder) for block in blocks]
    return Speech(kind, mark + text.replace("\n", end).encode(encoder), encoded)


def _rows(rng: Random, words: tuple[str, ...]) -> list[tuple[float, float, str]]:
    rows, start = [], rng.uniform(0, 5)
    for _ in range(rng.choice((2, 3, 10, 40, rng.randint(2, 300)))):
        length = rng.choice((0.0, 0.5, 2.0, 6.0))
        rows.append((start, start + length, rng.choice(words)))
        start = max(0.0, start + length + rng.choice((-1.0, 0.0, 0.05, 1.5, 8.0)))
    if rng.random() < 0.2:
        rng.shuffle(rows)
    return rows


def _time(seconds: float, mark: str) -> str:
    whole, rest = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{mark}{rest:03}"


def _dialogue(rng: Random, start: float, stop: float, text: str) -> str:
    times = ",".join(_time(seconds, ".")[1:-1] for seconds in (start, stop))
    row = f"{times},{rng.choice(('Default', 'Default', 'Top'))},Ann,0,0,0,,"
    comment = f"Comment: 0,{times},Default,,0,0,0,,a note, with a comma\n" * (rng.random() < 0.05)
    return f"{comment}Dialogue: {rng.randint(0, 2)},{row}" + text.replace("\n", "\\N")
