"""From embeddings to token rows: one loop over a KV cache; greedy, beams, diverse beams and sampling are ways in it."""

from .generate import generate, generate_best, generate_samples
from .generation_options import Generated, GenerationOptions, check_kinds
from .precision import check_precision, prepare

__all__ = [
    "Generated",
    "GenerationOptions",
    "check_kinds",
    "check_precision",
    "generate",
    "generate_best",
    "generate_samples",
    "prepare",
]
