"""Conv-TasNet (Luo and Mesgarani 2019), with deep encoder and decoder (Kadioglu et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from separation.errors import RecipeError
from separation.models.architecture import Architecture
from separation.ranges import Number, OneOf, Rule

if TYPE_CHECKING:
    from separation.models.convtasnet import WholeConvTasNet

# Asteroid's cLN normalises each frame by itself; the paper's cumulative cLN is Asteroid's cgLN.
NORMS = {"gln": "gLN", "cln": "cgLN", "cln_frame": "cLN", "bn": "bN"}
CAUSAL_NORMS = ("cln", "cln_frame")
SIZE = Number(1)


@dataclass(frozen=True, kw_only=True)
class Settings(Architecture):
    """The letters of the paper (table I), and what Asteroid and this project add.

    Attributes:
        N: encoder filters.
        L: filter length, samples; the stride is L/2.
        B: bottleneck channels.
        H: channels of the depthwise convolution.
        Sc: channels of the skip connections; 0: none, a third less work at Sc = B.
        P: kernel of the depthwise convolution, frames.
        X: blocks per repeat; their dilations are 1, 2, 4, ...
        R: repeats.
        norm: ``gln``: over the whole utterance, the best; ``cln``: over what was heard so far,
            causal, some 4 dB less (paper); ``cln_frame``: each frame by itself, causal, forgets
            levels; ``bn``: batch norm, fixed after training.
        affine: norms have a gain and a bias for each channel.
        activate: of the mask: ``sigmoid``; ``relu``, without an upper bound; ``softmax``, whose
            masks add up to 1, so that no noise is left out.
        causal: nothing looks ahead, latency L; needs ``norm: cln`` or ``cln_frame``.
        lookahead: of a causal network: frames that a mask knows of what follows; each adds a hop,
            L/2 samples, to the latency.
        padding: of convolutions over frames: ``symmetric``: half of what they see is to come;
            ``left``: all of it is past; ``auto``: left if causal, else symmetric.
        deep_layers: convolutions after the encoder, and as many before the decoder.
        deep_kernel: their filters, frames.
        deep_dilated: dilations 1, 2, 4, ..., and back in the decoder; false: 1.
        deep_gate: their activation: ``prelu``, or ``glu``: a learnt gate, twice the parameters.
    """

    N: int = 512
    L: int = 40
    B: int = 128
    H: int = 256
    Sc: int = 0
    P: int = 3
    X: int = 7
    R: int = 2
    norm: str = "gln"
    affine: bool = True
    activate: str = "sigmoid"
    causal: bool = False
    lookahead: int = 0
    padding: str = "auto"
    deep_layers: int = 0
    deep_kernel: int = 3
    deep_dilated: bool = True
    deep_gate: str = "prelu"

    rules: ClassVar[dict[str, Rule]] = {
        **dict.fromkeys(("N", "L", "B", "H", "P", "X", "R", "deep_kernel"), SIZE),
        **dict.fromkeys(("Sc", "lookahead", "deep_layers"), Number(0)),
        "norm": OneOf(tuple(NORMS)),
        "activate": OneOf(("sigmoid", "relu", "softmax")),
        "padding": OneOf(("auto", "symmetric", "left")),
        "deep_gate": OneOf(("prelu", "glu")),
    }
    added: ClassVar[tuple[str, ...]] = (
        *("affine", "lookahead", "padding"),
        *("deep_layers", "deep_kernel", "deep_dilated", "deep_gate"),
    )

    def check(self) -> None:
        """Raise a :class:`RecipeError` with the key where values do not fit together."""
        if self.L % 2:
            raise RecipeError(f"net_conf.L is {self.L}; it must be even, the stride is L/2")
        for key in ("P", "deep_kernel"):
            if not self.pads_left and getattr(self, key) % 2 == 0:
                raise RecipeError(
                    f"net_conf.{key} is {getattr(self, key)}; it must be odd unless padding is left"
                )
        if self.causal and self.norm not in CAUSAL_NORMS:
            what = (
                "takes the mean over batches of whole utterances while training"
                if self.norm == "bn"
                else "looks at the whole utterance"
            )
            raise RecipeError(
                f"net_conf.causal is true, but net_conf.norm '{self.norm}' {what};"
                " set net_conf.norm: cln"
            )
        if self.causal and self.padding == "symmetric":
            raise RecipeError(
                "net_conf.causal is true, but net_conf.padding 'symmetric' looks ahead;"
                " set net_conf.padding: left"
            )

        if self.lookahead and (not self.causal or self.deep_layers):
            raise RecipeError(
                f"net_conf.lookahead is {self.lookahead}; it is for causal networks without"
                " deep_layers: set net_conf.causal: true, or lookahead: 0"
            )

    def build(self, sample_rate: int) -> WholeConvTasNet:
        """The network with fresh weights: ``(batch, time)`` to ``(batch, source, time)``."""
        from separation.models.convtasnet import build  # imports Torch

        return build(self, sample_rate)

    @property
    def pads_left(self) -> bool:
        """Whether the convolutions over frames see the past alone."""
        return self.padding == "left" or (self.padding == "auto" and self.causal)

    @property
    def stride(self) -> int:
        """Samples from one frame of the encoder to the next."""
        return self.L // 2

    @property
    def frames_seen(self) -> int:
        """Receptive field of the convolutions, in frames."""
        separator = self.R * (self.P - 1) * (2**self.X - 1)
        dilations = 2**self.deep_layers - 1 if self.deep_dilated else self.deep_layers
        return 1 + separator + 2 * (self.deep_kernel - 1) * dilations

    @property
    def receptive_field(self) -> int:
        """Samples of the mixture that one frame of the estimates depends on, without norms."""
        return (self.frames_seen - 1) * self.stride + self.L

    @property
    def latency(self) -> int | None:
        """Samples from an output sample to the last input that it depends on.

        The filters that overlap an output sample need L samples; convolutions that look ahead need
        half of the frames that they see on top; masks that wait for frames add those.
        """
        if self.norm == "gln":
            return None
        ahead = self.lookahead if self.pads_left else (self.frames_seen - 1) // 2
        return ahead * self.stride + self.L
