"""Separation networks, built from a YAML block and saved as Asteroid files.

Imported, it lets Asteroid's ``BaseModel.from_pretrained`` load the networks that are not Asteroid's
own.
"""

from separation.models.codec import DeepConvTasNet

__all__ = ["DeepConvTasNet"]
