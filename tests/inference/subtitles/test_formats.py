"""Every format is read back by a parser that is not wsac's, with the same times and words."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ET

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from miniatures.cue_laws import check_cues, span_lists
from wsac.inference.spans.span import Span
from wsac.inference.subtitles.cues import Cue, CueLayout
from wsac.inference.subtitles.relevance import CueOptions, wishes
from wsac.inference.subtitles.subtitle_formats import SUFFIXES, check_format, to_text
from wsac.types import RecipeError

Rows = list[tuple[float, float, str]]
CUES = (
    Cue(0.5, 1.5, "[dog barking]\n[rain falling]", (Span(0.5, 1.5, "A dog barks"),)),
    Cue(2.0, 4.0, "[caf\u00e9 & <soft> music]", (Span(2, 9, "Music", kind="music"),)),
    Cue(3602.25, 3603.5, "[door slams]", (Span(3602.25, 3602.5, "A door slams"),)),
)


def rows(cues) -> Rows:
    return [(cue.start, cue.end, cue.text) for cue in cues]


def by_webvtt(text: str, name: str) -> Rows:
    webvtt = pytest.importorskip("webvtt", reason="needs webvtt-py (pip install webvtt-py)")
    captions = webvtt.from_buffer(io.StringIO(text), format=name)

    def seconds(time: str) -> float:
        hours, minutes, rest = time.split(":")
        return 3600 * int(hours) + 60 * int(minutes) + float(rest)

    return [(seconds(c.start), seconds(c.end), c.raw_text) for c in captions]


def by_ffmpeg(text: str, name: str) -> Rows:
    found = []
    with av.open(io.BytesIO(text.encode()), format=name) as source:
        for packet in source.demux(source.streams[0]):
            if packet.pts is not None:
                base = packet.time_base
                words = bytes(packet).decode()
                if name == "ass":
                    words = words.split(",", 8)[-1].replace("\\N", "\n")
                start, end = packet.pts * base, (packet.pts + packet.duration) * base
                found.append((float(start), float(end), words))
    return found


def by_ttconv(text: str) -> Rows:
    reader = pytest.importorskip("ttconv.imsc.reader", reason="needs ttconv (pip install ttconv)")
    import ttconv.model as model

    document = reader.to_model(ET.ElementTree(ET.fromstring(text)))
    found = []
    for part in document.get_body().dfs_iterator():
        if isinstance(part, model.P):
            pieces = [
                "\n" if isinstance(piece, model.Br) else piece.get_text()
                for piece in part.dfs_iterator()
                if isinstance(piece, model.Br | model.Text)
            ]
            found.append((float(part.get_begin() or 0), float(part.get_end()), "".join(pieces)))
    return found


def parsers(name: str):
    return {
        "srt": [lambda text: by_webvtt(text, "srt"), lambda text: by_ffmpeg(text, "srt")],
        "vtt": [lambda text: by_webvtt(text, "vtt"), lambda text: by_ffmpeg(text, "webvtt")],
        "ttml": [by_ttconv],
        "ass": [lambda text: by_ffmpeg(text, "ass")],
    }[name]


@pytest.mark.parametrize("name", ["srt", "vtt", "ttml", "ass"])
def test_other_parsers_read_the_same(name):
    wanted = [
        (s, e, t.replace("<", "").replace(">", "").replace("& ", "")) for s, e, t in rows(CUES)
    ]
    plain = [Cue(s, e, t) for s, e, t in wanted]
    for parse in parsers(name):
        found = parse(to_text(plain, name))
        assert [t for *_, t in found] == [t for *_, t in wanted]
        assert [x[:2] for x in found] == [pytest.approx(x[:2], abs=1e-6) for x in wanted]


def test_marks_are_escaped():
    assert "&amp; &lt;soft&gt; music" in to_text(CUES, "vtt")
    assert by_ttconv(to_text(CUES, "ttml"))[1][2] == CUES[1].text
    assert by_ttconv(to_text([Cue(0, 1, "a\x00\x1bb")], "ttml"))[0][2] == "a\ufffd\ufffdb"


@pytest.mark.parametrize("name", ["srt", "vtt", "ttml", "ass"])
def test_what_is_read_back_keeps_the_laws(name):
    @settings(deadline=None, max_examples=15)
    @given(span_lists(most=12), st.sampled_from(("sdh", "bbc")))
    def check(spans, style):
        options = CueOptions(style=style, sensitivity=1, onomatopoeia=True)
        cues = list(CueLayout().place(wishes(spans, options)))
        if not cues:
            return
        for parse in parsers(name):
            found = parse(to_text(cues, name))
            assert len(found) == len(cues)
            check_cues(found)

    check()


@pytest.mark.parametrize("name", sorted(SUFFIXES))
def test_no_cues_are_a_file_too(name):
    text = to_text([], name)
    assert text == "" or name in ("vtt", "ttml", "ass", "json", "csv")
    if name == "ttml":
        assert by_ttconv(text) == []


def test_json_and_csv_say_what_a_cue_is_about():
    written = json.loads(to_text(CUES, "json", left_out={"unsure": 2}))
    assert written["left_out"] == {"unsure": 2}
    first, second, _ = written["cues"]
    assert first["text"] == CUES[0].text
    assert first["spans"][0]["text"] == "A dog barks"
    assert second["spans"][0]["kind"] == "music"
    table = list(csv.DictReader(io.StringIO(to_text(CUES, "csv"))))
    assert [row["captions"] for row in table] == ["A dog barks", "Music", "A door slams"]
    assert table[0]["text"] == CUES[0].text


def test_audacity_takes_a_line_a_label():
    lines = to_text(CUES, "audacity").splitlines()
    assert lines[0] == "0.500000\t1.500000\t[dog barking] [rain falling]"
    assert all(line.count("\t") == 2 for line in lines)


def test_the_title_of_a_film_is_text_only():
    for name in ("ttml", "ass"):
        text = to_text(CUES, name, title="a & <b>\n[Events]")
        assert len(parsers(name)[0](text)) == 3


def test_an_unknown_format_is_named():
    with pytest.raises(RecipeError, match="did you mean 'srt'"):
        check_format("str")
