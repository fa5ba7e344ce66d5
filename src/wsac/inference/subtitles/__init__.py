"""Subtitles for sound: from spans to cues by the conventions of the trade."""
