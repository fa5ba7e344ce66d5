"""Convert a checkpoint of the published WSAC code to a captioner."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wsac.bridges.memory import SupportMemory
from wsac.clap import load_clap
from wsac.clap.public.checkpoints import read_tensors
from wsac.clap.texts import embed_texts
from wsac.data.captions.corpus import merge
from wsac.decoder.pretrained.wsac_paper import from_checkpoint
from wsac.types import ModelError

from .caption_options import CaptionOptions
from .captioner import Captioner


def convert_captioner(
    checkpoint: str | Path,
    out: str | Path,
    *,
    clap: str | Path,
    tokenizer: str | Path,
    captions: Sequence[str | Path] = (),
) -> Captioner:
    """Write an ``epoch-N.pt`` of the published code as a captioner, and return it.

    clap: the CLAP of its training. tokenizer: folder or file of bert-base-uncased. captions: files
    for the support memory; with them the bridge is ``pd``, else ``ad``, both with greedy search, as
    published. The CLAP reads captions as they are, as there, without WavCaps' cleaning. Raises
    ModelError for a checkpoint, a tokenizer or a CLAP that does not fit.
    """
    if not Path(checkpoint).is_file():
        raise ModelError(f"{checkpoint}: no such file; give the epoch-N.pt of a training")
    decoder, words = from_checkpoint(read_tensors(Path(checkpoint)), tokenizer, str(checkpoint))
    encoder, expected = load_clap(f"{clap}#raw"), decoder.config["embed_dim"]
    if encoder.embed_dim != expected:
        sizes = f"for embeddings of {expected} dimensions, {clap} makes {encoder.embed_dim}"
        raise ModelError(f"{checkpoint}: {sizes}; give the CLAP of its training as --clap")
    memory, bridge = None, "ad"
    if captions:
        texts = [example.caption for example in merge(captions).examples]
        memory, bridge = SupportMemory(embed_texts(encoder, texts)), "pd"
    options = CaptionOptions.make(bridge=bridge, beam_size=1)
    captioner = Captioner(encoder, decoder, words, memory, options)
    captioner.save(out, memory_precision="float32")
    return captioner
