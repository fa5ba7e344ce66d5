"""A large language model with LoRA: its weights are frozen, small matrices beside them are trained.

Sources: LoRA, Hu et al. 2021 (arXiv 2106.09685); with a prompt of retrieved captions DRCap, arXiv
2410.09472.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from wsac.types import ModelError, RecipeError

from .causal_lm import CausalLmDecoder
from .hf_folder import quietly

LORA = ("lora_rank", "lora_alpha", "lora_dropout", "lora_targets", "checkpointing")


class LlmDecoder(CausalLmDecoder):
    """A frozen CausalLmDecoder with adapters; needs the extra ``llm`` (peft).

    lora_targets: endings of layer names, such as q_proj and v_proj; empty: what peft knows for the
    model. checkpointing: compute activations again in the backward pass, for a third more time and
    a fraction of the memory.
    """

    kind = "llm"

    def __init__(self, **config: Any) -> None:
        """config: the arguments of CausalLmDecoder, and those of LORA."""
        self._lora = {name: config.pop(name) for name in LORA}
        self._lora["lora_targets"] = list(self._lora["lora_targets"])
        super().__init__(**config)
        self.config |= self._lora

    @classmethod
    def begin(cls, options: Mapping[str, Any], texts: Sequence[str], **sizes: Any) -> Any:
        _peft()  # report that it is missing before gigabytes are read
        return super().begin(options, texts, **sizes)

    @classmethod
    def _options(cls) -> tuple[str, ...]:
        return super()._options() + LORA

    def _adapt(self, lm: Any) -> Any:
        self._add_adapters(lm)
        for parameter in lm.parameters():
            if parameter.requires_grad:  # bfloat16 would lose steps of a small rate
                parameter.data = parameter.data.to(torch.float32)
        if self._lora["checkpointing"]:
            if not lm.supports_gradient_checkpointing:
                remedy = "set decoder.checkpointing = false"
                raise RecipeError(f"{self.model}: has no checkpointing; {remedy}")
            # the second name is that of transformers before 5.21
            enable = getattr(lm, "activation_checkpointing_enable", None)
            (enable or lm.gradient_checkpointing_enable)({"use_reentrant": False})
        return lm

    def _add_adapters(self, lm: Any) -> None:
        """Raises RecipeError when no layer has such a name."""
        peft, lora = _peft(), self._lora
        config = peft.LoraConfig(
            r=lora["lora_rank"],
            lora_alpha=lora["lora_alpha"],
            lora_dropout=lora["lora_dropout"],
            target_modules=lora["lora_targets"] or None,
            fan_in_fan_out=any(type(part).__name__ == "Conv1D" for part in lm.modules()),  # GPT-2
        )
        try:
            with quietly():
                peft.inject_adapter_in_model(config, lm)
        except ValueError as error:
            layers = (name for name, module in lm.named_modules() if hasattr(module, "weight"))
            names = ", ".join(sorted({name.rpartition(".")[2] for name in layers}))
            problem = f"decoder.lora_targets {lora['lora_targets']} fit no layer of {self.model}"
            raise RecipeError(f"{problem}; choose from {names}") from error

    def train(self, mode: bool = True) -> LlmDecoder:
        """Also the frozen model: adapters have dropout, and checkpointing is for training."""
        super().train(mode)
        if self.lm is not None:
            self.lm.train(mode)
        return self


def _peft() -> Any:
    try:
        import peft
    except ImportError as error:
        raise ModelError("decoder 'llm': needs peft; pip install 'wsac[llm]'") from error
    return peft
