"""Masks of an STFT by the separator of Conv-TasNet."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from separation.errors import RecipeError
from separation.models.architecture import Architecture
from separation.ranges import Number, OneOf, Rule

if TYPE_CHECKING:
    from separation.models.spectral import SpectralNet


@dataclass(frozen=True, kw_only=True)
class Settings(Architecture):
    """The letters of Conv-TasNet's separator (Luo and Mesgarani 2019, table I), and the window's.

    Attributes:
        L: window, samples.
        overlap: windows that a sample lies in; the stride is L/overlap.
        B: bottleneck channels.
        H: channels of the depthwise convolution.
        Sc: channels of the skip connections; 0: none.
        P: kernel of the depthwise convolution, frames.
        X: blocks per repeat; their dilations are 1, 2, 4, ...
        R: repeats.
        activate: of the mask: ``sigmoid``; ``relu``, without an upper bound; ``softmax``, whose
            masks add up to 1.
        causal: nothing looks ahead, latency L: norms are cumulative, and convolutions over frames
            see the past alone.
    """

    L: int = 256
    overlap: int = 4
    B: int = 128
    H: int = 256
    Sc: int = 0
    P: int = 3
    X: int = 6
    R: int = 4
    activate: str = "sigmoid"
    causal: bool = False

    rules: ClassVar[dict[str, Rule]] = {
        **dict.fromkeys(("L", "B", "H", "P", "X", "R"), Number(1)),
        "Sc": Number(0),
        "overlap": Number(2),
        "activate": OneOf(("sigmoid", "relu", "softmax")),
    }
    added: ClassVar[tuple[str, ...]] = ("causal", "overlap")

    def check(self) -> None:
        """Raise a :class:`RecipeError` with the key where values do not fit together."""
        parts = math.lcm(2, self.overlap)
        if self.L % parts:
            raise RecipeError(f"net_conf.L is {self.L}; it must be a multiple of {parts}")
        if self.P % 2 == 0 and not self.causal:
            raise RecipeError(f"net_conf.P is {self.P}; it must be odd unless causal is true")

    def build(self, sample_rate: int) -> SpectralNet:
        """The network with fresh weights: ``(batch, time)`` to ``(batch, source, time)``."""
        from separation.models.spectral import SpectralNet  # imports Torch

        return SpectralNet(
            n_src=self.num_spks,
            kernel_size=self.L,
            sample_rate=sample_rate,
            overlap=self.overlap,
            bn_chan=self.B,
            hid_chan=self.H,
            skip_chan=self.Sc,
            conv_kernel_size=self.P,
            n_blocks=self.X,
            n_repeats=self.R,
            norm_type="cgLN" if self.causal else "gLN",
            mask_act=self.activate,
            causal=self.causal,
        )

    @property
    def stride(self) -> int:
        """Samples from one frame of the encoder to the next."""
        return self.L // self.overlap

    @property
    def receptive_field(self) -> int:
        """Samples of the mixture that one frame of the estimates depends on, without norms."""
        return self.R * (self.P - 1) * (2**self.X - 1) * self.stride + self.L

    @property
    def latency(self) -> int | None:
        """Samples from an output sample to the last input that it depends on.

        The windows that overlap an output sample need L samples; global norms see everything.
        """
        return self.L if self.causal else None
