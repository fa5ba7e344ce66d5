"""Search in an archive: by words, by a sound, and by what its columns say."""
