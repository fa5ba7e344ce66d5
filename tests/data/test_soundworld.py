"""The sound world: what is said is heard, what is heard is in its place, and false captions are false."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from wsac.cli import main
from wsac.data.soundworld import (
    DEMO_SEED,
    FORMS,
    KINDS,
    Event,
    Placed,
    Scene,
    demo_scenes,
    render_event,
    render_scene,
    sample_scene,
    swap_order,
    write_caption,
    write_captions,
    write_corpus,
    write_false,
    write_scenes,
)
from wsac.data.soundworld.alike import alike
from wsac.data.soundworld.falsehoods import false_kind, false_order, false_parameter
from wsac.data.soundworld.grammar import TEMPLATES, compose
from wsac.data.soundworld.phrases import say_event, with_adjective
from wsac.data.soundworld.reading import read_kinds
from wsac.data.soundworld.words import WORDS
from wsac.data.soundworld.write import draw_scene
from wsac.types import WsacError

RATE = 16000


def scenes(count: int, **options) -> list[Scene]:
    return [sample_scene(np.random.default_rng([11, i]), **options) for i in range(count)]


def those_with(parameter: str) -> list[str]:
    return [name for name, kind in KINDS.items() if parameter in kind.parameters]


def render(kind: str, seed: int = 0, **parameters) -> np.ndarray:
    return render_event(Event(kind, **parameters), np.random.default_rng(seed), RATE)


# What an ear would measure


def strokes_heard(samples: np.ndarray, window: float = 0.06) -> int:
    """Onsets: the envelope rises from a dip to a fair part of the loudest."""
    hop = RATE // 100
    power = (samples[: len(samples) // hop * hop].astype(float).reshape(-1, hop) ** 2).mean(axis=1)
    smooth = np.hanning(round(window * 100) + 2)
    envelope = np.sqrt(np.convolve(np.pad(power, 8), smooth / smooth.sum(), mode="same"))
    found, rising, peak, dip = 0, True, 0.0, 0.0
    for level in envelope:
        if rising:
            dip = min(dip, level)
            if level > max(0.25 * envelope.max(), 1.8 * dip):
                found, rising, peak = found + 1, False, level
        else:
            peak = max(peak, level)
            if level < 0.55 * peak:
                rising, dip = True, level
    return found


def brightness(samples: np.ndarray) -> float:
    """Geometric spectral centroid, Hz."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    return float(
        np.exp(
            (power * np.log(np.maximum(np.fft.rfftfreq(len(samples), 1 / RATE), 20))).sum()
            / power.sum()
        )
    )


