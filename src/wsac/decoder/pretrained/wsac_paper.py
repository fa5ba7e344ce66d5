"""The decoder of the published WSAC (arXiv 2309.12242), for comparisons like for like: a GPT-2 of 4 layers from
scratch, one soft token made by one linear map, BERT's WordPiece, [CLS] caption [SEP]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wsac.io.hub import HUB_ID, hub_file
from wsac.types import ModelError, RecipeError

from .causal_lm import CausalLmDecoder
from .hf_folder import TOKENIZER
from .vocabulary import ForeignTokenizer, keep, read_backend

ROWS = 50_257  # of its embedding: GPT-2's number, of which WordPiece uses 30,522
HEADS = 4
PREFIXES = ("decoder.", "clap_project.model.0.")
BUFFERS = (".attn.bias", ".attn.masked_bias")  # masks that older versions of transformers saved


class WsacDecoder(CausalLmDecoder):
    """The sizes are the published ones; positions: the longest row that it has embeddings for."""

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
        positions: int = 1024,
        prompt_tokens: int = 0,
    ) -> None:
        if width % heads:
            raise ValueError(f"width {width} is not a multiple of heads {heads}")
        base = {
            "model_type": "gpt2",
            "n_embd": width,
            "n_layer": layers,
            "n_head": heads,
            "n_positions": positions,
            "resid_pdrop": dropout,
            "embd_pdrop": dropout,
            "attn_pdrop": dropout,
        }
        super().__init__(
            embed_dim=embed_dim,
            vocab_size=vocab_size,
            width=width,
            base=base,
            mapper="linear",
            prefix_length=prefix_length,
            max_tokens=max_tokens,
            prompt_tokens=prompt_tokens,
        )
        self.config = {
            "embed_dim": embed_dim,
            "vocab_size": vocab_size,
            "width": width,
            "layers": layers,
            "heads": heads,
            "prefix_length": prefix_length,
            "max_tokens": max_tokens,
            "dropout": dropout,
            "positions": positions,
            "prompt_tokens": prompt_tokens,
        }

    @classmethod
    def begin(
        cls, options: Mapping[str, Any], texts: Sequence[str], *, embed_dim: int, prompt_tokens: int
    ) -> tuple[WsacDecoder, ForeignTokenizer]:
        """Random weights; the vocabulary is the published one, or what of it occurs in the texts."""
        backend = _backend(options["model"])
        start, end = _marks(backend, options["model"])
        whole = 0 if options["vocabulary"] == "corpus" else max(ROWS, backend.get_vocab_size())
        kept = keep(backend, texts, begin=start, end=end, all_below=whole, also=[start])
        names = ("width", "layers", "heads", "prefix_length", "max_tokens", "dropout")
        sizes = {name: options[name] for name in names}
        if prompt_tokens + sizes["prefix_length"] + sizes["max_tokens"] > 1024:
            raise RecipeError(
                "decoder 'wsac': has 1,024 positions; lower decoder.max_tokens or prompt.tokens"
            )
        decoder = cls(
            embed_dim=embed_dim, vocab_size=len(kept), prompt_tokens=prompt_tokens, **sizes
        )
        decoder.kept.copy_(torch.tensor(kept))
        return decoder, ForeignTokenizer(backend, kept, start)

    def read_tokenizer(self, path: str | Path) -> ForeignTokenizer:
        kept = self.kept.tolist()
        return ForeignTokenizer(read_backend(path), kept, kept[1])


def from_checkpoint(
    state: Mapping[str, Tensor], tokenizer: str | Path, source: str, *, max_tokens: int = 30
) -> tuple[WsacDecoder, ForeignTokenizer]:
    """The decoder that the published code saved. state: its ``epoch-N.pt``; tokenizer: of bert-base-uncased.

    The sizes are those of the tensors, with four heads, which no tensor tells. Raises ModelError for other checkpoints.
    """
    backend = read_backend(tokenizer)
    start, end = _marks(backend, str(tokenizer))
    state = {name.removeprefix("module."): value.float() for name, value in state.items()}
    mine = {
        name: value
        for name, value in state.items()
        if name.startswith(PREFIXES) and not name.endswith(BUFFERS)
    }
    try:
        table = mine["decoder.transformer.wte.weight"]
        rows, width = table.shape
        positions, _ = mine["decoder.transformer.wpe.weight"].shape
        prefix, embed_dim = mine["clap_project.model.0.weight"].shape
    except (KeyError, ValueError) as error:
        raise ModelError(
            f"{source}: not a checkpoint of the published WSAC (no {error}); wsac convert-clap reads CLAPs"
        ) from error
    layers = len({name.split(".")[3] for name in mine if name.startswith("decoder.transformer.h.")})
    if prefix != width or width % HEADS:
        raise ModelError(
            f"{source}: {prefix} values make the prefix and the decoder is {width} wide; the published "
            "code has one prefix position and 4 heads"
        )
    if not torch.equal(mine.get("decoder.lm_head.weight", table), table):
        raise ModelError(f"{source}: its head is not its embedding, as it is in the published code")
    if backend.get_vocab_size() > rows:
        raise ModelError(
            f"{tokenizer}: {backend.get_vocab_size():,} pieces, but the checkpoint has {rows:,}; give the "
            "tokenizer of bert-base-uncased"
        )
    kept = torch.tensor(keep(backend, (), begin=start, end=end, all_below=rows))
    decoder = WsacDecoder(
        embed_dim=embed_dim,
        vocab_size=len(kept),
        width=width,
        layers=layers,
        max_tokens=max_tokens,
        positions=positions,
    )
    new = {"kept": kept}
    for name, value in mine.items():
        if name.endswith(("wte.weight", "lm_head.weight")):
            value = value[kept]
        new[name.replace(PREFIXES[1], "mapper.map.").replace(PREFIXES[0], "lm.")] = value
    try:
        decoder.load_state_dict(new)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{source}: does not fit the published WSAC ({reason})") from error
    return decoder.eval(), ForeignTokenizer(backend, kept.tolist(), start)


def _backend(name: str) -> Any:
    """A folder or file, else the tokenizer of a model on the Hub."""
    repo, _, revision = name.partition("@")
    if Path(name).exists() or not HUB_ID.fullmatch(repo) or name.startswith((".", "~", "/")):
        return read_backend(name)
    return read_backend(hub_file(repo, TOKENIZER, revision or None))


def _marks(backend: Any, name: str) -> tuple[int, int]:
    start, end = (backend.token_to_id(mark) for mark in ("[CLS]", "[SEP]"))
    if start is None or end is None:
        raise ModelError(
            f"{name}: a tokenizer without [CLS] and [SEP]; give that of bert-base-uncased"
        )
    return start, end
