"""Metrics computed by the Java programs of their authors: METEOR and SPICE."""
