"""Active speech level, ITU-T P.56 (12/2011) method B: the level of speech while someone speaks.

Entry points: :func:`active_level` measures it, :func:`read_with_level` does so for a file,
:func:`read_levels` reads levels measured before, :func:`write_levels` keeps them.
"""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path, PurePosixPath

import numpy as np

from separation.corpus.audio import load_resampled, to_int16
from separation.corpus.problems import Problems
from separation.errors import RecipeError
from separation.files import atomic_path, read_text

TIME_CONSTANT = 0.03  # seconds; of both smoothing stages
HANGOVER = 0.2  # seconds; a pause up to this long is speech
MARGIN_DB = 15.9  # of the active level over the threshold that decides what is speech
# The standard's thresholds are powers of two. These are powers of the square root of two, 3.01 dB
# apart (every other one is the standard's), which halves the error of the interpolation; VOICEBOX's
# activlev has the same. Those more than 60 dB below the loudest moment never matter.
N_THRESHOLDS = 20
THRESHOLD_STEP_DB = 10 * np.log10(2)
# Zeros put after the signal, so that the last word has the hangover that all others have and the
# level does not depend on the silence after it: the envelope falls by 60 dB, the hangover follows.
TAIL = 0.5  # seconds

# Band-pass of VOICEBOX: Chebyshev type 2, fifth order, -0.25 dB at these and -50 dB far outside.
PASS_BAND = (200.0, 5500.0)  # Hz
FILTER_ORDER = 5
PASS_DB, STOP_DB = 0.25, 50.0


def active_level(samples: np.ndarray, sample_rate: int, band_pass: bool = False) -> float:
    """Mean square of speech over the time in which someone speaks, pauses up to 200 ms included.

    A moment is active when the envelope was above a threshold there or less than 200 ms before. The
    level is the signal's energy over its active time, with the one threshold that lies 15.9 dB
    below that level. The envelope is |x| smoothed twice with a time constant of 30 ms. Levels and
    thresholds in dB are interpolated linearly between thresholds, where the standard's bisection
    ends too.

    Levels scale with the signal from any loudness, and silence before or after it is without
    influence. A click that is too short to lift the envelope within 15.9 dB of its level is
    measured with the highest threshold that its envelope reaches.

    Args:
        samples: shape ``(time,)``, full scale 1.
        sample_rate: Hz.
        band_pass: measure between 200 Hz and 5.5 kHz, as VOICEBOX's ``activlev(x, fs)`` does; below
            12.1 kHz sample rate the upper end is left out, as it is there.

    Returns:
        mean square; 0 for silence and for no samples.
    """
    from scipy.signal import lfilter, sosfilt  # a second, not needed to read levels

    signal = np.concatenate([samples, np.zeros(round(TAIL * sample_rate))], dtype=np.float64)
    if band_pass:
        for section in _band_pass(sample_rate):
            signal = sosfilt(section, signal)
    energy = float(signal @ signal)
    if energy == 0:
        return 0.0
    pole = np.exp(-1 / (TIME_CONSTANT * sample_rate))
    smoother = [1.0, -2 * pole, pole**2]
    envelope = lfilter([(1 - pole) ** 2], smoother, np.abs(signal, out=signal))
    thresholds, times = _active_times(np.square(envelope, out=envelope), sample_rate)
    return float(10 ** (_crossing(10 * np.log10(energy / times), thresholds) / 10))


def read_with_level(path: Path, sample_rate: int, level: float | None) -> tuple[np.ndarray, float]:
    """Read a recording, and measure its level unless that is known.

    Processes that training starts do this, and this module spares them the import of Torch.

    Args:
        path: the recording, mono.
        sample_rate: that it is resampled to, in Hz.
        level: measured before; None measures it.

    Returns:
        samples of shape ``(time,)`` in 16 bit, and their active level, a mean square.
    """
    samples = load_resampled(path, sample_rate)
    if level is None:
        level = active_level(samples, sample_rate, band_pass=True)
    return to_int16(samples), level


