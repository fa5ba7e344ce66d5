"""Metrics of captions, one a file; every figure says what it is."""
