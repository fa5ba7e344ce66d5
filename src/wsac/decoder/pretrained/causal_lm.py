"""GPT-2 or any causal language model of transformers as a decoder: a mapper makes soft tokens that it reads first.

Source: ClipCap, Mokady et al. 2021 (arXiv 2111.09734).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from wsac.data.tokenizer import EOS, PAD
from wsac.decoder.base import CaptionDecoder
from wsac.types import ModelError, RecipeError

from . import hf_folder as pretrained
from .mappers import make_mapper
from .vocabulary import ForeignTokenizer, keep, read_backend


@dataclass(slots=True)
class LmState:
    """cache: keys and values of transformers. seen: [B, positions] what is not padding; None when all is."""

    cache: Any
    seen: Tensor | None


class CausalLmDecoder(CaptionDecoder):
    """A prompt, prefix_length soft tokens, an instruction, then the caption; the position before it predicts its first
    token.

    Input and output have only the V pieces of the buffer ``kept`` (see ``wsac.decoder.pretrained.vocabulary``). ``state_dict``
    holds the mapper, ``kept`` and what is trained; a frozen model is read again from ``model``, when the weights are
    loaded, and must have the same ``fingerprint``. model: a folder or Hub id; base: its configuration, where all of it
    is trained. width: of its embeddings. instruction: token ids. dtype: of its weights.
    """

    kind = "causal-lm"

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
        self.config = {
            "embed_dim": embed_dim,
            "vocab_size": vocab_size,
            "width": width,
            "model": model,
            "fingerprint": fingerprint,
            "base": base,
            "mapper": mapper,
            "mapper_layers": mapper_layers,
            "prefix_length": prefix_length,
            "max_tokens": max_tokens,
            "prompt_tokens": prompt_tokens,
            "instruction": list(instruction),
            "dtype": dtype,
        }
        self.vocab_size, self.max_tokens, self.prompt_tokens = vocab_size, max_tokens, prompt_tokens
        self.prefix_length = prefix_length
        self.model, self.fingerprint, self.frozen = model, fingerprint, base is None
        self.mapper = make_mapper(mapper, embed_dim, prefix_length, width, mapper_layers)
        self.kept: Tensor
        self.instruction: Tensor
        self.register_buffer("kept", torch.zeros(vocab_size, dtype=torch.long))
        self.register_buffer(
            "instruction", torch.tensor(list(instruction), dtype=torch.long), persistent=False
        )
        self.lm: Any = None  # a frozen one is known when ``kept`` is
        if base is not None:
            self._install(pretrained.empty_model(base, vocab_size).to(getattr(torch, dtype)))
        self.register_state_dict_post_hook(_leave_out_the_base)
        self.register_load_state_dict_pre_hook(_complete_with_the_base)

    @classmethod
    def begin(
        cls, options: Mapping[str, Any], texts: Sequence[str], *, embed_dim: int, prompt_tokens: int
    ) -> tuple[CausalLmDecoder, ForeignTokenizer]:
        """Read the model; its vocabulary is cut to what occurs in the texts, unless it is to be kept whole."""
        folder, source = pretrained.find_model(options["model"])
        backend = read_backend(folder)
        lm = pretrained.read_model(folder, getattr(torch, options["dtype"]))
        pretrained.check_causal(lm, options["model"])
        end = pretrained.end_of(lm, backend, options["model"])
        newline = backend.encode(
            "\n", add_special_tokens=False
        ).ids  # between the phrases of a prompt
        whole = 0 if options["vocabulary"] == "corpus" else backend.get_vocab_size()
        texts = [*texts, *filter(None, [options["instruction"]])]
        kept = keep(
            backend, texts, begin=newline[0] if len(newline) == 1 else end, end=end, all_below=whole
        )
        tokenizer = ForeignTokenizer(backend, kept)
        instruction = tokenizer.encode([options["instruction"]])[0]
        before = prompt_tokens + options["prefix_length"] + len(instruction)
        room = getattr(lm.config.get_text_config(), "max_position_embeddings", None)
        if room and before + options["max_tokens"] > room:
            raise RecipeError(
                f"{options['model']}: {room} positions, but {before} before the caption and "
                f"{options['max_tokens']} of it; lower decoder.max_tokens or prompt.tokens"
            )
        names = ("mapper", "mapper_layers", "prefix_length", "max_tokens", "dtype")
        pretrained.cut(lm, kept)
        decoder = cls(
            embed_dim=embed_dim,
            vocab_size=len(kept),
            width=lm.get_input_embeddings().embedding_dim,
            model=source,
            fingerprint=pretrained.fingerprint(folder),
            prompt_tokens=prompt_tokens,
            instruction=instruction,
            base=None if options["frozen"] else pretrained.architecture(lm),
            **{name: options[name] for name in names},
            **cls._more(options),
        )
        decoder.kept.copy_(torch.tensor(kept))
        decoder._install(lm)
        return decoder, tokenizer

    @classmethod
    def _more(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """Options that only this kind has."""
        return {}

    def _install(self, lm: Any) -> None:
        """Take a model with the vocabulary already cut, and note what of it learns; tied weights by one name."""
        self.lm = self._adapt(lm.requires_grad_(not self.frozen))
        self._learned = {
            f"lm.{name}" for name, value in lm.named_parameters() if value.requires_grad
        }

    def _adapt(self, lm: Any) -> Any:
        """Add what learns in a frozen model."""
        return lm

    def read_tokenizer(self, path: str | Path) -> ForeignTokenizer:
        return ForeignTokenizer(read_backend(path), self.kept.tolist())

    def train(self, mode: bool = True) -> CausalLmDecoder:
        """A frozen model stays in eval mode: its dropout would be noise that nothing learns from."""
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
        """Mean cross-entropy per real token, among the tokens that may come: the end and the pieces."""
        x, seen = self._opening(embedding, prompt)
        x = torch.cat((x, self._embed(tokens[:, :-1])), dim=1)
        if seen is not None:
            seen = torch.cat((seen, seen.new_ones(len(x), tokens.shape[1] - 1)), dim=1)
        real = tokens != PAD
        logits = self._logits(x, seen, None, tokens.shape[1])[real]  # [real tokens, V]
        return F.cross_entropy(
            logits[:, EOS:].float(), tokens[real] - EOS, label_smoothing=label_smoothing
        )

    def prefill(
        self, embedding: Tensor, max_tokens: int, prompt: Tensor | None = None
    ) -> tuple[Tensor, LmState]:
        x, seen = self._opening(embedding, prompt)
        return self._advance(x, LmState(pretrained.new_cache(self.lm), seen))

    def step(self, token: Tensor, state: LmState) -> tuple[Tensor, LmState]:
        seen = None if state.seen is None else F.pad(state.seen, (0, 1), value=1)
        return self._advance(self._embed(token[:, None]), LmState(state.cache, seen))

    def select(self, state: LmState, rows: Tensor) -> LmState:
        rows = rows.flatten()
        return LmState(
            pretrained.select_rows(state.cache, rows),
            None if state.seen is None else state.seen[rows],
        )

    def _advance(self, x: Tensor, state: LmState) -> tuple[Tensor, LmState]:
        return self._logits(x, state.seen, state.cache, 1)[:, 0].float(), state

    def _logits(self, x: Tensor, seen: Tensor | None, cache: Any, last: int) -> Tensor:
        """[B, last, V] of the last positions of x: [B, L, width]. The whole forward runs, as models differ in it."""
        more: dict[str, Any] = (
            {"use_cache": False} if cache is None else {"past_key_values": cache, "use_cache": True}
        )
        if seen is not None:
            more["attention_mask"] = seen
            if pretrained.takes(self.lm, "position_ids"):  # padding has none of its own
                more["position_ids"] = (seen.cumsum(1) - 1).clamp(min=0)[:, -x.shape[1] :]
        if pretrained.takes(self.lm, "logits_to_keep"):
            more["logits_to_keep"] = last
        return self.lm(inputs_embeds=x, **more).logits[:, -last:]

    def _opening(self, embedding: Tensor, prompt: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """What stands before the caption, [B, P + prefix_length + instruction, width], and what of it is no padding."""
        parts = [self.mapper(embedding).to(self.lm.dtype)]
        seen = None
        if self.prompt_tokens:
            if prompt is None:
                prompt = torch.full(
                    (len(embedding), self.prompt_tokens), PAD, device=embedding.device
                )
            real = prompt != PAD
            real[:, 0] = (
                True  # an empty prompt is one padding token: a row that sees nothing is not defined
            )
            parts.insert(0, self._embed(prompt))
            seen = F.pad(real.long(), (0, self.prefix_length + len(self.instruction)), value=1)
        if len(self.instruction):
            parts.append(self._embed(self.instruction.expand(len(embedding), -1)))
        return torch.cat(parts, dim=1), seen

    def _embed(self, tokens: Tensor) -> Tensor:
        return self.lm.get_input_embeddings()(tokens)


def _leave_out_the_base(decoder: Any, state: dict[str, Any], prefix: str, _: Any) -> None:
    for name in [name for name in state if name.startswith(f"{prefix}lm.")]:
        if name.removeprefix(prefix) not in decoder._learned:
            del state[name]


def _complete_with_the_base(decoder: Any, state: dict[str, Any], prefix: str, *rest: Any) -> None:
    if decoder.lm is None and f"{prefix}kept" in state:
        decoder._install(_read_the_base(decoder, state[f"{prefix}kept"]))
    if decoder.lm is not None:
        for name, value in decoder.lm.state_dict(keep_vars=True).items():
            if f"lm.{name}" not in decoder._learned:
                state.setdefault(f"{prefix}lm.{name}", value)


def _read_the_base(decoder: Any, kept: Tensor) -> Any:
    try:
        folder, _ = pretrained.find_model(decoder.model)
        if pretrained.fingerprint(folder) != decoder.fingerprint:
            raise ModelError(f"{decoder.model}: has changed since")
        lm = pretrained.read_model(folder, getattr(torch, decoder.config["dtype"]))
    except ModelError as error:
        raise ModelError(
            f"{error}; the decoder was trained on it: put it back, or write where it lies now as "
            "decoder.model in captioner.json"
        ) from error
    return pretrained.cut(lm, kept)
