"""Reading back: is what a decoder writes of a caption's text embedding near to that caption?"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from wsac.arrays import Tensor
from wsac.clap import ClapEncoder
from wsac.types import ModelError

from .captioner import Captioner

MOST = 64  # captions that are read back
# Likeness below which the built-in captioner does not understand captions. Measured: captions of
# sounds 0.83 to 0.95, of machines in a workshop 0.80; in German 0.61, of an
# office 0.64; random letters 0.59.
STRANGE = 0.7


@dataclass(frozen=True, slots=True)
class Places:
    """How well texts find their items among all.

    count: items. first: share of texts that find their own first. place: mean place of it, from 0,
    the first, to 1, the last; 0.5 is chance, as everywhere. likeness: mean cosine to it.
    """

    count: int
    first: float
    place: float
    likeness: float

    @classmethod
    def of(cls, texts: Tensor, items: Tensor) -> Places:
        """Of embeddings [N, D]; ties count against the text."""
        similarity = texts @ items.T
        ahead = (similarity >= similarity.diagonal()[:, None]).sum(1).float() - 1
        place = float(ahead.mean()) / max(1, len(items) - 1)
        likeness = max(0.0, float(similarity.diagonal().mean()))
        return cls(len(items), float((ahead == 0).float().mean()), place, likeness)


def built_in(clap: ClapEncoder) -> Captioner | None:
    """The built-in captioner, if this is its CLAP."""
    with suppress(ModelError):  # while it is itself being made
        captioner = Captioner.load(device="cpu")
        if captioner.clap.fingerprint == clap.fingerprint:
            return captioner
    return None


def read_back(captioner: Captioner, captions: Sequence[str]) -> Places:
    """Write up to 64 of the captions again from their own text embeddings, and compare."""
    different = list(dict.fromkeys(captions))
    chosen = different[:: -(-len(different) // MOST)]
    texts = captioner.clap.embed_text(chosen)
    writer = captioner.with_options(bridge="ad", beam_size=1, groups=1, choose="", samples=0)
    written = writer.caption_embeddings(texts)
    return Places.of(captioner.clap.embed_text([caption.text for caption in written]), texts)
