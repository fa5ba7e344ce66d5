"""What others may rely on: the public names, and the methods of Captioner and Tagger with their signatures."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import wsac
from wsac import Captioner, Tagger

PUBLIC = [
    "AudioError",
    "Caption",
    "CaptionOptions",
    "Captioner",
    "ClapEncoder",
    "ClapRecipe",
    "CorpusError",
    "ModelError",
    "Recipe",
    "RecipeError",
    "Tagger",
    "WsacError",
    "__version__",
    "load_clap",
    "load_recipe",
    "train",
]

METHODS = {
    "caption": "(self, audio: 'Audio') -> 'Caption'",
    "caption_batch": "(self, audio: 'Sequence[Audio]') -> 'list[Caption]'",
    "caption_windows": "(self, audio: 'Audio | AudioStream', *, window_seconds: 'float' = 10.0,"
    " hop_seconds: 'float | None' = None) -> 'Iterator[Caption]'",
    "caption_embeddings": "(self, embeddings: 'Tensor') -> 'list[Caption]'",
    "caption_many": "(self, sounds: 'Iterable[Audio | AudioStream]', window_seconds: 'float | None' = None,"
    " hop_seconds: 'float | None' = None) -> 'Iterator[Caption | AudioError]'",
    "describe": "(self, sounds: 'Sequence[AudioEmbedding]') -> 'list[Caption]'",
    "embed": "(self, audio: 'Audio') -> 'AudioEmbedding'",
    "features": "(self, embeddings: 'Tensor', captions: 'Sequence[Caption]') -> 'Tensor'",
    "load": "(path_or_name: 'str | Path' = 'pocket', *, clap: 'str | Path | None' = None, device: 'str' = 'auto')"
    " -> 'Captioner'",
    "save": "(self, folder: 'str | Path', *, half: 'bool' = False, memory_precision: 'str' = 'float16',"
    " notes: 'dict[str, Any] | None' = None) -> 'None'",
    "with_gap": "(self, gap: 'Gap | str | Path') -> 'Captioner'",
    "with_memory": "(self, captions: 'Sequence[str]') -> 'Captioner'",
    "with_options": "(self, options: 'CaptionOptions | None' = None, **changes: 'Any') -> 'Captioner'",
}

TAGGING = {
    "tag": "(self, audio: 'Audio') -> 'list[Tag]'",
    "tag_batch": "(self, audio: 'Sequence[Audio]') -> 'list[list[Tag]]'",
    "tag_many": "(self, sounds: 'Iterable[Audio | AudioStream]', window_seconds: 'float | None' = None,"
    " hop_seconds: 'float | None' = None) -> 'Iterator[TaggedSound | AudioError]'",
    "tag_embeddings": "(self, sounds: 'Sequence[AudioEmbedding]') -> 'list[list[Tag]]'",
    "tag_windows": "(self, audio: 'Audio | AudioStream', *, window_seconds: 'float' = 10.0,"
    " hop_seconds: 'float | None' = None) -> 'Iterator[TaggedSound]'",
}

FUNCTIONS = {
    "load_clap": "(name: 'str | Path' = 'pocket', *, device: 'str' = 'cpu',"
    " tokenizer: 'str | Path | None' = None, offline: 'bool' = False) -> 'ClapEncoder'",
    "load_recipe": "(kind: 'type[R]', path: 'str | Path | None' = None,"
    " overrides: 'dict[str, Any] | None' = None) -> 'R'",
    "train": "(recipe: 'Recipe', out: 'str | Path', *, device: 'str' = 'auto') -> 'Captioner'",
}


def run(code: str) -> str:
    """Standard output of code in a Python of its own: what is loaded lazily here may be loaded already."""
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout


def test_the_public_names():
    assert sorted(wsac.__all__) == PUBLIC
    assert dir(wsac) == PUBLIC


def test_no_public_name_is_the_name_of_a_module():
    # importing wsac.x sets the attribute x of the package to the module, in place of a function x
    folder = Path(wsac.__file__).parent
    modules = {path.stem for path in folder.glob("*.py")} | {
        path.name for path in folder.iterdir() if path.is_dir()
    }
    assert modules & set(PUBLIC) == set()


@pytest.mark.slow
def test_every_name_resolves_and_stays():
    code = """
import pkgutil, wsac
from importlib import import_module
names = [name for name in wsac.__all__ if name != "__version__"]
assert not set(names) & set(vars(wsac)), "not lazy"
first = {name: getattr(wsac, name) for name in names}
for info in pkgutil.walk_packages(wsac.__path__, "wsac."):
    if not info.name.endswith("__main__"):
        import_module(info.name)
print(*(name for name in names if getattr(wsac, name) is not first[name] or not callable(first[name])))
"""
    assert run(code).split() == []


def test_train_is_callable_after_its_module_is_imported():
    assert (
        run(
            "import wsac, wsac.training.decoder; print(callable(wsac.train), callable(wsac.train))"
        ).split()
        == ["True"] * 2
    )


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Captoiner'"):
        wsac.Captoiner  # noqa: B018


@pytest.mark.parametrize(("kind", "methods"), [(Captioner, METHODS), (Tagger, TAGGING)])
def test_the_methods_of(kind, methods):
    public = {name for name, _ in inspect.getmembers(kind, callable) if not name.startswith("_")}
    assert public == set(methods)
    assert {name: str(inspect.signature(getattr(kind, name))) for name in methods} == methods


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_signature_of(name):
    function = getattr(wsac, name)
    assert callable(function), f"wsac.{name} is a {type(function).__name__}"
    assert str(inspect.signature(function)) == FUNCTIONS[name]


def test_a_caption_has_these_fields():
    caption = wsac.Caption("A dog barks", -0.5)
    assert (caption.text, caption.logprob, caption.start, caption.end) == (
        "A dog barks",
        -0.5,
        0.0,
        None,
    )


@pytest.mark.parametrize("name", ["AudioError", "CorpusError", "ModelError", "RecipeError"])
def test_every_error_is_a_wsac_error(name):
    assert issubclass(getattr(wsac, name), wsac.WsacError)
