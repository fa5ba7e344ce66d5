"""Subtitles of files: beside them, once, resumed, merged, watched; a soft track in a copy."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from html.parser import HTMLParser
from pathlib import Path

import pytest

from miniatures.films import SPEECH, LoudSeconds, write_film, write_wav, writer
from wsac.inference.sound_results import Tag
from wsac.inference.spans.span import Span
from wsac.inference.subtitles.relevance import CueOptions
from wsac.inference.subtitles.result_sources import RECORD
from wsac.inference.subtitles.speech_file import SpeechFile
from wsac.inference.subtitles.subtitle_files import SubtitleJob, SubtitleWriter
from wsac.inference.subtitles.subtitles import Subtitles
from wsac.inference.subtitles.unfinished import Unfinished
from wsac.inference.subtitles.video_facts import NoCut, video_facts
from wsac.inference.subtitles.watching import complete_files
from wsac.types import RecipeError, WsacError


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {RECORD}


def test_the_subtitles_lie_beside_the_sound(tmp_path):
    sound = write_wav(tmp_path / "a.wav")
    result = writer(formats=("srt", "vtt", "json")).write(sound)
    assert [path.name for path in result.paths] == ["a.srt", "a.vtt", "a.json"]
    assert names(tmp_path) == {"a.wav", "a.srt", "a.vtt", "a.json"}
    assert (
        (tmp_path / "a.srt").read_text().startswith("1\n00:00:02,000 --> 00:00:03,000\n[dog bark")
    )
    assert [row["start"] for row in json.loads((tmp_path / "a.json").read_text())["cues"]] == [2, 6]
    assert result.cues == 2


def test_what_is_there_is_not_done_again(tmp_path):
    sound = write_wav(tmp_path / "a.wav")
    (tmp_path / "a.srt").write_text("mine")
    captioner = LoudSeconds()
    result = writer(captioner).write(sound)
    assert result.paths == ()
    assert "--overwrite replaces it" in result.notes[0]
    assert captioner.listened == 0
    assert (tmp_path / "a.srt").read_text() == "mine"
    assert writer(captioner, overwrite=True).write(sound).cues == 2
    assert "dog" in (tmp_path / "a.srt").read_text()


def test_a_stopped_file_goes_on_where_it_was(tmp_path):
    sound = write_wav(tmp_path / "long.wav", 60, range(1, 60, 4))
    whole = LoudSeconds()
    assert writer(whole, out=tmp_path / "whole").write(sound).cues == 15
    captioner = LoudSeconds(stop_at=40)
    work = writer(captioner)
    with pytest.raises(KeyboardInterrupt):
        work.write(sound)
    assert "stopped at 0:00:37 of 0:01:00" in work.reached
    assert names(tmp_path) == {"long.wav", "whole", ".long.srt.unfinished"}
    captioner.listened = 0
    writer(captioner).write(sound)
    assert captioner.listened == 60 - 37
    assert (tmp_path / "long.srt").read_bytes() == (tmp_path / "whole" / "long.srt").read_bytes()
    assert names(tmp_path) == {"long.wav", "whole", "long.srt"}


def test_what_another_sound_or_a_crash_left_is_no_help(tmp_path):
    sound = write_wav(tmp_path / "a.wav", 30, range(1, 30, 4))
    with pytest.raises(KeyboardInterrupt):
        writer(LoudSeconds(stop_at=20)).write(sound)
    left = tmp_path / ".a.srt.unfinished"
    left.write_bytes(left.read_bytes()[:-20])  # a line that was cut short
    captioner = LoudSeconds(stop_at=8)
    with pytest.raises(KeyboardInterrupt):
        writer(captioner).write(sound)
    write_wav(tmp_path / "a.wav", 31, range(1, 30, 4))  # another sound under its name
    captioner.listened = 0
    writer(captioner).write(sound)
    assert captioner.listened == 31


@pytest.mark.slow
def test_a_cue_is_told_long_before_the_sound_is_read(tmp_path):
    sound = write_wav(tmp_path / "long.wav", 600, range(1, 600, 20))
    captioner, listened = LoudSeconds(), []
    job = SubtitleJob(out=tmp_path / "out")
    work = SubtitleWriter(
        job, lambda: captioner, on_cue=lambda cue: listened.append((cue, captioner.listened))
    )
    assert work.write(sound).cues == len(listened) == 30
    assert listened[0][1] < 30
    assert all(seconds - cue.start < 30 for cue, seconds in listened)


def test_spans_are_read_back_as_they_were(tmp_path):
    spans = [
        Span(1, 2.5, "A dog barks", 0.5, (Tag("dog", 0.1, 0.9),), -20.5, 12.0, True, "music", "x"),
        Span(3, 4, "Rain", background=True),
    ]
    unfinished = Unfinished(tmp_path / "a.srt", {"size": 1})
    for span in spans:
        unfinished.add(span)
    unfinished.close(done=False)
    again = Unfinished(tmp_path / "a.srt", {"size": 1})
    assert (again.spans, again.position) == (spans[:1], 3)
    again.close(done=True)
    assert names(tmp_path) == set()


def test_two_runs_do_not_write_one_file(tmp_path):
    sound = write_wav(tmp_path / "a.wav")
    other = Unfinished(tmp_path / "a.srt", {})
    with pytest.raises(WsacError, match=r"\.a\.srt\.lock: in use by .*process"):
        writer().write(sound)
    assert writer().write(write_wav(tmp_path / "b.wav")).cues == 2
    other.close(done=False)
    assert writer().write(sound).cues == 2
    assert names(tmp_path) == {"a.wav", "a.srt", "b.wav", "b.srt"}


def test_a_full_disk_is_told_and_nothing_stays_held(tmp_path):
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full")
    target, spans = tmp_path / "a.srt", [Span(0, 1, "Rain"), Span(2, 3, "Rain")]
    unfinished = Unfinished(target, {})
    unfinished.add(spans[0])
    unfinished._file.close()
    unfinished._file = full.open("w")
    with pytest.raises(WsacError, match=r"cannot write here .*; check the free space"):
        unfinished.add(spans[1])
    unfinished.close(done=False)
    assert unfinished.path.is_file()
    Unfinished(target, {}).close(done=True)  # it is not held any more


def test_one_bad_file_takes_no_other_with_it(tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"RIFF nothing")
    files = [tmp_path / "bad.wav", tmp_path / "none.wav", write_wav(tmp_path / "good.wav")]
    results = list(writer().write_all(files))
    assert [bool(result.error) for result in results] == [True, True, False]
    assert names(tmp_path) == {"bad.wav", "good.wav", "good.srt"}


def test_sounds_of_one_name_do_not_share_a_file(tmp_path):
    files = [write_wav(tmp_path / "a.wav"), write_wav(tmp_path / "a.flac")]
    list(writer().write_all(files))
    assert names(tmp_path) == {"a.wav", "a.flac", "a.srt", "a.flac.srt"}


def test_a_result_of_another_sound_does_not_count_as_done(tmp_path):
    """In --out, in another run: the full name is taken; when that is taken too, an error."""
    out = tmp_path / "out"
    for name in "abc":
        (tmp_path / name).mkdir()
    first, second, third = (write_wav(tmp_path / "abc"[i] / "x.wav") for i in range(3))
    for sound in (first, second, third):
        os.utime(sound, (10**9, 10**9))  # as archives unpack them
    assert writer(out=out).write(first).paths == (out / "x.srt",)
    result = writer(out=out).write(second)
    assert result.paths == (out / "x.wav.srt",)
    assert result.notes[0] == f"{out / 'x.srt'}: of another sound, ../a/x.wav"
    assert writer(out=out).write(first).paths == writer(out=out).write(second).paths == ()
    assert writer(out=out, overwrite=True).write(second).paths == (out / "x.wav.srt",)
    with pytest.raises(WsacError, match="give --out another folder"):
        writer(out=out).write(third)


def test_a_sound_may_move_and_a_changed_one_is_told(tmp_path):
    (tmp_path / "a").mkdir()
    sound = write_wav(tmp_path / "a" / "x.wav")
    writer(out=tmp_path).write(sound)
    moved = sound.rename(tmp_path / "x.wav")
    assert "already there" in writer(out=tmp_path).write(moved).notes[0]
    write_wav(sound, 9)
    moved.unlink()
    assert "made before the sound changed" in writer(out=tmp_path).write(sound).notes[0]


def test_speech_is_merged_and_stays(tmp_path):
    sound = write_wav(tmp_path / "a.wav")
    (tmp_path / "speech.srt").write_text(SPEECH)
    speech = SpeechFile(tmp_path / "speech.srt")
    captioner = LoudSeconds()
    (path,) = writer(captioner, speech=speech).write(sound).paths
    assert path.name == "a.sdh.srt"
    text = path.read_text()
    assert [line for line in text.splitlines() if "-->" in line] == [
        "00:00:00,500 --> 00:00:02,400",
        "00:00:02,490 --> 00:00:03,330",
        "00:00:06,000 --> 00:00:07,000",
        "00:00:08,000 --> 00:00:09,000",
    ]
    only = writer(captioner, speech=speech, only_sounds=True, formats=("vtt",)).write(sound)
    assert [path.name for path in only.paths] == ["a.vtt"]
    assert "Where" not in only.paths[0].read_text()
    assert "00:00:02.490" in only.paths[0].read_text()


def test_sounds_during_speech_have_a_line_of_their_own(tmp_path):
    sound = write_wav(tmp_path / "a.wav")
    (tmp_path / "speech.srt").write_text("1\n00:00:00,000 --> 00:00:05,000\nLong talk\n")
    speech = SpeechFile(tmp_path / "speech.srt")
    result = writer(speech=speech, place="line").write(sound)
    assert result.notes == ()
    text = result.paths[0].read_text()
    assert "00:00:02,000 --> 00:00:03,000\n{\\an8}[dog barks]\n" in text
    assert "00:00:06,000 --> 00:00:07,000\n[dog barks]\n" in text
    (result,) = writer(speech=speech, place="line", embed=True).write_all([tmp_path / "a.mp4"])
    assert "a.mp4" in str(result.error)


def test_sounds_without_room_are_counted(tmp_path):
    sound = write_wav(tmp_path / "a.wav", 12, (2, 6))
    (tmp_path / "speech.srt").write_text("1\n00:00:00,000 --> 00:00:05,000\nLong talk\n")
    result = writer(speech=SpeechFile(tmp_path / "speech.srt")).write(sound)
    assert result.left_out == "1 sound left out: 1 without room"


@pytest.mark.parametrize(
    ("job", "words"),
    [
        ({"formats": ("str",)}, "did you mean 'srt'"),
        ({"formats": ("vtt",), "speech": True}, "what is merged with srt is srt"),
        ({"place": "lin", "speech": True}, "did you mean 'line'"),
        ({"place": "line"}, "place 'line': for a merged file"),
        ({"place": "line", "speech": True, "only_sounds": True}, "not --only-sounds"),
    ],
)
def test_what_contradicts_itself_is_refused(job, words, tmp_path):
    (tmp_path / "speech.srt").write_text(SPEECH)
    speech = SpeechFile(tmp_path / "speech.srt") if "speech" in job else None
    with pytest.raises(RecipeError, match=words):
        SubtitleJob(**job | {"speech": speech})


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_new_scenes_are_seen_by_key_frames(name, tmp_path):
    facts = video_facts(write_film(tmp_path / name))
    assert facts.frame_rate == 10
    frames = list(facts.cuts)
    cuts = [frame for frame in frames if not isinstance(frame, NoCut)]
    assert cuts == [pytest.approx(6, abs=1.1)]
    assert len(frames) > 1  # what was seen between is told


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_sound_that_begins_later_than_the_picture(name, tmp_path):
    film = write_film(tmp_path / name, delay=3)
    (path,) = writer(formats=("json",)).write(film).paths
    starts = [row["start"] for row in json.loads(path.read_text())["cues"]]
    assert starts == [pytest.approx(5, abs=0.1), pytest.approx(9, abs=0.1)]


def test_a_sound_has_no_scenes(tmp_path):
    assert tuple(video_facts(write_wav(tmp_path / "a.wav")).cuts) == ()
    (tmp_path / "a.txt").write_text("text")
    assert video_facts(tmp_path / "a.txt").frame_rate is None


def test_a_watched_folder_gives_complete_sounds_once(tmp_path):
    looks = []

    def wait() -> None:
        looks.append(1)
        if len(looks) == 1:
            write_wav(tmp_path / "new.wav")
            (tmp_path / "note.txt").write_text("no sound")
            (tmp_path / "empty.wav").touch()
            write_wav(tmp_path / "old.subtitled.wav")
        elif len(looks) < 5:  # it grows
            with (tmp_path / "new.wav").open("ab") as file:
                file.write(b"12345678")
        elif len(looks) > 9:
            raise KeyboardInterrupt

    seen = []
    with suppress(KeyboardInterrupt):
        for path in complete_files(tmp_path, wait=wait):
            seen.append((path.name, len(looks)))
    assert seen == [("new.wav", 5)]


def test_the_object_says_the_same_in_every_form(tmp_path):
    film = write_wav(tmp_path / "a.wav")
    spans = [Span(1, 2, "A dog barks"), Span(4, 9, "Rain falls", sustained=True)]
    subtitles = Subtitles.of(spans, CueOptions(style="bbc"), file=film)
    assert [cue.text for cue in subtitles.cues] == ["DOG BARKS", "RAIN FALLS"]
    for name in ("srt", "vtt", "ass", "ttml"):
        subtitles.save(tmp_path / f"x.{name}")
        assert (tmp_path / f"x.{name}").read_text() == subtitles.text(name)
    with pytest.raises(RecipeError, match=r"end the name in .srt"):
        subtitles.save(tmp_path / "x.doc")
    with pytest.raises(RecipeError, match="no speech to merge with"):
        subtitles.merged()


@pytest.mark.slow
def test_a_notebook_shows_player_and_timeline(tmp_path):
    subtitles = Subtitles.of([Span(1, 2, "A dog barks")], file=write_wav(tmp_path / "a.wav"))
    html = subtitles._repr_html_()
    assert html.startswith("<iframe ")
    assert "&lt;audio id=&quot;player&quot;" in html
    assert "[dog barks]" in html
    long = write_wav(tmp_path / "long.wav", 61)
    html = Subtitles.of([Span(1, 2, "A dog barks")], file=long)._repr_html_()
    assert "data:audio" not in html
    assert "data:image" not in html
    assert "[dog barks]" in html
    table = Subtitles.of([Span(1, 2, "A dog barks")])._repr_html_()
    assert "<td>1.00</td><td>2.00</td><td>[dog barks]</td>" in table


@pytest.mark.parametrize("there", [True, False])
def test_a_notebook_shows_text_as_text(there, tmp_path):
    name, text = 'a"><b>&.wav', "</script><script>alert(1)</script>"
    if there:
        write_wav(tmp_path / name)
    spans = [Span(1, 2, text, sustained=True)]
    html = Subtitles.of(spans, CueOptions(style="plain"), file=tmp_path / name)._repr_html_()
    assert "alert(1)" in html.lower()
    assert "<script" not in html.lower()
    assert "<b>" not in html
    frame = HTMLParser()
    frame.handle_starttag = lambda tag, attributes: pages.append((tag, dict(attributes)))
    pages: list = []
    frame.feed(html)
    if there:
        ((tag, attributes),) = pages
        assert (tag, attributes["title"]) == ("iframe", name)
        pages.clear()
        frame.feed(attributes["srcdoc"])
        assert [tag for tag, _ in pages].count("script") == 2
        assert "b" not in [tag for tag, _ in pages]
