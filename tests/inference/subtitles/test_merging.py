"""Sounds are put into a file of speech: its cues stay byte for byte, and nothing overlaps."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from miniatures.cue_laws import TEXTS, check_cues
from miniatures.speech_files import WILD
from wsac.inference.spans.span import Span
from wsac.inference.subtitles.cues import Cue, CueLayout
from wsac.inference.subtitles.relevance import CueOptions, wishes
from wsac.inference.subtitles.speech_file import SpeechFile
from wsac.types import WsacError


def sounds(seed: int, seconds: float = 120.0) -> list[Span]:
    rng = random.Random(seed)
    starts = sorted(rng.uniform(0, seconds) for _ in range(25))
    return [
        Span(t, t + rng.choice((0.3, 2, 15)), rng.choice(TEXTS), sustained=rng.random() < 0.5)
        for t in starts
    ]


def place(speech: SpeechFile, spans: list[Span]) -> list[Cue]:
    return list(CueLayout(speech.busy).place(wishes(spans, CueOptions(sensitivity=1))))


def without(merged: bytes, cues: list[Cue], kind: str, codec: str) -> bytes:
    """What stays of a merged file when exactly the blocks of the cues are taken out again."""
    text = merged.decode(codec)
    for cue in cues:
        words = re.escape(cue.text.replace("\n", "\0")).replace("\0", r"(?:\r\n|\n|\r|\\N)")
        if kind == "ass":
            block = rf"Dialogue: [^\n]*?,{words}\r?\n"
        else:
            time = r"\d+:\d\d:\d\d[.,]\d{3}"
            number = r"\d+(?:\r\n|\n|\r)" if kind == "srt" else ""
            end = r"(?:\r\n|\n|\r)"
            block = rf"{number}{time} --> {time}{end}{words}{end}{end}"
        text, count = re.subn(block, "\0", text, count=1)
        assert count == 1, (cue, text)
    return text.encode(codec)


def check(path, seed: int = 0) -> None:
    content = path.read_bytes()
    speech = SpeechFile(path)
    cues = place(speech, sounds(seed))
    check_cues([(c.start, c.end, c.text) for c in cues], speech.busy)
    merged = speech.merged(cues)
    codec = "utf-16-le" if content[:2] == b"\xff\xfe" else "latin-1"
    rest = without(merged, cues, speech.kind, codec).decode(codec)
    # a block may need a line end before it, where the file has none
    pieces = rest.split("\0")
    text, at = content.decode(codec), 0
    for piece in pieces:
        for ending in ("", "\n", "\r\n", "\r", "\n\n", "\r\n\r\n", "\r\r"):
            if piece.endswith(ending) and text.startswith(piece.removesuffix(ending), at):
                at += len(piece.removesuffix(ending))
                break
        else:
            pytest.fail(f"{piece!r} is not in the file at {at}: {text[at : at + 80]!r}")
    assert at == len(text)
    again = path.with_name("again" + path.suffix)
    again.write_bytes(merged)
    times = sorted((cue.start, cue.end) for cue in SpeechFile(again).cues)
    wanted = [*speech.busy, *((cue.start, cue.end) for cue in cues)]
    assert times == [pytest.approx(pair, abs=1e-6) for pair in sorted(wanted)]
    assert speech.merged([]) == content


@pytest.mark.parametrize("name", sorted(WILD))
def test_files_of_several_tools_keep_every_byte(name, tmp_path):
    (tmp_path / name).write_bytes(WILD[name])
    for seed in range(5):
        check(tmp_path / name, seed)


def generated(seed: int) -> tuple[str, bytes]:
    """A file of speech with random habits: kind, line ends, mark, numbers, gaps, overlaps."""
    rng = random.Random(seed)
    kind, end = rng.choice(("srt", "vtt", "ass")), rng.choice(("\n", "\r\n"))
    start, rows = rng.uniform(-1, 5), []
    for i in range(rng.randint(1, 30)):
        length = rng.choice((0.0, 0.5, 2.0, 6.0))
        words = rng.choice(
            ("Hello.", "<i>Who</i>?", "- One\n- Two", "{\\an8}Up", "12", "\u00e9t\u00e9")
        )
        rows.append((i, max(start, 0.0), max(start, 0.0) + length, words))
        start += length + rng.choice((-1.0, 0.0, 0.05, 1.5, 8.0))
    if rng.random() < 0.2:
        rng.shuffle(rows)

    def time(seconds: float, mark: str, digits: int = 3) -> str:
        whole, rest = divmod(round(seconds * 10**digits), 10**digits)
        hours = f"{whole // 3600}" if kind == "ass" else f"{whole // 3600:02}"
        return f"{hours}:{whole // 60 % 60:02}:{whole % 60:02}{mark}{rest:0{digits}}"

    if kind == "ass":
        lines = [
            "[Script Info]",
            "Title: x",
            "",
            "[V4+ Styles]",
            "Format: Name",
            "Style: Default",
            "",
        ]
        lines += ["[Events]", "Format: Layer, Start, End, Style, Text"]
        for _, low, high, words in rows:
            text = words.replace("\n", "\\N")
            lines.append(f"Dialogue: 0,{time(low, '.', 2)},{time(high, '.', 2)},Default,{text}")
        text = "\n".join(lines) + "\n" * rng.randint(0, 2)
    else:
        mark, blocks = ("," if kind == "srt" else "."), []
        for i, low, high, words in rows:
            head = f"{i + 1}\n" if kind == "srt" else rng.choice(("", f"cue {i}\n"))
            blocks.append(f"{head}{time(low, mark)} --> {time(high, mark)}\n{words}\n")
        text = "\n".join(blocks) + "\n" * rng.randint(0, 2)
        text = ("WEBVTT\n\n" if kind == "vtt" else "") + text
    text = text.rstrip("\n") if rng.random() < 0.2 else text
    bom = "\ufeff" if rng.random() < 0.3 else ""
    return f"speech.{kind}", (bom + text.replace("\n", end)).encode()


@pytest.mark.parametrize("seed", range(100))
def test_generated_files_keep_every_byte(seed, tmp_path):
    name, content = generated(seed)
    (tmp_path / name).write_bytes(content)
    check(tmp_path / name, seed)


PIECES = (
    "1",
    "\n",
    "\r\n",
    "00:00:01,000 --> 00:00:02,000",
    "WEBVTT",
    "[Events]",
    "Format: Start",
    "Dialogue: 0,0:00:01.00,0:00:02.00,,",
    "NOTE",
    "-->",
    "99:99.999",
    "\ufeff",
    "\0",
    "x",
    " ",
)


@settings(
    deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.sampled_from(PIECES)), st.sampled_from(("utf-8", "utf-16", "utf-16-be")))
def test_any_file_is_refused_or_keeps_its_bytes(tmp_path, pieces, codec):
    path = tmp_path / "speech.srt"
    path.write_bytes("".join(pieces).encode(codec))
    try:
        speech = SpeechFile(path)
    except WsacError:
        return
    assert speech.merged([]) == path.read_bytes()
    cues = place(speech, sounds(0, 20))
    assert len(speech.merged(cues)) >= len(path.read_bytes()) + 10 * len(cues)


def test_new_blocks_stand_in_time_order(tmp_path):
    path = tmp_path / "speech.srt"
    path.write_text(
        "1\n00:00:01,000 --> 00:00:02,000\nOne\n\n2\n00:00:09,000 --> 00:00:10,000\nTwo\n"
    )
    cues = [Cue(0.0, 0.9, "[a]"), Cue(3, 4, "[b]"), Cue(5, 6, "[c]\n[d]"), Cue(12, 13, "[e]")]
    merged = SpeechFile(path).merged(cues).decode()
    assert [line for line in merged.splitlines() if line.isdigit()] == [
        "3",
        "1",
        "4",
        "5",
        "2",
        "6",
    ]
    assert merged.endswith("Two\n\n6\n00:00:12,000 --> 00:00:13,000\n[e]\n\n")
    assert "5\n00:00:05,000 --> 00:00:06,000\n[c]\n[d]\n\n2\n" in merged


def test_the_kind_is_told_by_the_content(tmp_path):
    for name, content in WILD.items():
        (tmp_path / "speech.txt").write_bytes(content)
        kind = SpeechFile(tmp_path / "speech.txt").kind
        assert kind == {"srt": "srt", "vtt": "vtt", "ass": "ass", "ssa": "ass"}[name.split(".")[1]]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot read"),
        (b"", "neither SRT, VTT nor ASS"),
        (b"Hello, this is a letter.\n", "neither SRT, VTT nor ASS"),
        (b"\x00\x01\x02" * 99, "neither SRT, VTT nor ASS"),
        (b"WEBVTT\n\nNOTE nothing\n", "no cues in it"),
        (b"[Script Info]\n[Events]\nFormat: Start, End, Text\n", "no cues in it"),
    ],
)
def test_what_is_no_file_of_speech_is_refused(content, words, tmp_path):
    path = tmp_path / "speech.srt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WsacError, match=words) as error:
        SpeechFile(path)
    assert str(path) in str(error.value)
