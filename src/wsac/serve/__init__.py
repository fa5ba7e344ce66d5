"""An HTTP server for captions, tags, spans, embeddings and search."""
