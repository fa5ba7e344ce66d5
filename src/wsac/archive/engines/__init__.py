"""Ways to work on many shards at once; each does what ``ShardWriter`` does, elsewhere."""
