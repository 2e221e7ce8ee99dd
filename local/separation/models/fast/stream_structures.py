"""The structures of ``stream.c``, field by field in its order."""

from __future__ import annotations

import ctypes


class Matrix(ctypes.Structure):
    """Weights ``(out, in)`` in panels, and a bias: pointers, then the sizes."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("panels", "bias")),
        *((name, ctypes.c_long) for name in ("in_", "out")),
    )


class Running(ctypes.Structure):
    """What a cumulative norm keeps: sum, sum of squares and count of what it has seen."""

    _fields_ = tuple((name, ctypes.c_double) for name in ("first", "square", "count"))


class Block(ctypes.Structure):
    """A block of the separator: its weights, and what it keeps of one stream."""

    _fields_ = (
        *((name, Matrix) for name in ("in_", "residual", "skip")),
        *((name, ctypes.c_void_p) for name in ("gamma", "beta", "filter", "filter_bias")),
        *((name, ctypes.c_float) for name in ("slope", "next_slope")),
        *((name, ctypes.c_long) for name in ("taps", "dilation")),
        ("ring", ctypes.c_void_p),
        *((name, Running) for name in ("norm", "next_norm")),
    )


class Network(ctypes.Structure):
    """A network: weights, sizes, what it keeps of one stream, room for the rows of a call."""

    _fields_ = (
        *((name, Matrix) for name in ("encoder", "bottleneck", "masks", "decoder")),
        ("blocks", ctypes.POINTER(Block)),
        *((name, ctypes.c_long) for name in ("n_blocks", "hidden", "filters", "sources")),
        *(
            (name, ctypes.c_long)
            for name in ("kernel", "stride", "lookahead", "activation", "skips", "parts")
        ),
        ("mask_slope", ctypes.c_float),
        ("seen", ctypes.c_long),
        ("norm", Running),
        *((name, ctypes.c_void_p) for name in ("samples", "tails", "frames")),
        *((name, ctypes.c_void_p) for name in ("normed", "x", "skipped", "hidden_rows")),
        *((name, ctypes.c_void_p) for name in ("mask_rows", "masked", "decoded")),
    )
