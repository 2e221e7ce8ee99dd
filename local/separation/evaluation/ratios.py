"""Ratios of energies, in dB: SI-SDR, SNR, and SDR, SIR and SAR of BSS Eval."""

from __future__ import annotations

import numpy as np

from separation.errors import MetricError

FILTER_TAPS = 512  # of BSS Eval's distortion filter


def si_sdr(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Scale-invariant signal-to-distortion ratio of zero-mean signals, in dB.

    Le Roux et al., "SDR - half-baked or well done?", ICASSP 2019; the SI-SNR of the Conv-TasNet
    paper and of Asteroid's ``pairwise_neg_sisdr``. Signals of shape ``(time,)``.
    """
    reference = reference - reference.mean()
    estimate = estimate - estimate.mean()
    target = np.dot(estimate, reference) / np.dot(reference, reference) * reference
    return _decibel(target, estimate - target)


def snr(reference: np.ndarray, estimate: np.ndarray) -> float:
    """SNR of an estimate, both ``(time,)``, in dB; it depends on the level of the estimate."""
    return _decibel(reference, estimate - reference)


def mse(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Mean squared error of signals ``(time,)``, full scale 1; it depends on the levels of both."""
    return float(np.mean((reference - estimate) ** 2))


def sdr(reference: np.ndarray, estimate: np.ndarray) -> float:
    """BSS Eval's SDR in dB, with its 512-tap distortion filter (Vincent et al., 2006).

    Of signals ``(time,)``, computed by fast_bss_eval (Scheibler, 2021); agrees with mir_eval.

    Raises:
        MetricError: the equations of the filter have no solution.
    """
    import fast_bss_eval  # imports Torch, which readers of results do without

    try:
        with np.errstate(divide="ignore"):
            # Without pairwise=True it fails under numpy 2.
            return -float(
                fast_bss_eval.sdr_loss(estimate[None], reference[None], pairwise=True)[0, 0]
            )
    except np.linalg.LinAlgError as error:
        raise MetricError("the distortion filter has no solution") from error


def sir_and_sar(references: np.ndarray, estimates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """BSS Eval's SIR and SAR in dB (Vincent et al., 2006), computed by fast_bss_eval.

    An estimate e is projected onto its reference with all delays of up to 511 samples, P1 e, and
    onto all references with these delays, P e. With both at unit norm of e,

        SIR = |P1 e|^2 / |P e - P1 e|^2: the other sources in the estimate (interference),
        SAR = |P e|^2 / |e - P e|^2: what no reference explains (artifacts).

    Args:
        references: shape ``(source, time)``.
        estimates: of the same shape, in the same order.

    Returns:
        SIR and SAR of each source, both of shape ``(source,)``.

    Raises:
        MetricError: the equations of the filters have no solution.
    """
    from fast_bss_eval.numpy.metrics import square_cosine_metrics

    if not references.any(axis=1).all():
        raise MetricError("one of the references is silent")
    try:
        # Shares |P1 e|^2 and |P e|^2 of each pair. Without pairwise=True it fails under numpy 2.
        of_one, of_all = square_cosine_metrics(
            references, np.nan_to_num(estimates), FILTER_TAPS, pairwise=True
        )
    except np.linalg.LinAlgError as error:
        raise MetricError("the distortion filters have no solution") from error
    one, every = np.diag(of_one), np.diag(of_all)
    with np.errstate(divide="ignore", invalid="ignore"):
        sir = 10 * np.log10(one / (every - one).clip(0))
        sar = 10 * np.log10(every / (1 - every).clip(0))
    return sir, sar


def _decibel(signal: np.ndarray, noise: np.ndarray) -> float:
    return float(10.0 * np.log10(np.dot(signal, signal) / np.dot(noise, noise)))
