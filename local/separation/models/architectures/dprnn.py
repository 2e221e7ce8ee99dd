"""Dual-path RNN (Luo, Chen and Yoshioka 2020, arXiv 1910.06379)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from asteroid.models import DPRNNTasNet

from separation.errors import RecipeError
from separation.models.architecture import Architecture
from separation.models.whole import WholeMixture
from separation.ranges import Number, OneOf, Rule

NORMS = {"gln": "gLN", "cln_frame": "cLN"}


class WholeDPRNN(WholeMixture, DPRNNTasNet):
    """Asteroid's DPRNNTasNet for every sample of a mixture of any length."""


@dataclass(frozen=True, kw_only=True)
class Settings(Architecture):
    """The letters of the paper (section 3.2), and of Conv-TasNet where they mean the same.

    Attributes:
        N: encoder filters.
        L: filter length, samples; the stride is L/2.
        B: bottleneck channels.
        H: units of each LSTM and direction.
        R: dual-path blocks, one LSTM within chunks and one across them each.
        K: chunk length, frames; chunks overlap by half.
        norm: ``gln``: over the whole utterance; ``cln_frame``: each frame by itself.
        activate: of the mask: ``sigmoid``, ``relu`` or ``softmax``.
        dropout: share of an LSTM's outputs that are left out in training.
    """

    N: int = 64
    L: int = 16
    B: int = 64
    H: int = 128
    R: int = 6
    K: int = 100
    norm: str = "gln"
    activate: str = "sigmoid"
    dropout: float = 0.0

    rules: ClassVar[dict[str, Rule]] = {
        **dict.fromkeys(("N", "L", "B", "H", "R"), Number(1)),
        "K": Number(2),
        "norm": OneOf(tuple(NORMS)),
        "activate": OneOf(("sigmoid", "relu", "softmax")),
        "dropout": Number(0, 0.99),
    }

    def check(self) -> None:
        """Raise a :class:`RecipeError` with the key where values do not fit together."""
        for key in ("L", "K"):
            if getattr(self, key) % 2:
                raise RecipeError(f"net_conf.{key} is {getattr(self, key)}; it must be even")

    def build(self, sample_rate: int) -> WholeDPRNN:
        """The network with fresh weights: ``(batch, time)`` to ``(batch, source, time)``."""
        return WholeDPRNN(
            n_src=self.num_spks,
            n_filters=self.N,
            kernel_size=self.L,
            stride=self.stride,
            bn_chan=self.B,
            hid_size=self.H,
            n_repeats=self.R,
            chunk_size=self.K,
            norm_type=NORMS[self.norm],
            mask_act=self.activate,
            dropout=self.dropout,
            sample_rate=sample_rate,
        )

    @property
    def stride(self) -> int:
        """Samples from one frame of the encoder to the next."""
        return self.L // 2

    @property
    def receptive_field(self) -> None:
        """The LSTMs across chunks see the whole utterance."""

    @property
    def latency(self) -> None:
        """The LSTMs across chunks read it backwards, too."""
