"""Caption files: read them in any format, clean them, count them."""
