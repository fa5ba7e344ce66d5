"""The options of decoder training, strict and frozen, read from TOML and written back."""

from __future__ import annotations

from pydantic import ConfigDict

from wsac.decoder.decoder_options import DecoderOptions

from .recipe_outline import CorpusOptions, Outline, TrainingOptions

__all__ = ["CorpusOptions", "Recipe", "TrainingOptions"]


class Recipe(Outline):
    """How to train a captioner from text alone (``wsac train``).

    start: a captioner to continue from, ``pocket`` or a folder; it sets the decoder and vocabulary.
    ``none`` is a new decoder. "" takes ``pocket`` below 5,000 captions, if CLAP and decoder are the
    usual ones, else none.
    """

    model_config = ConfigDict(extra="forbid")

    decoder: DecoderOptions = DecoderOptions()
