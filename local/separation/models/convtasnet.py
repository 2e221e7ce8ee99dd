"""Conv-TasNet (Luo and Mesgarani 2019), also with deep encoder and decoder (Kadioglu et al. 2020).

Entry point: :func:`build`. Encoder, masker and decoder are Asteroid's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from asteroid.masknn import TDConvNet, norms
from asteroid.models import ConvTasNet, register_model
from torch import nn

from separation.models.whole import WholeMixture

if TYPE_CHECKING:
    from separation.models.architectures.convtasnet import Settings


def build(settings: Settings, sample_rate: int) -> WholeConvTasNet:
    """Make the network of checked settings, with fresh weights.

    Args:
        settings: letters of the paper.
        sample_rate: Hz, kept in the saved model.
    """
    from separation.models.architectures.convtasnet import CAUSAL_NORMS, NORMS

    arguments: dict[str, Any] = {
        "n_src": settings.num_spks,
        "n_filters": settings.N,
        "kernel_size": settings.L,
        "stride": settings.stride,
        "bn_chan": settings.B,
        "hid_chan": settings.H,
        "skip_chan": settings.Sc,
        "conv_kernel_size": settings.P,
        "n_blocks": settings.X,
        "n_repeats": settings.R,
        "norm_type": NORMS[settings.norm],
        "mask_act": settings.activate,
        "causal": settings.pads_left,
        "sample_rate": sample_rate,
    }
    # Asteroid's own exchanges the norm of a network that pads on the left.
    if settings.deep_layers or (settings.pads_left and settings.norm not in CAUSAL_NORMS):
        model: WholeConvTasNet = DeepConvTasNet(
            **arguments,
            deep_layers=settings.deep_layers,
            deep_kernel=settings.deep_kernel,
            deep_dilated=settings.deep_dilated,
            deep_gate=settings.deep_gate,
        )
    elif settings.lookahead:
        model = LookaheadConvTasNet(**arguments, lookahead=settings.lookahead)
    else:
        model = WholeConvTasNet(**arguments)
    if settings.Sc:
        # With skip connections nothing comes after the last residual, which Asteroid computes all
        # the same; processes that train together would wait for its gradient.
        model.masker.TCN[-1].res_conv.requires_grad_(False)
    if not settings.affine:
        fix_norms(model)
    return model


class WholeConvTasNet(WholeMixture, ConvTasNet):
    """Asteroid's ConvTasNet for every sample of a mixture of any length, and for ragged batches."""

    ragged = True
    streams = True


class LookaheadConvTasNet(WholeConvTasNet):
    """A causal Conv-TasNet whose masks come some frames late, so that they know what follows.

    The mask of a frame is what the masker gives ``lookahead`` frames later; at the end of a mixture
    it sees that many hops of silence. The blocks stay as they are.

    Args:
        lookahead: frames.
        **convtasnet: as :class:`asteroid.models.ConvTasNet`.
    """

    ragged = False  # the silence after a shorter mixture would need frames of its own

    def __init__(self, *, lookahead: int, **convtasnet: Any) -> None:
        super().__init__(**convtasnet)
        self.lookahead = lookahead

    def _separate(self, wav: torch.Tensor) -> torch.Tensor:
        length, (kernel, stride) = wav.shape[-1], self._filters
        silence = max(kernel - length, 0) + self.lookahead * stride
        return super()._separate(nn.functional.pad(wav, (0, silence)))[..., :length]

    def forward_masker(self, tf_rep: torch.Tensor) -> torch.Tensor:
        """Masks of all frames ``(batch, filter, frame)`` but the last ones, ``lookahead`` many."""
        return super().forward_masker(tf_rep)[..., self.lookahead :]

    def apply_masks(self, tf_rep: torch.Tensor, est_masks: torch.Tensor) -> torch.Tensor:
        """Mask frames ``(batch, filter, frame)``, as many as there are masks."""
        return super().apply_masks(tf_rep[..., : est_masks.shape[-1]], est_masks)

    def get_model_args(self) -> dict[str, Any]:
        """The arguments that make this network again."""
        return super().get_model_args() | {"lookahead": self.lookahead}


