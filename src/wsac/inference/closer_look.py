"""A closer look at a captioner: bridges that it could use, and its memory near a sound."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from wsac.arrays import Tensor
from wsac.bridges import KINDS, nearest
from wsac.decoder.generation.generation_options import MAX_BEAMS
from wsac.types import Caption, RecipeError

if TYPE_CHECKING:
    from .captioner import Captioner


def usable_bridges(captioner: Captioner) -> list[str]:
    """The inference bridges that the captioner has memory and gap for; first the one it uses."""
    specs = [captioner.options.bridge]
    for stage, name in KINDS:
        if stage == "inference" and name != specs[0].partition(":")[0]:
            with suppress(RecipeError):
                captioner.with_options(bridge=name)
                specs.append(name)
    return specs


def nearest_captions(
    captioner: Captioner, embedding: Tensor, count: int = 5
) -> list[tuple[str, float]]:
    """Captions of the support memory that are nearest to a sound, with their cosines, falling.

    embedding: [D], unit norm. The memory keeps embeddings, not texts: these are read back by the
    decoder, so the words may differ from those of the training. Entries that read the same count
    once. Without a memory there are none.
    """
    if captioner.memory is None:
        return []
    cosines, entries = nearest(embedding[None], captioner.memory, 2 * count)
    writer = captioner.with_options(bridge="ad", beam_size=1, groups=1, choose="", samples=0)
    rows: dict[str, float] = {}
    for caption, cosine in zip(writer.caption_embeddings(entries[0]), cosines[0], strict=True):
        rows.setdefault(caption.text, round(float(cosine), 4))
    return list(rows.items())[:count]


def other_captions(captioner: Captioner, embedding: Tensor, count: int) -> list[Caption]:
    """What ``Captioner.alternatives`` returns."""
    size = captioner.options.generation.beam_size
    beam: dict[str, Any] = {"beam_size": max(size, min(count + 1, MAX_BEAMS)), "groups": 1}
    writer = captioner.with_options(**beam, choose="", samples=0)
    texts = {captioner._write(embedding[None])[0][0].lower()}
    captions = []
    for text, logprob in writer._candidates(embedding[None], count + 1)[0]:
        if text.lower() not in texts:
            texts.add(text.lower())
            captions.append(Caption(text, logprob))
    return captioner._sure(embedding.expand(len(captions), -1), captions)[:count]
