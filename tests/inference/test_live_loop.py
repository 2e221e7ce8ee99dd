"""The live loop: files as long as the input, whatever the blocks, and whole however it ends."""

import numpy as np
import pytest
import soundfile

from live_signals import Kept, separated, signal_of
from separation.errors import RecipeError
from separation.inference.live import (
    GrowingFiles,
    LiveSeparator,
    Status,
    read_blocks,
    separate_live,
)
from separation.inference.streaming import Streamer
from small_networks import small_network


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_sources_of_ragged_blocks_are_those_of_even_ones_and_as_long(rate):
    samples = signal_of(rate + 13)
    even, mixture = separated(samples, rate, [len(samples)])
    ragged, again = separated(samples, rate, [1, 700, 0, 33, 2048])
    assert even.shape == ragged.shape == (2, len(samples))
    np.testing.assert_array_equal(mixture, samples)
    np.testing.assert_array_equal(again, samples)
    np.testing.assert_allclose(ragged, even, atol=2e-5)


def test_the_live_path_does_not_see_the_future():
    """Sources that came before a sample was there cannot depend on it; they come in time."""
    separator = LiveSeparator(Streamer(small_network("causal")), 8000)
    for start in range(0, 4000, 80):
        separator.feed(signal_of(80, start))
        assert separator.taken - separator.given <= separator.streamer.latency
    assert separator.latency == 40 / 8000
    resampled = LiveSeparator(Streamer(small_network("causal")), 48000)
    resampled.feed(signal_of(48000))
    assert 0 < resampled.taken - resampled.given <= 48000 * (resampled.latency + 0.03)


def test_a_device_that_vanishes_leaves_whole_files(tmp_path):
    def blocks():
        yield from np.split(signal_of(1600), 4)
        raise RecipeError("Mic: the device is gone; the files are whole")

    files = GrowingFiles([tmp_path / "a_s1.wav", tmp_path / "a_s2.wav"], 8000)
    separator, kept = LiveSeparator(Streamer(small_network("causal")), 8000), Kept()
    with pytest.raises(RecipeError, match="device is gone"):
        separate_live(separator, blocks(), [files, kept], Status(0.0), lambda status: None)
    assert kept.closed
    expected, _ = separated(signal_of(1600), 8000, [1600])
    for number, source in enumerate(expected, 1):
        found, rate = soundfile.read(tmp_path / f"a_s{number}.wav")
        assert (rate, len(found)) == (8000, 1600)
        np.testing.assert_allclose(found, source, atol=2**-15)


def test_a_full_disk_is_named_and_ends_it(tmp_path, monkeypatch):
    files = GrowingFiles([tmp_path / "s1.wav", tmp_path / "s2.wav"], 8000)
    written = soundfile.SoundFile.write

    def full(self, data):
        if self.frames + len(data) > 500:
            raise soundfile.LibsndfileError(2)
        return written(self, data)

    monkeypatch.setattr(soundfile.SoundFile, "write", full)
    separator = LiveSeparator(Streamer(small_network("causal")), 8000)
    blocks = np.split(signal_of(1600), 8)
    with pytest.raises(RecipeError, match=r"s1.wav: cannot be written on; is the disk full"):
        separate_live(separator, blocks, [files], Status(0.0), lambda status: None)
    assert 0 < soundfile.info(tmp_path / "s1.wav").frames <= 500


def test_what_is_beyond_full_scale_is_clipped_and_counted(tmp_path):
    files = GrowingFiles([tmp_path / "s1.wav"], 8000)
    files.write(np.array([[0.5, 1.5, -2.0, 1.0]]), np.zeros(4))
    files.close()
    assert files.clipped == 2
    found = soundfile.read(tmp_path / "s1.wav", dtype="int16")[0]
    assert found.tolist() == [2**14, 2**15 - 1, -(2**15), 2**15 - 1]


def test_status_counts_work_level_and_what_is_late():
    status = Status(latency=0.025)
    status.add(np.full(800, 0.1), 8000, 0.05)
    assert status.real_time_factor == pytest.approx(0.5)
    assert status.level == pytest.approx(-20)
    assert "too slow" not in status.line()
    assert "latency 25 ms" in status.line()
    for _ in range(50):
        status.add(np.zeros(80), 8000, 0.012)
    assert status.real_time_factor == pytest.approx(1.2)
    assert "input -100.0 dB" in status.line()
    assert status.line().endswith("too slow: try a larger --frames_per_call")
    assert status.worst == 0.05


def test_mixdown_is_the_mean_of_the_channels(tmp_path):
    samples = np.stack([signal_of(1000, 1), signal_of(1000, 2)], 1)
    soundfile.write(tmp_path / "talk.wav", samples, 8000, subtype="FLOAT")
    blocks = list(read_blocks(tmp_path / "talk.wav", 300, mixdown=True))
    assert [len(block) for block in blocks] == [300, 300, 300, 100]
    np.testing.assert_allclose(np.concatenate(blocks), samples.mean(1), atol=1e-7)


@pytest.mark.parametrize("after", [False, True])
def test_an_interruption_between_two_files_leaves_them_the_same(tmp_path, monkeypatch, after):
    """Ctrl-C comes before or after the second file of the second block is written."""
    paths = [tmp_path / f"a_s{k}.wav" for k in (1, 2, 3)]
    files, blocks = GrowingFiles(paths, 8000), signal_of(3 * 200).reshape(2, 3, 100)
    files.write(blocks[0], blocks[0][0])
    write = files.files[1].write

    def interrupted(samples):
        monkeypatch.undo()
        if after:
            write(samples)
        raise KeyboardInterrupt

    monkeypatch.setattr(files.files[1], "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        files.write(blocks[1], blocks[1][0])
    files.close()
    for number, path in enumerate(paths):
        expected = np.concatenate([blocks[0][number], blocks[1][number]])
        np.testing.assert_allclose(soundfile.read(path)[0], expected, atol=2**-16)
