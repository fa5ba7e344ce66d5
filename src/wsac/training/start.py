"""The decoder that training starts with: a new one, or that of a captioner."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch

from wsac.clap import ClapEncoder
from wsac.data.tokenizer import Tokenizer
from wsac.decoder import CaptionDecoder, begin
from wsac.decoder.decoder_options import DecoderOptions
from wsac.inference.captioner import Captioner
from wsac.inference.captioner_folder import check_captioner, find_captioner
from wsac.inference.read_back import STRANGE, built_in, read_back
from wsac.io.console import count_of, say
from wsac.runtime.seeding import seed_for
from wsac.types import RecipeError

from .recipe import Recipe

FEW = 5_000  # captions: a decoder from nothing writes poor sentences


def origin(recipe: Recipe, clap: ClapEncoder, count: int) -> str:
    """The captioner that a decoder for ``count`` captions continues from, "" for none.

    Where the recipe leaves it open, that is the built-in one for few captions, if neither its CLAP
    nor its decoder is another.
    """
    if recipe.start:
        return "" if recipe.start == "none" else recipe.start
    plain = recipe.decoder == DecoderOptions() and not (recipe.prompt.count or recipe.corpus.pairs)
    if count >= FEW or not plain or built_in(clap) is None:
        return ""
    say(
        f"only {count_of(count, 'caption')}, so the decoder continues from the built-in "
        "captioner's (CC BY-NC 4.0); --start none begins anew"
    )
    return "pocket"


def note_strange(clap: ClapEncoder, captions: Sequence[str]) -> None:
    """Warn of captions that the built-in CLAP does not understand, with the figure behind it."""
    if (captioner := built_in(clap)) is None:
        return
    places = read_back(captioner, captions)
    if places.likeness < STRANGE:
        say(
            "note: these captions are unlike those of sounds in English: read back by the built-in "
            f"captioner, they resemble themselves by {places.likeness:.2f} (usual 0.8 to 0.95); "
            f"{places.first:.0%} find themselves among {places.count}"
        )


def first_decoder(
    recipe: Recipe, clap: ClapEncoder, texts: Sequence[str], out: Path, start: str
) -> tuple[CaptionDecoder, Tokenizer, Sequence[str], bytes]:
    """The decoder on the CPU, its tokenizer, the words that it knows, and the weights it continues
    from, b"" for a new one.

    texts: everything that it must be able to read and write. out: the folder of the run. start:
    its ``origin``.
    Raises RecipeError or ModelError if the captioner does not fit the recipe or the CLAP.
    """
    prompt_tokens = recipe.prompt.tokens if recipe.prompt.count else 0
    torch.manual_seed(seed_for(recipe.training.seed, "weights"))
    if not start:
        options = recipe.decoder.model_dump()
        new = begin(options, texts, embed_dim=clap.embed_dim, prompt_tokens=prompt_tokens)
        return *new, [], b""
    if find_captioner(start).resolve() == out.resolve():
        raise RecipeError(f"start = {start}: the same folder as --out; give another --out")
    folder = check_captioner(start)
    captioner = Captioner.load(start, clap=recipe.clap, device="cpu")
    decoder, tokenizer = cast(CaptionDecoder, captioner.decoder), captioner.tokenizer
    if decoder.prompt_tokens != prompt_tokens:
        raise RecipeError(
            f"start = {start}: its decoder reads prompts of {decoder.prompt_tokens} tokens, "
            f"the recipe's have {prompt_tokens}; take [prompt] from its recipe.toml"
        )
    if lost := tokenizer.lost(texts):
        say(
            f"note: {lost} of {len(texts)} captions have pieces that the vocabulary of "
            f"{start} lacks; these pieces are left out. To keep them, train with "
            "decoder.vocabulary=all"
        )
    words = captioner.words.words if captioner.words else []
    return decoder, tokenizer, words, (folder / "decoder.safetensors").read_bytes()
