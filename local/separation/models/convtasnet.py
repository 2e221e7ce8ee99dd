"""Conv-TasNet (Luo and Mesgarani 2019) by Asteroid, for mixtures of any length."""

from __future__ import annotations

from typing import Any

import torch
from asteroid.models import ConvTasNet
from torch import nn

from separation.models.ragged import ragged, within


class WholeConvTasNet(ConvTasNet):
    """Asteroid's ConvTasNet that separates every sample of a mixture of any length.

    Asteroid's encoder leaves out the samples after the last whole frame, where its output is zero,
    and fails on less than one frame. Here the end is padded with zeros to a whole frame, and the
    padding is cut off the estimates. Lengths that fill their frames give Asteroid's output exactly.
    Files are Asteroid's.
    """

    def forward(self, wav: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        """Separate ``(batch, time)`` into ``(batch, source, time)``.

        Args:
            wav: mixtures, the shorter ones with zeros after their ends.
            lengths: of each, samples; None: all are as long as the batch. The estimates up to there
                are those of the mixture by itself, and after it they are zero.
        """
        if lengths is None or bool((lengths == wav.shape[-1]).all()):
            return self._separate(wav)
        frames = 1 + (lengths - self._kernel).clamp(min=0).add(self._stride - 1) // self._stride
        # Compiled code does not see the hooks.
        with ragged(self, frames), torch.compiler.set_stance("force_eager"):
            estimates = self._separate(wav)
        return estimates * within(lengths, estimates)

    @property
    def _kernel(self) -> int:
        return self.encoder.filterbank.kernel_size

    @property
    def _stride(self) -> int:
        return self.encoder.filterbank.stride

    def _separate(self, wav: torch.Tensor) -> torch.Tensor:
        length = wav.shape[-1]
        missing = max(self._kernel - length, -(length - self._kernel) % self._stride)
        return super().forward(nn.functional.pad(wav, (0, missing)))[..., :length]

    def serialize(self) -> dict[str, Any]:
        """The package of a plain ConvTasNet, which Asteroid loads without this class."""
        package = super().serialize()
        return package | (
            {"model_name": ConvTasNet.__name__} if type(self) is WholeConvTasNet else {}
        )
