"""A checkpoint of the published WSAC as a captioner of ours, read a single time."""

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
    device: str = "cpu",
) -> Captioner:
    """Write what the published code saved as ``epoch-N.pt`` as a captioner, and return it.

    clap: the one that it was trained with. tokenizer: a folder or file of bert-base-uncased's. captions: files whose
    captions become the support memory; with them captions are written by ``pd``, else by ``ad``, both greedily, as
    there. Raises ModelError for a checkpoint, a tokenizer or a CLAP that does not fit.
    """
    if not Path(checkpoint).is_file():
        raise ModelError(f"{checkpoint}: no such file; give the epoch-N.pt of a training")
    decoder, words = from_checkpoint(read_tensors(Path(checkpoint)), tokenizer, str(checkpoint))
    encoder = load_clap(clap, device=device)
    embed_dim = decoder.config["embed_dim"]
    if encoder.embed_dim != embed_dim:
        raise ModelError(
            f"{checkpoint}: for embeddings of {embed_dim} dimensions, {clap} makes {encoder.embed_dim}; "
            "give the CLAP that it was trained with as --clap"
        )
    memory = None
    if captions:
        memory = SupportMemory(
            embed_texts(encoder, [one.caption for one in merge(captions).examples])
        )
    options = CaptionOptions.make(bridge="pd" if memory is not None else "ad", beam_size=1)
    made = Captioner(encoder, decoder.to(device), words, memory, options)
    made.save(out, memory_precision="float32")
    return made
