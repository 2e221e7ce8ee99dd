"""The live loop: files as long as the input, whatever the blocks, and whole however it ends."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

import live
from fake_sound import FakeSound
from separation.config import ROOT, save_resolved
from separation.errors import RecipeError
from separation.inference import devices
from separation.inference.live import (
    GrowingFiles,
    LiveSeparator,
    Status,
    read_blocks,
    separate_live,
)
from separation.inference.streaming import Streamer
from separation.models.registry import save_model
from separation.process import run_command
from small_networks import small_conf, small_network


def signal_of(length, seed=0):
    rng = np.random.default_rng(seed)
    return (0.2 * rng.uniform(-1, 1, length)).astype(np.float32)


@pytest.fixture
def experiment(tmp_path):
    save_model(small_network("causal"), tmp_path / "exp" / "best_model.pth")
    save_resolved(small_conf("causal"), tmp_path / "exp" / "conf.yaml")
    return tmp_path / "exp"


@pytest.fixture
def run(experiment, monkeypatch, capfd):
    """Run the script; its exit status or error line, and what it printed."""

    def call(*options):
        arguments = ["live.py", "--exp_dir", experiment, *options]
        monkeypatch.setattr(sys, "argv", [str(a) for a in arguments])
        try:
            run_command(live.main)
            status = 0
        except SystemExit as end:
            status = end.code
        return status, capfd.readouterr()

    return call


def separated(samples, rate, sizes, sinks=()):
    """Feed blocks of these sizes, over and over; returns the sources."""
    separator = LiveSeparator(Streamer(small_network("causal")), rate)
    kept = Kept()
    ends = np.cumsum(np.resize(sizes, len(samples)))
    blocks = np.split(samples, ends[ends < len(samples)])
    separate_live(separator, blocks, [*sinks, kept], Status(0.0), lambda status: None)
    return np.concatenate(kept.sources, -1), np.concatenate(kept.mixtures)


class Kept:
    def __init__(self):
        self.sources, self.mixtures, self.closed = [], [], False

    def write(self, sources, mixture):
        assert sources.shape[1] == len(mixture)
        self.sources.append(sources)
        self.mixtures.append(mixture)

    def close(self):
        self.closed = True


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


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (44100, 2)])
def test_a_file_is_separated_as_if_it_were_spoken(run, tmp_path, rate, channels):
    samples = np.stack([signal_of(rate, seed) for seed in range(channels)], 1)
    soundfile.write(tmp_path / "talk.wav", samples, rate)
    status, said = run("--simulate", tmp_path / "talk.wav", "--full_speed", "-o", tmp_path / "out")
    assert status == 0, said.err
    assert ("2 channels; the first one is taken" in said.err) == (channels == 2)
    assert "real-time factor" in said.out
    assert said.out.endswith("talk_s1.wav, " + str(tmp_path / "out" / "talk_s2.wav") + "\n")
    first = soundfile.read(tmp_path / "talk.wav")[0].reshape(rate, channels)[:, 0]
    expected, _ = separated(first.astype(np.float32), rate, [480])
    for number, source in enumerate(expected, 1):
        found, found_rate = soundfile.read(tmp_path / "out" / f"talk_s{number}.wav")
        assert (found_rate, len(found)) == (rate, rate)
        np.testing.assert_allclose(found, source, atol=1e-3)


def test_mixdown_is_the_mean_of_the_channels(tmp_path):
    samples = np.stack([signal_of(1000, 1), signal_of(1000, 2)], 1)
    soundfile.write(tmp_path / "talk.wav", samples, 8000, subtype="FLOAT")
    blocks = list(read_blocks(tmp_path / "talk.wav", 300, mixdown=True))
    assert [len(block) for block in blocks] == [300, 300, 300, 100]
    np.testing.assert_allclose(np.concatenate(blocks), samples.mean(1), atol=1e-7)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_kill_close_the_files_whole(experiment, tmp_path, number):
    soundfile.write(tmp_path / "talk.wav", signal_of(600 * 8000), 8000)
    arguments = ["--exp_dir", experiment, "--simulate", tmp_path / "talk.wav", "-o", tmp_path]
    process = subprocess.Popen(
        [sys.executable, ROOT / "local" / "live.py", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    file = tmp_path / "talk_s1.wav"
    while not (file.is_file() and file.stat().st_size > 4000) and process.poll() is None:
        time.sleep(0.05)
    os.kill(process.pid, number)
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert err == ""
    assert "sources are in" in out
    assert 2000 < soundfile.info(file).frames < 600 * 8000
    assert soundfile.info(file).frames == soundfile.info(tmp_path / "talk_s2.wav").frames


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


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--simulate", "talk.wav"], "nowhere to put the sources: give -o FOLDER, --play"),
        (["-o", "out", "--simulate", "nothing.wav"], "nothing.wav: no such file"),
        (["-o", "out", "--simulate", "empty.wav"], "empty.wav: no samples in it"),
        (["-o", "out", "--simulate", "talk.wav", "--frames_per_call", "0"], "0: 1 or more"),
        (["-o", "out", "--simulate", "talk.wav", "--threads", "0"], "--threads 0: 1 or more"),
        (["-o", "out", "--simulate", "talk.wav", "--source", "3"], "--source 3: from 0"),
        (["-o", "out", "--exp_dir", "nowhere"], "nowhere: neither a folder nor a model"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(run, tmp_path, monkeypatch, options, says):
    monkeypatch.chdir(tmp_path)
    soundfile.write("talk.wav", signal_of(800), 8000)
    soundfile.write("empty.wav", np.zeros(0), 8000)
    status, said = run(*options)
    assert isinstance(status, str) and status.startswith("error: ") and "\n" not in status
    assert says in status
    assert said.err == ""
    assert not (tmp_path / "out").exists()


def test_a_network_that_is_not_causal_is_refused(run, experiment, tmp_path):
    save_model(small_network("small"), experiment / "best_model.pth")
    soundfile.write(tmp_path / "talk.wav", signal_of(800), 8000)
    options = ("--simulate", tmp_path / "talk.wav", "-o", tmp_path / "out")
    status, _ = run(*options)
    assert status.startswith("error: not causal: ")
    assert status.endswith("; --lookahead_ms 1000 lets it wait for what follows")
    assert run(*options, "--lookahead_ms", "0")[0] == "error: --lookahead_ms 0: 1 or more"
    assert not (tmp_path / "out").exists()


def test_a_network_that_is_not_causal_waits_for_what_follows(run, experiment, tmp_path):
    save_model(small_network("small"), experiment / "best_model.pth")
    soundfile.write(tmp_path / "talk.wav", signal_of(12_345), 8000)
    options = ("--simulate", tmp_path / "talk.wav", "--full_speed", "-o", tmp_path / "out")
    status, said = run(*options, "--lookahead_ms", "500")
    assert status == 0
    assert "latency 560 ms" in said.out  # and a block of 480 samples
    for number in (1, 2):
        assert soundfile.info(tmp_path / "out" / f"talk_s{number}.wav").frames == 12_345


def test_a_causal_network_needs_no_lookahead(run, tmp_path):
    soundfile.write(tmp_path / "talk.wav", signal_of(800), 8000)
    options = ("--simulate", tmp_path / "talk.wav", "-o", tmp_path / "out")
    status, _ = run(*options, "--lookahead_ms", "500")
    assert status == "error: --lookahead_ms is for systems that are not causal; this one is"


@pytest.fixture
def sound(monkeypatch):
    fake = FakeSound([signal_of(480, 1), signal_of(480, 2), signal_of(33, 3)])
    monkeypatch.setattr(devices, "sounddevice", lambda: fake)
    monkeypatch.setattr(devices, "PATIENCE", 0.01)
    return fake


def test_a_microphone_that_is_late_and_then_gone(run, sound, tmp_path):
    status, said = run("-o", tmp_path / "out", "--play", "--source", "0")
    assert status == "error: Mic: the device is gone; the files are whole"
    assert said.err == ""
    files = sorted((tmp_path / "out").iterdir())
    assert [path.name[-7:] for path in files] == ["_s1.wav", "_s2.wav"]
    assert {soundfile.info(path).frames for path in files} == {993}
    assert {soundfile.info(path).samplerate for path in files} == {16000}
    played = np.concatenate(sound.played)  # the mixture, on both sides
    np.testing.assert_allclose(played, np.stack([np.concatenate(sound.blocks)] * 2, 1))


def test_overruns_are_counted_and_channels_mixed(sound):
    status = Status(0.0)
    microphone = devices.Microphone("Mic", 480, None, True, status)
    assert (microphone.rate, microphone.channels) == (16000, 2)
    blocks = []
    with pytest.raises(RecipeError, match="Mic: the device is gone"):
        blocks.extend(microphone)
    assert status.overruns == 1


def test_keys_choose_what_is_heard(sound):
    speaker = devices.Loudspeaker(None, 8000, 2)
    sources, mixture = np.array([[0.1], [2.0]]), np.array([0.3])
    heard = {}
    for key in "120b3x":
        speaker.choose(key)
        heard[key] = speaker.stereo(sources, mixture)[0].tolist()
    expected = {"1": [0.1, 0.1], "2": [1, 1], "0": [0.3, 0.3], "b": [0.1, 1]}
    expected |= {"3": [0.1, 1], "x": [0.1, 1]}
    assert heard == {key: pytest.approx(values) for key, values in expected.items()}


def test_devices_are_listed_and_unknown_ones_named(run, sound, tmp_path):
    assert run("--list_devices")[1].out == "  0 Mic\n  1 Box\n"
    status, _ = run("-o", tmp_path / "out", "--input_device", "Mike")
    assert status.startswith("error: --input_device: no 'Mike' device for input (no such device)")
    assert not (tmp_path / "out").exists()


def test_without_portaudio_it_is_said_what_to_install(run, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    status, _ = run("-o", tmp_path / "out")
    assert "PortAudio is missing (Debian, Ubuntu: apt install libportaudio2" in status
    assert "\n" not in status
