"""This project against the plain way to do the same, in one run on one machine."""
