"""Speakers keep their places over a recording, whatever happens at the seams."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from separation.inference.stitching import (
    PITCH_SCALE,
    Voices,
    compare_seam,
    describe_voices,
    find_orders,
)

RATE = 8000


def same_speakers(orders, true):
    """Whether place by place the same speaker comes, where ``true[k][i]`` is who source i is."""
    heard = [[true[k][source] for source in order] for k, order in enumerate(orders)]
    return all(row == heard[0] for row in heard)


def seam_of(true, k, strength=1.0):
    n_src = len(true[0])
    return np.array(
        [[strength / n_src * (one == other) for other in true[k + 1]] for one in true[k]]
    )


@given(
    true=st.integers(2, 3).flatmap(
        lambda n: st.lists(st.permutations(range(n)), min_size=1, max_size=12)
    )
)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_seams_alone_find_every_order(true):
    n_src = len(true[0])
    voices = [Voices(np.zeros((n_src, 3)), np.zeros(n_src)) for _ in true]
    orders = find_orders([seam_of(true, k) for k in range(len(true) - 1)], voices)
    assert same_speakers(orders, true)
    assert orders[0] == tuple(range(n_src))


@given(
    true=st.integers(2, 3).flatmap(
        lambda n: st.lists(st.permutations(range(n)), min_size=2, max_size=12)
    ),
    seed=st.integers(0, 99),
)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_voices_tell_where_seams_are_silent(true, seed):
    """Every second seam says nothing, and once a speaker says nothing in a segment."""
    rng = np.random.default_rng(seed)
    n_src = len(true[0])
    centres = 4 * np.eye(n_src, 5)
    voices = []
    for row in true:
        features = np.stack([centres[who] + 0.3 * rng.normal(size=5) for who in row])
        voices.append(Voices(features, np.full(n_src, 3.0)))
    last, silent = voices[-1], rng.integers(n_src)  # known by who is left
    last.features[silent], last.seconds[silent] = 0, 0
    seams = [seam_of(true, k, k % 2) for k in range(len(true) - 1)]
    assert same_speakers(find_orders(seams, voices), true)


def test_one_misleading_seam_does_not_exchange_the_rest():
    true = [(0, 1)] * 10
    seams = [seam_of(true, k) for k in range(9)]
    seams[4] = np.array([[0.0, 0.2], [0.2, 0.0]])  # matching neighbours would swap here
    centres = np.array([[2.0, 0, 0], [0, 2.0, 0]])
    voices = [Voices(centres, np.full(2, 4.0)) for _ in true]
    assert find_orders(seams, voices) == [(0, 1)] * 10


def test_a_seam_by_hand():
    one, other = np.array([1.0, -1.0, 1.0, -1.0]), np.array([1.0, 1.0, -1.0, -1.0])
    before, after = np.stack([one, 2 * other]), np.stack([2 * other, one])
    np.testing.assert_allclose(compare_seam(before, after, 0.0), [[0, 0.2], [0.8, 0]], atol=1e-9)
    quiet = compare_seam(1e-3 * before, 1e-3 * after, 2.5)
    assert quiet.max() < 0.01
    assert not compare_seam(np.zeros((2, 4)), np.zeros((2, 4)), 0.0).any()


@pytest.mark.parametrize("rate", [8000, 16000])
def test_pitch_and_spectrum_of_voices(rate):
    time = np.arange(3 * rate) / rate
    low, high = (
        sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 6)) for pitch in (110, 220)
    )
    pause = time > 1.5
    voices = describe_voices(np.stack([low * ~pause, high * pause]).astype(np.float32), rate)
    np.testing.assert_allclose(voices.seconds, 1.5, atol=0.1)
    pitches = 2 ** (voices.features[:, -1] / PITCH_SCALE)
    np.testing.assert_allclose(pitches, [110, 220], rtol=0.03)
    louder = describe_voices(np.stack([10 * low, 0 * low]).astype(np.float32), rate)
    np.testing.assert_allclose(louder.features[0], voices.features[0], atol=0.2)
    assert louder.seconds[1] == 0


def test_segments_of_a_sample_and_of_silence():
    for length in (1, 100, 8000):
        voices = describe_voices(np.zeros((2, length), np.float32), RATE)
        assert not voices.seconds.any()
    assert find_orders([], [voices]) == [(0, 1)]
    for order in permutations(range(2)):
        true = [(0, 1), order]
        assert same_speakers(find_orders([seam_of(true, 0)], [voices, voices]), true)
