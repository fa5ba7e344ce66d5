"""Generation: embeddings to tokens, by beam search, diverse beam search or sampling."""

from .generate import generate, generate_best, generate_samples
from .generation_options import GenerationOptions, check_kinds
from .precision import check_precision, prepare
from .search import Generated

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
