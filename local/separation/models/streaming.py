"""Causal networks a few frames at a time: every layer that looks back keeps what it needs.

Entry point: :func:`make_streaming`. The network is a copy whose layers have changed their class;
its weights are the same tensors. Work and memory of a call depend on its own frames alone.
"""

from __future__ import annotations

import copy
from abc import ABCMeta, abstractmethod
from collections.abc import Iterator, Sequence

import torch
from asteroid.masknn.convolutional import _Chop1d
from asteroid.masknn.norms import BatchNorm, ChanLN, CumLN
from asteroid.models.base_models import BaseEncoderMaskerDecoder
from asteroid_filterbanks import Decoder, Encoder
from torch import nn
from torch.nn import functional as F

from separation.errors import RecipeError

EPS = 1e-8  # of Asteroid's norms


class Streamed(metaclass=ABCMeta):
    """A layer that keeps some tensors from one call to the next.

    Attributes:
        kept: the tensors; their shapes are those that :meth:`begin` made.
        copies: examples of a batch that the layer sees for one stream, such as one a source.
    """

    kept: tuple[torch.Tensor, ...]
    copies = 1

    @abstractmethod
    def begin(self, batch: int) -> None:
        """Forget all that was seen.

        Args:
            batch: streams that are computed at once.
        """


class StreamedEncoder(Streamed, Encoder):
    """Keeps the samples of the last frame that the next one needs, too: ``kernel - stride``."""

    def begin(self, batch: int) -> None:
        """Forget the samples; the first frame then needs ``kernel - stride`` of them beforehand."""
        overlap = self.filterbank.kernel_size - self.stride
        self.kept = (self.get_filters().new_zeros(batch, 1, overlap),)

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """Encode ``(batch, 1, n stride)`` into ``(batch, filter, n)``."""
        (overlap,) = self.kept
        samples = torch.cat([overlap, waveform], -1)
        self.kept = (samples[..., -overlap.shape[-1] :],)
        return F.conv1d(samples, self.get_filters(), stride=self.stride)


class StreamedDecoder(Streamed, Decoder):
    """Keeps the sums of the samples after the last hop, which later frames add to."""

    def begin(self, batch: int) -> None:
        """Forget the sums."""
        tail = self.filterbank.kernel_size - self.stride
        self.kept = (self.get_filters().new_zeros(batch * self.copies, 1, tail),)

    def forward(self, spec: torch.Tensor, length: int | None = None) -> torch.Tensor:
        """Decode ``(batch, source, filter, n)`` into ``(batch, source, n stride)``."""
        (tail,) = self.kept
        batch, source, channel, frame = spec.shape
        each = spec.reshape(batch * source, channel, frame)
        summed = F.conv_transpose1d(each, self.get_filters(), stride=self.stride)
        done = frame * self.stride
        summed = summed + F.pad(tail, (0, summed.shape[-1] - tail.shape[-1]))
        self.kept = (summed[..., done:],)
        return summed[..., :done].reshape(batch, source, done)


class StreamedConv1d(Streamed, nn.Conv1d):
    """A convolution that is padded on the left; keeps the frames that its taps reach back to."""

    def begin(self, batch: int) -> None:
        """Forget the frames; they are zeros, as the padding is."""
        reach = (self.kernel_size[0] - 1) * self.dilation[0]
        self.kept = (self.weight.new_zeros(batch * self.copies, self.in_channels, reach),)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Filter ``(batch, channel, frame)``; as many frames out as in."""
        (context,) = self.kept
        frames = torch.cat([context, x], -1)
        self.kept = (frames[..., -context.shape[-1] :],)
        return F.conv1d(frames, self.weight, self.bias, dilation=self.dilation, groups=self.groups)


class StreamedCumLN(Streamed, CumLN):
    """Cumulative layer norm; keeps sum and power of all frames so far, and how many they are.

    The sums are float64, so that they are right after hours, too
    (:class:`separation.models.fast.norms.SteadyCumLN`).
    """

    def begin(self, batch: int) -> None:
        """Forget all frames."""
        zeros = self.gamma.new_zeros(batch, 1, dtype=torch.float64)
        self.kept = (zeros, zeros.clone(), zeros[:1].clone())

    def forward(self, x: torch.Tensor, EPS: float = EPS) -> torch.Tensor:
        """Normalise ``(batch, channel, frame)``."""
        total, power, count = self.kept
        ones = torch.ones_like(x[:1, 0], dtype=torch.float64)
        counts = count + ones.cumsum(-1)
        totals = total + x.sum(1).double().cumsum(-1)
        powers = power + x.square().sum(1).double().cumsum(-1)
        self.kept = (totals[:, -1:], powers[:, -1:], counts[:, -1:])
        numbers = counts * x.shape[1]
        mean = totals / numbers
        scale = (powers / numbers - mean.square()).clamp(min=0).add(EPS).rsqrt()
        normed = (x - mean.to(x.dtype)[:, None]) * scale.to(x.dtype)[:, None]
        return normed * self.gamma[:, None] + self.beta[:, None]


class StreamedDelay(Streamed, nn.Module):
    """Holds frames back until their masks come.

    Args:
        channels: of a frame.
        delay: frames.
    """

    delayed: torch.Tensor

    def __init__(self, channels: int, delay: int) -> None:
        super().__init__()
        self.register_buffer("delayed", torch.zeros(channels, delay), persistent=False)

    def begin(self, batch: int) -> None:
        """Forget the frames; silence is before the first one."""
        self.kept = (self.delayed.expand(batch, -1, -1).clone(),)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Take ``(batch, channel, frame)``, give as many earlier ones."""
        (held,) = self.kept
        both = torch.cat([held, frames], -1)
        self.kept = (both[..., frames.shape[-1] :],)
        return both[..., : frames.shape[-1]]


