"""Architectures: a file each, named as ``model`` in a YAML."""
