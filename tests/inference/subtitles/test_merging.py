"""Sounds are put into a file of speech: its cues stay byte for byte, and nothing overlaps."""

from __future__ import annotations

import random
import re
from itertools import product

import pysubs2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from miniatures.cue_laws import TEXTS, check_cues
from miniatures.generated_speech import generated_speech
from miniatures.speech_files import WILD
from wsac.inference.spans.span import Span
from wsac.inference.subtitles.cues import Cue, CueLayout, Place
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


def placed(speech: SpeechFile, spans: list[Span], place: Place = "gaps") -> list[Cue]:
    layout = CueLayout(speech.busy, place=place)
    return list(layout.place(wishes(spans, CueOptions(sensitivity=1))))


def without(merged: bytes, cues: list[Cue], kind: str, codec: str) -> bytes:
    """What stays of a merged file when exactly the blocks of the cues are taken out again."""
    text = merged.decode(codec)
    for cue in cues:
        words = re.escape(cue.text.replace("\n", "\0")).replace("\0", r"(?:\r\n|\n|\r|\\N)")
        if kind == "ass":
            block = rf"Dialogue: [^\n\r]*?,(?:{{\\an8}})?{words}(?:\r\n|\n|\r)"
        else:
            time = r"\d+:\d\d:\d\d[.,]\d{3}"
            number = r"\d+(?:\r\n|\n|\r)" if kind == "srt" else ""
            end = r"(?:\r\n|\n|\r)"
            block = rf"{number}{time} --> {time}(?: line:0)?{end}(?:{{\\an8}})?{words}{end}{end}"
        text, count = re.subn(block, "\0", text, count=1)
        assert count == 1, (cue, text)
    return text.encode(codec)


def check(path, seed: int = 0, place: Place = "gaps") -> bytes:
    """The merged file, after its laws are checked."""
    content = path.read_bytes()
    speech = SpeechFile(path)
    cues = placed(speech, sounds(seed), place)
    if place == "gaps":
        assert not any(cue.aside for cue in cues)
    check_cues([(c.start, c.end, c.text) for c in cues if not c.aside], speech.busy)
    check_cues([(c.start, c.end, c.text) for c in cues])
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
    return merged


@pytest.mark.parametrize("name", sorted(WILD))
def test_files_of_several_tools_keep_every_byte(name, tmp_path):
    (tmp_path / name).write_bytes(WILD[name])
    for seed, place in product(range(5), ("gaps", "line")):
        check(tmp_path / name, seed, place)


@pytest.mark.parametrize("seed", range(100))
def test_generated_files_keep_every_byte(seed, tmp_path):
    speech = generated_speech(seed)
    path = tmp_path / f"speech.{speech.kind}"
    path.write_bytes(speech.content)
    for place in ("gaps", "line"):
        merged, at = check(path, seed, place), 0
        for block in speech.blocks:
            at = merged.find(block, at)
            assert at >= 0, block
            at += len(block)


def test_the_generated_files_are_of_many_kinds():
    files = [generated_speech(seed) for seed in range(100)]
    assert {file.kind for file in files} == {"srt", "vtt", "ass"}
    assert min(len(file.blocks) for file in files) == 2
    assert max(len(file.blocks) for file in files) >= 250
    for mark in (b"\xef\xbb\xbf", b"\xff\xfe"):
        assert sum(file.content.startswith(mark) for file in files) >= 10
    for part in (b"\r\n", b"NOTE", b"STYLE", b"{\\an8}", b"<i>", b"line:0", b"Comment: "):
        assert sum(part in file.content for file in files) >= 5, part


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
    cues = placed(speech, sounds(0, 20))
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


MARKED = {"srt": "{\\an8}[rain falling]", "vtt": " line:0\n[rain", "ass": "{\\an8}[rain falling]"}


@pytest.mark.parametrize("kind", ["srt", "vtt", "ass"])
def test_what_has_no_gap_stands_at_the_top(kind, tmp_path):
    document = pysubs2.SSAFile()
    document.append(pysubs2.SSAEvent(start=0, end=60_000, text="Long talk"))
    document.save(str(tmp_path / f"speech.{kind}"))
    speech = SpeechFile(tmp_path / f"speech.{kind}")
    spans = [Span(9, 30, "Rain falls", sustained=True), Span(70, 71, "A dog barks")]
    assert [cue.start for cue in placed(speech, spans)] == [70]
    cues = placed(speech, spans, "line")
    assert [(cue.start, cue.aside) for cue in cues] == [(9, True), (70, False)]
    merged = speech.merged(cues).decode()
    assert MARKED[kind] in merged
    assert merged.count("an8") + merged.count("line:0") == 1
    texts = [event.plaintext for event in pysubs2.SSAFile.from_string(merged)]
    assert texts == ["Long talk", "[rain falling]", "[dog barks]"]


@pytest.mark.parametrize(
    "speech",
    [
        "1\n00:00:00,000 --> 00:01:00,000\n{\\an8}Long talk\n\n",
        "WEBVTT\n\n00:00.000 --> 01:00.000 line:0\nLong talk\n\n",
        "WEBVTT\n\n00:00.000 --> 01:00.000 line:10% align:start\nLong talk\n\n",
    ],
)
def test_below_speech_that_stands_at_the_top(speech, tmp_path):
    path = tmp_path / "speech.txt"
    path.write_text(speech)
    cue = Cue(9, 16, "[rain falling]", aside=True)
    added = SpeechFile(path).merged([cue]).decode().removeprefix(speech)
    assert "[rain falling]" in added
    assert "an8" not in added
    assert "line" not in added
