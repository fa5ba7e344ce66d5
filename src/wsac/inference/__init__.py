"""From sounds to captions and tags: the captioner, its folder on disk, and calibration."""
