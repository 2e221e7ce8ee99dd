"""Losses, the Lightning system and the trainer."""
