"""Normalisations equal to Asteroid's, computed faster; their weights stay Asteroid's."""

from __future__ import annotations

import torch
from asteroid.masknn.norms import GlobLN
from torch import nn


class FusedGlobLN(GlobLN):
    """Global layer norm (Luo and Mesgarani 2019, eq. 14) as one fused kernel.

    With one group, group norm takes mean and variance over channels and time of each example and
    scales each channel: the same function as Asteroid's ``GlobLN``, which is written out in steps.
    """

    def forward(self, x: torch.Tensor, EPS: float = 1e-8) -> torch.Tensor:
        """Normalise ``x`` of shape ``(batch, channel, time)``."""
        return nn.functional.group_norm(x, 1, self.gamma, self.beta, EPS)


def fuse_norms(model: nn.Module) -> nn.Module:
    """Let every global layer norm of an Asteroid model run fused, with the same parameters."""
    for module in model.modules():
        if type(module) is GlobLN:
            module.__class__ = FusedGlobLN
    return model
