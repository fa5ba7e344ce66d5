"""Archives: many recordings, captioned into Parquet files that other tools read."""
