"""Contrastive language–audio models: one interface, unit-norm embeddings."""

from .encoder import ClapEncoder
from .loading import load_clap

__all__ = ["ClapEncoder", "load_clap"]
