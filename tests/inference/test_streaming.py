"""Streams: equal to the whole recording, in any chunks, with a state that can be kept."""

import gc
import resource
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from separation.errors import RecipeError
from separation.inference.streaming import LevelFollower, Streamer
from separation.models.fast.norms import SteadyCumLN
from separation.models.streaming import StreamedCumLN, make_streaming
from small_networks import small_network

RATE = 8000
STATM = Path("/proc/self/statm")
SYSTEMS = {
    "causal": ("causal",),
    "skip": ("causal", "net_conf.Sc=4"),
    "constant norms": ("causal", "net_conf.affine=false"),
    "frame norm": ("causal", "net_conf.norm=cln_frame"),
    "P 2": ("causal", "net_conf.P=2"),
    "three sources": ("causal", "corpus.n_src=3"),
    "lookahead": ("causal", "net_conf.lookahead=5"),
    "relu": ("causal", "net_conf.activate=relu"),
    "softmax": ("causal", "net_conf.activate=softmax"),
    "deep": ("deep_causal",),
    "gated": ("deep_causal", "net_conf.deep_gate=glu"),
    "spectral": ("spectral_causal",),
    "spectral, half overlapping": ("spectral_causal", "net_conf.overlap=2"),
    "spectral, P 2": ("spectral_causal", "net_conf.P=2", "net_conf.Sc=4"),
}
every_system = pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)


def signal(length, batch=1, seed=0):
    rng = np.random.default_rng(seed)
    speech = np.cumsum(rng.normal(size=(batch, length)), 1)
    return (0.1 * speech / np.abs(speech).max()).astype(np.float32)


def offline(model, samples):
    with torch.inference_mode():
        return model(torch.from_numpy(samples)).numpy()


def streamed(streamer, samples, sizes):
    """Estimates of samples that come in chunks of these sizes, over and over."""
    pieces, start, number = [], 0, 0
    while start < samples.shape[1]:
        size = sizes[number % len(sizes)]
        pieces.append(streamer.feed(samples[:, start : start + size]))
        start, number = start + size, number + 1
    return np.concatenate([*pieces, streamer.flush()], -1)


def assert_equal(found, expected):
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


@every_system
@pytest.mark.parametrize("batch", [1, 3])
def test_a_stream_equals_the_whole_recording(system, batch):
    # Long enough for chunks of 799 samples to end at each of the 20 places of a hop.
    model, samples = small_network(*system), signal(2 * RATE + 7, batch)
    streamer, expected = Streamer(model, batch, level=False), offline(model, samples)
    for sizes in ([80], [799], [8000], [3, 1000, 0, 41]):
        assert_equal(streamed(streamer, samples, sizes), expected)
        streamer.reset()


def test_a_minute_in_chunks_of_one_sample_and_more():
    model, samples = small_network("causal"), signal(60 * RATE)
    streamer, expected = Streamer(model, level=False), offline(model, samples)
    assert_equal(streamed(streamer, samples, [80]), expected)
    for size, length in ((8, 16000), (1, 2000)):
        streamer.reset()
        short = samples[:, :length]
        assert_equal(streamed(streamer, short, [size]), offline(model, short))


@given(sizes=st.lists(st.integers(0, 300), min_size=1, max_size=30))
@settings(max_examples=30, deadline=None)
def test_any_chunks(sizes):
    model = small_network("causal")
    samples = signal(sum(sizes) or 1)
    streamer = Streamer(model, level=False)
    pieces = [streamer.feed(s) for s in np.split(samples, np.cumsum(sizes)[:-1], axis=1)]
    found = np.concatenate([*pieces, streamer.flush()], -1)
    assert_equal(found, offline(model, samples))


@pytest.mark.parametrize("tag", ["causal", "spectral_causal"])
@pytest.mark.parametrize("length", [1, 7, 8, 20, 31, 32, 33, 39, 40, 41, 59, 60, 61])
def test_recordings_shorter_than_a_frame_and_a_bit_longer(length, tag):
    model, samples = small_network(tag), signal(length)
    assert_equal(streamed(Streamer(model, level=False), samples, [17]), offline(model, samples))


def test_nothing_in_is_nothing_out():
    streamer = Streamer(small_network("causal"))
    assert streamer.feed(np.zeros((1, 0), np.float32)).shape == (1, 2, 0)
    assert streamer.flush().shape == (1, 2, 0)


@every_system
def test_estimates_come_with_the_latency(system):
    """The estimate of t is there when t + latency samples are, so later ones cannot change it."""
    streamer, samples = Streamer(small_network(*system)), signal(1000)
    for time in (40, 400, 413):
        streamer.reset()
        found = streamer.feed(samples[:, : time + streamer.latency])
        assert found.shape[-1] > time
        streamer.reset()
        whole = np.concatenate([streamer.feed(samples), streamer.flush()], -1)
        assert_equal(found, whole[..., : found.shape[-1]])


@pytest.mark.parametrize("at", [0, 13, 40, 1000, 1013])
def test_a_stream_continues_from_its_state(at):
    model, samples = small_network("causal"), signal(3000, 2)
    one, other = Streamer(model, 2), Streamer(model, 2)
    first = one.feed(samples[:, :at])
    other.load_state_dict(one.state_dict())
    one.feed(samples[:, at:])  # does not change the state that was taken
    rest = np.concatenate([other.feed(samples[:, at:]), other.flush()], -1)
    expected = streamed(Streamer(model, 2), samples, [3000])
    np.testing.assert_allclose(np.concatenate([first, rest], -1), expected, atol=1e-6)


