"""One table of captioners over corpora, bridges and seeds."""
