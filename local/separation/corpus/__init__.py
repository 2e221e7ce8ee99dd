"""Mixtures and their sources: reading, levels, mixing, manifests, datasets."""