@pytest.mark.skipif(not STATM.exists(), reason="no /proc to read the memory from")
def test_an_hour_takes_no_more_memory_than_a_minute():
    streamer = Streamer(small_network("causal", "net_conf.L=320"))  # few frames
    second, megabytes = signal(RATE), []
    for seconds in (60, 3540):
        for _ in range(seconds):
            streamer.feed(second)
        gc.collect()
        pages = int(STATM.read_text().split()[1])
        megabytes.append(pages * resource.getpagesize() / 1e6)
    assert megabytes[1] < megabytes[0] + 1


def test_cumulative_norms_are_right_after_an_hour():
    """An hour of frames with a mean of a standard deviation, against float64 over all of them."""
    torch.manual_seed(0)
    hour, piece, channels = 3600 * 400, 40_000, 4
    norm = StreamedCumLN(channels)
    norm.begin(1)
    total = power = 0.0
    for start in range(0, hour, piece):
        x = torch.randn(1, channels, piece) + 1
        with torch.no_grad():
            y = norm(x)
        exact = x.double()
        total, power = total + exact.sum(), power + exact.square().sum()
        mean = total / (channels * (start + piece))
        deviation = (power / (channels * (start + piece)) - mean**2).sqrt()
        last = (exact[..., -1] - mean) / deviation
        assert (y[..., -1] - last).abs().max() < 1e-4 * last.abs().max()


def test_streamed_norms_are_the_norms(tmp_path):
    torch.manual_seed(0)
    whole, x = SteadyCumLN(5), 3 * torch.randn(2, 5, 100) + 1
    torch.nn.init.uniform_(whole.gamma)
    streamed_norm = StreamedCumLN(5)
    streamed_norm.load_state_dict(whole.state_dict())
    streamed_norm.begin(2)
    pieces = torch.cat([streamed_norm(x[..., :33]), streamed_norm(x[..., 33:])], -1)
    torch.testing.assert_close(pieces, whole(x))


@pytest.mark.parametrize(
    ("system", "says"),
    [
        (("small",), "not causal: masker.bottleneck.0 is a norm over the whole recording"),
        (("causal", "net_conf.causal=false", "net_conf.padding=symmetric"), "looks ahead"),
        (("dprnn",), "cannot stream: it needs the whole recording"),
        (("sudormrf",), "cannot stream"),
    ],
)
def test_a_network_that_needs_the_future_is_refused(system, says):
    with pytest.raises(RecipeError, match=says):
        make_streaming(small_network(*system))


@pytest.mark.parametrize(
    ("samples", "says"),
    [
        (np.zeros((2, 10), np.float32), r"shape \(2, 10\); 1 streams take \(1, time\)"),
        (np.zeros((1, 1, 10), np.float32), "shape"),
        (np.zeros((1, 10), np.int32), "type int32; float or int16 are taken"),
        (np.zeros((1, 10), complex), "type complex128"),
    ],
)
def test_other_shapes_and_types_are_refused(samples, says):
    with pytest.raises(RecipeError, match=says):
        Streamer(small_network("causal")).feed(samples)


def test_sixteen_bits_are_taken_and_bad_samples_counted(caplog):
    streamer, samples = Streamer(small_network("causal"), level=False), signal(500)
    whole = np.round(samples * 2**15).astype(np.int16)
    expected = streamer.feed(whole / np.float32(2**15))
    streamer.reset()
    np.testing.assert_array_equal(streamer.feed(whole), expected)
    spoilt, silent = samples.copy(), samples.copy()
    spoilt[0, [3, 77]] = np.nan, -np.inf
    silent[0, [3, 77]] = 0
    streamer.reset()
    expected = streamer.feed(silent)
    streamer.reset()
    np.testing.assert_array_equal(streamer.feed(spoilt), expected)
    assert streamer.bad_samples == 2


def test_the_sum_of_the_sources_follows_the_mixture():
    """Estimates at a tenth of their level are lifted by 10, and followed when that changes."""
    follower, hop = LevelFollower(1, 20, RATE), 20
    parts = np.stack([signal(8 * RATE, seed=1)[0], signal(8 * RATE, seed=2)[0]])[None]
    mixture = parts.sum(1)
    factor = np.where(np.arange(8 * RATE) < 2 * RATE, 0.1, 0.5)
    whole = follower(mixture, parts * factor)
    np.testing.assert_allclose(whole[..., : 2 * RATE], parts[..., : 2 * RATE], atol=1e-6)
    assert np.abs(whole[..., -hop:] / parts[..., -hop:]).max() == pytest.approx(1, abs=0.1)
    follower.reset()
    pieces = [follower(mixture[:, a:b], (parts * factor)[..., a:b]) for a, b in CUTS]
    np.testing.assert_allclose(np.concatenate(pieces, -1), whole, atol=1e-7)


CUTS = [(0, 20), (20, 4000), (4000, 4020), (4020, 8 * RATE)]


def test_silent_estimates_stay_silent():
    follower = LevelFollower(2, 20, RATE)
    found = follower(signal(100, 2), np.zeros((2, 2, 100), np.float32))
    np.testing.assert_array_equal(found, 0)
