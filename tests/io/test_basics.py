"""Files that are whole or absent, strict recipes, the tokenizer, seeds and schedules."""

from __future__ import annotations

import os
import stat

import pytest
import torch

from wsac.data.tokenizer import BOS, EOS, PAD, Tokenizer
from wsac.io.config import load_recipe, parse_override, save_recipe
from wsac.io.files import atomic_path, read_json, write_json
from wsac.runtime.seeding import generator_for, seed_for
from wsac.training.clap.clap_recipe import ClapRecipe
from wsac.training.optim import learning_rate
from wsac.training.recipe import Recipe
from wsac.types import ModelError, RecipeError, WsacError


def test_a_failed_write_leaves_nothing(tmp_path):
    target = tmp_path / "deep" / "value.json"
    write_json(target, {"a": 1})

    def break_off():
        with atomic_path(target) as path:
            path.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    assert read_json(target) == {"a": 1}
    assert [p.name for p in target.parent.iterdir()] == ["value.json"]


def test_a_write_that_cannot_be_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(WsacError, match="cannot write") as error,
        atomic_path(tmp_path / "file" / "x.json"),
    ):
        pass
    assert "\n" not in str(error.value)
    with pytest.raises(WsacError, match="cannot read"):
        read_json(tmp_path / "absent.json")


def test_numbers_that_no_float_holds_are_no_json(tmp_path):
    (tmp_path / "x.json").write_text('{"width": %s}' % ("4" * 400))
    with pytest.raises(WsacError, match="a number of 400 digits"):
        read_json(tmp_path / "x.json")


def test_written_files_follow_the_umask(tmp_path):
    with atomic_path(tmp_path / "x") as path:
        path.write_text("")
        path.chmod(0o600)
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o666 & ~mask


@pytest.mark.parametrize("kind", [Recipe, ClapRecipe])
def test_recipes_round_trip(tmp_path, kind):
    save_recipe(kind(), tmp_path / "r.toml")
    assert load_recipe(kind, tmp_path / "r.toml") == kind()
    odd = 'a "quoted" \x7f\t\u2028 folder/é'
    key = "clap" if kind is Recipe else "teacher"
    recipe = load_recipe(kind, overrides={key: odd})
    save_recipe(recipe, tmp_path / "odd.toml")
    assert load_recipe(kind, tmp_path / "odd.toml") == recipe


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs = 3", r"unknown key 'epochs'; did you mean 'training\.epochs'"),
        ("hue = 3", "unknown key 'hue'; known keys: clap, start, corpus"),
        ("[training]\nepoch = 3", r"'training\.epoch'; did you mean 'training\.epochs'"),
        ("[training]\nepochs = -1", r"training\.epochs = -1: input should be greater"),
        ("[training]\nschedule = 'step'", r"training\.schedule"),
        ("training = 3", "training = 3"),
        ("[bridge]\ngap = 3", "gap"),
        ("[decoder]\nheads = 3", "width 256 is not a multiple of heads 3"),
        ("[training", "not valid TOML"),
    ],
)
def test_wrong_recipes_name_the_key_and_the_remedy(tmp_path, text, message):
    (tmp_path / "r.toml").write_text(text)
    with pytest.raises(RecipeError, match=message) as error:
        load_recipe(Recipe, tmp_path / "r.toml")
    assert "r.toml" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("key", ["training.epoch", "trainning.epochs", "epochs"])
def test_a_wrong_option_is_not_blamed_on_the_recipe(tmp_path, key):
    (tmp_path / "r.toml").write_text("[training]\nepochs = 3")
    with pytest.raises(
        RecipeError,
        match=r"^options: unknown key '.*'; did you mean '(training|training.epochs|epochs)'",
    ):
        load_recipe(Recipe, tmp_path / "r.toml", {key: 3})


def test_overrides_reach_into_sections():
    assert parse_override("training.epochs=3") == ("training.epochs", 3)
    assert parse_override("clap=my/folder") == ("clap", "my/folder")
    assert load_recipe(Recipe, overrides={"training.epochs": 3, "clap": "x"}).training.epochs == 3
    with pytest.raises(RecipeError, match=r"key=value"):
        parse_override("training.epochs")
    with pytest.raises(RecipeError, match="not a section"):
        load_recipe(Recipe, overrides={"clap": "x", "clap.name": "y"})
    with pytest.raises(RecipeError, match="cannot read"):
        load_recipe(Recipe, "absent.toml")


def test_tokenizer_brings_any_text_back(tokenizer):
    texts = [
        "A dog barks",
        "an <eos> in a <pad> text",
        "naïve café, 3 o'clock!",
        "犬が吠える 🐕",
        "  spaced   out ",
    ]
    back = tokenizer.decode(tokenizer.encode(texts))
    assert back == [text.strip() for text in texts]
    assert tokenizer.decode([[BOS, *tokenizer.encode(["rain"])[0], EOS, PAD]]) == ["rain"]


def test_tokenizer_is_the_same_each_time_and_on_disk(captions, tokenizer, tmp_path):
    assert Tokenizer.train(captions, 400).encode(captions) == tokenizer.encode(captions)
    tokenizer.save(tmp_path / "tokenizer.json")
    again = Tokenizer.load(tmp_path / "tokenizer.json")
    assert again.encode(captions) == tokenizer.encode(captions)
    assert again.vocab_size == tokenizer.vocab_size <= 400
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match="not a tokenizer"):
        Tokenizer.load(tmp_path / "tokenizer.json")
    with pytest.raises(ModelError, match="no such file"):
        Tokenizer.load(tmp_path / "absent.json")


def test_seeds_depend_on_the_place_alone():
    assert seed_for(0, "noise", 3) == seed_for(0, "noise", 3)
    assert len({seed_for(s, p, i) for s in range(3) for p in ("a", "b") for i in range(3)}) == 18
    assert torch.equal(
        torch.randn(4, generator=generator_for(1, "x")),
        torch.randn(4, generator=generator_for(1, "x")),
    )


def test_schedules():
    def rates(schedule):
        return [learning_rate(s, 110, peak=1.0, warmup=10, schedule=schedule) for s in range(111)]

    for schedule, middle in (("cosine", 0.5), ("linear", 0.5), ("constant", 1.0)):
        values = rates(schedule)
        assert values[0] == pytest.approx(0.1)
        assert values[9] == values[10] == pytest.approx(1.0)
        assert values[60] == pytest.approx(middle)
    assert rates("linear")[110] == pytest.approx(0)
    assert rates("cosine")[110] == pytest.approx(0)


@pytest.mark.parametrize(
    "text",
    [
        "a" + ".a" * 100_000 + " = 1",
        "[" + "a." * 100_000 + "a]",
        "seed = " + "1" * 5000,
        "seed = " + "[" * 5000 + "]" * 5000,
    ],
)
def test_recipes_without_bounds_are_refused_at_once(tmp_path, text):
    from wsac.io.config import load_recipe, parse_override
    from wsac.training.recipe import Recipe

    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(RecipeError) as caught:
        load_recipe(Recipe, path)
    assert len(str(caught.value)) < 300 + len(str(path))
    if not text.startswith("["):
        with pytest.raises(RecipeError) as caught:
            parse_override(text.replace(" = ", "="))
        assert len(str(caught.value)) < 300
