"""The verdict on a captioner of one's own: little, useless, or of use, in words and figures."""

from __future__ import annotations

import json
import random
from itertools import product

import numpy as np
import pytest
import soundfile
import torch

from wsac.cli import main
from wsac.evaluation.verdict import Verdict, judge
from wsac.inference.captioner import Captioner
from wsac.inference.read_back import Places, read_back
from wsac.io.config import load_recipe
from wsac.training.material import read_captions
from wsac.training.recipe import Recipe
from wsac.training.start import note_strange, origin

# written by hand: the machines of a workshop
THIRTY = """\
A lathe hums at idle while a tool is changed
The lathe's chuck spins up with a rising whine
A lathe cuts steel with a steady hiss
Metal chips fall into the tray of a lathe
A drill press whirs and bites into a plate
The drill squeals as it breaks through thin metal
A drill press is switched off and runs down slowly
A band saw buzzes through a wooden board
The band saw blade rattles before it catches
A band saw starts with a thump and a hum
A belt sander roars over a rough plank
A belt sander slows down under the weight of the wood
Sandpaper scrapes back and forth by hand
A bench grinder screams as a chisel touches the wheel
Sparks fly from a grinder with a crackling sound
The bench grinder spins down for a long time
A milling machine chatters in a deep rhythm
The milling head lowers with an electric hum
An air compressor starts with a loud knocking
The compressor reaches its pressure and falls silent
Air hisses from a loose hose near the compressor
An impact wrench hammers on a wheel nut
A ratchet clicks again and again
A hydraulic press groans and a plate cracks
A press stamps sheet metal once a second
A table saw howls through a thick plank
The table saw's fan blows dust into a bag
A welding torch pops and then hisses evenly
A hammer strikes an anvil three times
A vacuum cleaner sucks up chips and rattles""".splitlines()
MACHINES = "A lathe,A drill press,A band saw,A belt sander,A grinder,An air compressor,A press"
STATES = (
    "hums at idle,whines under load,rattles and shakes,starts up slowly,squeals loudly,"
    "knocks at a steady pace,grinds through steel,hisses as air escapes,beeps twice,buzzes"
)
PLACES = ",in a workshop,while a man talks,behind a closed door,as metal falls on the floor"
FAST = ["--epochs", "4", "--set", "training.batch_size=32"]


def workshop(count):
    """Captions of machines, different ones in an order of chance."""
    parts = product(*(words.split(",") for words in (MACHINES, STATES, PLACES)))
    captions = [" ".join(" ".join(words).split()) for words in parts]
    random.Random(0).shuffle(captions)
    return captions[:count]


def nonsense(count):
    rng, syllables = random.Random(0), "ba ko mi zu fe ra lo ti gu ne".split()
    words = ["".join(rng.choices(syllables, k=rng.randint(1, 3))) for _ in range(60)]
    return [" ".join(rng.choices(words, k=7)) for _ in range(count)]


def write(path, captions):
    path.write_text("\n".join(captions) + "\n", encoding="utf-8")
    return str(path)


def verdict_of(captions, tmp_path, capfd, *more):
    path = write(tmp_path / "captions.txt", captions)
    assert main(["train", "-c", path, "-o", str(tmp_path / "run"), *FAST, "--json", *more]) == 0
    out, err = capfd.readouterr()
    assert "-0.0" not in out + err
    return json.loads(out), err


@pytest.mark.slow
def test_thirty_captions_are_little(tmp_path, capfd):
    verdict, err = verdict_of(THIRTY, tmp_path, capfd)
    assert verdict["grade"] == "little"
    assert "verdict: 30 captions: that is few" in verdict["text"][-1]
    assert "wsac tag" in verdict["text"][-1]
    assert "only 30 captions, so the decoder continues from the built-in captioner's" in err
    assert "unlike those of sounds" not in err


@pytest.mark.slow
def test_three_hundred_captions_of_a_workshop_are_of_use(tmp_path, capfd):
    verdict, err = verdict_of(workshop(300), tmp_path, capfd)
    assert verdict["grade"] in ("good", "behind")
    assert "it tells sounds apart" in verdict["text"][-1]
    assert verdict["places"]["place"] < 0.4
    assert "unlike those of sounds" not in err


