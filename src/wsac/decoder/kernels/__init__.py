"""Fast versions of a few operations for training and generation."""
