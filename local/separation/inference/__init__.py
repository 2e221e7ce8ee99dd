"""Separating recordings with a trained system."""
