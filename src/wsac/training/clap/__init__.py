"""Contrastive training of the pocket CLAP."""
