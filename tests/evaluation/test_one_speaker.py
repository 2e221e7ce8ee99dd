"""One speaker alone, given to a system: how far below the first output the second one is."""

import sys

import numpy as np
import pytest

import one_speaker


class Stub:
    """Gives its input at these gains."""

    sample_rate = 8000

    def __init__(self, *gains):
        self.gains = gains

    def separate(self, samples, sample_rate):
        assert sample_rate == self.sample_rate
        return np.stack([gain * samples for gain in self.gains])


@pytest.mark.parametrize(
    ("gains", "expected"),
    [((1, 0.1), 20), ((0.1, 1), 20), ((1, 1), 0), ((0, 1), 100), ((0.01, 1, 0.1), 20)],
)
def test_the_two_loudest_outputs_are_compared(gains, expected):
    speech = np.random.default_rng(0).normal(size=1000)
    assert one_speaker.distance(Stub(*gains), speech) == pytest.approx(expected)


def test_a_trained_system(world, monkeypatch, capsys):
    arguments = ["--exp_dir", str(world.exp_dir), "--data_dir", str(world.data_dir)]
    monkeypatch.setattr(sys, "argv", ["one_speaker.py", *arguments, "--device", "cpu"])
    one_speaker.main()
    assert "second output 20 dB or more below the first: " in capsys.readouterr().out
