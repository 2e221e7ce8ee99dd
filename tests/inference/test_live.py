"""local/live.py: files, microphones, signals, and what it refuses."""

import os
import signal
import sys
import time

import numpy as np
import pytest
import soundfile

import live
from fake_sound import FakeSound
from forked import Forked, script
from live_signals import separated, signal_of
from separation.config import ROOT, save_resolved
from separation.errors import RecipeError
from separation.inference import devices
from separation.inference.live import (
    Status,
)
from separation.models.registry import save_model
from separation.process import run_command
from small_networks import small_conf, small_network


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_kill_close_the_files_whole(experiment, tmp_path, number):
    soundfile.write(tmp_path / "talk.wav", signal_of(600 * 8000), 8000)
    arguments = ["--exp_dir", experiment, "--simulate", tmp_path / "talk.wav", "-o", tmp_path]
    run = Forked(script, ROOT / "local" / "live.py", *arguments)
    file = tmp_path / "talk_s1.wav"
    while not (file.is_file() and file.stat().st_size > 4000) and run.process.is_alive():
        time.sleep(0.05)
    os.kill(run.process.pid, number)
    ended = run.end()
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    assert "sources are in" in ended.stdout
    assert 2000 < soundfile.info(file).frames < 600 * 8000
    assert soundfile.info(file).frames == soundfile.info(tmp_path / "talk_s2.wav").frames


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--simulate", "talk.wav"], "nowhere to put the sources: give -o FOLDER, --play"),
        (["-o", "out", "--simulate", "nothing.wav"], "nothing.wav: no such file"),
        (["-o", "out", "--simulate", "empty.wav"], "empty.wav: no samples in it"),
        (["-o", "out", "--simulate", "talk.wav", "--frames_per_call", "0"], "0: 1 or more"),
        (["-o", "out", "--simulate", "talk.wav", "--threads", "0"], "--threads 0: 1 or more"),
        (["-o", "out", "--simulate", "talk.wav", "--source", "3"], "--source 3: from 0"),
        (["-o", "talk.wav", "--simulate", "talk.wav"], "a file is where its folder should be"),
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
    assert status.startswith(f"error: {experiment}: not causal: ")
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


def test_a_causal_network_needs_no_lookahead(run, experiment, tmp_path):
    soundfile.write(tmp_path / "talk.wav", signal_of(800), 8000)
    options = ("--simulate", tmp_path / "talk.wav", "-o", tmp_path / "out")
    status, _ = run(*options, "--lookahead_ms", "500")
    assert status == f"error: --lookahead_ms is for systems that are not causal; {experiment} is"


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
