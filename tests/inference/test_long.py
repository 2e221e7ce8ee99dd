"""Long recordings: segments joined to what one pass gives, kept after a kill, in flat memory."""

import numpy as np
import pytest
import soundfile
import torch

from separation.errors import RecipeError
from separation.inference import long
from separation.inference.long import is_long, separate_long
from separation.inference.recording import check_recording
from separation.inference.separator import Separator

RATE = 1000
SEGMENT, OVERLAP = 24 * RATE, 4 * RATE


class Oracle(torch.nn.Module):
    """Knows every sample's sources from their levels, and gives them in another order each time."""

    sample_rate = RATE

    def __init__(self, seed=0):
        super().__init__()
        self.rng = np.random.default_rng(seed)
        self.lengths, self.left = [], np.inf

    def forward(self, wav):
        self.lengths.append(wav.shape[-1])
        if len(self.lengths) > self.left:
            raise KeyboardInterrupt
        loud = 0.5 * wav.sign() * (wav.abs() > 0.2)
        return torch.stack([loud, wav - loud], 1)[:, self.rng.permutation(2)]


def two_sources(length, seed=0):
    """A low hum and a high one, as noises of two levels."""
    time = np.arange(length) / RATE
    rng = np.random.default_rng(seed)
    low = np.where(np.sin(2 * np.pi * 90 * time + rng.uniform(0, 6)) > 0, 0.5, -0.5)
    high = np.where(np.sin(2 * np.pi * 230 * time + rng.uniform(0, 6)) > 0, 0.125, -0.125)
    return np.stack([low, high]).astype(np.float32)


@pytest.fixture
def world(tmp_path):
    """Writes a recording and separates it; returns the sources that were written."""
    paths = [tmp_path / "out" / f"talk_s{k}.wav" for k in (1, 2)]
    system = tmp_path / "exp"
    system.mkdir()

    class World:
        recording, folder = tmp_path / "talk.wav", tmp_path / "out"

        def write(self, sources, subtype="FLOAT"):
            soundfile.write(self.recording, sources.sum(0), RATE, subtype=subtype)

        def separate(self, model):
            info = check_recording(self.recording, mixdown=False)
            separate_long(Separator(model), self.recording, info, paths, system)
            return np.stack([soundfile.read(path, dtype="float32")[0] for path in paths])

    return World()


def assert_kept_apart(found, sources):
    swapped = np.abs(found[0] - sources[0]).max() > 1e-4
    np.testing.assert_allclose(found, sources[::-1] if swapped else sources, atol=1e-4)


@pytest.mark.parametrize(
    "length",
    [1, OVERLAP, SEGMENT, SEGMENT + 1, 2 * SEGMENT - OVERLAP, 3 * SEGMENT - 2 * OVERLAP, 100_123],
)
def test_sources_keep_their_places(world, length):
    sources = two_sources(length)
    world.write(sources)
    model = Oracle()
    assert_kept_apart(world.separate(model), sources)
    assert max(model.lengths) <= SEGMENT
    assert sorted(path.name for path in world.folder.iterdir()) == ["talk_s1.wav", "talk_s2.wav"]


@pytest.mark.parametrize("seed", range(4))
def test_pauses_longer_than_an_overlap_exchange_nobody(world, seed):
    """One speaker or both are silent where segments meet."""
    sources = two_sources(150_000, seed)
    sources[:, 18_000:26_000] = 0  # all of the first overlap
    sources[seed % 2, 36_000:47_000] = 0
    sources[:, 59_000:65_000] = 0
    sources[1 - seed % 2, 78_000:90_000] = 0
    sources[:, 99_000:106_000] = 0
    world.write(sources)
    assert_kept_apart(world.separate(Oracle(seed)), sources)


def test_a_run_that_was_killed_goes_on(world):
    sources = two_sources(130_000)
    world.write(sources)
    model = Oracle()
    model.left = 4  # and once to see how many sources it has
    with pytest.raises(KeyboardInterrupt):
        world.separate(model)
    assert not list(world.folder.glob("talk_s*"))
    again = Oracle(1)
    assert_kept_apart(world.separate(again), sources)
    assert len(again.lengths) == 1 + 7 - 3
    assert world.separate(Oracle(2)).shape == sources.shape  # once more, all of it


def test_segments_of_another_recording_are_not_taken(world):
    world.write(two_sources(130_000, 1))
    model = Oracle()
    model.left = 4
    with pytest.raises(KeyboardInterrupt):
        world.separate(model)
    sources = two_sources(130_000, 2)
    world.write(sources)
    assert_kept_apart(world.separate(Oracle()), sources)


class Loud(torch.nn.Module):
    sample_rate = RATE

    def forward(self, wav):
        return torch.stack([1.5 * wav, -0.5 * wav], 1)


def test_loud_sources_are_fitted_to_full_scale_by_one_factor(world):
    mixture = 1.5 * two_sources(60_000)
    world.write(mixture, "PCM_16")
    found = world.separate(Loud())
    assert np.abs(found).max() == 1 - 2**-15
    np.testing.assert_allclose(found[0], -3 * found[1], atol=2**-13)
    factor = np.abs(found[0]).max() / (1.5 * np.abs(mixture.sum(0)).max())
    np.testing.assert_allclose(found[0], factor * 1.5 * mixture.sum(0), atol=2**-13)


@pytest.mark.parametrize("fault", ["short", "nan"])
def test_damaged_recordings_are_named_and_nothing_is_written(world, fault):
    sources = two_sources(60_000)
    if fault == "nan":
        sources[0, 50_000] = np.nan
    world.write(sources)
    if fault == "short":
        whole = world.recording.read_bytes()
        info = check_recording(world.recording, mixdown=False)
        world.recording.write_bytes(whole[:-40_000])
        with pytest.raises(RecipeError, match="cut short"):
            list(long._read(world.recording, info, SEGMENT, OVERLAP))
        return
    with pytest.raises(RecipeError, match=r"talk.wav: samples that are NaN or Inf"):
        world.separate(Oracle())
    assert not list(world.folder.glob("talk_s*"))


def test_what_is_long():
    class Info:
        sample_rate = 8000

        def __init__(self, seconds):
            self.frames = seconds * 8000

    assert not is_long(Info(36))
    assert is_long(Info(37))
    assert not is_long(Info(8), counts=True)
    assert is_long(Info(9), counts=True)
