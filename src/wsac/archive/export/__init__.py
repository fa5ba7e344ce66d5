"""Archives as data sets that other libraries read."""
