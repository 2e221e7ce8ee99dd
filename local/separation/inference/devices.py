"""Microphones and loudspeakers, by python-sounddevice, which is imported here alone.

Entry points: :func:`list_devices`, :class:`Microphone`, :class:`Loudspeaker`.
"""

from __future__ import annotations

import queue
import select
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np

from separation.errors import RecipeError
from separation.inference.live import Status

PATIENCE = 2.0  # seconds without a block after which a microphone is gone


def sounddevice() -> ModuleType:
    """Import python-sounddevice.

    Raises:
        RecipeError: PortAudio, which it needs, is not installed.
    """
    try:
        import sounddevice
    except (ImportError, OSError) as error:
        raise RecipeError(
            "no sound devices: PortAudio is missing (Debian, Ubuntu: apt install libportaudio2;"
            " macOS: brew install portaudio); --simulate FILE needs none"
        ) from error
    return sounddevice


def list_devices() -> str:
    """A table of the devices there are, as PortAudio names them."""
    return str(sounddevice().query_devices()) or "no sound devices here; plug one in"


def _device(name: str | None, kind: str) -> dict[str, Any]:
    """What PortAudio knows of a device, by its number, a part of its name, or the default."""
    chosen = int(name) if name and name.isdigit() else name
    try:
        return dict(sounddevice().query_devices(chosen, kind))
    except (ValueError, sounddevice().PortAudioError) as error:
        what = " ".join(str(error).split())
        asked = f"'{name}'" if name else "default"
        raise RecipeError(
            f"--{kind}_device: no {asked} device for {kind} ({what}); --list_devices shows them"
        ) from error


class Microphone:
    """Blocks of the first channel of an input device, or of the mean of its channels.

    Args:
        name: number or part of the name; None: the default device.
        size: samples of a block.
        rate: Hz; None: the device's own.
        mixdown: the mean of the channels; else the first of them.
        status: counts overruns.
    """

    def __init__(
        self, name: str | None, size: int, rate: int | None, mixdown: bool, status: Status
    ) -> None:
        device = _device(name, "input")
        self.name, self.mixdown, self.status = device["name"], mixdown, status
        self.rate = rate or int(device["default_samplerate"])
        self.channels = int(device["max_input_channels"]) if mixdown else 1
        self._queue: queue.SimpleQueue[np.ndarray] = queue.SimpleQueue()
        try:
            self._stream = sounddevice().InputStream(
                samplerate=self.rate,
                blocksize=size,
                device=device["index"],
                channels=self.channels,
                dtype="float32",
                callback=self._take,
            )
        except sounddevice().PortAudioError as error:
            raise RecipeError(f"{self.name}: {' '.join(str(error).split())}") from error
        self.latency = float(self._stream.latency)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield blocks until the device is gone."""
        with self._stream:
            while True:
                try:
                    yield self._queue.get(timeout=PATIENCE)
                except queue.Empty:
                    raise RecipeError(
                        f"{self.name}: the device is gone; the files are whole"
                    ) from None

    def _take(self, block: np.ndarray, _frames: int, _time: Any, flags: Any) -> None:
        self.status.overruns += bool(flags.input_overflow)
        self._queue.put(block.mean(1) if self.mixdown else block[:, 0].copy())


class Loudspeaker:
    """Plays source 1 on the left and source 2 on the right, or one signal on both sides.

    Args:
        name: number or part of the name; None: the default device.
        rate: Hz.
        n_src: sources there are.
        chosen: number of the source that is heard, 0: the mixture; None: all of them.
    """

    def __init__(self, name: str | None, rate: int, n_src: int, chosen: int | None = None) -> None:
        device = _device(name, "output")
        self.name, self.chosen, self.n_src = device["name"], chosen, n_src
        try:
            self._stream = sounddevice().OutputStream(
                samplerate=rate, device=device["index"], channels=2, dtype="float32"
            )
            self._stream.start()
        except sounddevice().PortAudioError as error:
            raise RecipeError(f"{self.name}: {' '.join(str(error).split())}") from error
        self.latency = float(self._stream.latency)

    def choose(self, key: str) -> None:
        """Let a key choose what is heard: a source, 0: the mixture, b: sources 1 and 2."""
        if key.isdigit() and int(key) <= self.n_src:
            self.chosen = int(key)
        elif key == "b":
            self.chosen = None

    def write(self, sources: np.ndarray, mixture: np.ndarray) -> None:
        """Play ``(source, time)``, or the mixture ``(time,)``.

        Raises:
            RecipeError: the device is gone.
        """
        try:
            self._stream.write(self.stereo(sources, mixture))
        except sounddevice().PortAudioError as error:
            raise RecipeError(f"{self.name}: the device is gone; the files are whole") from error

    def stereo(self, sources: np.ndarray, mixture: np.ndarray) -> np.ndarray:
        """Samples to be played, ``(time, 2)``, within full scale."""
        if self.chosen is None:
            played = np.stack([sources[0], sources[-1]])
        else:
            played = np.stack([sources[self.chosen - 1] if self.chosen else mixture] * 2)
        return np.ascontiguousarray(played.clip(-1, 1).T, np.float32)

    def close(self) -> None:
        """Play what was handed on, and stop."""
        self._stream.stop()
        self._stream.close()


class Keys:
    """Keys that are pressed in a terminal, without waiting for them."""

    def __init__(self) -> None:
        self._before: list[Any] | None = None

    def __enter__(self) -> Keys:
        if sys.stdin.isatty():
            import termios
            import tty

            self._before = termios.tcgetattr(sys.stdin)
            tty.setcbreak(sys.stdin)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            import termios

            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._before)

    def pressed(self) -> str:
        """The key, or nothing."""
        if self._before is None or not select.select([sys.stdin], [], [], 0)[0]:
            return ""
        return sys.stdin.read(1)
