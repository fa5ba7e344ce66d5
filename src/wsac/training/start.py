"""The decoder that training starts with: a new one, or that of a captioner."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from wsac.clap import ClapEncoder
from wsac.data.tokenizer import Tokenizer
from wsac.decoder import CaptionDecoder, begin
from wsac.inference.captioner import Captioner
from wsac.inference.captioner_folder import find_captioner
from wsac.io.console import say
from wsac.runtime.seeding import seed_for
from wsac.types import RecipeError

from .recipe import Recipe


def first_decoder(
    recipe: Recipe, clap: ClapEncoder, texts: Sequence[str], out: Path
) -> tuple[CaptionDecoder, Tokenizer, list[str], bytes]:
    """The decoder on the CPU, its tokenizer, the words that it knows, and the weights it continues
    from, b"" for a new one.

    texts: everything that it must be able to read and write. out: the folder of the run.
    Raises RecipeError or ModelError if the captioner does not fit the recipe or the CLAP.
    """
    prompt_tokens = recipe.prompt.tokens if recipe.prompt.count else 0
    torch.manual_seed(seed_for(recipe.training.seed, "weights"))
    if not recipe.start:
        options = recipe.decoder.model_dump()
        return (
            *begin(options, texts, embed_dim=clap.embed_dim, prompt_tokens=prompt_tokens),
            [],
            b"",
        )
    folder = find_captioner(recipe.start)
    if folder.resolve() == out.resolve():
        raise RecipeError(f"start = {recipe.start}: the same folder as --out; give another --out")
    captioner = Captioner.load(recipe.start, clap=recipe.clap, device="cpu")
    decoder, tokenizer = captioner.decoder, captioner.tokenizer
    if decoder.prompt_tokens != prompt_tokens:
        raise RecipeError(
            f"start = {recipe.start}: its decoder reads prompts of {decoder.prompt_tokens} tokens, "
            f"the recipe's have {prompt_tokens}; take [prompt] from its recipe.toml"
        )
    if lost := tokenizer.lost(texts):
        say(
            f"note: {lost} of {len(texts)} captions have pieces that the vocabulary of "
            f"{recipe.start} lacks; these pieces are left out. To keep them, train with "
            "decoder.vocabulary=all"
        )
    words = captioner.words.words if captioner.words else []
    return decoder, tokenizer, words, (folder / "decoder.safetensors").read_bytes()
