"""Lower bound of a network's time: its convolutions at the peaks measured here.

Entry points: :func:`measure_peaks`, :func:`roofline_of`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


@dataclass(frozen=True)
class Peaks:
    """What a device reached.

    Attributes:
        flops: operations a second, in a large matmul or the same as a convolution.
        bandwidth: bytes a second, read and written by a copy of a large tensor.
        itemsize: bytes of a number.
    """

    flops: float
    bandwidth: float
    itemsize: int

    def __str__(self) -> str:
        return (
            f"{self.flops / 1e9:.0f} GFLOP/s of a large matmul and"
            f" {self.bandwidth / 1e9:.0f} GB/s of a copy"
        )


def measure_peaks(
    device: torch.device, dtype: torch.dtype, size: int = 1024, repetitions: int = 40
) -> Peaks:
    """Take the best of several matmuls of square matrices, and of copies of 64 such matrices.

    Matmuls are also timed as convolutions, which are other code: here one is faster, there the
    other.
    """
    a = torch.randn(size, size, device=device).to(dtype)
    large, copy = torch.zeros(2, 64, size, size, device=device, dtype=dtype)
    matmuls = (lambda: a @ a, lambda: F.conv1d(a[None], a[..., None]))
    return Peaks(
        2 * size**3 / min(shortest_time(matmul, device, repetitions) for matmul in matmuls),
        2 * large.nbytes / shortest_time(lambda: copy.copy_(large), device, repetitions // 4),
        a.itemsize,
    )


def shortest_time(run: Callable[[], object], device: torch.device, repetitions: int) -> float:
    """The shortest of several times, in seconds."""
    return min(seconds_of(run, device) for _ in range(repetitions))


def seconds_of(run: Callable[[], object], device: torch.device) -> float:
    """How long something takes to be done, not only to be asked for."""
    start = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def roofline_of(
    model: nn.Module, batch_size: int, chunk_size: int, peaks: Peaks, training: bool
) -> float:
    """Seconds of all convolutions, each the longer of its operations and of what it moves.

    A convolution reads its input and weights once and writes its output once; in training,
    backward, it reads these and the output's gradient, and writes the gradients of input and
    weights. All else is free.

    Args:
        model: of Torch's own layers; it loses its weights.
        batch_size: mixtures.
        chunk_size: of the mixtures, in samples.
        peaks: of the machine.
        training: count the step backward, too.
    """
    model = model.to("meta")
    with torch.set_grad_enabled(training), _Roofline(peaks) as roofline:
        estimates = model(torch.zeros(batch_size, chunk_size, device="meta"))
        if training:
            estimates.sum().backward()
    return roofline.seconds


class _Roofline(TorchDispatchMode):
    def __init__(self, peaks: Peaks) -> None:
        super().__init__()
        self.peaks = peaks
        self.seconds = 0.0

    def __torch_dispatch__(
        self,
        function: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        out = function(*args, **(kwargs or {}))
        operations = operations_of(function, args, out)
        if operations:
            tensors = [x for x in tree_leaves((args, out)) if isinstance(x, torch.Tensor)]
            moved = sum(x.numel() for x in tensors) * self.peaks.itemsize
            self.seconds += max(operations / self.peaks.flops, moved / self.peaks.bandwidth)
        return out


def operations_of(function: Any, args: tuple[Any, ...], out: Any) -> int:
    """Multiplications and additions of a convolution or of its step backward; else 0.

    Each weight meets each frame of the side that is not strided once, forward, and once for each
    gradient that is asked for, of the input and of the weight.
    """
    if function is torch.ops.aten.convolution.default:
        wav, weight, result, passes = args[0], args[1], out, 1
        transposed = args[6]
    elif function is torch.ops.aten.convolution_backward.default:
        result, wav, weight, passes = *args[:3], sum(args[10][:2])
        transposed = args[7]
    else:
        return 0
    return 2 * passes * (wav if transposed else result).numel() * weight[0].numel()
