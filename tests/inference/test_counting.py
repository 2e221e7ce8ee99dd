"""Numbers of speakers in stretches of segments, and one number for all of a recording."""

import numpy as np
import pytest

from separation.inference.counting import count_stretches, number_of
from separation.inference.recursion import StopRule

RULE = StopRule(-10.0, 3)


def number(segments, energies=None):
    energies = energies or [[1.0] * len(segment) for segment in segments]
    return number_of([np.array(s) for s in segments], [np.array(e) for e in energies])


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        ([[1]], 1),
        ([[3]], 3),
        ([[1, 1, 2, 1, 1, 1]], 2),
        ([[1, 1, 1], [3, 3, 3]], 1),  # a single segment does not add speakers
        ([[1, 1, 2], [3, 3, 3]], 2),
        ([[2, 2, 2], [2, 2, 2], [1, 1, 1]], 2),  # nor does one take them away
        ([[1] * 6] * 6 + [[1] * 5 + [2]] * 2, 1),  # 2 of 48 stretches are too few
        ([[1] * 6] * 4 + [[1] * 5 + [2]] * 2, 2),  # 2 of 36 are not
        ([[1] * 6] * 8 + [[1] * 4 + [2, 3]] * 3, 2),  # 6 of 66, and 3
    ],
)
def test_the_number_by_hand(segments, expected):
    assert number(segments) == expected
    assert number(segments[::-1]) == expected


def test_stretches_in_which_nobody_speaks_have_no_say():
    assert number([[1, 3], [3, 2], [2, 1]], [[1.0, 9e-3], [0.0, 1.0], [2e-2, 1.0]]) == 2
    assert number([[1, 1], [1]], [[0.0, 0.0], [0.0]]) == 1  # all of it is silent
    assert number([[1, 1], [1, 3], [1]], [[0.0, 0.0], [0.0, 1.0], [0.0]]) == 3


def test_stretches_by_hand():
    """At 10 Hz a stretch is 40 samples; the last one has the 10 that are left, too."""
    mixture = np.ones(130, np.float32)
    mixture[40:80] = 2
    first, second = np.ones((2, 130), np.float32)
    first[:40] = 0.1  # -20 dB
    second[:80] = 0.5  # -6 dB; of the second stretch -12 dB
    second[80:] = 0.9
    passes = np.stack([mixture, mixture - first, first, first - second, second])
    counts, energies = count_stretches(passes, 10, RULE)
    np.testing.assert_array_equal(counts, [1, 2, 3])
    np.testing.assert_array_equal(energies, [1, 4, 1])
    np.testing.assert_array_equal(count_stretches(passes[:3], 10, RULE)[0], [1, 2, 2])
    np.testing.assert_array_equal(count_stretches(passes[:1], 10, RULE)[0], [1, 1, 1])


@pytest.mark.parametrize("length", [1, 39, 79])
def test_a_short_segment_is_one_stretch(length):
    passes = np.zeros((3, length), np.float32)
    counts, energies = count_stretches(passes, 10, RULE)
    assert (counts.tolist(), energies.tolist()) == ([1], [0.0])
