"""SuDoRM-RF (Tzinis, Wang and Smaragdis 2020, arXiv 2007.06833), original and improved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from asteroid.models import SuDORMRFImprovedNet, SuDORMRFNet

from separation.errors import RecipeError
from separation.models.architecture import Architecture
from separation.models.whole import WholeMixture
from separation.ranges import Number, OneOf, Rule


class WholeSuDORMRF(WholeMixture, SuDORMRFNet):
    """Asteroid's SuDORMRFNet for ragged batches; its encoder pads mixtures itself."""

    def _separate(self, wav: Any) -> Any:
        return SuDORMRFNet.forward(self, wav)


class WholeSuDORMRFImproved(WholeMixture, SuDORMRFImprovedNet):
    """Asteroid's SuDORMRFImprovedNet for ragged batches; its encoder pads mixtures itself."""

    def _separate(self, wav: Any) -> Any:
        return SuDORMRFImprovedNet.forward(self, wav)


@dataclass(frozen=True, kw_only=True)
class Settings(Architecture):
    """The letters of the paper (section 2).

    Attributes:
        variant: ``improved``: global norms, masks without a softmax; ``original``: as in the paper.
        C_E: encoder filters, and channels within a U-block.
        K_E: filter length, samples, odd; the stride is half of it, rounded down.
        C: channels between U-blocks.
        B: U-blocks: 16 in the paper's 1.0x, 8 in its 0.5x, 4 in its 0.25x.
        Q: resolutions of a U-block, each half of the one before.
        activate: of the mask: ``sigmoid``, ``relu`` or ``softmax``.
    """

    variant: str = "improved"
    C_E: int = 512
    K_E: int = 21
    C: int = 128
    B: int = 16
    Q: int = 4
    activate: str = "relu"

    rules: ClassVar[dict[str, Rule]] = {
        "variant": OneOf(("improved", "original")),
        **dict.fromkeys(("C_E", "C", "B"), Number(1)),
        "K_E": Number(3),
        "Q": Number(2, 10),
        "activate": OneOf(("sigmoid", "relu", "softmax")),
    }

    def check(self) -> None:
        """Raise a :class:`RecipeError` with the key where values do not fit together."""
        if self.K_E % 2 == 0:
            raise RecipeError(f"net_conf.K_E is {self.K_E}; it must be odd")

    def build(self, sample_rate: int) -> WholeMixture:
        """The network with fresh weights: ``(batch, time)`` to ``(batch, source, time)``."""
        improved = self.variant == "improved"
        kind: Any = WholeSuDORMRFImproved if improved else WholeSuDORMRF
        return kind(
            n_src=self.num_spks,
            n_filters=self.C_E,
            kernel_size=self.K_E,
            bn_chan=self.C,
            num_blocks=self.B,
            upsampling_depth=self.Q,
            mask_act=self.activate,
            sample_rate=sample_rate,
        )

    @property
    def stride(self) -> int:
        """Samples from one frame of the encoder to the next."""
        return self.K_E // 2

    @property
    def receptive_field(self) -> int:
        """Samples that a frame of the estimates depends on at most, without norms.

        A U-block filters five frames at each of Q resolutions, the first two at full rate; the
        coarsest frame is then repeated for 2^(Q-1) frames. How much of that a frame really has
        depends on its place among those.
        """
        reach = 4 * (1 + sum(2**level for level in range(self.Q - 1))) + 2 ** (self.Q - 1) - 1
        return self.B * reach * self.stride + self.K_E

    @property
    def latency(self) -> None:
        """Global norms need the whole utterance."""
