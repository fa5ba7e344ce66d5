"""What is heard in a sound that does not end, and when."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from miniatures.ears import LABELS, RATE, Ears, play
from wsac.inference.spans.describe_spans import label_kinds
from wsac.listening.change_point import change_point
from wsac.listening.confirming import Confirming
from wsac.listening.listen_options import ListenOptions
from wsac.listening.listener import Listener, live_tagger
from wsac.listening.sample_ring import SampleRing
from wsac.listening.sound_event import Event, Now
from wsac.listening.stream_clock import StreamClock
from wsac.types import RecipeError


def listener_of(**options) -> Listener:
    ears = Ears()
    return Listener(ears, live_tagger(ears, LABELS), ListenOptions(**options))


def heard_in(listener: Listener, samples: np.ndarray, block: int = 1600) -> list[Now | Event]:
    results = []
    for place in range(0, len(samples), block):
        results += listener.feed(samples[place : place + block])
    return results + listener.finish()


def ended(results) -> list[Event]:
    return [x for x in results if isinstance(x, Event) and x.state == "ended"]


@pytest.mark.parametrize("seed", range(5))
def test_a_ring_holds_the_last_samples(seed):
    rng = np.random.default_rng(seed)
    ring, whole = SampleRing(100), np.zeros(0, np.float32)
    for _ in range(30):
        block = rng.standard_normal(int(rng.integers(0, 60))).astype(np.float32)
        ring.add(block)
        whole = np.concatenate((whole, block))
        start, end = sorted(rng.integers(max(0, len(whole) - 100), len(whole) + 1, 2))
        np.testing.assert_array_equal(ring.part(start, end), whole[start:end])
        assert ring.end == len(whole)
        assert ring.end - ring.first <= 160
    ring.clear()
    assert (ring.first, len(ring.part(0, ring.end))) == (len(whole), 0)


@pytest.mark.parametrize("at", [0.3, 0.75, 1.2])
def test_a_change_is_found_to_a_few_frames(at):
    samples = play(1.5, ("dog", at, 9))
    rise = change_point(samples, RATE, rising=True)
    fall = change_point(samples[::-1].copy(), RATE, rising=False)
    assert (rise, fall) == pytest.approx((at, 1.5 - at), abs=0.06)


def steps(rows, **options):
    confirming = Confirming(ListenOptions(**options))
    for i, row in enumerate(rows):
        for state, candidate in confirming.step((i / 2, i / 2 + 1.5), {"dog": row}, 1.0):
            yield i, state, candidate.best


def test_an_event_is_confirmed_by_repetition_and_does_not_flicker():
    rows = [0.1, 0.9, 0.1, 0.6, 0.7, 0.3, 0.8, 0.1, 0.1, 0.1, 0.1]
    states = [(i, state) for i, state, _ in steps(rows, confirm=2, hold_seconds=1.0)]
    assert states == [(4, "begins"), (5, "lasts"), (6, "lasts"), (8, "ended")]
    assert [best for _, _, best in steps(rows)][-1] == 0.8
    assert [state for _, state, _ in steps([0.9, 0.9, 0.4, 0.9], confirm=3)] == []


def test_events_have_their_times_labels_and_captions():
    listener = listener_of()
    results = heard_in(listener, play(12, ("dog", 2.2, 4.0), ("siren", 7.1, 9.6)))
    events = ended(results)
    assert [event.label for event in events] == ["dog", "siren"]
    assert [event.start for event in events] == pytest.approx([2.2, 7.1], abs=0.06)
    assert [event.end for event in events] == pytest.approx([4.0, 9.6], abs=0.06)
    assert [event.caption for event in events] == ["A dog is heard", "A siren is heard"]
    assert [event.number for event in events] == [1, 2]
    assert all(event.confidence > 0.9 and -20 < event.loudness < -10 for event in events)
    begins = [x for x in results if isinstance(x, Event) and x.state == "begins"]
    assert [event.end for event in begins] == [None, None]
    assert [event.start for event in begins] == [event.start for event in events]


def test_an_event_is_told_within_two_windows_of_its_start():
    listener, told = listener_of(), []
    samples = play(6, ("dog", 2.2, 4.0))
    for place in range(0, len(samples), 1600):
        told += [
            listener.seconds
            for x in listener.feed(samples[place : place + 1600])
            if isinstance(x, Event) and x.state == "begins"
        ]
    assert 2.2 < told[0] <= 2.2 + 2.0 + 0.5


@pytest.mark.parametrize("block", [777, 16_384, 200_000])
def test_the_size_of_blocks_does_not_matter(block):
    samples = play(12, ("dog", 2.2, 4.0), ("siren", 7.1, 9.6))
    assert heard_in(listener_of(), samples, block) == heard_in(listener_of(), samples)


def test_a_long_block_holds_what_its_first_window_needs():
    samples = play(130, ("dog", 50, 60))
    wide = {"window_seconds": 10.0, "hop_seconds": 7.0, "confirm": 1}
    at_once = heard_in(listener_of(**wide), samples, len(samples))
    assert at_once == heard_in(listener_of(**wide), samples)


@pytest.mark.parametrize(("seconds", "confirm"), [(4.4, 2), (1.5, 1)])
def test_what_sounds_at_the_end_ends_there(seconds, confirm):
    event = ended(heard_in(listener_of(confirm=confirm), play(seconds, ("dog", 0.2, seconds))))[0]
    assert event.end == seconds


@pytest.mark.parametrize("block", [1600, 60 * RATE])
def test_a_long_event_has_a_caption_and_a_clip_of_what_is_still_there(block):
    samples = play(60, ("dog", 2.0, 50.0))
    event = ended(heard_in(listener_of(clips=True), samples, block))[0]
    assert event.caption == "A dog is heard"
    assert (event.start, event.end) == pytest.approx((2.0, 50.0), abs=0.06)
    assert len(event.sound) == 30 * RATE
    place = round(17.5 * RATE)  # 35 seconds before the end of the window that ended it
    np.testing.assert_array_equal(event.sound, samples[place : place + 30 * RATE])


def test_an_interrupt_between_begin_and_start_is_no_fault(monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    listener = listener_of()
    monkeypatch.setattr(listener, "_edge", interrupted)
    with pytest.raises(KeyboardInterrupt):
        listener.feed(play(4, ("dog", 1, 4)))
    monkeypatch.undo()
    assert [event.label for event in ended(listener.finish())] == ["dog"]


def test_what_is_below_the_gate_is_not_listened_to():
    listener = listener_of(gate=-50.0)
    results = heard_in(listener, play(12, ("dog", 5.0, 6.0)))
    assert listener.listened == 5
    assert listener.captioner.clap.windows == 6  # one for the caption
    quiet = [x for x in results if isinstance(x, Now) and x.at < 5]
    assert all(now.tags == () for now in quiet)
    assert len(quiet) == 6


def test_the_five_likeliest_come_with_every_window():
    ears = Ears()
    listener = Listener(ears, live_tagger(ears, [*LABELS, "cow", "hen", "owl", "cat"]))
    now = next(x for x in listener.feed(play(2, ("dog", 0, 2))) if isinstance(x, Now))
    assert now.tags[0].label == "dog"
    assert len(now.tags) == 5
    assert json.dumps(now.fields())


def test_a_gap_ends_what_is_under_way():
    listener = listener_of()
    listener.feed(play(3, ("dog", 1.0, 3.0)))
    events = listener.gap()
    assert [(event.label, event.state) for event in events] == [("dog", "ended")]
    assert events[0].end == pytest.approx(3.0, abs=0.11)
    assert listener.seconds == 3.0
    later = ended(heard_in(listener, play(3, ("dog", 1.0, 2.0))))
    assert later[0].start == pytest.approx(4.0, abs=0.06)
    assert later[0].number == 2


def test_clips_have_pre_roll():
    listener = listener_of(clips=True, before=1.0, after=0.5)
    samples = play(6, ("dog", 2.2, 4.0))
    event = ended(heard_in(listener, samples))[0]
    first = round((event.start - 1.0) * RATE)
    np.testing.assert_array_equal(event.sound, samples[first : first + len(event.sound)])
    assert len(event.sound) / RATE == pytest.approx(1.0 + 1.8 + 0.5, abs=0.1)
    assert "sound" not in event.fields()


def test_memory_does_not_grow():
    listener = listener_of(longest_clip=3.0)
    for second in range(60):
        listener.feed(play(1, ("dog", 0, second % 2)))
    assert listener._ring.end - listener._ring.first <= 20 * RATE
    assert len(listener._starts) <= 1


def test_the_clock_of_an_event():
    listener = listener_of()
    listener.clock = 1_700_000_000.0
    event = ended(heard_in(listener, play(6, ("dog", 2.2, 4.0))))[0]
    from datetime import datetime

    assert datetime.fromisoformat(event.time).timestamp() == 1_700_000_002


@pytest.mark.parametrize("rate", [0.9999, 1.0, 1.0001])
def test_the_clock_follows_a_microphone_that_is_too_slow_or_too_fast(rate):
    """Twelve hours: by a tenth of a thousandth it would be wrong by four seconds."""
    rng, now, errors = np.random.default_rng(0), 0.0, []
    clock = StreamClock(lambda: now)
    for block in range(1, 12 * 3600 + 1):
        now = 1e9 + block / rate + float(rng.exponential(0.05))  # late
        errors.append(clock.start_of(block) + block - (1e9 + block / rate))
    assert np.abs(errors[60:]).max() < 0.05


def test_the_clock_after_a_rest_a_burst_and_a_step():
    moments = [(1000, 10), (1001, 11), (1001, 16), (1007, 17), (5000, 18), (4000, 19)]
    times = iter([now for now, _ in moments])
    clock = StreamClock(lambda: next(times))
    starts = [clock.start_of(seconds) for _, seconds in moments]
    assert starts == [990, 990, 985, 985, 4982, 3981]


def test_an_event_has_one_time():
    listener, times = listener_of(), set()
    for place, block in enumerate(np.split(play(8, ("dog", 2.2, 6.0)), 80)):
        listener.clock = 1e9 + place
        times |= {result.time for result in listener.feed(block) if isinstance(result, Event)}
    assert len(times) == 1


def test_labels_of_rules_join_the_others():
    ears = Ears()
    assert live_tagger(ears, ["dog", "rain"], ["Dog", "hum"]).labels == ["dog", "rain", "hum"]
    tagger = live_tagger(ears, (), ["rain", "dog hum"])
    assert tagger.labels == [*label_kinds(), "dog hum"]
    assert len(tagger.label_embeddings) == len(tagger.labels)


@pytest.mark.parametrize(
    "options",
    [
        {"window_seconds": 0.1},
        {"hop_seconds": 9.0},
        {"threshold": 0.0},
        {"gate": 3.0},
        {"confirm": 0},
    ],
)
def test_impossible_options_are_refused(options):
    with pytest.raises(RecipeError):
        replace(ListenOptions(), **options)
