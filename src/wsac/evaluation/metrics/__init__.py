"""Metrics of captions, by name in ``registry.METRICS``."""
