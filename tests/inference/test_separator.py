"""Separating: lengths, rates, the common gain, silence."""

from pathlib import Path

import numpy as np
import pytest
import torch
from asteroid.models import ConvTasNet

from separation.errors import RecipeError
from separation.inference import separator
from separation.inference.separator import Separator, least_squares_gain, pick_device
from separation.models.fast import speed_up


class Shares(torch.nn.Module):
    """Gives fixed parts of the mixture as its sources."""

    def __init__(self, *shares, sample_rate=8000):
        super().__init__()
        self.shares = torch.nn.Parameter(torch.tensor(shares))
        self.sample_rate = sample_rate

    def forward(self, mixtures):
        return self.shares[:, None] * mixtures[:, None]


@pytest.fixture(scope="module")
def network():
    """A small Conv-TasNet with random weights."""
    torch.manual_seed(0)
    shape = {"n_filters": 16, "kernel_size": 20, "stride": 10, "bn_chan": 8, "hid_chan": 12}
    model = ConvTasNet(2, n_blocks=2, n_repeats=1, skip_chan=8, sample_rate=8000, **shape)
    return Separator(speed_up(model))


def noise(length, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, length).astype(np.float32)


def test_gain_by_hand():
    estimates = np.array([[1.0, 0.0, 2.0], [0.0, 1.0, 0.0]])
    # The sum is (1, 1, 2), the mixture (2, 0, 5): g = 12 / 6.
    assert least_squares_gain(estimates, np.array([2.0, 0.0, 5.0])) == pytest.approx(2.0)
    assert least_squares_gain(0 * estimates, np.array([2.0, 0.0, 5.0])) == 0.0
    assert least_squares_gain(np.array([[1.0], [-1.0]]), np.array([3.0])) == 0.0


def test_one_gain_for_all_sources():
    mixture = noise(4001)
    sources = Separator(Shares(0.3, -0.1)).separate(mixture, 8000)
    # The parts add up to 0.2 of the mixture, so the gain is 5.
    np.testing.assert_allclose(sources[0], 1.5 * mixture, atol=1e-6)
    np.testing.assert_allclose(sources[1], -0.5 * mixture, atol=1e-6)


def test_sum_is_the_least_squares_match_of_the_mixture(network):
    mixture = noise(16001)
    total = network.separate(mixture, 16000).sum(axis=0, dtype=np.float64)
    correlation = np.dot(mixture - total, total)
    scale = np.linalg.norm(mixture) * np.linalg.norm(total)
    assert abs(correlation) < 1e-5 * scale
    assert np.linalg.norm(total) > 0


@pytest.mark.parametrize("rate", [8000, 7999, 11025, 16000, 44100, 48000])
@pytest.mark.parametrize("length", [401, 4000, 10007])
def test_as_long_as_the_input_at_any_rate(network, rate, length):
    sources = network.separate(noise(length), rate)
    assert sources.shape == (2, length)
    assert sources.dtype == np.float32
    assert np.isfinite(sources).all()


def test_resampling_there_and_back_keeps_the_signal_in_place():
    time = np.arange(44101) / 44100
    tone = (0.3 * np.sin(2 * np.pi * 440 * time) * np.hanning(time.size)).astype(np.float32)
    sources = Separator(Shares(0.75, 0.25)).separate(tone, 44100)
    np.testing.assert_allclose(sources[0], 0.75 * tone, atol=2e-4)
    np.testing.assert_allclose(sources.sum(axis=0), tone, atol=2e-4)


def test_silence_stays_silence(network):
    for rate in (8000, 16000):
        sources = network.separate(np.zeros(5000, np.float32), rate)
        np.testing.assert_array_equal(sources, np.zeros((2, 5000)))


def test_bfloat16_gives_the_same_up_to_its_rounding(network):
    found = Separator(network.model, bf16=True).separate(noise(4001), 8000)
    expected = network.separate(noise(4001), 8000)
    difference = np.abs(found - expected).max() / np.abs(expected).max()
    assert 1e-5 < difference < 0.03


@pytest.mark.parametrize(
    ("precision", "faster", "bf16"),
    [
        ("auto", True, True),
        ("auto", False, False),
        ("fp32", True, False),
        ("bf16", False, True),
    ],
)
def test_precision_is_what_is_asked_for_or_faster(network, monkeypatch, precision, faster, bf16):
    monkeypatch.setattr(separator, "is_faster", lambda device: faster)
    monkeypatch.setattr(separator, "load_model", lambda exp_dir: network.model)
    found = Separator.from_experiment(Path("exp"), precision=precision)
    assert found.bf16 == bf16


def test_one_channel_may_have_an_axis(network):
    mixture = noise(3000)
    np.testing.assert_array_equal(
        network.separate(mixture[None], 8000), network.separate(mixture, 8000)
    )


def test_as_many_sources_as_the_network_has():
    separator = Separator(Shares(0.5, 0.25, 0.25))
    assert separator.n_src == 3
    assert separator.separate(noise(100), 8000).shape == (3, 100)


def test_what_cannot_be_separated(network):
    with pytest.raises(RecipeError, match="2 channels"):
        network.separate(np.zeros((2, 100), np.float32), 8000)
    with pytest.raises(RecipeError, match="no samples"):
        network.separate(np.zeros(0, np.float32), 8000)


def test_too_little_memory_is_told_in_one_line(monkeypatch):
    separator = Separator(Shares(0.5, 0.5))

    def full(_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(separator.model, "forward", full)
    with pytest.raises(RecipeError, match="not enough memory on cpu for 2 s of audio"):
        separator.separate(noise(16000), 8000)


def test_devices():
    assert pick_device("cpu") == torch.device("cpu")
    with pytest.raises(RecipeError, match="--device nonsense"):
        pick_device("nonsense")
    assert pick_device(None).type == ("cuda" if torch.cuda.is_available() else "cpu")
