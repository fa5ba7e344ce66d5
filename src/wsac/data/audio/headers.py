"""What the first bytes, the chunks and the pages of a sound file say about it."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

HEAD_BYTES = 4096
# Where a format's mark stands and how it reads. Video formats may hold a sound track.
_MARKS = {
    0: rb"fLaC|OggS|FORM....AIF[FC]|caff|\.snd|RIFF....(WAVE|AVI )|RF64|BW64|riff|NIST_1A|"
    rb"Creative Voice File|wvpk|TTA[12]|MAC |MPCK|MP\+|ADIF|#!AMR|FLV|\x1aE\xdf\xa3|DSD |FRM8|"
    rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11|\x00\x00\x01\xba|\x0b\x77|\x7f\xfe\x80\x01|ID3|\.RMF|"
    rb"\x64\xa3[\x00-\x04]\x00|tBaK|LA0[2-4]|SOUND SAMPLE DATA|FAP |PAF |2BIT",
    4: rb"ftyp(?!avif|avis|heic|heix|mif1|msf1|crx )|moov|mdat|wide",
}
_MARKED = {at: re.compile(mark, re.DOTALL) for at, mark in _MARKS.items()}
_PACKETS = ((0, 188), (4, 192), (0, 204))  # MPEG transport streams: where 0x47 stands, and how far
_BITRATES = {  # of MPEG audio, kbit/s: by whether it is MPEG 1, and layer
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


class Part(io.RawIOBase):
    """The bytes of a file from ``start`` to ``end`` as a file of its own."""

    def __init__(self, path: Path, start: int, end: int | None = None) -> None:
        self._file = path.open("rb")
        size = self._file.seek(0, io.SEEK_END)
        self.start, self.end, self.name = start, size if end is None else end, str(path)
        self._file.seek(start)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        data = self._file.read(max(0, min(len(view), self.end - self._file.tell())))
        view[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        position = (self.start, self._file.tell(), self.end)[whence] + offset
        return self._file.seek(min(max(self.start, position), self.end)) - self.start

    def tell(self) -> int:
        return self._file.tell() - self.start

    def close(self) -> None:
        self._file.close()
        super().close()


def is_sound(head: bytes) -> bool:
    """Whether a file that begins with ``head`` (HEAD_BYTES) has the mark of a format of sounds."""
    if any(mark.match(head, at) for at, mark in _MARKED.items()):
        return True
    for at, width in _PACKETS:
        syncs = head[at::width][:4]
        if len(syncs) == 4 and not syncs.strip(b"\x47"):
            return True
    return _is_mpeg_audio(head, 0)


def is_text(head: bytes) -> bool:
    return head.isascii() and "".join(head.decode().split()).isprintable()


def audio_start(path: Path, head: bytes) -> int:
    """Where the sound begins behind an ID3 tag, 0 without a tag. A tag whose size is wrong ends
    where the next known mark stands, within a megabyte."""
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    end = 10 + sum(byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
    with path.open("rb") as file:
        file.seek(end)
        behind = file.read(HEAD_BYTES)
        if is_sound(behind):
            return end
        file.seek(0)
        content = file.read(1 << 20)
    frames = b"" if behind else rb"\xff[\xe2-\xff]|"  # mp3 readers look for the first themselves
    for place in re.finditer(frames + rb"RIFF....WAVE|fLaC|OggS", content[10:], re.DOTALL):
        at = 10 + place.start()
        if content[at] != 0xFF or _is_mpeg_audio(content, at):
            return at
    return end if behind else 0


def is_mpeg(head: bytes) -> bool:
    return head[:1] == b"\xff" and head[1:2] >= b"\xe0"


def _is_mpeg_audio(content: bytes, at: int) -> bool:
    """Whether two frames of MPEG audio, or of AAC in ADTS, follow each other."""
    length = _frame_length(content[at : at + 6])
    return bool(length) and bool(_frame_length(content[at + length : at + length + 6]))


def _frame_length(head: bytes) -> int:
    """The bytes of the MPEG or ADTS frame that begins with ``head``; 0 when it is none."""
    if len(head) < 6 or head[0] != 0xFF or head[1] < 0xE0:
        return 0
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    if layer == 4:  # ADTS
        length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
        return length if head[1] & 0xF6 == 0xF0 and length > 7 else 0
    bitrate, rate = head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or bitrate in (0, 15) or rate == 3:
        return 0
    kilobits = _BITRATES[version == 3, layer][bitrate - 1]
    hertz = (44100, 48000, 32000)[rate] >> {3: 0, 2: 1, 0: 2}[version]
    padding = head[2] >> 1 & 1
    if layer == 1:
        return (12000 * kilobits // hertz + padding) * 4
    return (72 if layer == 3 and version != 3 else 144) * 1000 * kilobits // hertz + padding


MOST_CHUNKS = 1000  # looked at; zeros would be read as millions of empty ones
# where the chunks begin, and the layout of a chunk's head
_CHUNKED = dict.fromkeys((b"RIFF", b"RF64"), (12, "<4sI"))
_CHUNKED |= {b"FORM": (12, ">4sI"), b"caff": (8, ">4sq")}


def _chunks(file: BinaryIO, head: bytes, total: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, size and place of each chunk of a wav, aiff or caf file; none of others."""
    position, layout = _CHUNKED.get(head[:4], (0, ""))
    width = struct.calcsize(layout)
    for _ in range(MOST_CHUNKS if layout else 0):
        if position + width >= total:
            return
        file.seek(position)
        name, size = struct.unpack(layout, file.read(width))
        position += width
        yield name, size, position
        position += max(0, size + size % 2 * (width == 8))  # aiff and wav pad to even sizes


