"""Published datasets and folders of recordings with captions."""
