"""Asteroid's layers, computed faster on a CPU; weights, their names and files stay Asteroid's.

Entry points: :func:`speed_up`, the one place where classes are exchanged, and
:func:`keep_freed_memory`. Each layer computes what Asteroid's does, up to rounding, and falls back
to it off the CPU and under tracing. Under autocast it computes in bfloat16 what Torch would, and
sums the gradients of weights in float32.
"""

from __future__ import annotations

import ctypes

from asteroid.masknn.convolutional import Conv1DBlock
from asteroid.masknn.norms import ChanLN, CumLN, GlobLN
from asteroid_filterbanks import Decoder, Encoder, FreeFB
from torch import nn

from separation.models.fast.block import FoldedBlock
from separation.models.fast.layers import (
    DepthwiseConv1d,
    FastDecoder,
    FastEncoder,
    FastPReLU,
    PointwiseConv1d,
)
from separation.models.fast.norms import ExactChanLN, FusedGlobLN, SteadyCumLN

FASTER: dict[type[nn.Module], type[nn.Module]] = {
    Conv1DBlock: FoldedBlock,
    GlobLN: FusedGlobLN,
    CumLN: SteadyCumLN,
    ChanLN: ExactChanLN,
}


def speed_up(model: nn.Module) -> nn.Module:
    """Exchange the layers of an Asteroid model for faster ones, in place.

    Only the classes change; the parameters are the same objects.
    """
    for module in model.modules():
        if type(module) in FASTER:
            module.__class__ = FASTER[type(module)]
        elif type(module) is nn.PReLU and module.num_parameters == 1:
            module.__class__ = FastPReLU
        elif type(module) is nn.Conv1d and module.padding_mode == "zeros":
            plain = module.stride == (1,) and module.bias is not None
            if plain and module.kernel_size == (1,) and module.groups == 1:
                module.__class__ = PointwiseConv1d
            elif plain and module.groups == module.in_channels == module.out_channels:
                module.__class__ = DepthwiseConv1d
        elif type(module) is Encoder and type(module.filterbank) is FreeFB:
            module.__class__ = FastEncoder
        elif type(module) is Decoder and type(module.filterbank) is FreeFB:
            module.__class__ = FastDecoder
    return model


def keep_freed_memory() -> None:
    """Have the C library keep what is freed for the next tensor, on Linux with glibc.

    By default it returns every large tensor to the system, and the next one is made of fresh pages,
    which costs more on a virtual machine than what is computed in them. For programs that make
    tensors of the same sizes over and over; their memory never shrinks.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, value in (
            (-4, 0),  # M_MMAP_MAX: nothing outside the heap
            (-1, 2**31 - 1),  # M_TRIM_THRESHOLD: the heap does not shrink
            (-2, 2**28),  # M_TOP_PAD: it grows in large steps
        ):
            mallopt(option, value)
