"""Decoders built on language models of Hugging Face, and the published WSAC."""