class DeepConvTasNet(WholeConvTasNet):
    """Conv-TasNet with convolutions after its encoder, and as many, mirrored, before its decoder.

    The mirrored layers are transposed convolutions in the paper; those of stride 1 are convolutions
    whose kernels are written the other way round, so one layer serves both. Without layers this is
    :class:`WholeConvTasNet`, except that ``causal`` asks for nothing but left padding.

    Registered with Asteroid: ``BaseModel.from_pretrained`` loads its files wherever this module is
    imported.

    Args:
        deep_layers: convolutions on either side.
        deep_kernel: their filters, frames.
        deep_dilated: dilations of 1, 2, 4, ... in the encoder and back in the decoder.
        deep_gate: ``prelu`` or ``glu``.
        causal: pad every convolution on the left only; with a norm that is global the network
            still looks ahead.
        **convtasnet: as :class:`asteroid.models.ConvTasNet`.
    """

    def __init__(
        self,
        *,
        deep_layers: int = 0,
        deep_kernel: int = 3,
        deep_dilated: bool = True,
        deep_gate: str = "prelu",
        causal: bool = False,
        **convtasnet: Any,
    ) -> None:
        super().__init__(**convtasnet)
        if causal:
            # Asteroid's ConvTasNet changes the norm of a causal network silently.
            self.masker: TDConvNet = TDConvNet(**{**self.masker.get_config(), "causal": True})
        self.deep = {
            "deep_layers": deep_layers,
            "deep_kernel": deep_kernel,
            "deep_dilated": deep_dilated,
            "deep_gate": deep_gate,
        }
        dilations = [2**layer if deep_dilated else 1 for layer in range(deep_layers)]
        channels = self.encoder.n_feats_out
        self.deep_encoder, self.deep_decoder = (
            nn.Sequential(*(DeepLayer(channels, deep_kernel, d, deep_gate, causal) for d in order))
            for order in (dilations, dilations[::-1])
        )

    def forward_encoder(self, wav: torch.Tensor) -> torch.Tensor:
        """Encode ``(batch, 1, time)`` into ``(batch, filter, frame)``."""
        return self.deep_encoder(super().forward_encoder(wav))

    def forward_decoder(self, masked_tf_rep: torch.Tensor) -> torch.Tensor:
        """Decode ``(batch, source, filter, frame)`` into ``(batch, source, time)``."""
        batch, source, channel, frame = masked_tf_rep.shape
        deep = self.deep_decoder(masked_tf_rep.reshape(batch * source, channel, frame))
        return super().forward_decoder(deep.reshape(batch, source, channel, frame))

    def get_model_args(self) -> dict[str, Any]:
        """The arguments that make this network again."""
        return super().get_model_args() | self.deep


class DeepLayer(nn.Module):
    """A convolution over frames and its activation; as many frames out as in.

    The convolution starts close to handing on its input, so that a deep network starts much as a
    Conv-TasNet does. With Torch's random start its first estimates are noise, 20 dB worse, and
    hundreds of steps pass before it is there. Slopes of PReLUs that start at 1, so that negative
    values are handed on, too, did not train better.

    Args:
        channels: in and out.
        kernel: frames of the filters.
        dilation: frames between its taps.
        gate: ``prelu``, or ``glu``: half of twice the channels gates the other (Dauphin et al.
            2017).
        causal: no frame sees a later one; else the kernel lies around the frame.
    """

    def __init__(self, channels: int, kernel: int, dilation: int, gate: str, causal: bool) -> None:
        super().__init__()
        reach = (kernel - 1) * dilation
        padding = reach if causal else reach // 2
        out_channels = 2 * channels if gate == "glu" else channels
        self.conv = nn.Conv1d(channels, out_channels, kernel, padding=padding, dilation=dilation)
        self.activation = nn.GLU(dim=1) if gate == "glu" else nn.PReLU()
        with torch.no_grad():
            self.conv.weight.mul_(0.1)
            nn.init.zeros_(self.conv.get_parameter("bias"))
            own = torch.arange(channels)  # and the tap that lies on the frame itself
            # a gate is half open to begin with
            self.conv.weight[own, own, padding // dilation] += 2 if gate == "glu" else 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Filter ``(batch, channel, frame)``."""
        return self.activation(self.conv(x)[..., : x.shape[-1]])


def fix_norms(model: nn.Module) -> None:
    """Make gains and biases of all norms constants, 1 and 0; their names in files stay."""
    for module in model.modules():
        names = {
            norms.GlobLN: ("gamma", "beta"),
            norms.CumLN: ("gamma", "beta"),
            norms.ChanLN: ("gamma", "beta"),
            norms.BatchNorm: ("weight", "bias"),
        }.get(type(module), ())
        for name in names:
            value = getattr(module, name).detach()
            delattr(module, name)
            module.register_buffer(name, value)


register_model(DeepConvTasNet)
register_model(LookaheadConvTasNet)
