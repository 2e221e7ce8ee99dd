"""Asteroid's networks for every sample of mixtures of any length, alone or in ragged batches."""

from __future__ import annotations

import shutil
from typing import Any

import torch
from asteroid.models.base_models import BaseEncoderMaskerDecoder
from torch import nn

from separation.errors import RecipeError
from separation.models.ragged import ragged, within

WHOLE: dict[str, type[WholeMixture]] = {}  # by the class of Asteroid that each makes whole


class WholeMixture(BaseEncoderMaskerDecoder):
    """Mixed into one of Asteroid's networks, which then separates to the last sample.

    Asteroid's encoder leaves out the samples after the last whole frame, where its output is zero,
    and fails on less than one frame. Here the end is padded with zeros to a whole frame, and the
    padding is cut off the estimates. Lengths that fill their frames give Asteroid's output exactly.
    Files are Asteroid's.

    Attributes:
        ragged: whether a batch of different lengths is separated in one go; else one by one.
        streams: whether the network can be fed bit by bit, as long as its settings are causal
            (:mod:`separation.models.streaming`).
        edges: samples of silence before the first sample of a mixture, and after the last.
    """

    ragged = False
    streams = False
    edges: int = 0

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.__bases__[0] is WholeMixture and len(cls.__bases__) > 1:
            WHOLE[cls.__bases__[1].__name__] = cls

    def forward(self, wav: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        """Separate ``(batch, time)`` into ``(batch, source, time)``.

        Args:
            wav: mixtures, the shorter ones with zeros after their ends.
            lengths: of each, samples; None: all are as long as the batch. The estimates up to there
                are those of the mixture by itself, and after it they are zero.
        """
        if lengths is None or bool((lengths == wav.shape[-1]).all()):
            return self._separate(wav)
        if not self.ragged:
            return self._separate_each(wav, lengths)
        kernel, stride = self._filters
        after_first = (lengths + 2 * self.edges - kernel).clamp(min=0)  # samples after that frame
        frames = 1 + after_first.add(stride - 1) // stride
        # Compiled code does not see the hooks.
        with ragged(self, frames), torch.compiler.set_stance("force_eager"):
            estimates = self._separate(wav)
        return estimates * within(lengths, estimates)

    @property
    def _filters(self) -> tuple[int, int]:
        """Length and stride of the encoder's filters, samples."""
        return self.encoder.filterbank.kernel_size, self.encoder.filterbank.stride

    def _separate(self, wav: torch.Tensor) -> torch.Tensor:
        length, (kernel, stride) = wav.shape[-1], self._filters
        missing = max(kernel - length, -(length - kernel) % stride)
        return super().forward(nn.functional.pad(wav, (0, missing)))[..., :length]

    def _separate_each(self, wav: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        most = wav.shape[-1]
        pieces = [
            nn.functional.pad(self._separate(mixture[None, :length])[0], (0, most - length))
            for mixture, length in zip(wav, lengths.tolist(), strict=True)
        ]
        return torch.stack(pieces)

    def serialize(self) -> dict[str, Any]:
        """The package of Asteroid's network, which Asteroid loads without this class."""
        package = super().serialize()
        asteroid_s = type(self).__bases__[1] if type(self) in WHOLE.values() else type(self)
        return package | {"model_name": asteroid_s.__name__}


def make_whole(model: nn.Module) -> nn.Module:
    """Let a network of Asteroid's separate whole mixtures; weights and files stay Asteroid's."""
    if type(model).__name__ in WHOLE:
        model.__class__ = WHOLE[type(model).__name__]
    return model


def compile_network(model: nn.Module) -> None:
    """Have ``torch.compile`` make the part of the network that takes the time, in place.

    Raises:
        RecipeError: there is no C++ compiler, which a CPU's code needs.
    """
    if not torch.cuda.is_available() and not any(map(shutil.which, ("c++", "g++", "clang++"))):
        raise RecipeError("training.compile needs a C++ compiler, such as g++; none is here")
    # What cannot be compiled runs as it is, with a warning, and does not end the training.
    torch._dynamo.config.suppress_errors = True
    model.get_submodule("masker").compile()
