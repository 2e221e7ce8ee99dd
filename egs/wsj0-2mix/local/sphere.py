"""NIST SPHERE files, plain or compressed with shorten, as the WSJ0 discs hold them.

Entry point: :func:`decode`, which checks what was decoded against what the header promises.
"""

from __future__ import annotations

import io
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import soundfile

from separation.errors import RecipeError

MAGIC = b"NIST_1A\n"


@dataclass(frozen=True)
class SphereHeader:
    """What a header says: rate in Hz, length in samples a channel, 16-bit sum of the samples."""

    sample_rate: int
    channels: int
    frames: int
    bytes_per_sample: int
    checksum: int | None


def is_sphere(path: Path) -> bool:
    """Whether a file begins as SPHERE files do, whatever its name is."""
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def read_header(path: Path) -> SphereHeader:
    """Read the header of a SPHERE file: lines of ``name -i value`` up to ``end_head``.

    Raises:
        RecipeError: cut short, or without one of the fields that are needed.
    """
    with open(path, "rb") as file:
        start = file.read(len(MAGIC) + 8)
        size = start[len(MAGIC) :].strip()
        if not start.startswith(MAGIC) or not size.isdigit():
            raise RecipeError(f"{path}: not a SPHERE file")
        text = (start + file.read(int(size) - len(start))).decode("latin-1")
    if len(text) < int(size) or "\nend_head" not in text:
        raise RecipeError(f"{path}: cut short within its header")
    fields = {}
    for line in text[: text.index("\nend_head")].splitlines()[2:]:
        words = line.split(maxsplit=2)
        if len(words) == 3 and words[1] == "-i" and words[2].strip().lstrip("-").isdigit():
            fields[words[0]] = int(words[2])
    for name in ("sample_rate", "channel_count", "sample_count"):
        if name not in fields:
            raise RecipeError(f"{path}: no {name} in its header")
    checksum = fields.get("sample_checksum")
    return SphereHeader(
        sample_rate=fields["sample_rate"],
        channels=fields["channel_count"],
        frames=fields["sample_count"],
        bytes_per_sample=fields.get("sample_n_bytes", 2),
        checksum=None if checksum is None else checksum % 2**16,
    )


def check_header(path: Path, header: SphereHeader, sample_rate: int) -> None:
    """Refuse a recording that is not mono, 16 bit and ``sample_rate`` Hz."""
    if header.channels != 1:
        raise RecipeError(f"{path}: {header.channels} channels; WSJ0's recordings have one")
    if header.sample_rate != sample_rate:
        raise RecipeError(f"{path}: {header.sample_rate} Hz, but {sample_rate} Hz is needed")
    if header.bytes_per_sample != 2:
        raise RecipeError(f"{path}: {header.bytes_per_sample} bytes a sample, but 2 are needed")
    if header.frames <= 0:
        raise RecipeError(f"{path}: no samples in it")


def decode(path: Path, sample_rate: int) -> np.ndarray:
    """Decode a mono 16-bit SPHERE file, with ``sph2pipe`` where that is on PATH, else with FFmpeg.

    Returns:
        int16 samples of shape ``(time,)``.

    Raises:
        RecipeError: another rate or channel count, damaged, cut short, or a wrong checksum.
    """
    header = read_header(path)
    check_header(path, header, sample_rate)
    program = shutil.which("sph2pipe")
    samples = _sph2pipe(program, path) if program else _ffmpeg(path)
    if len(samples) < header.frames:
        raise RecipeError(
            f"{path}: cut short or damaged; {len(samples)} of the {header.frames} samples that its"
            " header promises can be decoded"
        )
    if len(samples) > header.frames:
        raise RecipeError(
            f"{path}: damaged; {len(samples)} samples, but its header promises {header.frames}"
        )
    if header.checksum is not None and checksum(samples) != header.checksum:
        raise RecipeError(
            f"{path}: damaged; the checksum of its samples is {checksum(samples)},"
            f" but its header says {header.checksum}"
        )
    return samples


def checksum(samples: np.ndarray) -> int:
    """SPHERE's ``sample_checksum``: the sum of the int16 samples modulo 2^16."""
    return int(samples.sum(dtype=np.int64) % 2**16)


def _ffmpeg(path: Path) -> np.ndarray:
    """Decode as far as it goes; the header says whether that is all."""
    parts = [np.zeros(0, dtype=np.int16)]
    try:
        with av.open(str(path), format="nistsphere") as container:
            for frame in container.decode(audio=0):
                parts.append(frame.to_ndarray()[0])
    except (av.FFmpegError, IndexError):  # damaged; no stream that can be decoded
        pass
    if parts[-1].dtype != np.int16:
        raise RecipeError(f"{path}: its samples are {parts[-1].dtype}, not 16-bit integers")
    return np.concatenate(parts)


def _sph2pipe(program: str, path: Path) -> np.ndarray:
    result = subprocess.run(
        [program, "-f", "wav", str(path)],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    try:
        samples, _ = soundfile.read(io.BytesIO(result.stdout), dtype="int16")
    except soundfile.LibsndfileError as error:
        reason = " ".join(result.stderr.decode(errors="replace").split())
        raise RecipeError(f"{path}: sph2pipe cannot decode it: {reason}") from error
    return samples
