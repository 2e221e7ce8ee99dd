"""Metrics of separated speech and the tables they go to."""
