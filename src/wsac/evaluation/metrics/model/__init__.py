"""Metrics computed by models: sentence encoders, an error detector and CLAPs."""