class StreamingNetwork(nn.Module):
    """A network of Asteroid's encoder, masker and decoder, a few hops at a time.

    Args:
        network: a copy that belongs to this object.
        lookahead: frames that a mask comes later than its frame.

    Attributes:
        kernel: length of the encoder's filters, samples.
        stride: samples of a hop.
        lookahead: frames; the estimates of as many hops are silence before the first one.
        edges: samples of silence before the first sample, and after the last.
        n_src: sources.
        sample_rate: Hz.
    """

    def __init__(self, network: BaseEncoderMaskerDecoder, lookahead: int = 0) -> None:
        super().__init__()
        self.network, self.lookahead = network, lookahead
        self.edges = int(getattr(network, "edges", 0))
        self.delay = StreamedDelay(network.encoder.n_feats_out, lookahead) if lookahead else None
        filterbank = network.encoder.filterbank
        self.kernel, self.stride = int(filterbank.kernel_size), int(filterbank.stride)
        self.n_src = int(network.masker.n_src)
        self.sample_rate = int(network.sample_rate)
        self.begin(1)

    def begin(self, batch: int) -> None:
        """Forget all that was seen.

        Args:
            batch: streams that are separated at once from now on.
        """
        for layer in self._layers():
            layer.begin(batch)

    def start(self, wav: torch.Tensor) -> None:
        """Take the samples before the first whole frame, ``(batch, kernel - stride)``."""
        self.network.encoder.kept = (wav[:, None],)

    def tail(self) -> torch.Tensor:
        """Estimates after the last hop if no frame follows, ``(batch, source, overlap)``."""
        (summed,) = self.network.decoder.kept
        return summed.unflatten(0, (-1, self.network.decoder.copies))[:, :, 0]

    def forward(self, wav: torch.Tensor, *kept: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Separate the next hops.

        Args:
            wav: ``(batch, n stride)``.
            kept: of :meth:`state`; nothing: where the last call ended.

        Returns:
            estimates ``(batch, source, n stride)`` of the samples ``kernel - stride`` and
            ``lookahead`` hops earlier, and with ``kept`` the state after them.
        """
        if kept:
            self.load_state(kept)
        frames = self.network.forward_encoder(wav[:, None])
        masks = self.network.forward_masker(frames)
        if self.delay is not None:
            frames = self.delay(frames)
        estimates = self.network.forward_decoder(self.network.apply_masks(frames, masks))
        return (estimates, *self.state()) if kept else (estimates,)

    @property
    def decoder_state(self) -> int:
        """Place of the decoder's sums in :meth:`state`."""
        before = 0
        for layer in self._layers():
            if layer is self.network.decoder:
                break
            before += len(layer.kept)
        return before

    def state(self) -> list[torch.Tensor]:
        """What all layers keep, in their order."""
        return [tensor for layer in self._layers() for tensor in layer.kept]

    def load_state(self, state: Sequence[torch.Tensor]) -> None:
        """Continue from what :meth:`state` returned."""
        tensors = iter(state)
        for layer in self._layers():
            layer.kept = tuple(next(tensors) for _ in layer.kept)

    def _layers(self) -> Iterator[Streamed]:
        return (module for module in self.modules() if isinstance(module, Streamed))


def make_streaming(model: BaseEncoderMaskerDecoder) -> StreamingNetwork:
    """Copy a causal network into one that takes its input bit by bit.

    Raises:
        RecipeError: the network needs more than the past; names the layer.
    """
    if not getattr(model, "streams", False):
        raise RecipeError(f"a {type(model).__name__} cannot stream: it needs the whole recording")
    network, lookahead = copy.deepcopy(model).eval(), getattr(model, "lookahead", 0)
    if lookahead:
        network.lookahead = 0  # the stream holds frames back
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.Sequential):
            for key, child in module.named_children():
                if isinstance(child, _Chop1d):  # streamed convolutions pad on the left only
                    module[int(key)] = nn.Identity()
        elif isinstance(module, Encoder):
            module.__class__ = StreamedEncoder
        elif isinstance(module, Decoder):
            module.__class__ = StreamedDecoder
        elif isinstance(module, CumLN):
            module.__class__ = StreamedCumLN
        elif isinstance(module, nn.Conv1d) and module.kernel_size[0] > 1:
            if module.padding[0] != (module.kernel_size[0] - 1) * module.dilation[0]:
                raise RecipeError(f"not causal: {name} looks ahead; it cannot stream")
            module.__class__ = StreamedConv1d
        elif type(module).__name__.endswith("LN") and not isinstance(module, (ChanLN, BatchNorm)):
            raise RecipeError(
                f"not causal: {name} is a norm over the whole recording; it cannot stream"
            )
    # What comes after the masks sees the sources of a mixture as examples of a batch.
    for name, module in network.named_modules():
        if isinstance(module, Streamed) and name.startswith(("decoder", "deep_decoder")):
            module.copies = network.masker.n_src
    return StreamingNetwork(network, lookahead)
