"""Causal networks a few frames at a time, by ``stream.c``, compiled for this processor.

Entry point: :func:`compile_stream`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from asteroid.masknn import TDConvNet
from torch import nn

from separation.models.fast.native import compiled
from separation.models.fast.stream_structures import Block, Matrix, Network, Running
from separation.models.streaming import StreamedConv1d, StreamedCumLN, StreamingNetwork

SOURCE = Path(__file__).with_name("stream.c")
ACTIVATIONS: tuple[type[nn.Module], ...] = (nn.Sigmoid, nn.ReLU, nn.Softmax)  # in stream.c's order


def compile_stream(network: StreamingNetwork) -> StreamingNetwork | CompiledStream:
    """The same network, compiled if it is one that ``stream.c`` computes; else as it is.

    Those are Conv-TasNets with cumulative norms, and their separators on spectra.
    """
    library = compiled((SOURCE,)) if _suits(network.network) else None
    return CompiledStream(network, library) if library is not None else network


class CompiledStream:
    """Takes the place of a StreamingNetwork, whose weights it copies.

    What is kept from call to call is in the form that C needs; :meth:`state` gives it as the
    StreamingNetwork does, so that one continues where the other was.

    Args:
        network: to be replaced.
        library: ``stream.c``.

    Attributes:
        kernel: length of the encoder's filters, samples.
        stride: samples of a hop.
        lookahead: frames that a mask comes later than its frame.
        edges: samples of silence before the first sample, and after the last.
        n_src: sources.
        sample_rate: Hz.
    """

    def __init__(self, network: StreamingNetwork, library: ctypes.CDLL) -> None:
        self._network, self._library = network, library
        self.kernel, self.stride = network.kernel, network.stride
        self.lookahead, self.edges = network.lookahead, network.edges
        self.n_src = network.n_src
        self.sample_rate = network.sample_rate
        self._frames = library.most_frames()
        self._layers = [_kept_layers(block) for block in network.network.masker.TCN]
        self._held: list[torch.Tensor] = []  # whatever C has pointers to for good
        with torch.no_grad():
            self._blocks = [self._pack_block(block) for block in network.network.masker.TCN]
            self._weights = self._pack(network)
        self.begin(1)

    def begin(self, batch: int) -> None:
        """Forget all that was seen.

        Args:
            batch: streams that are separated at once from now on.
        """
        self._network.begin(batch)
        self._take_over()

    def start(self, wav: torch.Tensor) -> None:
        """Take the samples before the first whole frame, ``(batch, kernel - stride)``."""
        self._samples[:, : wav.shape[1]] = wav

    def tail(self) -> torch.Tensor:
        """Estimates after the last hop if no frame follows, ``(batch, source, overlap)``."""
        return self._tails[..., : self.kernel - self.stride].clone()

    def __call__(self, wav: torch.Tensor) -> tuple[torch.Tensor]:
        """Separate the next hops, ``(batch, n stride)``, into ``(batch, source, n stride)``."""
        wav = wav.contiguous()
        estimates = torch.empty(len(wav), self.n_src, wav.shape[1])
        frames = ctypes.c_long(wav.shape[1] // self.stride)
        for stream, mixture, sources in zip(self._streams, wav, estimates, strict=True):
            arguments = (_pointer(mixture), frames, _pointer(sources))
            self._library.stream(ctypes.byref(stream), *arguments)
        return (estimates,)

    def state(self) -> list[torch.Tensor]:
        """All that is kept, as :meth:`.StreamingNetwork.state` has it."""
        network, streams = self._network.network, self._streams
        network.encoder.kept = (self._samples[:, None, : self.kernel - self.stride].clone(),)
        network.decoder.kept = (self.tail().flatten(0, 1)[:, None],)
        if self._network.delay is not None:
            frames = self._waiting[:, : self.lookahead, : network.encoder.n_feats_out]
            self._network.delay.kept = (frames.transpose(1, 2).clone(),)
        _keep_sums(network.masker.bottleneck[0], [stream.norm for stream in streams])
        for at, (norm, convolution, next_norm) in enumerate(self._layers):
            _keep_sums(norm, [stream.blocks[at].norm for stream in streams])
            _keep_sums(next_norm, [stream.blocks[at].next_norm for stream in streams])
            ring = self._rings[at]
            oldest = streams[0].seen % max(1, ring.shape[1])
            convolution.kept = (ring.roll(-oldest, 1).transpose(1, 2).clone(),)
        return self._network.state()

    def load_state(self, state: Sequence[torch.Tensor]) -> None:
        """Continue from what :meth:`state` returned."""
        self._network.load_state(state)
        self._take_over()

    def _take_over(self) -> None:
        """Continue from what the layers of the StreamingNetwork keep."""
        network, room = self._network.network, self._frames * self.stride
        (samples,), (tails,) = network.encoder.kept, network.decoder.kept
        pad = nn.functional.pad
        self._samples = pad(samples[:, 0], (0, room))
        self._tails = pad(tails[:, 0].unflatten(0, (-1, self.n_src)), (0, room))
        waiting = torch.zeros(
            len(samples), self.lookahead + self._frames, self._weights.encoder.out
        )
        if self._network.delay is not None:
            frames = self._network.delay.kept[0].transpose(1, 2)
            waiting[:, : self.lookahead, : frames.shape[2]] = frames
        self._waiting = waiting
        self._rings = [
            convolution.kept[0].transpose(1, 2).contiguous() for _, convolution, _ in self._layers
        ]
        self._streams = [self._make_stream(number) for number in range(len(samples))]

    def _make_stream(self, number: int) -> Network:
        """A stream of the batch: the weights, and a state of its own."""
        stream = Network.from_buffer_copy(self._weights)
        stream.norm = _running(self._network.network.masker.bottleneck[0], number)
        stream.samples = _pointer(self._samples[number])
        stream.tails = _pointer(self._tails[number])
        stream.frames = _pointer(self._waiting[number])
        blocks = (Block * len(self._blocks))(*self._blocks)
        for block, ring, (norm, _, next_norm) in zip(
            blocks, self._rings, self._layers, strict=True
        ):
            block.ring = _pointer(ring[number])
            block.norm, block.next_norm = _running(norm, number), _running(next_norm, number)
        stream.blocks = blocks
        return stream

    def _pack(self, streaming: StreamingNetwork) -> Network:
        """Weights, sizes and room for the rows of a call, which all streams share."""
        network, masker = streaming.network, streaming.network.masker
        norm, bottleneck = masker.bottleneck
        encoder, decoder = (
            layer.get_filters()[:, 0] for layer in (network.encoder, network.decoder)
        )
        packed = Network(
            encoder=self._matrix(encoder),
            bottleneck=self._matrix(*_folded(norm, bottleneck)),
            masks=self._matrix(masker.mask_net[1].weight[..., 0], masker.mask_net[1].bias),
            decoder=self._matrix(decoder.t()),
            n_blocks=len(self._blocks),
            hidden=masker.hid_chan,
            filters=masker.in_chan,
            sources=masker.n_src,
            kernel=self.kernel,
            stride=self.stride,
            lookahead=self.lookahead,
            activation=ACTIVATIONS.index(type(masker.output_act)),
            skips=masker.skip_chan or 0,
            parts=network.encoder.n_feats_out // masker.in_chan,
            mask_slope=masker.mask_net[0].weight.item(),
        )
        packed.normed = self._room(packed.encoder.out)
        packed.x = self._room(packed.bottleneck.out)
        packed.skipped = self._room(self._blocks[0].skip.out)
        packed.hidden_rows = self._room(self._blocks[0].in_.out)
        packed.mask_rows = self._room(packed.masks.out)
        packed.masked = self._room(packed.decoder.in_)
        packed.decoded = self._room(packed.decoder.out)
        return packed

    def _pack_block(self, block: Any) -> Block:
        pointwise, prelu, norm, _, next_prelu, next_norm = block.shared_block
        _, depthwise, _ = _kept_layers(block)
        packed = Block(
            residual=self._matrix(*_folded(next_norm, block.res_conv)),
            gamma=self._hold(norm.gamma),
            beta=self._hold(norm.beta),
            filter=self._hold(depthwise.weight[:, 0].t()),
            filter_bias=self._hold(depthwise.bias),
            slope=prelu.weight.item(),
            next_slope=next_prelu.weight.item(),
            taps=depthwise.kernel_size[0],
            dilation=depthwise.dilation[0],
        )
        packed.in_ = self._matrix(pointwise.weight[..., 0], pointwise.bias)
        if block.skip_out_chan:
            packed.skip = self._matrix(*_folded(next_norm, block.skip_conv))
        return packed

    def _matrix(self, weight: torch.Tensor, bias: torch.Tensor | None = None) -> Matrix:
        """Weights ``(out, in)`` in panels, with zeros up to whole ones."""
        bias = torch.zeros(len(weight)) if bias is None else bias
        panel, missing = self._library.panel_width(), -len(weight) % self._library.panel_width()
        padded = nn.functional.pad(weight, (0, 0, 0, missing))
        panels = padded.unflatten(0, (-1, panel)).transpose(1, 2)
        padded_bias = nn.functional.pad(bias, (0, missing))
        return Matrix(self._hold(panels), self._hold(padded_bias), weight.shape[1], len(padded))

    def _room(self, channels: int) -> int:
        return self._hold(torch.zeros(self._frames, channels))

    def _hold(self, tensor: torch.Tensor) -> int:
        """Address of a copy that stays as long as this object."""
        self._held.append(tensor.detach().clone(memory_format=torch.contiguous_format))
        return self._held[-1].data_ptr()


def _suits(network: Any) -> bool:
    """Whether ``stream.c`` computes what a network does, whose layers are streamed ones."""
    masker = getattr(network, "masker", None)
    if not isinstance(masker, TDConvNet) or next(network.parameters()).dtype != torch.float32:
        return False
    streamed = sum(isinstance(m, StreamedConv1d) for m in network.modules())
    norms = [masker.bottleneck[0], *(n for b in masker.TCN for n in _kept_layers(b)[::2])]
    prelus = [m for m in network.modules() if isinstance(m, nn.PReLU)]
    return (
        streamed == len(masker.TCN)  # and no deep encoder
        and all(isinstance(layer, StreamedCumLN) for layer in norms)
        and all(prelu.num_parameters == 1 for prelu in prelus)
        and isinstance(masker.output_act, ACTIVATIONS)
        and isinstance(network.enc_activation, nn.Identity)
    )


def _kept_layers(block: Any) -> tuple[Any, Any, Any]:
    """Layers of a block that keep something: the norm, the convolution after it, the next norm."""
    layers = block.shared_block
    return layers[2], layers[3][0] if isinstance(layers[3], nn.Sequential) else layers[3], layers[5]


def _folded(norm: Any, convolution: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias of a pointwise convolution that applies a norm's gain and bias as well."""
    weight = convolution.weight[..., 0]
    return weight * norm.gamma, convolution.bias + weight @ norm.beta


def _running(norm: StreamedCumLN, number: int) -> Running:
    """The sums that a norm keeps of a stream."""
    total, power, count = norm.kept
    numbers = count.item() * norm.gamma.numel()
    return Running(total[number].item(), power[number].item(), numbers)


def _keep_sums(norm: StreamedCumLN, sums: list[Running]) -> None:
    """Let a norm keep the sums of all streams."""
    first, square = ([[getattr(one, name)] for one in sums] for name in ("first", "square"))
    count = [[sums[0].count / norm.gamma.numel()]]
    norm.kept = tuple(torch.tensor(v, dtype=torch.float64) for v in (first, square, count))


def _pointer(tensor: torch.Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr())
