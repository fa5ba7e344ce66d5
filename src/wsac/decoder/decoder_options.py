"""The recipe's options of a decoder, and which of them each kind has."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from wsac.io.config import Section

GPT2 = "openai-community/gpt2"
_SIZES = {"layers", "heads", "width", "prefix_length", "dropout", "max_tokens"}
_LM = {
    "prefix_length",
    "max_tokens",
    "model",
    "mapper",
    "mapper_layers",
    "vocabulary",
    "instruction",
    "dtype",
}
_LORA = {"lora_rank", "lora_alpha", "lora_dropout", "lora_targets", "checkpointing"}
KIND_OPTIONS = {
    "transformer": _SIZES | {"vocab_size"},
    "causal-lm": _LM | {"frozen"},
    "llm": _LM | _LORA,
    "wsac": _SIZES | {"model", "vocabulary"},
}
KIND_VALUES: dict[str, dict[str, Any]] = {  # where they differ from the transformer's
    "causal-lm": {"prefix_length": 10},
    "llm": {"prefix_length": 10, "dtype": "bfloat16"},
    "wsac": {
        "layers": 4,
        "width": 768,
        "prefix_length": 1,
        "dropout": 0.1,
        "max_tokens": 22,
        "vocabulary": "all",
        "model": "google-bert/bert-base-uncased",
    },
}


class DecoderOptions(Section):
    """kind: transformer, from scratch; causal-lm, of others (gpt2 is short for one); llm, the same
    with LoRA; wsac,
    the published shape. docs/decoders.md says which options each has; those of another kind are
    refused.

    vocab_size: of the BPE, 0 chooses it from the captions. max_tokens: captions are cut there.
    model: a folder or Hub id; of wsac, a tokenizer. frozen: its weights stay as they are.
    vocabulary: the pieces that occur in the corpus, or all. instruction: text that is read after
    the prefix. dtype: of the model's weights. checkpointing: less memory in training for a third
    more time.
    """

    kind: Literal["transformer", "causal-lm", "llm", "wsac"] = "transformer"
    layers: int = Field(2, ge=1)
    heads: int = Field(4, ge=1)
    width: int = Field(256, ge=8)
    prefix_length: int = Field(4, ge=1)
    dropout: float = Field(0.0, ge=0, lt=1)
    vocab_size: int = Field(0, ge=0)
    max_tokens: int = Field(40, ge=2)
    model: str = ""
    mapper: Literal["linear", "mlp", "transformer"] = "mlp"
    mapper_layers: int = Field(8, ge=1)
    frozen: bool = True
    vocabulary: Literal["corpus", "all"] = "corpus"
    instruction: str = ""
    dtype: Literal["float32", "bfloat16"] = "float32"
    lora_rank: int = Field(8, ge=1)
    lora_alpha: float = Field(32.0, gt=0)
    lora_dropout: float = Field(0.0, ge=0, lt=1)
    lora_targets: tuple[str, ...] = ()
    checkpointing: bool = True

    @model_validator(mode="before")
    @classmethod
    def _of_kind(cls, given: Any) -> Any:
        """The values that a kind has where none are given, and no options of other kinds."""
        if not isinstance(given, dict):
            return given
        if given.get("kind") == "gpt2":
            given = {"model": GPT2} | given | {"kind": "causal-lm"}
        kind = given.get("kind", "transformer")
        given = KIND_VALUES.get(kind, {}) | given if isinstance(kind, str) else given
        strange = set(cls.model_fields) - KIND_OPTIONS.get(kind, set(cls.model_fields)) - {"kind"}
        for name in sorted(strange & set(given)):
            value, default = given[name], cls.model_fields[name].default
            if (tuple(value) if isinstance(value, list) else value) != default:
                raise ValueError(f"{name} is no option of a decoder of kind '{kind}'")
        return given

    @model_validator(mode="after")
    def _fits(self) -> DecoderOptions:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        if 0 < self.vocab_size < 300:
            raise ValueError(
                f"vocab_size {self.vocab_size} is less than 300; 0 chooses it from the captions"
            )
        if self.kind in ("causal-lm", "llm") and not self.model:
            raise ValueError(
                f"kind '{self.kind}' needs a model: a folder with a language model, or a Hub id"
            )
        return self
