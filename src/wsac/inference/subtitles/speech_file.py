"""A subtitle file of speech, into which cues of sounds are put: not a byte of it changes.

It is not parsed and written anew. Only its times are read, and new blocks go in between. So
whatever a tool wrote stays: byte order marks, line ends, numbers, styles, comments, faults.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Literal

from wsac.io.console import clock
from wsac.types import WsacError

from .cues import Cue

TIMES = re.compile(
    r"^[ \t]*(-?[\d:.,]+)[ \t]*-{1,2}>[ \t]*(-?[\d:.,]+)(?=[ \t\r\n]|$)[^\r\n]*", re.MULTILINE
)
DIALOGUE = re.compile(r"^Dialogue:[ \t]*([^\r\n]*)", re.MULTILINE)
FORMAT = re.compile(r"^\[Events\][^\[]*?^Format:[ \t]*([^\r\n]*)", re.MULTILINE | re.IGNORECASE)
COLUMNS = "Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text"
ARROW = re.compile(r"^[^\r\n]*(?:\d:\d[^\r\n]*-{1,2}>|-{1,2}>[^\r\n]*\d:\d)[^\r\n]*", re.MULTILINE)
MOST_FAULTS = 5  # that are told one by one
LARGEST = 64 << 20  # bytes
BOMS = ("\ufeff", "\u00ef\u00bb\u00bf")  # of UTF-16, and of UTF-8 read as latin-1

# at the top: of SRT and ASS, whose {\\a5} is older, and of VTT
HIGH = re.compile(r"\\an[789]|\\a[567](?!\d)|-->[^\r\n]*\bline:(\d(?!\d)|[1-4]?\d(\.\d+)?%)")
BLOCKS = ("WEBVTT", "NOTE", "STYLE", "REGION")  # of VTT, that are no names of cues

Kind = Literal["srt", "vtt", "ass"]


@dataclass(frozen=True, slots=True)
class Spoken:
    """A cue of the file. place: where its block begins in the text. start, end: seconds. number:
    the one above it in SRT, 0 for none."""

    place: int
    start: float
    end: float
    number: int = 0


class SpeechFile:
    """cues: in the order of the file. kind: by its content, whatever its name says. notes: lines
    with times that cannot be read or that end before they begin; they stay as they are.

    Raises WsacError for a file that cannot be read or is no SRT, VTT or ASS with cues.
    """

    def __init__(self, path: str | Path) -> None:
        try:
            with Path(path).open("rb") as file:
                content = file.read(LARGEST + 1)
        except OSError as error:
            raise WsacError(f"{path}: cannot read ({error.strerror}); check the path") from error
        if len(content) > LARGEST:
            raise WsacError(f"{path}: above {LARGEST >> 20} MB, so no subtitles; check the path")
        self._codec, self._new = _codecs(content)
        self._errors = "strict" if self._codec == "latin-1" else "surrogatepass"
        # latin-1 has a character for each byte, so every file comes back as it was
        self._text = content.decode(self._codec, self._errors)
        self._bom = next((len(mark) for mark in BOMS if self._text.startswith(mark)), 0)
        view = re.sub("\r(?!\n)", "\n", self._text)  # line ends of old Macs; as long as the text
        self.kind = _kind(view[self._bom :], path)
        self._newline = next((e for e in ("\r\n", "\n", "\r") if e in self._text), "\n")
        self._columns: list[str] = []
        if self.kind == "ass":
            self._columns, self.cues = _ass_cues(view)
        else:
            self.cues = _cues(view, self.kind, self._bom)
        self._view = view
        self.notes = _faults(view, self.kind, self._columns, str(path))
        if not self.cues:
            raise WsacError(f"{path}: no cues in it; give SRT, VTT or ASS subtitles of speech")

    @property
    def busy(self) -> list[tuple[float, float]]:
        return [(cue.start, cue.end) for cue in self.cues]

    def merged(self, cues: Iterable[Cue]) -> bytes:
        """The file with more cues, each before the first cue of the file that starts later.

        In SRT their numbers go on after the highest of the file, since its own may not change.
        """
        pieces, done, before = list[str](), 0, ""
        highest = max(cue.number for cue in self.cues)
        for number, cue in enumerate(cues, highest + 1):
            place = next((c.place for c in self.cues if c.start > cue.start), self._end())
            place = max(place, done, self._bom)
            before = self._view[done:place] or before
            block = self._block(cue, number, before if place > self._bom else "")
            pieces += [self._text[done:place], block]
            before, done = block.replace("\r", "\n"), place
        return "".join((*pieces, self._text[done:])).encode(self._codec, self._errors)

    def _end(self) -> int:
        """Where cues go that come after all others."""
        if self.kind != "ass":
            return len(self._text)
        line_end = self._view.find("\n", max(cue.place for cue in self.cues))
        return line_end + 1 if line_end >= 0 else len(self._text)

    def _block(self, cue: Cue, number: int, before: str) -> str:
        """before: the text that the block comes behind, "" at the beginning."""
        line, text = self._newline, cue.text
        high = cue.aside and not self._high_at(cue)
        if self.kind == "vtt":
            text = escape(text, quote=False)
        elif high:
            text = "{\\an8}" + text
        if self._codec == "latin-1":
            text = text.encode(self._new, "replace").decode("latin-1")
        ended = "" if not before or before.endswith("\n") else line
        if self.kind == "ass":
            return f"{ended}{self._dialogue(cue, text)}{line}"
        blank = "" if not before or re.search(r"(^|\n)[ \t]*\r?\n$", before) else line
        head = f"{number}{line}" if self.kind == "srt" else ""
        mark = "," if self.kind == "srt" else "."
        times = " --> ".join(clock(x, 3, hours=2, mark=mark) for x in (cue.start, cue.end))
        times += " line:0" * (high and self.kind == "vtt")
        return f"{ended}{blank}{head}{times}{line}{text.replace(chr(10), line)}{line}{line}"

    def _high_at(self, cue: Cue) -> bool:
        """Whether all that is shown with a cue stands at the top, so that it belongs below."""
        texts = []
        for i, other in enumerate(self.cues):
            if other.start < cue.end and cue.start < other.end:
                after = self.cues[i + 1].place if i + 1 < len(self.cues) else None
                texts.append(self._view[other.place : after])
        return bool(texts) and all(map(HIGH.search, texts))

    def _dialogue(self, cue: Cue, text: str) -> str:
        """In the columns of the file, and in its most used style."""
        fields = {"Start": clock(cue.start, 2), "End": clock(cue.end, 2), "Marked": "Marked=0"}
        fields |= {"Style": "Default", "Text": text.replace("\n", "\\N")}
        if "Style" in self._columns:
            place = self._columns.index("Style")
            rows = (row.split(",", len(self._columns) - 1) for row in DIALOGUE.findall(self._view))
            styles = Counter(row[place] for row in rows if len(row) > place)
            fields["Style"] = styles.most_common(1)[0][0]
        empty = ("Name", "Actor", "Effect")
        values = (fields.get(name, "" if name in empty else "0") for name in self._columns)
        return f"Dialogue: {','.join(values)}"


def _codecs(content: bytes) -> tuple[str, str]:
    """(what the file is read with, what new text is written with)."""
    for mark, codec in ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        if content.startswith(mark) and len(content) % 2 == 0:
            return codec, codec
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return "latin-1", "cp1252"
    return "latin-1", "utf-8"


def _kind(text: str, path: str | Path) -> Kind:
    head = text.lstrip()
    if head.startswith("WEBVTT"):
        return "vtt"
    if re.search(r"^\[(Events|Script Info)\]", head, re.MULTILINE | re.IGNORECASE):
        return "ass"
    if TIMES.search(text):
        return "srt"
    raise WsacError(f"{path}: neither SRT, VTT nor ASS; convert it first")


def _cues(text: str, kind: Kind, bom: int) -> list[Spoken]:
    """The cues of SRT and VTT. A block begins at its number or name, if it has one."""
    cues, last = list[Spoken](), 0
    for match in TIMES.finditer(text, bom):
        start, end = _seconds(match[1]), _seconds(match[2])
        if start is None or end is None:
            continue
        place, number = match.start(), 0
        above = max(text.rfind("\n", 0, max(place - 1, 0)) + 1, bom)
        line = text[above:place].strip()
        after_blank = not text[bom:above] or bool(re.search(r"\n[ \t]*\r?\n$", text[:above][-99:]))
        if kind == "srt" and re.fullmatch(r"\d{1,9}", line):
            # without a blank line above it, it may be the last words of the cue before
            number = int(line) if after_blank or int(line) == last + 1 else 0
        is_name = kind == "vtt" and line and after_blank and not line.startswith(BLOCKS)
        if number or is_name or (line == "0" and after_blank):
            place = above
        last = number or last + 1
        cues.append(Spoken(place, start, end, number))
    return cues


def _ass_cues(text: str) -> tuple[list[str], list[Spoken]]:
    match = FORMAT.search(text)
    columns = [name.strip() for name in (match[1] if match else COLUMNS).split(",")]
    if not {"Start", "End"} <= set(columns):
        columns = COLUMNS.split(", ")
    cues = []
    for row in DIALOGUE.finditer(text):
        fields = row[1].split(",", len(columns) - 1)
        if len(fields) == len(columns):
            times = (fields[columns.index(name)].strip() for name in ("Start", "End"))
            start, end = map(_seconds, times)
            if start is not None and end is not None:
                cues.append(Spoken(row.start(), start, end))
    return columns, cues


def _faults(text: str, kind: Kind, columns: list[str], path: str) -> list[str]:
    """Notes about times, with the number of their line."""
    faults = []
    for match in (DIALOGUE if kind == "ass" else ARROW).finditer(text):
        if kind == "ass":
            fields = dict(zip(columns, map(str.strip, match[1].split(",")), strict=False))
            times = [fields.get("Start", ""), fields.get("End", "")]
        else:
            pair = TIMES.match(match[0])
            times = [pair[1], pair[2]] if pair else ["", ""]
        start, end = map(_seconds, times)
        if start is None or end is None:
            what = "its times cannot be read, so it is no cue"
        elif end < start:
            what = "it ends before it begins"
        else:
            continue
        line = text.count("\n", 0, match.start()) + 1
        faults.append(f"{path}, line {line}: {what}; left unchanged")
    if (more := len(faults) - MOST_FAULTS) > 0:
        faults[MOST_FAULTS:] = [f"{path}: {more} more lines with such times"]
    return faults


def _seconds(time: str) -> float | None:
    """Of [hours:]minutes:seconds with a fraction after a dot or comma; None of anything else."""
    match = re.fullmatch(r"(-?)(?:(\d+):)?(\d+):(\d+)(?:[.,:](\d+))?", time)
    if not match:
        return None
    hours, minutes, seconds = (int(match[i] or 0) for i in (2, 3, 4))
    fraction = float(f"0.{match[5] or 0}")
    whole = 3600 * hours + 60 * minutes + seconds + fraction
    return -whole if match[1] else whole
