"""The options of a training but for those of its decoder, which cannot be read without torch."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from wsac.io.config import Section, VerbRecipe


class CorpusOptions(Section):
    """captions: files in any format of ``wsac corpus``.

    pairs: CSV files audio,caption instead, to train on embeddings of the sounds: the supervised
    captioner that text-only ones are compared with.
    column: the one of captions, if it is not called so. skip_invalid: leave out rows that cannot be
    used, and report them.
    validation: share of the captions held out, at least ten or a tenth of a small corpus; 0: none.
    """

    captions: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()
    format: str = "auto"
    column: str = ""
    skip_invalid: bool = False
    style: Literal["keep", "sentence", "lower"] = "keep"
    validation: float = Field(0.02, ge=0, lt=0.5)


class BridgeOptions(Section):
    """train: applied to text embeddings, such as ``shift+noise:variance=0.001``; see wsac bridges.

    gap: a file of ``wsac gap --save``, for bridges that need one; "" for none.
    """

    train: str = "noise:variance=0.001"
    gap: str = ""


class PromptOptions(Section):
    """Retrieval-augmented decoding: text that the decoder reads before it writes.

    count: phrases in a prompt, 0 for none. tokens: of a prompt; longer ones are cut.
    labels: a file with one label per line, to choose from instead of the support memory's captions.
    low, high: in training only captions with a cosine between them are chosen, so that none can be
    copied. Labels are always the nearest.
    """

    count: int = Field(0, ge=0)
    labels: str = ""
    tokens: int = Field(48, ge=4)
    low: float = Field(0.3, ge=-1, le=1)
    high: float = Field(0.9, ge=-1, le=1.1)


class TrainingOptions(Section):
    """epochs: 0 for 4, or for as many as give 800 steps if the corpus is small.

    batch_size: captions. accumulate: batches whose gradients make one update, in the memory of one.
    learning_rate: the peak, after ``warmup_steps`` or a tenth of all steps, whichever is less.
    evaluate_every, save_every: steps; 0 for once per epoch, but at least 50 steps. Checkpoints are
    also written every 30 seconds.
    patience: evaluations without a better validation loss that end the run; 0 for never.
    average: decay of a moving average of the weights, which is then evaluated and saved; 0: none.
    precision: of the forward pass: float32, bfloat16, or auto: bfloat16 where the hardware has it.
    deterministic: the same weights from the same seed also on a GPU, where it takes more time.
    """

    epochs: int = Field(0, ge=0)
    batch_size: int = Field(128, ge=1)
    accumulate: int = Field(1, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    warmup_steps: int = Field(200, ge=0)
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    weight_decay: float = Field(0.02, ge=0)
    clip_norm: float = Field(1.0, gt=0)
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    evaluate_every: int = Field(0, ge=0)
    save_every: int = Field(0, ge=0)
    patience: int = Field(5, ge=0)
    average: float = Field(0.0, ge=0, lt=1)
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    deterministic: bool = True
    seed: int = Field(0, ge=0)

    @property
    def update_size(self) -> int:
        """Captions of one update."""
        return self.batch_size * self.accumulate


class MemoryOptions(Section):
    """size: the most entries of the support memory in the bundle, 0 for every training caption.
    dedupe: leave out captions whose cosine to an earlier one is at least this; 0 leaves out none.
    """

    size: int = Field(0, ge=0)
    dedupe: float = Field(0, ge=0, lt=1)
    precision: Literal["float32", "float16", "int8"] = "float16"


class Outline(VerbRecipe):
    """A recipe whose decoder is not looked at: mistakes in the rest are told at once."""

    model_config = ConfigDict(extra="ignore")
    verb: ClassVar[str] = "train"

    clap: str = "pocket"
    start: str = ""
    corpus: CorpusOptions = CorpusOptions()
    bridge: BridgeOptions = BridgeOptions()
    prompt: PromptOptions = PromptOptions()
    decoder: Any = None
    training: TrainingOptions = TrainingOptions()
    memory: MemoryOptions = MemoryOptions()
