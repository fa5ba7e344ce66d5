"""Sounds, captions, datasets and tokens as data."""
