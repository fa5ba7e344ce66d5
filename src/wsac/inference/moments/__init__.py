"""Moments of recordings that fit words or another sound."""