def declared_share(path: Path, head: bytes) -> float:
    """Declared by actual size of the samples of a wav, aiff or caf file; 1 when it is whole."""
    total, rf64_size = path.stat().st_size, 0
    with path.open("rb") as file:
        for name, size, position in _chunks(file, head, total):
            if name == b"ds64":
                rf64_size = int.from_bytes(file.read(16)[8:], "little")
            if name in (b"data", b"SSND"):
                # a placeholder of a writer that could not seek back
                size = rf64_size if head[:4] != b"caff" and size >= 0x7FFF0000 else size
                return max(1.0, size / max(1, total - position))
    return 1.0


def uncounted_bytes(path: Path, head: bytes) -> int:
    """How many bytes behind the samples of a wav or aiff file are neither chunks nor zeros: more
    samples, of a recorder that stopped before it had counted them. 0 of other files."""
    total = path.stat().st_size
    with path.open("rb") as file:
        for name, size, position in _chunks(file, head, total):
            if name in (b"data", b"SSND") and size:
                end = position + size + size % 2
                file.seek(end)
                rest = file.read(4096)
                is_chunk = rest[:4].isascii() and rest[:4].decode("ascii").isprintable()
                return 0 if is_chunk or not rest.strip(b"\0") else total - end
    return 0


def holds_mpeg(path: Path, head: bytes) -> bool:
    """Whether a wav file holds MPEG audio, of which libmpg123 would print warnings."""
    if head[:4] not in (b"RIFF", b"RF64"):
        return False
    with path.open("rb") as file:
        for name, _, _ in _chunks(file, head, path.stat().st_size):
            if name == b"fmt ":
                return file.read(2) in (b"\x50\0", b"\x55\0")
    return False


def ogg_has_end(path: Path, end: int | None = None) -> bool:
    """Whether the last page of an Ogg file, or of its link up to ``end``, is complete and marks the
    end of its stream."""
    with path.open("rb") as file:
        end = path.stat().st_size if end is None else end
        file.seek(max(0, end - 2 * 65536))  # a page has at most 65307 bytes
        tail = file.read(end - file.tell())
    page = tail[max(0, tail.rfind(b"OggS")) :]
    return len(page) > 26 and bool(page[5] & 4) and len(page) >= _page_size(page)


def ogg_links(path: Path) -> list[int]:
    """Where the links of a chained Ogg file begin: places of first pages behind other pages."""
    places, links, end = [], [0], 0
    with path.open("rb") as file:
        offset, rest = 0, b""
        while piece := file.read(1 << 20):
            window = rest + piece
            places += [offset - len(rest) + m.start() for m in re.finditer(b"OggS\0\2", window)]
            offset, rest = offset + len(piece), window[-5:]
        for place in places:
            file.seek(place)
            if place > end:
                links.append(place)
            end = place + _page_size(file.read(27 + 255))
    return links


def _page_size(page: bytes) -> int:
    return 27 + page[26] + sum(page[27 : 27 + page[26]]) if len(page) > 26 else 27


def has_mpeg_length(path: Path, start: int) -> bool:
    """Whether an mp3 counts its frames (Xing, Info or VBRI) in the first, at ``start``."""
    with path.open("rb") as file:
        file.seek(start)
        frame = file.read(256)
    return any(mark in frame for mark in (b"Xing", b"Info", b"VBRI"))
