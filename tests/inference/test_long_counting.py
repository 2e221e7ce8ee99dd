"""Long recordings of an unknown number of speakers, with a network that knows every sample."""

from itertools import permutations, product

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from separation.inference.long import separate_long
from separation.inference.recording import check_recording
from separation.inference.recursion import RecursiveSeparator, StopRule

RATE = 1000
SEGMENT, OVERLAP = 24 * RATE, 4 * RATE
RULE = StopRule(-60.0, 3)
LEVELS = np.array([0.4, 0.27, 0.15], np.float32)  # each of their sums, with any signs, is another
PITCHES = (45, 90, 230)


class OneOfLevels(torch.nn.Module):
    """Tells the sources of every sample by its value; gives any one of them, and the exact rest."""

    sample_rate = RATE

    def __init__(self, seed=0):
        super().__init__()
        self.rng = np.random.default_rng(seed)
        self.lengths, self.left = [], np.inf
        signs = np.array(list(product((-1, 0, 1), repeat=3)))
        order = np.argsort(signs @ LEVELS)
        self.signs = signs[order]
        sums = (signs @ LEVELS)[order]
        self.edges = (sums[1:] + sums[:-1]) / 2

    def forward(self, wav):
        self.lengths.append(wav.shape[-1])
        if len(self.lengths) > self.left:
            raise KeyboardInterrupt
        parts = self.signs[np.searchsorted(self.edges, wav[0].numpy())].T * LEVELS[:, None]
        there = np.flatnonzero(parts.any(1))
        one = torch.from_numpy(parts[self.rng.choice(there)] if len(there) else 0 * parts[0])
        rest = wav[0] - one
        return torch.stack([one, rest * (rest.abs() > 1e-3)])[None].float()


def voices(count, length):
    """Square waves of their own pitch and level, which speak all the time."""
    time = np.arange(length) / RATE
    waves = [np.sign(np.sin(2 * np.pi * pitch * time + 0.1)) for pitch in PITCHES[:count]]
    return (np.stack(waves) * LEVELS[:count, None]).astype(np.float32)


def in_turns(count, length, seed):
    """Voices who speak for 3 to 8 s and are silent for 1 to 6 s, each at times of their own."""
    rng = np.random.default_rng(seed)
    sources = voices(count, length)
    for source in sources:
        at = 0
        while at < length:
            at += int(rng.integers(3 * RATE, 8 * RATE))
            pause = int(rng.integers(RATE, 6 * RATE))
            source[at : at + pause] = 0
            at += pause
    return sources


class World:
    def __init__(self, folder):
        self.recording, self.out = folder / "a talk.wav", folder / "out"
        self.system = folder / "exp"
        self.system.mkdir(exist_ok=True)

    def separate(self, sources, model, rule=RULE):
        soundfile.write(self.recording, sources.sum(0), RATE, subtype="FLOAT")
        info = check_recording(self.recording, mixdown=False)
        separator = RecursiveSeparator(model, rule=rule)
        paths = [self.out / f"s{n}.wav" for n in range(1, separator.n_src + 1)]
        written, _ = separate_long(separator, self.recording, info, paths, self.system)
        assert sorted(self.out.iterdir()) == written == paths[: len(written)]
        return np.stack([soundfile.read(path, dtype="float32")[0] for path in written])


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def assert_recovered(found, sources):
    assert found.shape == sources.shape
    errors = [np.abs(found[list(o)] - sources).max() for o in permutations(range(len(found)))]
    assert min(errors) < 1e-4


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize(
    "length", [1, OVERLAP, SEGMENT, SEGMENT + 1, 2 * SEGMENT - OVERLAP, 4 * SEGMENT - 3 * OVERLAP]
)
def test_any_number_and_any_length(world, count, length):
    sources = voices(count, length)
    model = OneOfLevels(length)
    assert_recovered(world.separate(sources, model), sources)
    assert max(model.lengths) <= SEGMENT


@given(count=st.integers(1, 3), seconds=st.integers(100, 200), seed=st.integers(0, 10**6))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_speakers_in_turns_are_all_recovered(tmp_path_factory, count, seconds, seed):
    sources = in_turns(count, seconds * RATE, seed)
    world = World(tmp_path_factory.mktemp("turns"))
    assert_recovered(world.separate(sources, OneOfLevels(seed)), sources)


@pytest.mark.parametrize("seed", range(4))
def test_who_is_silent_for_long_has_a_silent_output(world, seed):
    """Each is silent for a minute, once; then all are for 40 s."""
    sources = in_turns(3, 300 * RATE, seed)
    for number, source in enumerate(sources[np.random.default_rng(seed).permutation(3)]):
        start = (20 + 70 * number) * RATE
        source[start : start + 60 * RATE] = 0
    sources[:, 235 * RATE : 275 * RATE] = 0
    assert_recovered(world.separate(sources, OneOfLevels(seed)), sources)


def test_one_odd_segment_neither_adds_a_speaker_nor_takes_one_away(world):
    sources = voices(3, 200 * RATE)
    sources[2, : 86 * RATE] = sources[2, 94 * RATE :] = 0  # within the segment from 80 s to 104 s
    sources[1, 40 * RATE : 64 * RATE] = 0  # a segment
    found = world.separate(sources, OneOfLevels(5))
    assert len(found) == 2
    np.testing.assert_allclose(found.sum(0), sources.sum(0), atol=1e-4)
    apart = np.ones(200 * RATE, bool)
    apart[80 * RATE : 104 * RATE] = False  # the third is in either of the two files there
    assert_recovered(found[:, apart], sources[:2, apart])


def test_who_speaks_for_a_moment_is_a_speaker(world):
    """Of the whole recording the rest is too little, of the stretch it is in it is not."""

    class Loudest:
        choice = staticmethod(np.min)  # levels fall

    model = OneOfLevels()
    model.rng = Loudest()
    sources = voices(2, 20 * RATE)
    sources[1, : 13 * RATE] = sources[1, 15 * RATE :] = 0
    rule = StopRule(-9.0, 3)
    assert_recovered(world.separate(sources, model, rule), sources)
    whole = RecursiveSeparator(model, rule=rule).separate(sources.sum(0), RATE)
    assert len(whole) == 1


def test_silence_is_one_silent_speaker(world):
    silence = np.zeros((1, 100 * RATE), np.float32)
    np.testing.assert_array_equal(world.separate(silence, OneOfLevels()), silence)


def test_a_run_that_was_killed_goes_on(world):
    sources = voices(3, 130 * RATE)
    model = OneOfLevels()
    model.left = 1 + 2 * 3  # one to see how many sources it has, and two a segment
    with pytest.raises(KeyboardInterrupt):
        world.separate(sources, model)
    assert not list(world.out.glob("s*"))
    stamp = world.recording.stat()
    again = OneOfLevels(1)
    info = check_recording(world.recording, mixdown=False)
    paths = [world.out / f"s{n}.wav" for n in (1, 2, 3)]
    separate_long(RecursiveSeparator(again, rule=RULE), world.recording, info, paths, world.system)
    assert stamp == world.recording.stat()
    assert len(again.lengths) == 1 + 2 * (7 - 3)
    assert_recovered(np.stack([soundfile.read(path)[0] for path in paths]), sources)
