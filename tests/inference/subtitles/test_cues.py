"""Cues keep the laws of subtitles, whatever is heard; relevance and what goes on."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from miniatures.cue_laws import check_cues, span_lists
from wsac.inference.spans.span import Span
from wsac.inference.subtitles.cues import Cue, CueLayout, left_out_words
from wsac.inference.subtitles.relevance import CueOptions, wishes
from wsac.inference.subtitles.video_facts import NoCut
from wsac.inference.subtitles.wording import STYLES
from wsac.types import RecipeError


def cues_of(spans, cuts=(), busy=(), frame_rate=24.0, **options) -> list[Cue]:
    layout = CueLayout(busy, frame_rate)
    return list(layout.place(wishes(spans, CueOptions(**options), cuts)))


def texts(spans, **options) -> list[str]:
    return [cue.text for cue in cues_of(spans, **options)]


def rows(cues) -> list[tuple[float, float, str]]:
    return [(cue.start, cue.end, cue.text) for cue in cues]


@pytest.mark.slow
@settings(deadline=None, max_examples=50)
@given(
    span_lists(),
    st.sampled_from(sorted(STYLES)),
    st.floats(0, 1),
    st.booleans(),
    st.lists(st.floats(0, 300), max_size=10),
    st.sampled_from((23.976, 24.0, 25.0, 29.97, 50.0, 120.0)),
)
def test_every_cue_keeps_the_laws(spans, style, sensitivity, onomatopoeia, cuts, frame_rate):
    cues = cues_of(
        spans,
        cuts,
        style=style,
        sensitivity=sensitivity,
        onomatopoeia=onomatopoeia,
        frame_rate=frame_rate,
    )
    check_cues(rows(cues), frame_rate=frame_rate)


@pytest.mark.slow
@settings(deadline=None, max_examples=50)
@given(span_lists(), st.lists(st.tuples(st.floats(0, 200), st.floats(0, 200)), max_size=20))
def test_no_cue_touches_speech(spans, busy):
    check_cues(rows(cues_of(spans, busy=busy, sensitivity=1)), busy)


@pytest.mark.slow
@settings(deadline=None, max_examples=50)
@given(span_lists(), st.lists(st.tuples(st.floats(0, 200), st.floats(0, 200)), max_size=20))
def test_on_a_line_of_its_own_a_cue_has_room_during_speech(spans, busy):
    layout = CueLayout(busy, place="line")
    cues = list(layout.place(wishes(spans, CueOptions(sensitivity=1))))
    check_cues(rows(cues))
    check_cues(rows([cue for cue in cues if not cue.aside]), busy)
    for cue in cues:
        near = [pair for pair in busy if min(pair) < cue.end + 0.1 and cue.start < max(pair) + 0.1]
        assert near or not cue.aside
    always = CueLayout([(0, 1e6)], place="line")
    only_speech = list(always.place(wishes(spans, CueOptions(sensitivity=1))))
    assert rows(only_speech) == rows(cues_of(spans, sensitivity=1))
    assert all(cue.aside for cue in only_speech)


@pytest.mark.slow
@settings(deadline=None, max_examples=50)
@given(span_lists())
def test_a_cue_is_near_its_sound(spans):
    for cue in cues_of(spans, sensitivity=1):
        assert any(s.start - 1.01 <= cue.start <= max(s.end, s.start + 1.01) for s in cue.spans)


@pytest.mark.slow
@settings(deadline=None, max_examples=50)
@given(span_lists())
def test_nothing_is_left_out_in_silence(spans):
    """At full sensitivity every sound of its own has a cue, or is counted."""
    layout = CueLayout()
    abrupt = [Span(s.start, s.end, s.text, sustained=False) for s in spans]
    cues = list(layout.place(wishes(abrupt, CueOptions(sensitivity=1))))
    assert sum(len(cue.spans) for cue in cues) + layout.left_out.total() == len(spans)


def test_a_cue_lasts_as_long_as_its_sound_up_to_seven_seconds():
    assert rows(cues_of([Span(1, 4, "A dog barks", sustained=True)])) == [(1, 4, "[dog barking]")]
    assert rows(cues_of([Span(1, 90, "Rain", sustained=True)])) == [(1, 8, "[rain falling]")]
    (cue,) = cues_of([Span(1, 1.1, "A bell rings")])
    assert (cue.start, cue.end) == (1, 1.84)


def test_the_next_cue_shortens_the_one_before():
    spans = [Span(0, 60, "Rain", sustained=True), Span(3, 3.5, "A dog barks")]
    first, second = cues_of(spans)
    assert (first.start, first.end, first.text) == (0, 2.91, "[rain falling]")
    assert second.start == 3


def test_two_sounds_that_begin_together_share_a_cue():
    spans = [Span(0, 60, "Rain", sustained=True), Span(0.3, 0.9, "A dog barks")]
    assert texts(spans) == ["[rain falling]\n[dog barks]"]


def test_one_sound_twice_is_one_cue():
    barks = [Span(0, 0.4, "A dog barks"), Span(0.7, 2.5, "A dog is barking loudly")]
    assert rows(cues_of(barks)) == [(0, 2.5, "[dog barks]")]
    water = [Span(0, 60, "Water flows", sustained=True), Span(20, 21, "Water is flowing by")]
    assert texts(water) == ["[water flowing]"]


def test_a_long_text_is_shortened_where_the_next_sound_is_near():
    near = Span(1.6, 2, "Thunder")
    spans = [Span(0, 9, "A car passes by on a wet road in the rain", sustained=True), near]
    assert texts(spans)[0] == "[car passing by]"
    assert texts(spans[:1]) == ["[car passing by on wet road]"]


def test_a_steady_background_has_one_cue_and_goes_on_after_a_change():
    rain = [Span(10 * i, 10 * i + 10, "Rain falls", sustained=True) for i in range(12)]
    assert texts(rain) == ["[rain falling]"]
    assert texts([Span(0, 120, "Rain falls", sustained=True)]) == ["[rain falling]"]
    cut = cues_of([Span(0, 120, "Rain falls", sustained=True)], cuts=[5, 62.0, 70])
    assert rows(cut)[1:] == [(62, 69, "[rain continues]")]


def test_a_sound_that_came_back_goes_on():
    spans = [
        Span(0, 70, "A pig squeals", sustained=True),
        Span(70, 71, "A door slams"),
        Span(72, 90, "A pig squeals loudly", sustained=True),
    ]
    assert texts(spans) == ["[pig squealing]", "[door slams]", "[squealing continues]"]


def test_what_repeats_and_does_not_stand_out_is_left_out():
    barks = [Span(i, i + 0.4, "A dog barks", prominence=3) for i in range(0, 60, 3)]
    few, usual, all_of_them = (
        len(texts(barks, sensitivity=sensitivity)) for sensitivity in (0.1, 0.5, 1)
    )
    assert few == 1
    assert few < usual < all_of_them == len(barks)
    loud = [Span(i, i + 0.4, "A dog barks", prominence=15) for i in range(0, 60, 3)]
    assert len(texts(loud)) == len(loud)


def test_what_recurs_has_one_cue_unless_everything_is_wanted():
    clock = [
        Span(i, i + 1, "A clock ticks", prominence=20, background=True) for i in range(0, 90, 12)
    ]
    assert texts(clock) == texts(clock, sensitivity=0) == ["[clock ticking]"]
    assert texts(clock, sensitivity=1) == ["[clock ticking]"] * len(clock)
    knock = Span(30, 31, "Someone knocks", prominence=20)
    assert len(texts(sorted([*clock, knock], key=lambda span: span.start))) == 2


def test_with_full_sensitivity_an_event_shows_before_a_background_like_it():
    spans = [
        Span(0, 60, "A dog barks", sustained=True, background=True),
        Span(30, 31, "A dog is barking"),
        Span(60, 100, "A dog barks", sustained=True, background=True),
    ]
    assert texts(spans) == ["[dog barking]"]
    assert texts(spans, sensitivity=1) == ["[dog barking]", "[dog barks]"]


def test_what_has_no_cue_is_counted_by_its_reason():
    spans = [
        Span(0, 60, "Rain falls", confidence=0.8, sustained=True, background=True),
        Span(3, 5, "A dog barks", confidence=0.01),
        Span(10, 15, "Rain falls", confidence=0.9, sustained=True, prominence=20),
        Span(20, 21, "Music plays", kind="music"),
        Span(30, 31, "Someone knocks", confidence=0.5),
        Span(32, 33, "Someone knocks", confidence=0.04),
    ]

    def left_out(**options) -> dict[str, int]:
        layout = CueLayout()
        left = layout.left_out
        shown = sum(
            len(cue.spans)
            for cue in layout.place(wishes(spans, CueOptions(skip=("music",), **options), (), left))
        )
        assert shown + left.total() == len(spans)
        return dict(left)

    assert left_out() == {"unsure": 2, "like their surroundings": 1, "speech or music": 1}
    assert left_out(sensitivity=1) == {"speech or music": 1}
    assert left_out(sensitivity=1, min_confidence=0.02) == {"unsure": 1, "speech or music": 1}


def test_the_count_of_what_has_no_cue_says_how_to_see_it():
    assert left_out_words({}) == left_out_words({"unsure": 0}) == ""
    words = left_out_words({"speech or music": 1, "unsure": 2, "repeated": 1_000}, 0.5)
    shown = "2 unsure, 1,000 repeated (--sensitivity 1 shows these)"
    assert words == f"1,003 sounds left out: {shown}, 1 speech or music"
    assert left_out_words({"unsure": 1}) == "1 sound left out: 1 unsure"
    assert left_out_words({"without room": 1}, 0.5) == "1 sound left out: 1 without room"


def test_a_video_is_not_read_further_than_its_sounds():
    def cuts():
        for second in range(1000):
            asked.append(second)
            yield NoCut(second)

    asked: list[int] = []
    spans = [
        Span(0, 200, "Rain falls", sustained=True, background=True),
        Span(90, 91, "A dog barks"),
    ]
    ahead = wishes(spans, CueOptions(), cuts())
    assert next(ahead).start == 0
    assert len(asked) <= 1
    assert next(ahead).start == 90
    assert len(asked) <= 92


def test_a_loud_event_has_a_cue_also_in_a_background_of_its_name():
    spans = [
        Span(0, 30, "A person sneezes", sustained=True, background=True),
        Span(14, 15, "A person sneezes", prominence=30),
    ]
    starts = [wish.start for wish in wishes(spans, CueOptions())]
    assert starts == [0, 14]


def test_of_a_skipped_kind_the_other_clause_is_shown():
    spans = [
        Span(0, 2, "A man speaking while a cat is crying"),
        Span(3, 5, "A man and woman speaking"),
        Span(6, 8, "Music plays", kind="music"),
    ]
    assert texts(spans, skip=("speech",)) == ["[cat cries]", "[music plays]"]
    assert texts(spans, skip=("speech", "music")) == ["[cat cries]"]


def test_kinds_and_unsure_sounds_can_be_skipped():
    spans = [
        Span(0, 2, "A man speaks", kind="speech", sustained=True),
        Span(3, 5, "Music plays", kind="music", sustained=True),
        Span(6, 7, "A dog barks", confidence=0.3),
    ]
    assert texts(spans, skip=("speech", "music")) == ["[dog barks]"]
    assert texts(spans, skip=("speech",), min_confidence=0.5) == ["[music playing]"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"style": "sdhh"}, "did you mean 'sdh'"),
        ({"sensitivity": 2}, "sensitivity 2: give 0 to 1"),
        ({"sensitivity": float("nan")}, "sensitivity nan: give 0 to 1"),
        ({"min_confidence": -1}, "min confidence -1: give 0 to 1"),
        ({"skip": ("talk",)}, "skip 'talk': give speech or music"),
    ],
)
def test_impossible_options_are_named(options, words):
    with pytest.raises(RecipeError, match=words):
        CueOptions(**options)


def test_an_impossible_frame_rate_is_named():
    with pytest.raises(RecipeError, match="frame rate 0"):
        CueLayout(frame_rate=0)


def test_an_unknown_place_is_named():
    with pytest.raises(RecipeError, match="place 'lines': did you mean 'line'"):
        CueLayout(place="lines")


def test_the_first_cue_comes_before_the_last_span():
    taken = []

    def spans():
        for i in range(100):
            taken.append(i)
            yield Span(20 * i, 20 * i + 1, "A dog barks", prominence=20)

    next(CueLayout().place(wishes(spans(), CueOptions())))
    assert len(taken) <= 3
