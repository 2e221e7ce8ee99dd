"""The least time of a network, counted by hand."""

import math

import pytest
import torch
from torch import nn

from benchmarking.roofline import Peaks, measure_peaks, roofline_of

FRAMES = 2 * 8 * 9  # numbers between the layers: 2 mixtures, 8 channels, 9 frames of 80 samples
ENCODER = 2 * FRAMES * 16
DEPTHWISE = 2 * FRAMES * 3
DECODER = 2 * FRAMES * 16


def network():
    return nn.Sequential(
        nn.Unflatten(1, (1, -1)),
        nn.Conv1d(1, 8, 16, stride=8, bias=False),
        nn.PReLU(),
        nn.Conv1d(8, 8, 3, padding=1, groups=8, bias=False),
        nn.ConvTranspose1d(8, 1, 16, stride=8, bias=False),
    )


def test_operations():
    peaks = Peaks(flops=1000, bandwidth=math.inf, itemsize=4)
    once = ENCODER + DEPTHWISE + DECODER
    assert roofline_of(network(), 2, 80, peaks, training=False) == pytest.approx(once / 1000)
    # Twice as many backward, but nobody asks for the mixture's gradient.
    assert roofline_of(network(), 2, 80, peaks, training=True) == pytest.approx(
        (3 * once - ENCODER) / 1000
    )


@pytest.mark.parametrize("itemsize", [2, 4])
def test_bytes(itemsize):
    peaks = Peaks(flops=math.inf, bandwidth=1000, itemsize=itemsize)
    samples, weights = 2 * 80, (8 * 16, 8 * 3, 8 * 16)
    forward = (samples + FRAMES) + (FRAMES + FRAMES) + (FRAMES + samples) + sum(weights)
    assert roofline_of(network(), 2, 80, peaks, training=False) == pytest.approx(
        forward * itemsize / 1000
    )
    # The gradient of the result and the input are read, that of the input written; so are those
    # of the weights.
    backward = (FRAMES + samples) + 3 * FRAMES + (samples + 2 * FRAMES) + 2 * sum(weights)
    assert roofline_of(network(), 2, 80, peaks, training=True) == pytest.approx(
        (forward + backward) * itemsize / 1000
    )


def test_each_convolution_takes_the_longer_of_the_two():
    peaks = Peaks(flops=4, bandwidth=1, itemsize=1)
    depthwise = 2 * FRAMES + 8 * 3
    assert depthwise > DEPTHWISE / 4
    assert roofline_of(network(), 2, 80, peaks, training=False) == pytest.approx(
        ENCODER / 4 + depthwise + DECODER / 4
    )


def test_peaks_are_measured():
    for dtype, itemsize in ((torch.float32, 4), (torch.bfloat16, 2)):
        peaks = measure_peaks(torch.device("cpu"), dtype, size=64, repetitions=4)
        assert peaks.itemsize == itemsize
        assert 0 < peaks.flops < math.inf
        assert 0 < peaks.bandwidth < math.inf
