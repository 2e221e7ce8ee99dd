"""The features of a pass by hand, and what a classifier learns from them."""

import numpy as np
import pytest

from separation.evaluation.stop_classifier import (
    CHOICES,
    FEATURES,
    LARGEST_DB,
    Passes,
    classifier_counter,
    compare,
    level_counter,
    rest_features,
)

RATE = 1000


def tone(number, length=1000):
    """Tones of different numbers are orthogonal and have the same energy."""
    return np.sin(2 * np.pi * number * np.arange(length) / length)


def test_features_by_hand():
    one, other = tone(50), tone(150)  # whole periods in every frame
    passes = [(one, 0.5 * other), (0.5 * other + 0.2 * one, 0.2 * one)]
    first, second = (
        dict(zip(FEATURES, row, strict=True)) for row in rest_features(one, passes, RATE)
    )
    half, fifth = 20 * np.log10(0.5), 20 * np.log10(0.2)
    assert first["rest_mixture"] == first["rest_input"] == pytest.approx(half)
    assert first["rest_one"] == pytest.approx(half)
    assert first["correlation"] == pytest.approx(0, abs=1e-9)
    assert (first["louder"], first["second"]) == (0, 0)
    assert second["rest_mixture"] == pytest.approx(fifth)
    assert second["rest_input"] == pytest.approx(fifth - half)
    assert second["rest_one"] == pytest.approx(10 * np.log10(0.04 / 0.29))
    assert second["correlation"] == pytest.approx(0.2 / np.sqrt(0.29))
    assert second["second"] == 1


def test_flatness_and_frames_by_hand():
    impulse, silence = np.zeros(1000), np.zeros(1000)
    impulse[500] = 1
    passes = [(silence, impulse), (impulse, silence)]
    white, nothing = (
        dict(zip(FEATURES, row, strict=True)) for row in rest_features(impulse, passes, RATE)
    )
    assert white["flatness"] == pytest.approx(0, abs=1e-6)  # its spectrum is the same everywhere
    assert white["louder"] == pytest.approx(1 / 50)  # one frame of 50; silence is not louder
    assert nothing["rest_mixture"] == nothing["rest_input"] == -LARGEST_DB
    assert nothing["correlation"] == nothing["louder"] == 0


def made(count=90, seed=0):
    """Mixtures of 1 to 3 whose first two features tell of the rest only when they are added."""
    rng = np.random.default_rng(seed)
    numbers = np.arange(count) % 3 + 1
    features = np.zeros((count, 2, len(FEATURES)))
    nothing = np.arange(1, 3) >= numbers[:, None]
    hidden = rng.normal(0, 10, (count, 2))
    features[..., 0] = -15 + hidden
    features[..., 1] = np.where(nothing, -5, 5) - hidden + rng.normal(0, 0.5, (count, 2))
    return Passes(features, numbers)


def test_a_classifier_learns_what_a_level_cannot():
    cv, tt = made(), made(seed=1)
    assert tt.accuracy(classifier_counter(cv, FEATURES)) == 100
    assert tt.accuracy(level_counter(cv)) < 70
    table = compare(cv, tt)
    assert len(table) == 1 + len(CHOICES)
    assert table.loc["classifier: all features", "cv, folds"] > 99
    assert table.loc["energy: level of the rest", "tt"] == tt.accuracy(level_counter(cv))


def test_of_a_level_alone_both_rules_find_the_same():
    data = made()
    data.features[..., 1] = 0
    data.features[..., 0] = np.where(np.arange(1, 3) >= data.numbers[:, None], -30.0, -3.0)
    for counter in (level_counter(data), classifier_counter(data, FEATURES[:1])):
        np.testing.assert_array_equal(counter(data.features), data.numbers)


def test_the_first_pass_that_leaves_nothing_decides():
    cv = made()
    counter = classifier_counter(cv, FEATURES)
    levels = np.zeros((3, 2, len(FEATURES)))
    levels[..., 0] = [[-50, 50], [50, -50], [50, 50]]
    assert counter(levels).tolist() == [1, 2, 3]


def test_folds_count_what_they_were_not_fitted_on():
    """Numbers that have nothing to do with the features are right by chance, but where fitted."""
    rng = np.random.default_rng(0)
    data = Passes(rng.normal(size=(150, 2, len(FEATURES))), rng.integers(1, 4, 150))
    table = compare(data, data)
    assert (table["cv"] == table["tt"]).all()
    assert (table["cv, folds"] < 50).all()
