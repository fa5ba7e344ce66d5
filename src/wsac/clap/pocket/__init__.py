"""The built-in CLAP: a small CNN for sounds and a small transformer for texts."""
