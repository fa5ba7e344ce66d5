"""Training: captioners from text alone, CLAPs from sounds with captions."""
