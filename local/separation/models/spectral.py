"""The network of ``architectures/spectral.py``: masks of an STFT by Conv-TasNet's separator."""

from __future__ import annotations

from typing import Any

import torch
from asteroid.masknn import TDConvNet
from asteroid.models import register_model
from asteroid_filterbanks import make_enc_dec
from asteroid_filterbanks.transforms import apply_mag_mask, mag
from torch import nn

from separation.models.whole import WholeMixture

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


register_model(SpectralNet)
