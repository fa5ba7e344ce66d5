"""The recipe's options of decoders, and which of them each kind has."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from wsac.io.config import Section

GPT2 = "openai-community/gpt2"
BERT = "google-bert/bert-base-uncased"
SIZES = {"layers", "heads", "width", "prefix_length", "dropout", "max_tokens"}
LM = set("prefix_length max_tokens model mapper mapper_layers vocabulary instruction dtype".split())
LORA = {"lora_rank", "lora_alpha", "lora_dropout", "lora_targets", "checkpointing"}
KIND_OPTIONS = {
    "transformer": SIZES | {"vocab_size"},
    "causal-lm": LM | {"frozen"},
    "llm": LM | LORA,
    "wsac": SIZES | {"model", "vocabulary"},
}
# defaults of a kind that differ from the transformer's
PUBLISHED = {"layers": 4, "width": 768, "prefix_length": 1, "dropout": 0.1, "max_tokens": 22}
KIND_DEFAULTS: dict[str, dict[str, Any]] = {
    "causal-lm": {"prefix_length": 10},
    "llm": {"prefix_length": 10, "dtype": "bfloat16"},
    "wsac": {**PUBLISHED, "vocabulary": "all", "model": BERT},
}


class DecoderOptions(Section):
    """The recipe's table ``[decoder]``. Options of other kinds are refused; see docs/decoders.md.

    kind: transformer, from scratch; causal-lm, a language model (gpt2 is short for one); llm, one
    with LoRA; wsac, the published shape. vocab_size: of the BPE; 0 chooses it from the captions.
    max_tokens: captions are cut there. model: a folder or Hub id; of wsac, a tokenizer. frozen: do
    not train its weights. vocabulary: the pieces that occur in the corpus, or all. instruction:
    text to read after the prefix. dtype: of the model's weights. checkpointing: less memory in
    training for a third more time.
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
    def _of_kind(cls, values: Any) -> Any:
        """Fill in the defaults of the kind, and refuse options of other kinds."""
        if not isinstance(values, dict):
            return values
        if values.get("kind") == "gpt2":
            values = {"model": GPT2} | values | {"kind": "causal-lm"}
        kind = values.get("kind", "transformer")
        if not isinstance(kind, str) or kind not in KIND_OPTIONS:
            return values
        strange = set(cls.model_fields) - KIND_OPTIONS[kind] - {"kind"}
        for name in sorted(strange & set(values)):
            value, default = values[name], cls.model_fields[name].default
            if (tuple(value) if isinstance(value, list) else value) != default:
                raise ValueError(f"{name} is no option of a decoder of kind '{kind}'")
        return KIND_DEFAULTS.get(kind, {}) | values

    @model_validator(mode="after")
    def _fits(self) -> DecoderOptions:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        if 0 < self.vocab_size < 300:
            remedy = "0 chooses it from the captions"
            raise ValueError(f"vocab_size {self.vocab_size} is less than 300; {remedy}")
        if self.kind in ("causal-lm", "llm") and not self.model:
            needs = "needs a model: a folder with a language model, or a Hub id"
            raise ValueError(f"kind '{self.kind}' {needs}")
        return self
