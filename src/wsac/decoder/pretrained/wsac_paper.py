"""The decoder of the published WSAC (arXiv 2309.12242): a GPT-2 of 4 layers with BERT's WordPiece.

It is trained from scratch. One linear map makes one soft token; a caption is [CLS] … [SEP]. For
comparisons like for like.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wsac.decoder.base import constructor_config
from wsac.decoder.transformer import SIZES
from wsac.io.hub import hub_file
from wsac.types import ModelError, RecipeError

from .causal_lm import PIECES, CausalLmDecoder
from .hf_folder import TOKENIZER, is_hub_id
from .vocabulary import ForeignTokenizer, keep_pieces, read_backend

ROWS = 50_257  # of its embedding: GPT-2's number; WordPiece uses 30,522 of them
HEADS = 4
POSITIONS = 1024
LONGEST = 30  # tokens of a caption, by the published code
EMBEDDING, POSITION = "decoder.transformer.wte.weight", "decoder.transformer.wpe.weight"
HEAD, PREFIX = "decoder.lm_head.weight", "clap_project.model.0."
BUFFERS = (".attn.bias", ".attn.masked_bias")  # masks that older versions of transformers saved
BERT = "give the tokenizer of bert-base-uncased"


class WsacDecoder(CausalLmDecoder):
    """The defaults are the published sizes. positions: the longest row it has embeddings for."""

    kind = "wsac"

    def __init__(
        self,
        *,
        embed_dim: int,
        vocab_size: int,
        width: int = 768,
        layers: int = 4,
        heads: int = HEADS,
        prefix_length: int = 1,
        max_tokens: int = 22,
        dropout: float = 0.1,
        positions: int = POSITIONS,
        prompt_tokens: int = 0,
    ) -> None:
        config = constructor_config(locals())
        if width % heads:
            raise ValueError(f"width {width} is not a multiple of heads {heads}")
        base = {"model_type": "gpt2", "n_embd": width, "n_layer": layers, "n_head": heads}
        base |= dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), dropout)
        super().__init__(
            embed_dim=embed_dim,
            vocab_size=vocab_size,
            width=width,
            base=base | {"n_positions": positions},
            mapper="linear",
            prefix_length=prefix_length,
            max_tokens=max_tokens,
            prompt_tokens=prompt_tokens,
        )
        self.config = config

    @classmethod
    def begin(
        cls, options: Mapping[str, Any], texts: Sequence[str], *, embed_dim: int, prompt_tokens: int
    ) -> tuple[WsacDecoder, ForeignTokenizer]:
        """Random weights; the vocabulary is the published one, or its pieces in the texts."""
        backend = _read_tokenizer(options["model"])
        start, end = _marks(backend, options["model"])
        whole = 0 if options["vocabulary"] == "corpus" else max(ROWS, backend.get_vocab_size())
        pieces = keep_pieces(backend, texts, begin=start, end=end, all_below=whole, also=[start])
        sizes = {name: options[name] for name in SIZES}
        if prompt_tokens + sizes["prefix_length"] + sizes["max_tokens"] > POSITIONS:
            remedy = "lower decoder.max_tokens or prompt.tokens"
            raise RecipeError(f"decoder 'wsac': has {POSITIONS:,} positions; {remedy}")
        sizes |= {"vocab_size": len(pieces), "prompt_tokens": prompt_tokens}
        decoder = cls(embed_dim=embed_dim, **sizes)
        decoder.pieces.copy_(torch.tensor(pieces))
        return decoder, ForeignTokenizer(backend, pieces, start)

    def read_tokenizer(self, path: str | Path) -> ForeignTokenizer:
        pieces = self.pieces.tolist()
        return ForeignTokenizer(read_backend(path), pieces, pieces[1])


def from_checkpoint(
    state: Mapping[str, Tensor], tokenizer: str | Path, source: str
) -> tuple[WsacDecoder, ForeignTokenizer]:
    """The decoder that the published code saved.

    state: its ``epoch-N.pt``. tokenizer: of bert-base-uncased. The sizes are those of the tensors,
    with four heads, which no tensor tells. Raises ModelError for other checkpoints.
    """
    backend = read_backend(tokenizer)
    start, end = _marks(backend, str(tokenizer))
    weights = {}
    for name, value in state.items():
        name = name.removeprefix("module.")
        if name.startswith(("decoder.", PREFIX)) and not name.endswith(BUFFERS):
            weights[name] = value.float()
    try:
        rows, width = weights[EMBEDDING].shape
        positions, _ = weights[POSITION].shape
        prefix, embed_dim = weights[f"{PREFIX}weight"].shape
    except (KeyError, ValueError) as error:
        problem = f"not a checkpoint of the published WSAC (no {error})"
        raise ModelError(f"{source}: {problem}; wsac convert-clap reads CLAPs") from error
    blocks = {name.split(".")[3] for name in weights if name.startswith("decoder.transformer.h.")}
    if prefix != width or width % HEADS:
        problem = f"{prefix} values make the prefix and the decoder is {width} wide"
        raise ModelError(f"{source}: {problem}; the published code has one prefix and 4 heads")
    if not torch.equal(weights.get(HEAD, weights[EMBEDDING]), weights[EMBEDDING]):
        raise ModelError(f"{source}: its head is not its embedding, as it is in the published code")
    if backend.get_vocab_size() > rows:
        sizes = f"{backend.get_vocab_size():,} pieces, but the checkpoint has {rows:,}"
        raise ModelError(f"{tokenizer}: {sizes}; {BERT}")
    pieces = torch.tensor(keep_pieces(backend, (), begin=start, end=end, all_below=rows))
    decoder = WsacDecoder(
        embed_dim=embed_dim,
        vocab_size=len(pieces),
        width=width,
        layers=len(blocks),
        max_tokens=LONGEST,
        positions=positions,
    )
    renamed = {PIECES: pieces}
    for name, value in weights.items():
        name = name.replace(PREFIX, "mapper.map.").replace("decoder.", "lm.", 1)
        renamed[name] = value[pieces] if name.endswith(("wte.weight", "lm_head.weight")) else value
    try:
        decoder.load_state_dict(renamed)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{source}: does not fit the published WSAC ({reason})") from error
    return decoder.eval(), ForeignTokenizer(backend, pieces.tolist(), start)


def _read_tokenizer(name: str) -> Any:
    """From a folder or file, else from a model on the Hub."""
    repo, _, revision = name.partition("@")
    if Path(name).exists() or not is_hub_id(repo):
        return read_backend(name)
    return read_backend(hub_file(repo, TOKENIZER, revision or None))


def _marks(backend: Any, name: str) -> tuple[int, int]:
    """Ids of [CLS] and [SEP]. Raises ModelError when the tokenizer has none."""
    start, end = (backend.token_to_id(mark) for mark in ("[CLS]", "[SEP]"))
    if start is None or end is None:
        raise ModelError(f"{name}: a tokenizer without [CLS] and [SEP]; {BERT}")
    return start, end
