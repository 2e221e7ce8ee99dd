"""Metrics that follow hearing: STOI and ESTOI, PESQ, and DNSMOS, which needs no reference."""

from __future__ import annotations

import warnings
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np
import pesq
import soxr

from separation.errors import MetricError, RecipeError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

# The P.862 reference code has room for 50 utterances; past them it reads memory that is not its own
# and gives wrong scores or crashes. An utterance and the pause after it last 0.4 s at least.
PESQ_SECONDS = 20.0
DNSMOS_RATE = 16000
DNSMOS_SECONDS = 9.01  # that its network takes
# From outputs of the network to mean opinion scores: signal, background, overall.
DNSMOS_POLYNOMIALS = (
    (-0.08397278, 1.22083953, 0.0052439),
    (-0.13166888, 1.60915514, -0.39604546),
    (-0.06766283, 1.11546468, 0.04602535),
)


def stoi_score(reference: np.ndarray, estimate: np.ndarray, sample_rate: int) -> float:
    """Short-time objective intelligibility, 0 to 1 (Taal et al., 2011).

    Args:
        reference: shape ``(time,)``.
        estimate: shape ``(time,)``.
        sample_rate: in Hz.

    Raises:
        MetricError: less than 30 frames (0.4 s) of speech.
    """
    # Seconds of imports, which those who only read the table of metrics do without.
    from separation.evaluation.stoi import stoi

    return stoi(reference, estimate, sample_rate)


def estoi_score(reference: np.ndarray, estimate: np.ndarray, sample_rate: int) -> float:
    """ESTOI, 0 to 1 (Jensen and Taal, 2016), which follows modulated interferers better than STOI.

    Arguments and errors are those of :func:`stoi_score`.
    """
    from pystoi import stoi  # as above

    with warnings.catch_warnings():
        # pystoi gives 1e-5 for these and warns, which is no score; it fails on less than a frame.
        warnings.filterwarnings("error", message="Not enough STFT frames")
        try:
            return float(stoi(reference, estimate, sample_rate, extended=True))
        except (RuntimeWarning, np.exceptions.AxisError) as error:
            raise MetricError("too little speech, 30 frames are needed") from error


def pesq_score(reference: np.ndarray, estimate: np.ndarray, sample_rate: int) -> float:
    """PESQ as MOS-LQO: narrow band (P.862.1) at 8 kHz, wide band (P.862.2) at 16 kHz.

    Signals are ``(time,)``. One of more than 20 s is scored in equal pieces of at most that, and
    their mean is taken; pieces in which the reference says nothing are left out.

    Raises:
        MetricError: no speech found, too short, another rate.
    """
    modes = {8000: "nb", 16000: "wb"}
    if sample_rate not in modes:
        raise MetricError(f"PESQ is defined for 8000 and 16000 Hz, not {sample_rate}")
    n_pieces = int(np.ceil(len(reference) / (PESQ_SECONDS * sample_rate)))
    scores = []
    for piece, other in zip(
        np.array_split(reference, n_pieces), np.array_split(estimate, n_pieces), strict=True
    ):
        try:
            if piece.any():
                scores.append(pesq.pesq(sample_rate, piece, other, modes[sample_rate]))
        except pesq.NoUtterancesError:
            continue
        except pesq.BufferTooShortError as error:
            raise MetricError("shorter than a quarter of a second") from error
        except (pesq.PesqError, ValueError) as error:
            # The wrapper dies on the NaN that its C code gives for a silent estimate.
            raise MetricError("PESQ has no value for this estimate") from error
    if not scores:
        raise MetricError("no utterance found")
    return float(np.mean(scores))


def dnsmos_scores(signal: np.ndarray, sample_rate: int) -> tuple[float, float, float]:
    """DNSMOS P.835: opinion scores (1 to 5) that a network guesses without a reference.

    Reddy, Gopal and Cutler, "DNSMOS P.835", ICASSP 2022, with the weights of the package speechmos
    and its way: windows of 9.01 s every second, a shorter signal doubled until it fills one, and
    the mean over windows. Only the weights are used, since the package itself needs librosa.

    Args:
        signal: shape ``(time,)``. Scaled down where it goes beyond full scale, 1.
        sample_rate: in Hz; another than 16 kHz is resampled.

    Returns:
        scores of the speech signal, of the background, and overall.

    Raises:
        MetricError: a silent signal.
    """
    if not signal.any():
        raise MetricError("silent estimate")
    if sample_rate != DNSMOS_RATE:
        signal = np.asarray(soxr.resample(signal, sample_rate, DNSMOS_RATE, quality="VHQ"))
    signal = (signal / max(1.0, np.abs(signal).max())).astype(np.float32)
    length = int(DNSMOS_SECONDS * DNSMOS_RATE)
    while len(signal) < length:
        signal = np.append(signal, signal)
    network = _dnsmos_network()
    scores = []
    for second in range(int(len(signal) // DNSMOS_RATE - DNSMOS_SECONDS) + 1):
        window = signal[second * DNSMOS_RATE :][:length]
        outputs = np.asarray(network.run(None, {"input_1": window[None]})[0])[0]
        pairs = zip(DNSMOS_POLYNOMIALS, outputs, strict=True)
        scores.append([np.polyval(polynomial, output) for polynomial, output in pairs])
    speech, background, overall = np.mean(scores, axis=0)
    return float(speech), float(background), float(overall)


@cache
def _dnsmos_network() -> InferenceSession:
    """The network of DNSMOS P.835, on one thread: several processes compute metrics."""
    try:
        import onnxruntime

        weights = resources.files("speechmos") / "dnsmos_models" / "sig_bak_ovr.onnx"
    except ImportError as error:
        raise RecipeError(
            f"metric dnsmos: package {error.name} is missing; pip install it as requirements.txt"
            " pins it, or leave dnsmos out"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(
        weights.read_bytes(), options, providers=["CPUExecutionProvider"]
    )
