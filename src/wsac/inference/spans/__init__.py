"""Spans: events and backgrounds with their times, while a sound is read."""
