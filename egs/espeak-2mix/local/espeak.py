"""Text to speech with libespeak-ng, which the package espeakng_loader carries, through ctypes.

The library keeps its state (voice, random numbers, flutter, echo) in globals and cannot be put back
to its beginning. Whoever wants the same samples twice uses one :class:`Espeak` in a fresh process.
"""

from __future__ import annotations

import contextlib
import ctypes
import tempfile
from pathlib import Path

import numpy as np

from separation.errors import RecipeError

# From speak_lib.h
_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: samples go to the callback
_DONT_EXIT = 0x8000  # report a failed start instead of ending the process
_UTF8 = 1
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4
_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)

VOLUME = 20  # of 100: the loudest variants clip inside the library above 40
_LONGEST_DATA_PATH = 120  # the library silently cuts longer ones


class Espeak(contextlib.ExitStack):
    """libespeak-ng, started; a context manager.

    Args:
        seed: of the library's noise.

    Raises:
        RecipeError: the library is not installed or does not start.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._chunks: list[np.ndarray] = []
        self._callback = _CALLBACK(self._receive)  # kept: the library holds no reference
        library_path, data_path = find_library()
        self._variants = Path(data_path) / "voices" / "!v"
        try:
            self._library = ctypes.CDLL(library_path)
        except OSError as error:
            raise RecipeError(f"{library_path}: cannot be loaded: {error}") from error
        if len(data_path) > _LONGEST_DATA_PATH:
            link = Path(self.enter_context(tempfile.TemporaryDirectory())) / "espeak-ng-data"
            link.symlink_to(data_path)
            data_path = str(link)
        self.sample_rate: int = self._library.espeak_Initialize(
            _SYNCHRONOUS, 0, data_path.encode(), _DONT_EXIT
        )
        if self.sample_rate <= 0:
            raise RecipeError(f"{data_path}: espeak-ng does not start; reinstall espeakng-loader")
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(seed))
        self._library.espeak_SetSynthCallback(self._callback)
        self._library.espeak_SetParameter(_VOLUME, VOLUME, 0)

    def set_voice(self, accent: str, variant: str) -> None:
        """Take an accent (``en-us``) and a voice variant (``f1``)."""
        # The library takes its default variant silently in place of one that it lacks.
        known = (self._variants / variant).is_file()
        if not known or self._library.espeak_SetVoiceByName(f"{accent}+{variant}".encode()):
            raise RecipeError(
                f"espeak-ng has no voice {accent}+{variant}; install the espeakng-loader of"
                " requirements.txt"
            )

    def speak(self, text: str, pitch: float, rate: float, pitch_range: float) -> np.ndarray:
        """Speak a text; pitch and its range 0 to 100, rate in words a minute.

        Returns:
            float32 samples of shape ``(time,)`` in [-1, 1), at ``sample_rate`` Hz.
        """
        self._chunks = []
        for parameter, value in ((_PITCH, pitch), (_RATE, rate), (_RANGE, pitch_range)):
            self._library.espeak_SetParameter(parameter, round(value), 0)
        data = text.encode()
        self._library.espeak_Synth(data, len(data) + 1, 0, 1, 0, _UTF8, None, None)
        self._library.espeak_Synchronize()
        if not self._chunks:
            raise RecipeError(f"espeak-ng gave no samples for '{text}'")
        return np.concatenate(self._chunks).astype(np.float32) / 2**15

    def _receive(self, samples: ctypes._Pointer, count: int, _events: int) -> int:
        if samples and count > 0:
            self._chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0


def find_library() -> tuple[str, str]:
    """Paths of libespeak-ng and of its data, or one line that says what to install."""
    try:
        import espeakng_loader
    except ImportError as error:
        raise RecipeError(
            "the Python package espeakng-loader is missing; run through run.sh, or"
            " pip install -r requirements.txt"
        ) from error
    return espeakng_loader.get_library_path(), espeakng_loader.get_data_path()
