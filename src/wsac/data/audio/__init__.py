"""Sound files: find, decode, resample and cut them into windows."""
