"""Contrastive language–audio models: one interface, unit-norm embeddings."""

from .base import ClapEncoder, load_clap

__all__ = ["ClapEncoder", "load_clap"]