def fundamental(samples: np.ndarray) -> float:
    """The median pitch of the loud frames by autocorrelation between 60 and 400 Hz, Hz."""
    frames = samples[: len(samples) // 1024 * 1024].reshape(-1, 1024).astype(float)
    frames = frames[(frames**2).mean(axis=1) > 0.5 * (samples**2).mean()]
    spectrum = np.abs(np.fft.rfft(frames, 4096)) ** 2
    correlation = np.fft.irfft(spectrum)[:, RATE // 400 : RATE // 60]
    return float(np.median(RATE / (RATE // 400 + correlation.argmax(axis=1))))


def sweeps(samples: np.ndarray) -> float:
    """How often a second the brightness of a sound goes up and down, by its strongest modulation."""
    curve = np.array(
        [brightness(frame) for frame in samples[: len(samples) // 800 * 800].reshape(-1, 800)]
    )
    power = np.abs(np.fft.rfft((curve - curve.mean()) * np.hanning(len(curve)), 1024)) ** 2
    return float(np.fft.rfftfreq(1024, 0.05)[power.argmax()])


# The kinds


@pytest.mark.parametrize("name", KINDS)
def test_sound_is_exact_finite_unclipped_and_repeats_from_its_seed(name):
    samples = KINDS[name].render(np.random.default_rng(1), 1.5, RATE)
    assert samples.shape == (int(1.5 * RATE),)
    assert samples.dtype == np.float32
    assert np.isfinite(samples).all()
    assert 0.05 < np.abs(samples).max() < 1
    assert abs(samples.mean()) < 0.01
    np.testing.assert_array_equal(samples, KINDS[name].render(np.random.default_rng(1), 1.5, RATE))
    assert np.abs(samples - KINDS[name].render(np.random.default_rng(2), 1.5, RATE)).max() > 0.01


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(("seconds", "rate"), [(0.2003, 8000), (0.7, 48000)])
def test_sound_keeps_its_length_at_other_rates(name, seconds, rate):
    samples = KINDS[name].render(np.random.default_rng(3), seconds, rate)
    assert samples.shape == (round(seconds * rate),)
    assert np.isfinite(samples).all()
    assert np.abs(samples).max() < 1


def test_there_are_many_kinds_and_each_has_words_and_parameters():
    assert len(KINDS) >= 40
    assert set(KINDS) == set(WORDS)
    assert all(kind.parameters for kind in KINDS.values())
    for name in those_with("count"):
        assert WORDS[name].stroke
        assert KINDS[name].period > 0


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("name", those_with("count"))
def test_strokes_are_counted_exactly(name, count):
    kind = KINDS[name]
    seconds = 0.06 + (count - 1) * 1.05 * kind.period + kind.tail
    for seed in range(2):
        assert strokes_heard(render(name, seed, count=count, seconds=max(1.2, seconds))) == count


def test_counted_strokes_do_not_fall_off_the_end():
    assert strokes_heard(render("knocking", count=4, seconds=1.0)) == 4
    assert strokes_heard(render("dog", count=3, rate=-1, seconds=1.3)) == 3


@pytest.mark.parametrize("name", those_with("pitch"))
def test_pitch_is_audible(name):
    measure, least = (fundamental, 1.15) if name in ("man", "woman") else (brightness, 1.35)
    low, high = (
        np.mean([measure(render(name, seed, pitch=pitch)) for seed in range(3)])
        for pitch in (-1, 1)
    )
    assert high > least * low


@pytest.mark.parametrize("name", those_with("rate"))
def test_rate_is_audible(name):
    window = {"snoring": 0.3, "crickets": 0.12, "siren": 0.06}.get(name, 0.03)

    def measure(rate: int) -> float:
        heard = [render(name, seed, rate=rate, seconds=6.0) for seed in range(3)]
        return float(
            np.mean([sweeps(x) if name == "siren" else strokes_heard(x, window) for x in heard])
        )

    assert measure(1) > 1.35 * measure(-1)


@pytest.mark.parametrize("name", ["dog", "knocking", "clock", "footsteps"])
def test_every_level_of_rate_is_apart_from_the_next(name):
    slow, plain, fast = (
        strokes_heard(render(name, 1, rate=rate, seconds=6.0), 0.03) for rate in (-1, 0, 1)
    )
    assert fast > 1.4 * plain
    assert plain > 1.4 * slow


@pytest.mark.parametrize("name", ["whistle", "hum", "owl", "alarm_clock"])
def test_every_level_of_pitch_is_apart_from_the_next(name):
    low, plain, high = (brightness(render(name, 1, pitch=pitch)) for pitch in (-1, 0, 1))
    assert high > 1.4 * plain
    assert plain > 1.4 * low


@pytest.mark.parametrize("name", ["dog", "siren", "footsteps"])
def test_faint_far_and_loud_are_so_beside_a_plain_sound(name):
    def level(**parameters) -> float:
        return float(
            20 * np.log10(np.sqrt((render(name, 3, **parameters).astype(float) ** 2).mean()))
        )

    plain = level()
    assert level(loudness=-1) == pytest.approx(plain - 14, abs=0.5)
    assert level(loudness=1) == pytest.approx(plain + 5, abs=0.5)
    assert plain - 14 < level(distance=1) < plain - 4
    assert brightness(render(name, 3, distance=1)) < brightness(render(name, 3))


def test_all_kinds_are_about_equally_loud():
    def loudest(name: str) -> float:
        frames = render(name, 4, seconds=3.0).reshape(-1, 800).astype(float)
        return float(20 * np.log10(np.sqrt(np.sort((frames**2).mean(axis=1))[-6:].mean())))

    levels = [loudest(name) for name in KINDS]
    assert max(levels) - min(levels) < 14  # what is left is bass, which the ear weighs less


def test_sounds_differ_in_colour_as_they_should():
    colour = {
        name: brightness(render(name))
        for name in ("engine", "thunder", "hum", "birds", "crickets", "man", "rain")
    }
    assert max(colour["engine"], colour["thunder"], colour["hum"]) < 800
    assert min(colour["crickets"], colour["birds"]) > 2000
    assert colour["man"] < colour["rain"]


@pytest.mark.parametrize(
    "change", [{"pitch": 2}, {"loudness": -3}, {"count": 0}, {"count": 5}, {"seconds": 0.0}]
)
def test_an_event_rejects_what_it_cannot_be(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        Event("dog", **change)


def test_render_rejects_what_it_cannot_do():
    for seconds, rate in ((0.0, RATE), (-1.0, RATE), (float("nan"), RATE), (1.0, 100)):
        with pytest.raises(ValueError, match="cannot render"):
            KINDS["rain"].render(np.random.default_rng(0), seconds, rate)
    with pytest.raises(ValueError, match="unicorn"):
        render("unicorn")


# The scenes


def test_scenes_are_drawn_as_often_as_they_should_and_in_every_form():
    drawn = [sample_scene(np.random.default_rng([5, i]), captions=0) for i in range(1500)]
    sizes = Counter(FORMS[scene.form][2] for scene in drawn)
    for size, share in {1: 0.15, 2: 0.35, 3: 0.3, 4: 0.2}.items():
        assert sizes[size] / 1500 == pytest.approx(share, abs=0.05)
    assert {scene.form for scene in drawn} == set(FORMS)
    assert {name for scene in drawn for name in scene.events} == set(KINDS)
    spread = Counter(p.event.count for scene in drawn for p in scene.placed)
    assert all(spread[count] > 50 for count in (1, 2, 3, 4))
    for parameter in ("pitch", "rate", "loudness", "distance", "length"):
        assert {getattr(p.event, parameter) for scene in drawn for p in scene.placed} == {-1, 0, 1}


def test_what_follows_follows_and_what_lies_behind_lasts():
    for scene in (sample_scene(np.random.default_rng([6, i]), captions=0) for i in range(600)):
        behind, sizes, _ = FORMS[scene.form]
        assert 5 <= scene.seconds <= 10
        assert tuple(len(step) for step in scene.steps) == sizes
        assert all(p.start >= 0 and p.end <= scene.seconds + 0.002 for p in scene.placed)
        for step, after in zip(scene.steps, scene.steps[1:], strict=False):
            assert max(p.end for p in step) - min(p.start for p in after) <= 0.2
        assert all(p.event.seconds >= 1.19 for p in scene.placed)
        assert (scene.background is not None) is behind
        if scene.background:
            assert scene.background.event.seconds == scene.seconds
            assert -8 <= scene.background.gain_db <= -4
            assert all(p.event.loudness >= 0 and p.event.distance <= 0 for p in scene.placed)
        kinds = [p.event.kind for p in scene.placed]
        if scene.form == "again":
            assert scene.steps[0][0].event == scene.steps[2][0].event
            kinds = kinds[:2]
        assert not any(alike(a, b) for i, a in enumerate(kinds) for b in kinds[:i])
        for p in scene.placed:
            said = {
                name
                for name in ("pitch", "rate", "loudness", "distance", "length")
                if getattr(p.event, name)
            }
            assert said <= KINDS[p.event.kind].parameters
            assert p.event.count is None or "count" in KINDS[p.event.kind].parameters
            assert not (p.event.count == 1 and p.event.rate)


def test_counted_events_of_scenes_have_their_count():
    found = 0
    for scene in scenes(90, events=(2, 4), captions=0):
        for p in scene.placed:
            if p.event.count and p.event.kind in (
                "dog",
                "knocking",
                "gunshot",
                "church_bell",
                "door",
                "duck",
            ):
                found += 1
                assert (
                    strokes_heard(render_event(p.event, np.random.default_rng(0), RATE))
                    == p.event.count
                ), p.event
    assert found >= 5


def test_a_scene_renders_to_length_unclipped_and_repeats():
    for i, scene in enumerate(scenes(12, captions=0)):
        samples = render_scene(scene, np.random.default_rng(i), sample_rate=8000)
        assert samples.shape == (round(scene.seconds * 8000),)
        assert samples.dtype == np.float32
        assert np.isfinite(samples).all()
        assert 0.005 < np.abs(samples).max() < 1
        np.testing.assert_array_equal(
            samples, render_scene(scene, np.random.default_rng(i), sample_rate=8000)
        )
    assert render_scene(scene, np.random.default_rng(0), 3.0, RATE).shape == (3 * RATE,)
    assert render_scene(scene, np.random.default_rng(0), 12.0, RATE).shape == (12 * RATE,)


def test_sounds_lie_where_the_scene_says():
    first = Placed(Event("engine", seconds=2.0), 0.5)
    second = Placed(Event("crickets", seconds=2.0), 2.5)
    samples = render_scene(Scene("then", 5.0, ((first,), (second,))), np.random.default_rng(0))
    assert (
        brightness(samples[RATE : 2 * RATE])
        < 1000
        < 2000
        < brightness(samples[3 * RATE : 4 * RATE])
    )
    quiet = np.abs(samples[: RATE // 3]).max()
    assert 0 < quiet < 0.01 < np.abs(samples[RATE : 2 * RATE]).max()


def test_sample_scene_says_what_it_cannot_draw():
    with pytest.raises(ValueError, match="1 to 4"):
        sample_scene(np.random.default_rng(0), events=(1, 5))
    with pytest.raises(ValueError, match="too short"):
        sample_scene(np.random.default_rng(0), seconds=2.0)
    assert all(len(scene.events) == 1 for scene in scenes(20, events=(1, 1)))


def test_demo_scenes_are_eight_and_fixed():
    found = demo_scenes()
    assert found == demo_scenes()
    assert len({name for name, _ in found}) == 8
    assert sorted(len(scene.events) for _, scene in found) == [1] * 6 + [2] * 2
    for i, (name, scene) in enumerate(found):
        assert set(scene.events) <= set(re.split(r"_and_|_then_", name.removesuffix(".wav")))
        assert len(scene.captions) == 5
        samples = render_scene(scene, np.random.default_rng(DEMO_SEED + i), 2.0, RATE)
        assert np.abs(samples).max() > 0.05


# The captions


def position(caption: str, kind: str) -> int:
    """Where a caption first names a kind; -1: nowhere."""

    def core(phrase: str) -> str:
        return re.sub(r"^(a|an|the) ", "", phrase)

    words = WORDS[kind]
    said = [
        f"{core(clause.subject)} {verb}"
        for clause in words.clauses
        for verb in (clause.verb, clause.ing)
    ]
    said += [core(noun) for noun in words.nouns]
    if words.stroke:
        one, many, rest = words.stroke
        said += [f"{one} {rest}".strip(), f"{many} {rest}".strip()]
    found = [
        match.start() for phrase in said for match in re.finditer(rf"\b{phrase}\b", caption.lower())
    ]
    return min(found, default=-1)


def order_said(caption: str, scene: Scene) -> list[str]:
    """The kinds of the steps in the order in which a caption has them happen."""
    behind = scene.background.event.kind if scene.background else None
    kinds = sorted(
        (kind for kind in scene.events if kind != behind), key=lambda kind: position(caption, kind)
    )
    backwards = re.search(r"\w (?<!before and )after (?!that)", caption)
    return kinds[::-1] if backwards else kinds


def test_references_are_five_distinct_sentences_that_name_everything_in_order():
    for scene in scenes(150):
        assert len(scene.captions) == len(set(scene.captions)) == 5
        right = list(dict.fromkeys(p.event.kind for step in scene.steps for p in step))
        for caption in scene.captions:
            assert caption[0].isupper()
            assert not caption.endswith(".")
            assert "  " not in caption
            assert "{" not in caption
            assert all(position(caption, kind) >= 0 for kind in scene.events), (
                caption,
                scene.events,
            )
            said = order_said(caption, scene)
            if scene.form == "together":
                assert said[2] == right[2], caption
            else:
                assert said == right, caption


def test_every_form_has_many_templates_that_use_every_step():
    for form, (behind, sizes, _) in FORMS.items():
        assert len(TEMPLATES[form]) >= 6
        steps = 2 if form == "again" else sum(sizes)
        for template in TEMPLATES[form]:
            used = set(re.findall(r"\{([a-dp])\.[fgnFGN]\}", template))
            assert used == set("abcd"[:steps]) | ({"p"} if behind else set())
    with pytest.raises(ValueError, match="no template"):
        compose("then", "{a.f} instead of {b.f}", [])


SAID = {
    ("count", 1): r"\bonce\b(?! more)|\ba single\b",
    ("count", 2): r"\btwice\b|\btwo\b",
    ("count", 3): r"\bthree\b",
    ("count", 4): r"\bfour\b",
    ("pitch", -1): r"low-pitched|low pitch|deep voice|\blarge\b",
    ("pitch", 1): r"high-pitched|high pitch|high voice|\bsmall\b",
    ("rate", -1): r"\bslow",
    ("rate", 1): r"\bfast\b|\brapid|\bquick",
    ("loudness", -1): r"\bfaint|\bsoft|\bquiet",
    ("loudness", 1): r"\bloud",
    ("distance", -1): r"\bnearby\b|\bclose by\b",
    ("distance", 1): r"\bdistant\b|\bdistance\b|\bfaraway\b|\bfar away\b",
    ("length", -1): r"\bbrief|\bshort\b|\bfor a moment\b",
    ("length", 1): r"\blong\b|\bprolonged\b|\bfor a while\b",
}


def test_what_is_said_of_a_sound_is_so_and_all_of_it_is_said_some_time():
    said = Counter()
    for scene in scenes(400):
        for caption in scene.captions:
            for (parameter, value), words in SAID.items():
                if re.search(words, caption.lower()):
                    said[parameter, value] += 1
                    assert any(getattr(p.event, parameter) == value for p in scene.placed), (
                        caption,
                        parameter,
                    )
    assert set(said) == set(SAID)


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (Event("dog", count=2), ("twice", "two barks of a dog")),
        (Event("knocking", count=3), ("three times", "three knocks on a door")),
        (Event("gunshot", count=1), ("once", "a single gunshot")),
        (Event("whistle", pitch=1), ("at a high pitch", "high-pitched")),
        (Event("man", pitch=-1), ("in a deep voice", "low-pitched")),
        (Event("clock", rate=-1), ("slow", "slow")),
    ],
)
def test_a_parameter_is_said_in_english(event, words):
    parameter = next(name for name in ("count", "pitch", "rate") if getattr(event, name))
    for seed in range(20):
        phrase = say_event(event, np.random.default_rng(seed), parameter)
        assert words[0] in phrase.finite
        assert words[0] in phrase.gerund
        assert words[1] in phrase.noun


def test_words_stand_where_english_puts_them():
    wave, horn = WORDS["sea_waves"].clauses[0], WORDS["car_horn"].clauses[1]
    assert wave.finite("loudly") == "waves crash loudly on the shore"
    assert horn.gerund("loudly") == "a car honking its horn loudly"
    assert (
        horn.finite("slowly", "twice", "in the distance")
        == "a car honks its horn slowly twice in the distance"
    )
    assert with_adjective("a siren", "emergency") == "an emergency siren"
    assert with_adjective("an alarm", "faint") == "a faint alarm"
    assert with_adjective("the barking of a dog", "loud") == "the loud barking of a dog"
    assert with_adjective("rain", "distant") == "distant rain"


def test_a_corpus_is_distinct_repeats_and_knows_its_end(monkeypatch):
    captions = write_captions(np.random.default_rng(0), 4000)
    assert len(set(captions)) == len(captions) == 4000
    assert captions == write_captions(np.random.default_rng(0), 4000)
    assert captions != write_captions(np.random.default_rng(1), 4000)
    assert (
        sum(
            len(caption.split())
            for caption in write_captions(np.random.default_rng(0), 300, (1, 2))
        )
        < 300 * 13
    )
    monkeypatch.setattr("wsac.data.soundworld.grammar.TEMPLATES", {"single": ("a sound",)})
    with pytest.raises(ValueError, match="only 1 of 20"):
        write_captions(np.random.default_rng(0), 20, events=(1, 1))


# The falsehoods


def test_false_captions_are_none_of_the_true_ones_and_mostly_about_order():
    orders = 0
    sequences = scenes(120, events=(3, 4))
    for i, scene in enumerate(sequences):
        rng = np.random.default_rng(i)
        false = write_false(scene, rng)
        assert false == write_false(scene, np.random.default_rng(i))
        assert false not in {write_caption(scene, rng) for _ in range(60)}
        right = list(dict.fromkeys(p.event.kind for step in scene.steps for p in step))
        named = all(position(false, kind) >= 0 for kind in scene.events)
        orders += named and order_said(false, scene) != right
    assert orders > 0.5 * len(sequences)


def test_a_false_order_is_wrong_and_names_everything():
    for i, scene in enumerate(scenes(200, events=(2, 4), captions=0)):
        if len(scene.steps) < 2:
            with pytest.raises(ValueError, match="nothing in it follows"):
                false_order(scene, np.random.default_rng(i))
            continue
        false = false_order(scene, np.random.default_rng(i))
        right = list(dict.fromkeys(p.event.kind for step in scene.steps for p in step))
        said = order_said(false, scene)
        assert all(position(false, kind) >= 0 for kind in scene.events)
        if scene.form == "together":
            assert said[2] != right[2], false
        else:
            assert sum(a != b for a, b in zip(said, right, strict=True)) == 2, (false, right)


def test_a_false_kind_replaces_one():
    for i, scene in enumerate(scenes(100, captions=0)):
        false = false_kind(scene, np.random.default_rng(i))
        assert sum(position(false, kind) < 0 for kind in scene.events) == 1, (false, scene.events)
        strangers = [
            kind for kind in KINDS if not any(alike(kind, there) for there in scene.events)
        ]
        assert any(position(false, kind) >= 0 for kind in strangers)


@pytest.mark.parametrize(
    ("parameter", "value"), [("pitch", 1), ("pitch", -1), ("rate", 1), ("rate", -1), ("count", 3)]
)
def test_a_false_parameter_contradicts_what_is_heard(parameter, value):
    event = Event("church_bell", **{parameter: value})
    scene = Scene("single", 5.0, ((Placed(event, 0.0),),))
    for seed in range(20):
        false = false_parameter(scene, np.random.default_rng(seed))
        assert position(false, "church_bell") >= 0
        assert not re.search(SAID[parameter, value], false.lower())
        wrong = [w for (name, other), w in SAID.items() if name == parameter and other != value]
        assert any(re.search(words, false.lower()) for words in wrong), false
    plain = replace(scene, steps=((Placed(Event("church_bell"), 0.0),),))
    assert false_parameter(plain, np.random.default_rng(0)) is None


def test_swapped_captions_are_one_sentence_in_two_orders():
    found = 0
    for i, scene in enumerate(scenes(80, events=(2, 2), captions=0)):
        if scene.form != "then":
            with pytest.raises(ValueError, match="'then'"):
                swap_order(scene, np.random.default_rng(i))
            continue
        found += 1
        true, false = swap_order(scene, np.random.default_rng(i))
        right = [step[0].event.kind for step in scene.steps]
        assert order_said(true, scene) == right
        assert order_said(false, scene) == right[::-1]
        link = r"first|followed by|before|after that|after|then|and"
        assert re.findall(rf"\b({link})\b", true.lower()) == re.findall(
            rf"\b({link})\b", false.lower()
        )
    assert found > 20


# On disk


def world(folder, *words) -> int:
    return main(
        ["soundworld", "--scenes", "4", "--seed", "3", "--rate", "8000", "-o", str(folder), *words]
    )


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_command_writes_what_it_says_and_the_same_bytes_again(tmp_path, capsys):
    assert world(tmp_path / "a", "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["scenes"], summary["captions"], summary["seed"]) == (4, 20, 3)
    with (tmp_path / "a/captions.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    records = [
        json.loads(line)
        for line in (tmp_path / "a/scenes.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert len(rows) == 20
    for i, record in enumerate(records):
        assert record["file"] == f"{i:05d}.wav"
        info = soundfile.info(tmp_path / "a" / record["file"])
        assert (info.samplerate, info.channels, info.subtype) == (8000, 1, "PCM_16")
        assert info.frames == round(record["seconds"] * 8000)
        mine = [row for row in rows if row["audio"] == record["file"]]
        assert [row["caption"] for row in mine] == record["captions"]
        assert not {row["negative"] for row in mine} & set(record["captions"])
        scene = sample_scene(np.random.default_rng([3, i]))
        assert record == {"file": record["file"], **scene.record()}
        assert [event["kind"] for event in record["events"]] == [p.event.kind for p in scene.placed]
    assert world(tmp_path / "b", "--jobs", "2") == 0
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert "4 scenes" in capsys.readouterr().err


def test_a_scene_depends_on_the_seed_and_its_number_only(tmp_path):
    write_scenes(tmp_path / "few", 2, 3, sample_rate=8000)
    write_scenes(tmp_path / "more", 3, 3, sample_rate=8000)
    write_scenes(tmp_path / "other", 2, 4, sample_rate=8000)
    few, more, other = (contents(tmp_path / name) for name in ("few", "more", "other"))
    assert few["00001.wav"] == more["00001.wav"] != other["00001.wav"]
    assert more["scenes.jsonl"].startswith(few["scenes.jsonl"])


def test_captions_only_writes_no_sound(tmp_path):
    assert (
        main(
            [
                "soundworld",
                "--scenes",
                "50",
                "--captions-only",
                "-o",
                str(tmp_path),
                "--events",
                "1-2",
            ]
        )
        == 0
    )
    assert [path.name for path in tmp_path.iterdir()] == ["captions.csv"]
    lines = (tmp_path / "captions.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "caption"
    assert len(set(lines)) == 51


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--events", "0-2"), "--events 0-2"),
        (("--events", "3-2"), "within 1-4"),
        (("--events", "many"), "within 1-4"),
        (("--scenes", "0"), "--scenes 0"),
        (("--seed", "-1"), "--seed -1"),
        (("--rate", "100"), "8000 to"),
        (("--seconds", "2"), "--seconds 2"),
        (("--seconds", "nan"), "--seconds nan"),
        (("--jobs", "0"), "--jobs 0"),
    ],
)
def test_wrong_arguments_are_one_line(tmp_path, capsys, words, said):
    assert world(tmp_path / "x", *words) == 1
    error = capsys.readouterr().err.strip()
    assert said in error
    assert error.startswith("error: ")
    assert "\n" not in error
    assert not (tmp_path / "x").exists()


def test_a_corpus_larger_than_the_grammar_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("wsac.data.soundworld.grammar.TEMPLATES", {"single": ("a sound",)})
    with pytest.raises(WsacError, match="only 1 of 20"):
        write_corpus(tmp_path, 20, 0, events=(1, 1))


def test_sentences_are_read_back():
    """What the grammar writes is read again: nearly every kind, nothing else, and the order."""
    told = found = 0
    for i in range(80):
        scene, _ = draw_scene(11, i)
        for caption in scene.captions:
            kinds = read_kinds(caption)
            assert set(kinds) <= set(scene.events), caption
            told, found = told + len(scene.events), found + len(kinds)
            if scene.form == "then" and len(kinds) == 2:
                assert kinds == [step[0].event.kind for step in scene.steps], caption
    assert found / told > 0.97


def test_what_cannot_be_read_is_passed_over():
    assert read_kinds("") == []
    assert read_kinds("Colourless green ideas sleep") == []
    assert read_kinds("A dog barks after a bear sings") == ["dog"]
    assert read_kinds("After a dog barks, birds chirp") == ["dog", "birds"]
