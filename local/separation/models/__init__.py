"""Separation networks, built from a YAML block and saved as Asteroid files."""
