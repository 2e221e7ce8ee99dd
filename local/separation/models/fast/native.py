"""``global_norm.c`` and ``cumulative_norm.c``, compiled for this processor when first needed.

Entry points: :func:`is_available`, :func:`block_forward`, :func:`block_backward`,
:func:`norm_forward`, :func:`norm_backward`, and :func:`compiled` for other C files.
"""

from __future__ import annotations

import ctypes
import logging
import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from separation.models.fast.matmul import empty_rows

log = logging.getLogger("separation")
SOURCES = {n: Path(__file__).with_name(f"{n}_norm.c") for n in ("global", "cumulative")}
FLAGS = "-O3 -march=native -fno-math-errno -fno-trapping-math -fopenmp -fPIC".split()
DEFINED = {  # for matrices of a type; and the type that it is computed with
    torch.float32: ([], torch.float32),
    torch.bfloat16: (["-DBFLOAT16"], torch.float32),
    torch.float64: (["-DDOUBLE"], torch.float64),
}
POINTERS = "bias gamma beta filters filter_bias next_gamma next_beta".split()  # struct weights
OF_FILTER = 8  # the enumeration in rows.h
ROWS = (5, 7)  # of scratch memory at the most: of each thread, and shared ones


@dataclass(frozen=True)
class Weights:
    """Weights of a block between its two matmuls.

    Attributes:
        bias: of the first matmul, ``(channel,)``; the same shape have gain and bias of the norm
            after it, and the bias of the depthwise convolution.
        slope: of the PReLU before the norm, ``(1,)``.
        gamma: gain of the norm.
        beta: bias of the norm.
        filters: of the depthwise convolution, ``(channel, 1, tap)``.
        filter_bias: its bias.
        next_slope: of the PReLU after it, not 0.
        next_gamma: gain of the norm after that, which the matmuls after the block take over.
        next_beta: its bias.
        dilation: of the convolution, frames.
        padding: zeros before the first frame; as many are after the last as keep the length.
        norm: of both norms: ``global``, over all frames, or ``cumulative``, up to each frame.
    """

    bias: torch.Tensor
    slope: torch.Tensor
    gamma: torch.Tensor
    beta: torch.Tensor
    filters: torch.Tensor
    filter_bias: torch.Tensor
    next_slope: torch.Tensor
    next_gamma: torch.Tensor
    next_beta: torch.Tensor
    dilation: int
    padding: int
    norm: str = "global"


def is_available(dtype: torch.dtype, real: torch.dtype, norm: str) -> bool:
    """Whether blocks with a norm can be computed here, of matrices and weights of two types."""
    return dtype in DEFINED and DEFINED[dtype][1] == real and library(dtype, norm) is not None


def library(dtype: torch.dtype, norm: str) -> ctypes.CDLL | None:
    """The functions of a norm for matrices of a type; None where they cannot be compiled."""
    return compiled((SOURCES[norm],), tuple(DEFINED[dtype][0]))


@cache
def compiled(sources: tuple[Path, ...], options: tuple[str, ...] = ()) -> ctypes.CDLL | None:
    """Compile and load C files; None where that cannot be done, which is logged.

    It takes a second, so nothing is kept that might not fit the next processor. OpenMP is left to
    be found among what Torch has loaded, so that both have the same threads.
    """
    compiler = (os.environ.get("CC") or "cc").split()
    objects = [source.with_suffix(".o").name for source in sources]
    try:
        # On some file systems a library that is loaded cannot be removed.
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            for arguments in (
                [*FLAGS, *options, "-c", *map(str, sources)],
                ["-shared", *objects, "-o", "all.so", "-lm"],
            ):
                command = [*compiler, *arguments]
                subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
            return ctypes.CDLL(f"{folder}/all.so")
    except (OSError, subprocess.CalledProcessError) as error:
        what = getattr(error, "stderr", "").strip() or str(error)
        names = " and ".join(source.name for source in sources)
        log.info("%s: not compiled, done without: %s", names, what.splitlines()[0])
        return None


def block_forward(
    x: torch.Tensor, weights: Weights, frames: torch.Tensor | None = None
) -> tuple[torch.Tensor, ...]:
    """Bias, PReLU, norm, depthwise convolution and PReLU.

    Args:
        x: ``(batch, channel, frame)``, the first matmul's output; afterwards with its bias.
            There may be gaps after its rows, and then in what is returned, too.
        weights: of the block.
        frames: ``(batch,)``, of each example; global norms leave out those after. None: all.

    Returns:
        z: ``(batch, channel, frame)``, input of the second norm, 0 after the end of an example; if
            that norm is cumulative, its output without gain and bias.
        positive: the same shape, where the second PReLU's input is above 0.
        moments: mean and reciprocal deviation of the first norm, then of the second, in float64:
            ``(batch, 4)``; of cumulative norms ``(batch, 4, frame)``.
        scaling: ``(batch, 2, channel)``, gain and shift that are still to be applied to z.
    """
    z, positive = (_spaced_like(x, dtype) for dtype in (x.dtype, torch.uint8))
    if weights.norm == "cumulative":
        moments = x.new_empty(len(x), 4, x.shape[2], dtype=torch.float64)
        _call("forward", weights, x, z, positive, moments)
        scaling = torch.stack([weights.next_gamma, weights.next_beta]).expand(len(x), -1, -1)
        return z, positive, moments, scaling
    moments = x.new_empty(len(x), 4, dtype=torch.float64)
    scaling = weights.gamma.new_empty(len(x), 2, x.shape[1])
    sums = x.new_empty(x.shape[1], 2, dtype=torch.float64)
    _call("forward", weights, x, z, positive, moments, scaling, sums, _ends(x, frames))
    return z, positive, moments, scaling