@pytest.mark.slow
def test_three_hundred_lines_of_nonsense_are_useless(tmp_path, capfd):
    verdict, err = verdict_of(nonsense(300), tmp_path, capfd)
    assert verdict["grade"] == "useless"
    assert "verdict: useless as it is" in verdict["text"][-1]
    assert "note: these captions are unlike those of sounds in English" in err


@pytest.mark.slow
def test_a_verdict_of_sounds_of_ones_own(captioner, captions, tmp_path):
    paths = []
    for number in range(12):
        samples = 0.1 * np.sin(np.arange(16_000) * (0.05 + 0.05 * number))
        paths.append(tmp_path / f"{number}.wav")
        soundfile.write(paths[-1], samples, 16_000)
    verdict = judge(captioner, captions, [*paths, tmp_path / "missing.wav"])
    assert verdict.own
    assert (verdict.places.count, len(verdict.shown)) == (12, 10)
    assert verdict.grade == "useless"  # random weights
    assert verdict.lines()[10].startswith("of 12 sounds of yours, ")


def places(place, count=30):
    return Places(count, max(0.0, 1 - 4 * place), place, 1 - place)


def test_the_sentences_name_figures_and_the_next_step():
    words = {
        "little": "30 captions: that is few",
        "useless": "does not depend on the sound",
        "behind": "less well than the built-in captioner",
        "good": "wsac evaluate, wsac tune, wsac calibrate",
    }
    for grade, sentence in words.items():
        verdict = Verdict(
            *(grade, 30, (("dog", "A dog barks"),), 9, places(0.1), places(0.05), places(0.0)),
            own=False,
        )
        lines = verdict.lines()
        assert sentence in lines[-1]
        assert "60% find their own sound first (built-in captioner 80%, chance 3%)" in lines[1]
        assert "mean place 3.9 (built-in 2.5, chance 16) of 30" in lines[1]


def test_places_by_hand():
    items = torch.eye(4)
    assert Places.of(items, items) == Places(4, 1.0, 0.0, 1.0)
    assert Places.of(items.flip(0), items).first == 0.0
    assert Places.of(torch.ones(4, 4), items) == Places(4, 0.0, 1.0, 1.0)  # ties count against


@pytest.mark.slow
def test_few_captions_start_from_the_built_in_decoder(clap, captions, capfd):
    pocket = Captioner.load(device="cpu").clap
    recipes = {
        "pocket": {},
        "": {"start": "none"},
        "runs/mine": {"start": "runs/mine"},
    }
    for expected, changes in recipes.items():
        assert origin(load_recipe(Recipe, overrides=changes), pocket, 4_999) == expected
    capfd.readouterr()
    plain = load_recipe(Recipe)
    assert origin(plain, pocket, 5_000) == origin(plain, clap, 30) == ""
    other = load_recipe(Recipe, overrides={"decoder.layers": 1})
    assert origin(other, pocket, 30) == ""
    assert capfd.readouterr().err == ""


@pytest.mark.slow
def test_captions_that_the_clap_does_not_know_are_noted_with_a_figure(capfd):
    captioner = Captioner.load(device="cpu")
    note_strange(captioner.clap, THIRTY)
    assert capfd.readouterr().err == ""
    note_strange(captioner.clap, nonsense(64))
    err = capfd.readouterr().err
    assert err.startswith("note: these captions are unlike those of sounds in English")
    assert read_back(captioner, nonsense(64)).likeness < 0.7 < read_back(captioner, THIRTY).likeness


def test_captions_are_read_again_without_notes(tmp_path, capfd):
    path = write(tmp_path / "captions.txt", [*THIRTY, THIRTY[0], ""])
    recipe = load_recipe(Recipe, overrides={"corpus.captions": [path]})
    assert read_captions(recipe.corpus)[0] == THIRTY
    assert capfd.readouterr().err == ""
