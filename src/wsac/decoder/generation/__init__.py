"""Generation: embeddings to tokens, by beam search, diverse beam search or sampling."""

from .generate import generate, generate_best, generate_samples
from .generation_options import GenerationOptions, check_kinds
from .precision import check_precision, prepare
from .search import Generated
from .word_trie import Words, vocabulary, words_of

__all__ = [
    "Generated",
    "GenerationOptions",
    "Words",
    "check_kinds",
    "check_precision",
    "generate",
    "generate_best",
    "generate_samples",
    "prepare",
    "vocabulary",
    "words_of",
]
