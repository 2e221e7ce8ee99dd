"""Live separation in segments: nobody changes places, whatever a network does from call to call."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from separation.inference.segments import SegmentStreamer
from small_networks import small_network

RATE = 1000


class Oracle(torch.nn.Module):
    """Knows every sample's sources from their levels, and gives them in another order each time."""

    sample_rate = RATE

    def __init__(self):
        super().__init__()
        self.rng = np.random.default_rng(0)
        self.longest = 0

    def forward(self, wav):
        self.longest = max(self.longest, wav.shape[-1])
        loud = 0.5 * wav.sign() * (wav.abs() > 0.2)
        return torch.stack([loud, wav - loud], 1)[:, self.rng.permutation(2)]


def two_sources(length, seed=0):
    rng = np.random.default_rng(seed)
    loud = 0.5 * rng.choice([-1, 1], length)
    soft = 0.125 * rng.choice([-1, 1], length)
    return np.stack([loud, soft]).astype(np.float32)


def streamed(streamer, mixture, sizes):
    given, start, number = [], 0, 0
    while start < len(mixture):
        block = mixture[start : start + sizes[number % len(sizes)]]
        given.append(streamer.feed(block)[0])
        start, number = start + len(block), number + 1
        known = sum(piece.shape[1] for piece in given)
        assert start - known < streamer.latency, "late"
    return np.concatenate([*given, streamer.flush()[0]], -1)


def assert_kept_apart(found, sources):
    order = 0 if np.abs(found[0] - sources[0]).max() < 1e-5 else 1
    np.testing.assert_allclose(found, sources[:: -1 if order else 1], atol=1e-5)


@given(
    sizes=st.lists(st.integers(1, 700), min_size=1, max_size=10),
    length=st.integers(1, 9000),
    lookahead=st.integers(2, 3000),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_sources_keep_their_places_in_any_blocks(sizes, length, lookahead):
    sources = two_sources(length)
    streamer = SegmentStreamer(Oracle(), lookahead)
    assert_kept_apart(streamed(streamer, sources.sum(0), sizes), sources)


@pytest.mark.parametrize("who", [0, 1])
def test_a_pause_of_one_speaker_swaps_nobody(who):
    sources = two_sources(12_000)
    sources[who, 5000:8000] = 0
    streamer = SegmentStreamer(Oracle(), 500)
    assert_kept_apart(streamed(streamer, sources.sum(0), [80]), sources)


def test_work_and_memory_of_a_step_do_not_grow():
    model = Oracle()
    streamer = SegmentStreamer(model, 400)
    model.longest = 0
    for _ in range(40):
        streamer.feed(two_sources(1000).sum(0))
    assert model.longest == 4 * RATE
    held = (streamer._heard, streamer._waiting, streamer._estimates)
    assert max(array.shape[-1] for array in held) <= 4 * RATE


def test_an_estimate_depends_on_nothing_after_its_lookahead():
    """What follows is changed; all that was due before stays to the last bit."""
    model, rng = small_network("small"), np.random.default_rng(0)
    mixture = rng.normal(size=12_000).astype(np.float32)
    for changed in (3001, 8000):
        later = mixture.copy()
        later[changed:] = 0.1
        one, other = (
            streamed(SegmentStreamer(model, 800), signal, [100]) for signal in (mixture, later)
        )
        same = changed - (800 - 1)
        np.testing.assert_array_equal(one[:, :same], other[:, :same])
        assert not np.allclose(one[:, changed:], other[:, changed:])


def test_a_recording_shorter_than_a_step_is_separated_in_one_go():
    model, mixture = small_network("small"), np.ones(300, np.float32)
    streamer = SegmentStreamer(model, 800)
    assert streamer.feed(mixture).shape == (1, 2, 0)
    with torch.inference_mode():
        expected = model(torch.from_numpy(mixture[None]))[0].numpy()
    found = streamer.flush()[0]
    gain = found[0, 0] / expected[0, 0]
    np.testing.assert_allclose(found, gain * expected, rtol=1e-4)
    assert streamer.flush().shape == (1, 2, 0)


def test_bad_samples_are_counted():
    streamer = SegmentStreamer(Oracle(), 100)
    streamer.feed(np.array([0.5, np.nan, np.inf], np.float32))
    assert streamer.bad_samples == 2
    assert np.isfinite(streamer.flush()).all()
