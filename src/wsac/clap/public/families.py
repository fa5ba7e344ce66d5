"""What the public CLAPs do to sounds and texts before their towers see them: one row a family."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Family:
    """The front end of a family of checkpoints.

    sample_rate: Hz. hop: samples between frames of 1,024. window_seconds: the clip its authors embed at once; longer
    sounds are cut into such windows here. shorter: what is done to a shorter clip: nothing, whole repeats and then
    zeros up to the window, or tiling and a cut. mel: scale and norm of the filters; mel_rate: the rate they are made
    for, which in MS-CLAP 2023 is not the rate of the audio. int16: samples are first rounded to 16 bits.
    fused: the tower wants four channels and to be told of longer clips, of which there are none here.
    text_tokens: captions are cut there. text_epsilon: of the layer norms of the text tower. cleaned: captions lose
    their case and punctuation. projection: of both towers. tokenizer: where the vocabulary is, on the Hub.
    """

    name: str
    sample_rate: int
    hop: int
    window_seconds: float
    shorter: Literal["as it is", "repeat", "tile"]
    mel: Literal["slaney", "htk"]
    mel_rate: int
    text: Literal["bert", "roberta", "gpt2"]
    text_tokens: int
    text_epsilon: float
    projection: Literal["mlp", "residual"]
    tokenizer: str
    int16: bool = False
    fused: bool = False
    cleaned: bool = False


BERT, ROBERTA, GPT2 = (
    "google-bert/bert-base-uncased",
    "FacebookAI/roberta-base",
    "openai-community/gpt2",
)
FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family(
            "wavcaps-cnn14",
            32_000,
            320,
            30.0,
            "as it is",
            "slaney",
            32_000,
            "bert",
            30,
            1e-12,
            "mlp",
            BERT,
            cleaned=True,
        ),
        Family(
            "wavcaps-htsat",
            32_000,
            320,
            10.0,
            "as it is",
            "slaney",
            32_000,
            "bert",
            30,
            1e-12,
            "mlp",
            BERT,
            cleaned=True,
        ),
        Family(
            "msclap-2022",
            44_100,
            320,
            5.0,
            "tile",
            "slaney",
            44_100,
            "bert",
            100,
            1e-12,
            "residual",
            BERT,
        ),
        Family(
            "msclap-2023",
            44_100,
            320,
            7.0,
            "tile",
            "slaney",
            32_000,
            "gpt2",
            77,
            1e-5,
            "residual",
            GPT2,
        ),
        Family(
            "laion",
            48_000,
            480,
            10.0,
            "repeat",
            "slaney",
            48_000,
            "roberta",
            77,
            1e-5,
            "mlp",
            ROBERTA,
            int16=True,
        ),
        Family(
            "laion-fused",
            48_000,
            480,
            10.0,
            "repeat",
            "htk",
            48_000,
            "roberta",
            77,
            1e-5,
            "mlp",
            ROBERTA,
            int16=True,
            fused=True,
        ),
        Family(
            "transformers",
            48_000,
            480,
            10.0,
            "repeat",
            "slaney",
            48_000,
            "roberta",
            77,
            1e-12,
            "mlp",
            ROBERTA,
        ),
        Family(
            "transformers-fused",
            48_000,
            480,
            10.0,
            "repeat",
            "htk",
            48_000,
            "roberta",
            77,
            1e-12,
            "mlp",
            ROBERTA,
            fused=True,
        ),
    )
}


def clean_caption(caption: str) -> str:
    """WavCaps' cleaning: lower case, no space before punctuation, punctuation to spaces; double spaces once each."""
    caption = re.sub(r'\s([,.!?;:"](?:\s|$))', r"\1", caption.lower())
    caption = caption.replace("  ", " ")
    caption = re.sub(r'[(,.!?;:|*")]', " ", caption)
    return caption.replace("  ", " ")
