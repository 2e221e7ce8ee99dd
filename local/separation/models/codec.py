"""Conv-TasNet with a deep encoder and decoder (Kadioglu et al. 2020, arXiv 2002.08688)."""

from __future__ import annotations

from typing import Any

import torch
from asteroid.masknn import TDConvNet
from asteroid.models import register_model
from torch import nn

from separation.models.convtasnet import WholeConvTasNet

GATES = ("prelu", "glu")


class CodecLayer(nn.Module):
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


class DeepConvTasNet(WholeConvTasNet):
    """Conv-TasNet with convolutions after its encoder, and as many, mirrored, before its decoder.

    The mirrored layers are transposed convolutions in the paper; those of stride 1 are convolutions
    whose kernels are written the other way round, so one layer serves both. Without layers this is
    :class:`WholeConvTasNet`, except that ``causal`` asks for nothing but left padding.

    Registered with Asteroid: ``BaseModel.from_pretrained`` loads its files wherever this module is
    imported.

    Args:
        codec_layers: convolutions on either side.
        codec_kernel: their filters, frames.
        codec_dilated: dilations of 1, 2, 4, ... in the encoder and back in the decoder.
        codec_gate: ``prelu`` or ``glu``.
        causal: pad every convolution on the left only; with a norm that is global the network
            still looks ahead.
        **convtasnet: as :class:`asteroid.models.ConvTasNet`.
    """

    def __init__(
        self,
        *,
        codec_layers: int = 0,
        codec_kernel: int = 3,
        codec_dilated: bool = True,
        codec_gate: str = "prelu",
        causal: bool = False,
        **convtasnet: Any,
    ) -> None:
        super().__init__(**convtasnet)
        if causal:
            # Asteroid's ConvTasNet changes the norm of a causal network without a word in its file.
            self.masker: TDConvNet = TDConvNet(**{**self.masker.get_config(), "causal": True})
        self.codec = {
            "codec_layers": codec_layers,
            "codec_kernel": codec_kernel,
            "codec_dilated": codec_dilated,
            "codec_gate": codec_gate,
        }
        dilations = [2**layer if codec_dilated else 1 for layer in range(codec_layers)]
        channels = self.encoder.n_feats_out
        self.deep_encoder, self.deep_decoder = (
            nn.Sequential(
                *(CodecLayer(channels, codec_kernel, d, codec_gate, causal) for d in order)
            )
            for order in (dilations, dilations[::-1])
        )

    def forward_encoder(self, wav: torch.Tensor) -> torch.Tensor:
        """Encode ``(batch, 1, time)`` into ``(batch, filter, frame)``."""
        return self.deep_encoder(super().forward_encoder(wav))

    def forward_decoder(self, masked_tf_rep: torch.Tensor) -> torch.Tensor:
        """Decode ``(batch, source, filter, frame)`` into ``(batch, source, time)``."""
        deep = self.deep_decoder(masked_tf_rep.flatten(0, 1))
        return super().forward_decoder(deep.unflatten(0, masked_tf_rep.shape[:2]))

    def get_model_args(self) -> dict[str, Any]:
        """The arguments that make this network anew."""
        return super().get_model_args() | self.codec


register_model(DeepConvTasNet)
