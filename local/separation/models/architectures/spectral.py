"""Masks of an STFT by the separator of Conv-TasNet."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from asteroid.masknn import TDConvNet
from asteroid.models import register_model
from asteroid_filterbanks import make_enc_dec
from asteroid_filterbanks.transforms import apply_mag_mask, mag
from torch import nn

from separation.errors import RecipeError
from separation.models.architecture import Architecture
from separation.models.whole import WholeMixture
from separation.ranges import Number, OneOf, Rule

QUIET = 1e-5  # added to magnitudes before their logarithm: 100 dB below full scale


class SpectralNet(WholeMixture):
    """Masks on the magnitudes of an STFT; estimates have the phases of the mixture.

    The separator is Conv-TasNet's, on log magnitudes. Its frames are long and few, so a second
    costs little, and it need not learn what a spectrum is; what the phases hide it cannot reach.
    A causal one is a causal separator's: an output sample needs the windows that overlap it.

    Args:
        n_src: sources.
        kernel_size: of the window, samples.
        sample_rate: Hz.
        overlap: windows that a sample lies in; the stride is kernel_size/overlap.
        **separator: as :class:`asteroid.masknn.TDConvNet`.
    """

    ragged = True
    streams = True

    def __init__(
        self,
        n_src: int,
        kernel_size: int,
        sample_rate: float = 8000.0,
        overlap: int = 4,
        **separator: Any,
    ) -> None:
        stride = kernel_size // overlap
        encoder, decoder = make_enc_dec(
            "stft", kernel_size, kernel_size, stride, sample_rate=sample_rate
        )
        masker = TDConvNet(encoder.n_feats_out // 2, n_src, **separator)
        super().__init__(encoder, masker, decoder)
        self.overlap = overlap
        self.edges = kernel_size - stride  # all samples lie in as many windows

    def _separate(self, wav: torch.Tensor) -> torch.Tensor:
        padded = nn.functional.pad(wav, (self.edges, self.edges))
        return super()._separate(padded)[..., self.edges : self.edges + wav.shape[-1]]

    def forward_masker(self, tf_rep: torch.Tensor) -> torch.Tensor:
        """Masks ``(batch, source, bin, frame)`` of an STFT ``(batch, 2 bin, frame)``."""
        return self.masker(torch.log(mag(tf_rep) + QUIET))

    def apply_masks(self, tf_rep: torch.Tensor, est_masks: torch.Tensor) -> torch.Tensor:
        """Masked STFTs ``(batch, source, 2 bin, frame)``."""
        return apply_mag_mask(tf_rep[:, None], est_masks)

    def get_model_args(self) -> dict[str, Any]:
        """The arguments that make this network again."""
        separator = self.masker.get_config()
        separator.pop("in_chan")
        separator.pop("out_chan")
        return {
            **separator,
            "kernel_size": int(self.encoder.filterbank.kernel_size),
            "sample_rate": self.sample_rate,
            "overlap": self.overlap,
        }


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


register_model(SpectralNet)
