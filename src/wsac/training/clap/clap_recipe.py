"""The options of contrastive training."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, PositiveInt

from wsac.io.config import VerbRecipe


class ClapRecipe(VerbRecipe):
    """How to train a pocket CLAP (``wsac train-clap``).

    pairs: CSV files ``audio,caption``, perhaps with ``label``; captions fit any excerpt of a sound.
    scenes: the same, perhaps with ``negative``, a false caption; captions fit the whole sound.
    validation: the same; each file is evaluated on its own every ``evaluate_every`` steps.
    text: caption files for the text tower; captions of one clip are paraphrases of each other.
    segments: a folder of sounds with a tagger's scores; the audio tower learns from it in
    ``segment_share`` of the steps (``wsac.training.clap.distillation``). The text tower stays.
    teacher: a folder or Hub id of a sentence encoder whose geometry the text tower learns first.
    start: a pocket CLAP to continue from, a folder or a name; it sets shape and vocabulary.
    crop_seconds: of training crops. mixtures: share of the crops that are composed of several.
    scene_share: share of the steps that are on whole scenes, with as many seconds as crops.
    order_share: share of the steps that are on two sounds in both orders.
    balance: 0 draws every sound equally often, 1 every label. average: decay of the moving average.
    precision: float32, bfloat16 (autocast), or auto: bfloat16 on a GPU.
    deterministic: the same weights from the same seed also on a GPU, where it takes more time.
    """

    verb: ClassVar[str] = "train-clap"

    pairs: tuple[str, ...] = ()
    scenes: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    segments: str = ""
    teacher: str = ""
    start: str = ""
    embed_dim: int = Field(256, ge=8)
    channels: tuple[PositiveInt, ...] = Field((32, 64, 128, 256, 256), min_length=2)
    audio_width: int = Field(256, ge=8, multiple_of=4)
    audio_layers: int = Field(2, ge=0)
    vocab_size: int = Field(4096, ge=300)
    text_width: int = Field(256, ge=8, multiple_of=4)
    text_layers: int = Field(2, ge=1)
    text_steps: int = Field(1000, ge=0)
    text_batch: int = Field(256, ge=32)
    steps: int = Field(2000, ge=1)
    batch_size: int = Field(64, ge=2)
    crop_seconds: float = Field(5.0, gt=0.1, le=10)
    mixtures: float = Field(0.5, ge=0, le=1)
    scene_share: float = Field(0.2, ge=0, le=1)
    order_share: float = Field(0.15, ge=0, le=1)
    segment_share: float = Field(0.85, ge=0, le=1)
    balance: float = Field(0.3, ge=0, le=1)
    learning_rate: float = Field(1.5e-3, gt=0)
    text_learning_rate: float = Field(1e-3, gt=0)
    warmup_steps: int = Field(100, ge=0)
    weight_decay: float = Field(0.05, ge=0)
    clip_norm: float = Field(1.0, gt=0)
    average: float = Field(0.999, ge=0, lt=1)
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    deterministic: bool = True
    save_every: int = Field(50, ge=1)
    evaluate_every: int = Field(500, ge=1)
    seed: int = Field(0, ge=0)
