"""Bridges over the modality gap, by what they are: noise in training, retrieval and alignment. docs/bridges.md."""

from wsac.bridges.memory import nearest, nearest_rows
from wsac.bridges.retrieval import Identity, NearestNeighbour, Projection, Santa, TopMean

from .alignment import (
    Centred,
    Coral,
    PlsHead,
    PlsSounds,
    Procrustes,
    ShiftedSounds,
    ShiftedTexts,
    Wasserstein,
)
from .bridge import (
    KINDS,
    Bridge,
    BridgeContext,
    Chain,
    Head,
    Kind,
    inference_bridge,
    names,
    parse,
    register,
    training_bridge,
)
from .noise import (
    InstanceReplacement,
    Mixing,
    NoiseInjection,
    ProjectedTexts,
    ShapedNoise,
    UniformNoise,
)

__all__ = [
    "KINDS",
    "Bridge",
    "BridgeContext",
    "Centred",
    "Chain",
    "Coral",
    "Head",
    "Identity",
    "InstanceReplacement",
    "Kind",
    "Mixing",
    "NearestNeighbour",
    "NoiseInjection",
    "PlsHead",
    "PlsSounds",
    "Procrustes",
    "ProjectedTexts",
    "Projection",
    "Santa",
    "ShapedNoise",
    "ShiftedSounds",
    "ShiftedTexts",
    "TopMean",
    "UniformNoise",
    "Wasserstein",
    "inference_bridge",
    "names",
    "nearest",
    "nearest_rows",
    "parse",
    "register",
    "training_bridge",
]
