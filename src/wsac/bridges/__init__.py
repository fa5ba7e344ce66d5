"""Bridges over the modality gap, by what they are: noise in training, retrieval and alignment. docs/bridges.md."""

from .alignment import Centred, Coral, PlsHead, PlsSounds, Procrustes, ShiftedSounds, ShiftedTexts, Wasserstein
from .base import KINDS, Bridge, Chain, Given, Head, Kind, inference_bridge, names, parse, register, training_bridge
from .noise import InstanceReplacement, Mixing, NoiseInjection, ProjectedTexts, ShapedNoise, UniformNoise
from .retrieval import Identity, NearestNeighbour, Projection, Santa, TopMean, nearest, nearest_rows

__all__ = [
    "KINDS",
    "Bridge",
    "Centred",
    "Chain",
    "Coral",
    "Given",
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
