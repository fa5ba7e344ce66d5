"""Listening: sounds that never end, what is in them now, and what is done about it."""
