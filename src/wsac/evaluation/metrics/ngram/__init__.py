"""Metrics that count words and runs of words."""