def block_backward(
    grad: torch.Tensor,
    sums: Sequence[torch.Tensor],
    kept: Sequence[torch.Tensor],
    weights: Weights,
    frames: torch.Tensor | None = None,
) -> torch.Tensor:
    """Gradients of :func:`block_forward`.

    Args:
        grad: ``(batch, channel, frame)``, of what the second norm gave, 0 after the end of an
            example; afterwards that of the first matmul's output.
        sums: over frames, ``(batch, channel)``: of ``grad``, and of it times z.
        kept: ``x`` as block_forward left it, and what that returned, without the scaling.
        weights: of the block.
        frames: as there.

    Returns:
        ``(channel, 8 + tap)``: gradients of bias, slope, gamma, beta, filter_bias, next_slope,
        next_gamma, next_beta and filters; those of the slopes are still to be added up.
    """
    width = OF_FILTER + weights.filters.shape[-1]
    gradients = grad.new_empty(*grad.shape[:2], width, dtype=torch.float64)
    *matrices, moments = kept
    # Hooks on what autograd saves may have closed the gaps.
    matrices = [_spaced(matrix, grad) for matrix in matrices]
    ends = [_ends(grad, frames)] if weights.norm == "global" else []
    sums = [s.contiguous() for s in sums]
    _call("backward", weights, grad, *matrices, moments, *sums, gradients, *ends)
    return gradients.sum(0)


def norm_forward(
    x: torch.Tensor, gamma: torch.Tensor, beta: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cumulative norm.

    Args:
        x: ``(batch, channel, frame)``.
        gamma: gain, ``(channel,)``.
        beta: bias, the same shape.

    Returns:
        the normed frames, and their moments: mean and reciprocal deviation up to each, in float64,
        ``(batch, 2, frame)``.
    """
    y = empty_rows(x, x.shape[1])
    moments = x.new_empty(len(x), 2, x.shape[2], dtype=torch.float64)
    parameters = (gamma.detach().contiguous(), beta.detach().contiguous())
    shape = _Shape(*x.shape, y.stride(1), 1, 1, 0, torch.get_num_threads())
    _run("cumulative_norm", shape, *parameters, _spaced(x, y), y, moments)
    return y, moments


def norm_backward(
    grad: torch.Tensor, x: torch.Tensor, gamma: torch.Tensor, moments: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gradients of what :func:`norm_forward` took, of the same shapes.

    Args:
        grad: of the normed frames, ``(batch, channel, frame)``.
        x: as :func:`norm_forward` took it.
        gamma: as :func:`norm_forward` took it.
        moments: that it returned.
    """
    of_x = empty_rows(x, x.shape[1])
    gradients = x.new_empty(*x.shape[:2], 2, dtype=torch.float64)
    shape = _Shape(*x.shape, of_x.stride(1), 1, 1, 0, torch.get_num_threads())
    matrices = (_spaced(grad, of_x), _spaced(x, of_x), moments, of_x, gradients)
    _run("cumulative_norm_backward", shape, gamma.detach().contiguous(), *matrices)
    of_gamma, of_beta = gradients.sum(0).to(gamma.dtype).unbind(1)
    return of_x, of_gamma, of_beta


class _Shape(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_long) for name in "examples channels frames stride taps".split()),
        *((name, ctypes.c_long) for name in ("dilation", "padding", "threads")),
        *((name, ctypes.c_double) for name in ("slope", "next_slope")),
    )


class _Weights(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_void_p) for name in POINTERS)


def _call(name: str, weights: Weights, *matrices: torch.Tensor) -> None:
    """Call the function for the norm; the first of the matrices gives shape, gaps and type."""
    first, taps = matrices[0], weights.filters.shape[-1]
    shape = _Shape(*first.shape, first.stride(1), taps, weights.dilation, weights.padding)
    shape.threads = torch.get_num_threads()
    shape.slope, shape.next_slope = weights.slope.item(), weights.next_slope.item()
    # Held until the call is over.
    parts = [getattr(weights, field).detach().contiguous() for field in POINTERS]
    pointers = _Weights(*(p.data_ptr() for p in parts))
    _run(f"{weights.norm}_{name}", shape, pointers, *matrices)


def _run(name: str, shape: _Shape, *arguments: _Weights | torch.Tensor) -> None:
    """Call a function of C, whose first matrix gives the type, with room for rows as the last."""
    room = shape.frames + (shape.taps - 1) * shape.dilation
    matrix = next(a for a in arguments if isinstance(a, torch.Tensor) and a.ndim == 3)
    scratch = torch.empty(shape.threads * ROWS[0] + ROWS[1], room, dtype=DEFINED[matrix.dtype][1])
    function = getattr(library(matrix.dtype, name.split("_")[0]), name)
    pointers = (_pointer(a) if isinstance(a, torch.Tensor) else a for a in (*arguments, scratch))
    function(shape, *pointers)


def _ends(x: torch.Tensor, frames: torch.Tensor | None) -> torch.Tensor:
    """Frames of each example of a matrix, as C takes them."""
    return torch.full((len(x),), x.shape[-1]) if frames is None else frames.long().contiguous()


def _spaced_like(x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """An empty matrix with the shape of another and the gaps between its rows."""
    return x.new_empty_strided(x.shape, x.stride(), dtype=dtype)


def _spaced(matrix: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """The matrix with the gaps of another; a copy where its own are different."""
    if matrix.stride() == like.stride():
        return matrix
    return _spaced_like(like, matrix.dtype).copy_(matrix)


def _pointer(tensor: torch.Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr())
