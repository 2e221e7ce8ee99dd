"""Writes NIST SPHERE files for tests: plain, or compressed as `shorten` does it (Robinson 1994)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

HEADER_BYTES = 1024
BLOCK = 256
MEANS = 4  # block means that DIFF0 predicts from
DIFF, QUIT, BLOCKSIZE, ZERO = range(4), 4, 5, 8  # commands of the bit stream
S16LH = 5  # sample type: signed 16 bit, low byte first


def write_sphere(
    path: Path,
    samples: np.ndarray,
    rate: int = 16000,
    coding: str = "pcm",
    byte_format: str = "01",
    version: int = 2,
    **header: int | str | None,
) -> None:
    """Write int16 samples of shape ``(time,)`` or ``(channel, time)``.

    Args:
        coding: ``pcm`` or ``shorten`` (one channel).
        byte_format: of plain samples, ``01`` low byte first, ``10`` high byte first.
        version: of the shorten bit stream, 1 or 2.
        header: fields that differ from what the samples say; None leaves one out.
    """
    channels = np.atleast_2d(samples).astype(np.int16)
    fields: dict[str, int | str | None] = {
        "database_id": "wsj0",
        "channel_count": channels.shape[0],
        "sample_count": channels.shape[1],
        "sample_rate": rate,
        "sample_n_bytes": 2,
        "sample_byte_format": byte_format,
        "sample_sig_bits": 16,
        "sample_checksum": int(channels.astype(np.int64).sum() % 2**16),
        "sample_coding": {"pcm": "pcm", "shorten": f"pcm,embedded-shorten-v{version}.00"}[coding],
    }
    fields.update(header)
    if coding == "shorten":
        body = shorten(channels[0], version)
    else:
        body = channels.T.astype({"01": "<i2", "10": ">i2"}[byte_format]).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header_text(fields).encode().ljust(HEADER_BYTES) + body)


def header_text(fields: dict[str, int | str | None]) -> str:
    """The header, without the padding after it."""
    lines = ["NIST_1A", f"{HEADER_BYTES:7}"]
    for name, value in fields.items():
        if value is not None:
            kind = "-i" if isinstance(value, int) else f"-s{len(value)}"
            lines.append(f"{name} {kind} {value}")
    return "\n".join([*lines, "end_head", ""])


def shorten(samples: np.ndarray, version: int) -> bytes:
    """Compress int16 samples ``(time,)``: the best of four polynomial predictors a block."""
    values = samples.astype(np.int64)
    bits = [_ulong(n) for n in (S16LH, 1, BLOCK, 0, MEANS, 0)]
    history, means = np.zeros(3, dtype=np.int64), [0] * MEANS
    for start in range(0, len(values), BLOCK):
        block = values[start : start + BLOCK]
        if len(block) < BLOCK:
            bits += [_unary(BLOCKSIZE, 2), _ulong(len(block))]
        if block.any():
            offset = _quotient(sum(means) + (MEANS // 2 if version > 1 else 0), MEANS)
            bits.append(_encode(np.concatenate([history, block]), offset))
        else:
            bits.append(_unary(ZERO, 2))
        rounding = len(block) // 2 if version > 1 else 0
        means = [*means[1:], _quotient(int(block.sum()) + rounding, len(block))]
        history = np.concatenate([history, block])[-3:]
    bits.append(_unary(QUIT, 2))
    text = "".join(bits)
    text += "0" * (-len(text) % 32)
    return b"ajkg" + bytes([version]) + int(text, 2).to_bytes(len(text) // 8, "big")


def _encode(signal: np.ndarray, offset: int) -> str:
    """One block, its first three samples being those before it."""
    a, b, c, d = signal[3:], signal[2:-1], signal[1:-2], signal[:-3]
    residuals = [a - offset, a - b, a - 2 * b + c, a - 3 * b + 3 * c - d]
    order = min(DIFF, key=lambda n: int(np.abs(residuals[n]).sum()))
    residual = residuals[order]
    energy = max(0, int(np.ceil(np.log2(np.abs(residual).mean() + 1))) - 1)
    folded = np.where(residual < 0, -2 * residual - 1, 2 * residual)
    return (
        _unary(order, 2) + _unary(energy, 3) + "".join(_unary(int(n), energy + 1) for n in folded)
    )


def _unary(value: int, low: int) -> str:
    """The high bits of ``value`` as so many zeros and a one, then its ``low`` lowest bits."""
    return "0" * (value >> low) + "1" + (f"{value % 2**low:0{low}b}" if low else "")


def _ulong(value: int) -> str:
    return _unary(value.bit_length(), 2) + _unary(value, value.bit_length())


def _quotient(a: int, b: int) -> int:
    """Division that cuts towards zero, as C does."""
    return abs(a) // b * (1 if a >= 0 else -1)
