"""16-bit mono wav files, read and written in one go: a corpus has a hundred thousand of them.

:mod:`separation.corpus.audio` reads everything else. What these functions write is the plain RIFF
file with a header of 44 bytes that libsndfile writes too, in a third of the time.
"""

from __future__ import annotations

import os
import struct
import wave
from pathlib import Path

import numpy as np

from separation.files import PARTIAL, writing


def write_wav16(folder: str, name: str, samples: np.ndarray, sample_rate: int) -> None:
    """Write samples of shape ``(time,)`` within [-1, 1) as round(2^15 x), whole or not at all.

    The file appears under its name when it is complete, as with
    :func:`separation.files.atomic_path`; until then it is ``.partial-<process>``, which is made
    once, not twice, and takes a third of the time.
    """
    content = np.rint(samples * 2.0**15).astype("<i2").tobytes()
    # A RIFF of one mono 16-bit PCM stream: rate, bytes a second, bytes a frame, bits.
    layout = struct.pack("<IHHIIHH", 16, 1, 1, sample_rate, 2 * sample_rate, 2, 16)
    header = b"WAVEfmt " + layout + b"data" + struct.pack("<I", len(content))
    temporary = f"{folder}/{PARTIAL}{os.getpid()}"
    try:
        with writing(f"{folder}/{name}"):
            with open(temporary, "wb") as file:
                size = struct.pack("<I", len(header) + len(content))
                file.write(b"RIFF" + size + header + content)
            os.replace(temporary, f"{folder}/{name}")
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_wav16(path: Path) -> tuple[np.ndarray, int] | None:
    """Read a whole mono 16-bit wav file: int16 samples of shape ``(time,)``, and the rate in Hz.

    Anything else gives None, a file that is missing, empty or cut short as well:
    :func:`separation.corpus.audio.read_audio` reads it, or says what is wrong.
    """
    try:
        with wave.open(str(path), "rb") as file:
            count = file.getnframes()
            samples = np.frombuffer(file.readframes(count), dtype="<i2")
            if (file.getnchannels(), file.getsampwidth(), len(samples)) != (1, 2, count):
                return None
            return (samples, file.getframerate()) if count else None
    except (wave.Error, EOFError, OSError, ValueError):
        return None
