"""Intervals of means: how often they hold the true mean, and their edges."""

import numpy as np
import pytest

from separation.evaluation.statistics import mean_interval


def test_the_interval_holds_the_true_mean_about_95_times_in_100():
    rng = np.random.default_rng(0)
    intervals = [mean_interval(rng.normal(3.0, 2.0, 60)) for _ in range(100)]
    assert 89 <= sum(low <= 3.0 <= high for low, high in intervals) <= 99


def test_the_interval_is_that_of_the_normal_distribution():
    values = np.random.default_rng(1).normal(10.0, 4.0, 400)
    low, high = mean_interval(values)
    half = 1.96 * values.std() / np.sqrt(400)
    assert low == pytest.approx(values.mean() - half, abs=0.05)
    assert high == pytest.approx(values.mean() + half, abs=0.05)
    assert mean_interval(values) == (low, high)
    narrow = mean_interval(values, level=0.5)
    assert low < narrow[0] < values.mean() < narrow[1] < high


def test_missing_values_are_left_out():
    values = np.array([1.0, 2.0, 4.0])
    assert mean_interval(np.array([np.nan, *values, np.nan])) == mean_interval(values)


@pytest.mark.parametrize("values", [[], [1.0], [np.nan, 1.0]])
def test_fewer_than_two_values_have_none(values):
    assert np.isnan(mean_interval(np.array(values))).all()


def test_equal_values_are_their_own_interval():
    assert mean_interval(np.zeros(10)) == (0.0, 0.0)