def read_levels(path: Path) -> dict[str, float]:
    """Read levels measured before: lines of ``utterance power``, the power a mean square.

    That is how the levels of WSJ0 go round (those of pywsj0-mix). The utterance is a name without
    suffix, or a path as in the mixing lists.

    Args:
        path: a file, or a folder whose ``*.txt`` files are read.

    Raises:
        RecipeError: no such file, or a line that is wrong, or two levels of one utterance.
    """
    files = sorted(path.glob("*.txt")) if path.is_dir() else [path]
    if not files:
        raise RecipeError(f"{path}: no levels in this folder; corpus.levels_file needs *.txt files")
    levels: dict[str, float] = {}
    for file in files:
        for number, line in enumerate(read_text(file).splitlines(), 1):
            words = line.split()
            try:
                utterance, power = words[0], float(words[1])
            except (IndexError, ValueError):
                power = math.nan
            if len(words) != 2 or not 0 < power < math.inf:
                raise RecipeError(f"{file}:{number}: '{line}' is not an utterance and its power")
            if not math.isclose(levels.setdefault(utterance, power), power, rel_tol=1e-3):
                raise RecipeError(f"{file}:{number}: {utterance} has another level before")
    return levels


def write_levels(path: Path, levels: dict[str, float]) -> None:
    """Write levels as :func:`read_levels` reads them, a path and its power a line."""
    lines = [f"{recording} {power:.6e}\n" for recording, power in sorted(levels.items())]
    with atomic_path(path) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")


def known_levels(
    where: dict[str, str], levels: dict[str, float], problems: Problems
) -> dict[str, float]:
    """Find the level of each recording.

    Args:
        where: list and line of each path of a list.
        levels: as :func:`read_levels` gives them.
        problems: takes recordings without a level, and two of the same name.

    Returns:
        level of each path that has one.
    """
    known: dict[str, float] = {}
    named: dict[str, str] = {}
    for path, place in where.items():
        name = PurePosixPath(path).stem
        if path in levels:
            known[path] = levels[path]
        elif name not in levels:
            problems.add(f"{place}: {path} has no level in corpus.levels_file")
        elif named.setdefault(name, path) != path:
            problems.add(
                f"{place}: the level of {name} may be that of {path} or of {named[name]};"
                " write the path into corpus.levels_file"
            )
        else:
            known[path] = levels[name]
    return known


def _active_times(envelope_power: np.ndarray, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Active samples at each threshold, from the highest threshold down.

    Returns:
        thresholds in dB, and for each the number of samples at which the envelope is, or was less
        than the hangover before, at the threshold or above.
    """
    from scipy.ndimage import maximum_filter1d

    # floor(log2) is in the exponent bits of a float64, which are lowest for 0.
    exponents = envelope_power.view(np.int64) >> 52
    highest = int(exponents.max())
    exponents -= highest
    depths = np.maximum(exponents, -N_THRESHOLDS, out=exponents).astype(np.int8)
    window = int(np.ceil(HANGOVER * sample_rate)) + 1
    held = maximum_filter1d(
        depths,
        window,
        origin=(window - 1) // 2,  # the window ends with the sample: the hangover is after speech
        mode="constant",
        cval=-N_THRESHOLDS,
    )
    steps = np.arange(N_THRESHOLDS)
    times = np.array([np.count_nonzero(held >= -step) for step in steps])
    return (highest - 1023 - steps) * THRESHOLD_STEP_DB, times


def _crossing(levels: np.ndarray, thresholds: np.ndarray) -> float:
    """The level, in dB, that is 15.9 dB above the threshold it is measured with."""
    excess = levels - thresholds - MARGIN_DB
    crossings = np.flatnonzero((excess[:-1] < 0) & (excess[1:] >= 0))
    if len(crossings) == 0:
        return float(levels[0] if excess[0] >= 0 else levels[-1])
    above = crossings[0]
    share = excess[above] / (excess[above] - excess[above + 1])
    return float(levels[above] + share * (levels[above + 1] - levels[above]))


@lru_cache(maxsize=8)
def _band_pass(sample_rate: int) -> tuple[np.ndarray, ...]:
    """Second-order sections of the high-pass and, where the rate has room for it, the low-pass.

    A Chebyshev type 2 filter is designed by the edge of its stop band; the ratio of that to the
    edge of the pass band follows from both attenuations.
    """
    from scipy.signal import cheby2

    attenuation = (10 ** (STOP_DB / 10) - 1) / (10 ** (PASS_DB / 10) - 1)
    ratio = np.cosh(np.arccosh(np.sqrt(attenuation)) / FILTER_ORDER)
    low, high = (np.tan(np.pi * edge / sample_rate) for edge in PASS_BAND)  # of the analog filter
    stops = [(low / ratio, "highpass")]
    if sample_rate >= 2.2 * PASS_BAND[1]:
        stops.append((high * ratio, "lowpass"))
    return tuple(
        cheby2(
            FILTER_ORDER,
            STOP_DB,
            sample_rate / np.pi * np.arctan(stop),
            kind,
            output="sos",
            fs=sample_rate,
        )
        for stop, kind in stops
    )
