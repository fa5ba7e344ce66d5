"""A large causal language model with LoRA: its own weights stay as they are, small matrices beside them learn.

Sources: LoRA, Hu et al. 2021 (arXiv 2106.09685); with a prompt of retrieved captions DRCap, arXiv 2410.09472.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from wsac.types import ModelError, RecipeError

from .causal_lm import CausalLmDecoder
from .hf_folder import quietly


class LlmDecoder(CausalLmDecoder):
    """A frozen CausalLmDecoder with adapters; needs the extra ``llm`` (peft).

    lora_targets: endings of the layers' names, such as q_proj and v_proj; none means what peft knows for the model.
    checkpointing: activations are computed again in the backward pass: a third more time, a fraction of the memory.
    """

    kind = "llm"

    def __init__(
        self,
        *,
        lora_rank: int = 8,
        lora_alpha: float = 32,
        lora_dropout: float = 0.0,
        lora_targets: Sequence[str] = (),
        checkpointing: bool = True,
        **config: Any,
    ) -> None:
        self._lora = {
            "lora_rank": lora_rank,
            "lora_alpha": lora_alpha,
            "lora_dropout": lora_dropout,
            "lora_targets": list(lora_targets),
            "checkpointing": checkpointing,
        }
        super().__init__(**config)
        self.config |= self._lora

    @classmethod
    def begin(cls, options: Mapping[str, Any], texts: Sequence[str], **sizes: Any) -> Any:
        _peft()  # its absence is known before gigabytes are read
        return super().begin(options, texts, **sizes)

    @classmethod
    def _more(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        names = ("lora_rank", "lora_alpha", "lora_dropout", "lora_targets", "checkpointing")
        return {name: options[name] for name in names}

    def _adapt(self, lm: Any) -> Any:
        peft, lora = _peft(), self._lora
        transposed = any(type(module).__name__ == "Conv1D" for module in lm.modules())  # of GPT-2
        config = peft.LoraConfig(
            r=lora["lora_rank"],
            lora_alpha=lora["lora_alpha"],
            lora_dropout=lora["lora_dropout"],
            target_modules=lora["lora_targets"] or None,
            fan_in_fan_out=transposed,
        )
        try:
            with quietly():
                peft.inject_adapter_in_model(config, lm)
        except ValueError as error:
            known = sorted(
                {
                    name.rpartition(".")[2]
                    for name, module in lm.named_modules()
                    if hasattr(module, "weight")
                }
            )
            raise RecipeError(
                f"decoder.lora_targets {lora['lora_targets']} fit no layer of {self.model}; choose of "
                f"{', '.join(known)}"
            ) from error
        for parameter in lm.parameters():
            if parameter.requires_grad:  # steps of a small rate would be lost in bfloat16
                parameter.data = parameter.data.to(torch.float32)
        if lora["checkpointing"]:
            if not lm.supports_gradient_checkpointing:
                raise RecipeError(
                    f"{self.model}: has no checkpointing; set decoder.checkpointing = false"
                )
            # the second name is that of transformers before 5.21
            enable = (
                getattr(lm, "activation_checkpointing_enable", None)
                or lm.gradient_checkpointing_enable
            )
            enable({"use_reentrant": False})
        return lm

    def train(self, mode: bool = True) -> LlmDecoder:
        """All of it, as adapters have a dropout and checkpointing is for training only."""
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
