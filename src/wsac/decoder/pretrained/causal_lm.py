"""GPT-2 or any causal language model of transformers as a decoder.

Source: ClipCap, Mokady et al. 2021 (arXiv 2111.09734).
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from wsac.data.tokenizer import EOS, PAD
from wsac.decoder.base import CaptionDecoder, constructor_config
from wsac.types import ModelError, RecipeError

from . import hf_folder
from .mappers import make_mapper
from .vocabulary import ForeignTokenizer, keep_pieces, read_backend

PIECES = "kept"  # name of the buffer in bundles and checkpoints


@dataclass(slots=True)
class LmState:
    """cache: of transformers. mask: [B, positions], 0 for padding; None when there is none."""

    cache: Any
    mask: Tensor | None


class CausalLmDecoder(CaptionDecoder):
    """Reads a prompt, ``prefix_length`` soft tokens and an instruction, then writes the caption.

    Input and output have only the V ``pieces`` in use (see ``vocabulary``). ``state_dict`` holds
    the mapper, the pieces and what is trained. A frozen model is read again from ``model`` when the
    weights are loaded, and must have the same ``fingerprint``. model: a folder or Hub id; base: its
    configuration when all of it is trained.
    width: of its embeddings. instruction: token ids. dtype: of its weights.
    """

    kind = "causal-lm"
    instruction: Tensor

    def __init__(
        self,
        *,
        embed_dim: int,
        vocab_size: int,
        width: int,
        model: str = "",
        fingerprint: str = "",
        base: dict[str, Any] | None = None,
        mapper: str = "mlp",
        mapper_layers: int = 8,
        prefix_length: int = 10,
        max_tokens: int = 40,
        prompt_tokens: int = 0,
        instruction: Sequence[int] = (),
        dtype: str = "float32",
    ) -> None:
        super().__init__()
        self.config = constructor_config(locals()) | {"instruction": list(instruction)}
        self.vocab_size, self.max_tokens, self.prompt_tokens = vocab_size, max_tokens, prompt_tokens
        self.prefix_length = prefix_length
        self.model, self.fingerprint, self.frozen = model, fingerprint, base is None
        self.mapper = make_mapper(mapper, embed_dim, prefix_length, width, mapper_layers)
        self.register_buffer(PIECES, torch.zeros(vocab_size, dtype=torch.long))
        ids = torch.tensor(list(instruction), dtype=torch.long)
        self.register_buffer("instruction", ids, persistent=False)
        self.lm: Any = None  # a frozen one is read when the pieces are known
        if base is not None:
            self._install(hf_folder.empty_model(base, vocab_size).to(getattr(torch, dtype)))
        self.register_state_dict_post_hook(_leave_out_the_base)
        self.register_load_state_dict_pre_hook(_complete_with_the_base)

    @classmethod
    def begin(
        cls, options: Mapping[str, Any], texts: Sequence[str], *, embed_dim: int, prompt_tokens: int
    ) -> tuple[CausalLmDecoder, ForeignTokenizer]:
        """Read the model, and cut its vocabulary to the texts unless all of it is wanted."""
        name, wording = options["model"], options["instruction"]
        folder, source = hf_folder.locate_model(name)
        backend = read_backend(folder)
        lm = hf_folder.read_model(folder, getattr(torch, options["dtype"]))
        hf_folder.check_causal(lm, name)
        end = hf_folder.end_of(lm, backend, name)
        newline = backend.encode("\n", add_special_tokens=False).ids  # between phrases of a prompt
        begin = newline[0] if len(newline) == 1 else end
        whole = 0 if options["vocabulary"] == "corpus" else backend.get_vocab_size()
        texts = [*texts, wording] if wording else texts
        pieces = keep_pieces(backend, texts, begin=begin, end=end, all_below=whole)
        tokenizer = ForeignTokenizer(backend, pieces)
        instruction = tokenizer.encode([wording])[0]
        before = prompt_tokens + options["prefix_length"] + len(instruction)
        room = getattr(lm.config.get_text_config(), "max_position_embeddings", None)
        if room and before + options["max_tokens"] > room:
            sizes = f"{before} before the caption and {options['max_tokens']} of it"
            remedy = "lower decoder.max_tokens or prompt.tokens"
            raise RecipeError(f"{name}: {room} positions, but {sizes}; {remedy}")
        hf_folder.cut(lm, pieces)
        decoder = cls(
            embed_dim=embed_dim,
            vocab_size=len(pieces),
            width=lm.get_input_embeddings().embedding_dim,
            model=source,
            fingerprint=hf_folder.fingerprint(folder),
            prompt_tokens=prompt_tokens,
            instruction=instruction,
            base=None if options["frozen"] else hf_folder.architecture(lm),
            **{option: options[option] for option in cls._options()},
        )
        decoder.pieces.copy_(torch.tensor(pieces))
        decoder._install(lm)
        return decoder, tokenizer

    @classmethod
    def _options(cls) -> tuple[str, ...]:
        """Names of the recipe's options that the constructor takes."""
        return ("mapper", "mapper_layers", "prefix_length", "max_tokens", "dtype")

    @property
    def pieces(self) -> Tensor:
        """[V] ids in the model's own vocabulary."""
        return self.get_buffer(PIECES)

    def _install(self, lm: Any) -> None:
        """Take a model with the cut vocabulary, and note the names of its trained weights."""
        self.lm = self._adapt(lm.requires_grad_(not self.frozen))
        trained = (name for name, value in lm.named_parameters() if value.requires_grad)
        self._trained = {f"lm.{name}" for name in trained}

    def _adapt(self, lm: Any) -> Any:
        """Add what is trained in a frozen model."""
        return lm

    def read_tokenizer(self, path: str | Path) -> ForeignTokenizer:
        return ForeignTokenizer(read_backend(path), self.pieces.tolist())

    def train(self, mode: bool = True) -> CausalLmDecoder:
        """A frozen model stays in eval mode: its dropout would only be noise."""
        super().train(mode)
        if self.frozen and self.lm is not None:
            self.lm.eval()
        return self

    def loss(
        self,
        embedding: Tensor,
        tokens: Tensor,
        prompt: Tensor | None = None,
        *,
        label_smoothing: float = 0.0,
    ) -> Tensor:
        """Mean cross-entropy per real token, among the end token and the pieces."""
        x, mask = self._opening(embedding, prompt)
        x = torch.cat((x, self._embed(tokens[:, :-1])), dim=1)
        if mask is not None:
            mask = F.pad(mask, (0, tokens.shape[1] - 1), value=1)
        real = tokens != PAD
        logits = self._logits(x, mask, None, tokens.shape[1])[real][:, EOS:]  # [real tokens, V - 2]
        return F.cross_entropy(logits.float(), tokens[real] - EOS, label_smoothing=label_smoothing)

    def prefill(
        self, embedding: Tensor, max_tokens: int, prompt: Tensor | None = None
    ) -> tuple[Tensor, LmState]:
        from transformers import DynamicCache

        x, mask = self._opening(embedding, prompt)
        return self._advance(x, LmState(DynamicCache(config=self.lm.config), mask))

    def step(self, token: Tensor, state: LmState) -> tuple[Tensor, LmState]:
        mask = None if state.mask is None else F.pad(state.mask, (0, 1), value=1)
        return self._advance(self._embed(token[:, None]), LmState(state.cache, mask))

    def select(self, state: LmState, rows: Tensor) -> LmState:
        rows = rows.flatten()
        mask = None if state.mask is None else state.mask[rows]
        return LmState(hf_folder.select_rows(state.cache, rows), mask)

    def _advance(self, x: Tensor, state: LmState) -> tuple[Tensor, LmState]:
        return self._logits(x, state.mask, state.cache, 1)[:, 0].float(), state

    def _logits(self, x: Tensor, mask: Tensor | None, cache: Any, last: int) -> Tensor:
        """[B, last, V] of the last positions of x: [B, L, width], by the model's own forward."""
        options: dict[str, Any] = {"past_key_values": cache, "use_cache": cache is not None}
        known = inspect.signature(self.lm.forward).parameters
        if mask is not None:
            options["attention_mask"] = mask
            if "position_ids" in known:  # padding has none of its own
                options["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0)[:, -x.shape[1] :]
        if "logits_to_keep" in known:
            options["logits_to_keep"] = last
        return self.lm(inputs_embeds=x, **options).logits[:, -last:]

    def _opening(self, embedding: Tensor, prompt: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """[B, P + prefix_length + instruction, width] before the caption, and the mask."""
        parts, mask = [self.mapper(embedding).to(self.lm.dtype)], None
        if self.prompt_tokens:
            shape = (len(embedding), self.prompt_tokens)
            prompt = torch.full(shape, PAD, device=embedding.device) if prompt is None else prompt
            real = prompt != PAD
            real[:, 0] = True  # attention of a row that sees nothing is undefined
            parts.insert(0, self._embed(prompt))
            mask = F.pad(real.long(), (0, self.prefix_length + len(self.instruction)), value=1)
        if len(self.instruction):
            parts.append(self._embed(self.instruction.expand(len(embedding), -1)))
        return torch.cat(parts, dim=1), mask

    def _embed(self, tokens: Tensor) -> Tensor:
        return self.lm.get_input_embeddings()(tokens)


def _leave_out_the_base(decoder: Any, state: dict[str, Any], prefix: str, _: Any) -> None:
    """Hook of ``state_dict``: frozen weights are not stored."""
    for name in [name for name in state if name.startswith(f"{prefix}lm.")]:
        if name.removeprefix(prefix) not in decoder._trained:
            del state[name]


def _complete_with_the_base(decoder: Any, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Hook of ``load_state_dict``: read the frozen model and add its weights."""
    if decoder.lm is None and f"{prefix}{PIECES}" in state:
        decoder._install(_read_the_base(decoder, state[f"{prefix}{PIECES}"]))
    if decoder.lm is not None:
        for name, value in decoder.lm.state_dict(keep_vars=True).items():
            if f"lm.{name}" not in decoder._trained:
                state.setdefault(f"{prefix}lm.{name}", value)


def _read_the_base(decoder: Any, pieces: Tensor) -> Any:
    try:
        folder, _ = hf_folder.locate_model(decoder.model)
        if hf_folder.fingerprint(folder) != decoder.fingerprint:
            raise ModelError(f"{decoder.model}: has changed since")
        lm = hf_folder.read_model(folder, getattr(torch, decoder.config["dtype"]))
    except ModelError as error:
        remedy = "put it back, or write where it lies now as decoder.model in captioner.json"
        raise ModelError(f"{error}; the decoder was trained on it: {remedy}") from error
    return hf_folder.cut(lm, pieces)
