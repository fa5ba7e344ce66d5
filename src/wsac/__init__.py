"""wsac: text-only audio captioning. From a text file of captions to a captioner of real recordings.

>>> from wsac import Captioner
>>> Captioner.load().caption("dog.wav").text
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsac.io.config import load_recipe
    from wsac.training.clap.clap_recipe import ClapRecipe
    from wsac.training.recipe import Recipe

    from .clap import ClapEncoder, load_clap
    from .inference.caption_options import CaptionOptions
    from .inference.captioner import Captioner
    from .inference.subtitles.subtitles import Subtitles
    from .inference.tagger import Tagger
    from .training.decoder import train
    from .types import AudioError, Caption, CorpusError, ModelError, RecipeError, WsacError

__version__ = "0.1.0"

_HOMES = {
    "AudioError": "types",
    "Caption": "types",
    "CaptionOptions": "inference.caption_options",
    "Captioner": "inference.captioner",
    "ClapEncoder": "clap",
    "ClapRecipe": "training.clap.clap_recipe",
    "CorpusError": "types",
    "ModelError": "types",
    "Recipe": "training.recipe",
    "RecipeError": "types",
    "Subtitles": "inference.subtitles.subtitles",
    "Tagger": "inference.tagger",
    "WsacError": "types",
    "load_clap": "clap",
    "load_recipe": "io.config",
    "train": "training.decoder",
}
__all__ = [
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
    "Subtitles",
    "Tagger",
    "WsacError",
    "__version__",
    "load_clap",
    "load_recipe",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'wsac' has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
