"""One number for all segments of a recording."""

import pytest

from separation.inference.counting import number_of


@pytest.mark.parametrize(
    ("counts", "number"),
    [
        ([1], 1),
        ([3], 3),
        ([2, 3], 2),
        ([1, 2, 2], 2),
        ([1, 1, 1, 1, 1, 3], 1),
        ([2] * 9 + [1], 2),
        ([1] * 18 + [2, 3], 2),
        ([1] * 28 + [2, 3], 1),
        ([1] * 27 + [2, 3, 3], 2),
        ([1, 2, 3], 2),
    ],
)
def test_the_number_by_hand(counts, number):
    assert number_of(counts, [1.0] * len(counts)) == number
    assert number_of(counts[::-1], [1.0] * len(counts)) == number


def test_segments_in_which_nobody_speaks_have_no_say():
    counts, loudness = [2, 3, 3, 2, 3], [1.0, 0.9e-3, 0.0, 1.1e-3, 1e-6]
    assert number_of(counts, loudness) == 2
    assert number_of([1, 1], [0.0, 0.0]) == 1  # all of it is silent
    assert number_of([1, 3, 1], [0.0, 1.0, 0.0]) == 3
