"""Separated files: formats, levels, names, and what is refused."""

import sys

import numpy as np
import pytest
import soundfile
import torch

import separate
from separation.errors import RecipeError
from separation.inference.recording import (
    BITS,
    check_recording,
    fit_to_full_scale,
    output_paths,
    write_sources,
)
from separation.inference.separator import Separator


class Shares(torch.nn.Module):
    """Gives fixed parts of the mixture as its sources."""

    sample_rate = 8000

    def __init__(self, *shares):
        super().__init__()
        self.shares = torch.nn.Parameter(torch.tensor(shares))

    def forward(self, mixtures):
        return self.shares[:, None] * mixtures[:, None]


def wave(length=3001, seed=0):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, length)


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run the script with a network that gives 0.75 and 0.25 of the mixture, or other shares."""

    def call(*arguments, shares=(0.75, 0.25)):
        monkeypatch.setattr(
            Separator, "from_experiment", classmethod(lambda cls, *_: cls(Shares(*shares)))
        )
        head = ["separate.py", "--exp_dir", tmp_path, "-o", tmp_path / "out", "--device", "cpu"]
        monkeypatch.setattr(sys, "argv", [str(a) for a in (*head, *arguments)])
        separate.main()

    return call


def written(tmp_path):
    folder = tmp_path / "out"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


@pytest.mark.parametrize(
    ("name", "subtype", "rate"),
    [
        ("a.wav", "PCM_16", 8000),
        ("a.wav", "PCM_24", 8000),
        ("a.wav", "PCM_32", 16000),
        ("a.wav", "PCM_U8", 8000),
        ("a.wav", "FLOAT", 44100),
        ("a.wav", "DOUBLE", 8000),
        ("a.flac", "PCM_16", 8000),
        ("a.flac", "PCM_24", 22050),
        ("a.aiff", "PCM_S8", 8000),
        ("a.ogg", "VORBIS", 8000),
    ],
)
def test_format_rate_and_length_are_the_inputs(run, tmp_path, name, subtype, rate):
    soundfile.write(tmp_path / name, wave(), rate, subtype=subtype)
    run(tmp_path / name)
    stem, suffix = name.split(".")
    assert written(tmp_path) == [f"{stem}_s1.{suffix}", f"{stem}_s2.{suffix}"]
    before = soundfile.info(tmp_path / name)
    for number in (1, 2):
        after = soundfile.info(tmp_path / "out" / f"{stem}_s{number}.{suffix}")
        assert (after.format, after.subtype) == (before.format, before.subtype)
        # libsndfile counts the padding byte of an odd 8-bit AIFF file, before and after.
        assert (after.frames, after.samplerate, after.channels) == (before.frames, rate, 1)


def test_16_bit_values(run, tmp_path):
    levels = (32768 * wave()).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", levels, 8000)
    run(tmp_path / "a.wav")
    first = soundfile.read(tmp_path / "out" / "a_s1.wav", dtype="int16")[0]
    np.testing.assert_allclose(first, 0.75 * levels, atol=0.51)


@pytest.mark.parametrize("subtype", sorted(BITS))
def test_integer_formats_come_back_exactly(tmp_path, subtype):
    container = "AIFF" if subtype == "PCM_S8" else "WAV"
    path = tmp_path / "a.wav"
    soundfile.write(path, wave(100), 8000, format=container, subtype=subtype)
    info = check_recording(path, mixdown=False)
    step = 2.0 ** (1 - min(BITS[subtype], 24))
    values = np.arange(-50, 50) * step
    values[0], values[-1] = -1.0, 1.0 - step
    write_sources([tmp_path / "b.wav"], values[None], 8000, info)
    np.testing.assert_array_equal(soundfile.read(tmp_path / "b.wav", dtype="float64")[0], values)


def test_paths_with_spaces_and_several_files(run, tmp_path, capsys):
    folder = tmp_path / "my recordings"
    folder.mkdir()
    for name in ("first one.wav", "second.one.wav"):
        soundfile.write(folder / name, wave(), 8000)
    run(*folder.iterdir())
    assert written(tmp_path) == [
        "first one_s1.wav",
        "first one_s2.wav",
        "second.one_s1.wav",
        "second.one_s2.wav",
    ]
    assert capsys.readouterr().err == ""


def test_stereo_is_asked_about_and_mixed_down(run, tmp_path):
    channels = np.stack([wave(seed=1), wave(seed=2)], axis=1)
    soundfile.write(tmp_path / "a.wav", channels, 8000, subtype="FLOAT")
    with pytest.raises(RecipeError, match=r"a.wav: 2 channels; --mixdown"):
        run(tmp_path / "a.wav")
    assert written(tmp_path) == []
    run(tmp_path / "a.wav", "--mixdown")
    first = soundfile.read(tmp_path / "out" / "a_s1.wav")[0]
    np.testing.assert_allclose(first, 0.75 * channels.mean(axis=1), atol=1e-6)


def test_sources_past_full_scale_are_scaled_together_and_it_is_said(run, tmp_path, capsys):
    mixture = wave()
    mixture[7] = 0.5
    soundfile.write(tmp_path / "a.wav", mixture, 8000)
    # Shares that add up to one have the gain 1: the first source peaks at 1.5.
    run(tmp_path / "a.wav", shares=(3.0, -2.0))
    assert "all of them are 3.5 dB quieter" in capsys.readouterr().err
    first, second = (
        soundfile.read(tmp_path / "out" / f"a_s{i}.wav", dtype="int16")[0] for i in (1, 2)
    )
    assert np.abs(first.astype(int)).max() == 32767
    np.testing.assert_allclose(first, -1.5 * second, atol=1.5)


def test_float_files_may_pass_full_scale(run, tmp_path, capsys):
    soundfile.write(tmp_path / "a.wav", wave(), 8000, subtype="FLOAT")
    run(tmp_path / "a.wav", shares=(3.0, -2.0))
    assert capsys.readouterr().err == ""
    assert np.abs(soundfile.read(tmp_path / "out" / "a_s1.wav")[0]).max() > 1.4


def test_fit_to_full_scale_by_hand():
    sources = np.array([[0.5, -2.0], [0.25, 1.0]])
    fitted, attenuation = fit_to_full_scale(sources, "PCM_16")
    np.testing.assert_allclose(fitted, sources * (32767 / 32768) / 2)
    assert attenuation == pytest.approx(20 * np.log10(2 * 32768 / 32767))
    assert fit_to_full_scale(sources, "FLOAT") == (pytest.approx(sources), 0.0)
    assert fit_to_full_scale(sources / 4, "PCM_16")[1] == 0.0


def test_higher_rates_are_told_what_is_lost(run, tmp_path, capsys):
    soundfile.write(tmp_path / "a.wav", wave(), 16000)
    run(tmp_path / "a.wav")
    assert "a.wav: 16000 Hz, but the system was trained at 8000 Hz" in capsys.readouterr().err


def test_silence(run, tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(999), 8000)
    run(tmp_path / "a.wav")
    np.testing.assert_array_equal(soundfile.read(tmp_path / "out" / "a_s2.wav")[0], np.zeros(999))


def bad_recording(tmp_path, kind):
    path = tmp_path / "bad.wav"
    if kind == "empty":
        soundfile.write(path, np.zeros(0), 8000)
    elif kind == "nan":
        soundfile.write(path, np.array([0.1, np.nan, 0.2]), 8000, subtype="FLOAT")
    elif kind == "text":
        path.write_text("this is not audio")
    elif kind == "cut":
        soundfile.write(path, wave(), 8000)
        path.write_bytes(path.read_bytes()[:1000])
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "no such file"),
        ("empty", "no samples"),
        ("nan", "NaN or Inf"),
        ("text", "cannot be read as audio"),
        ("cut", "cut short"),
    ],
)
def test_bad_recordings(run, tmp_path, kind, message):
    path = bad_recording(tmp_path, kind)
    with pytest.raises(RecipeError, match=f"bad.wav: .*{message}"):
        run(path)
    assert written(tmp_path) == []


def test_a_bad_header_is_found_before_anything_is_written(run, tmp_path):
    soundfile.write(tmp_path / "good.wav", wave(), 8000)
    with pytest.raises(RecipeError, match="bad.wav"):
        run(tmp_path / "good.wav", bad_recording(tmp_path, "text"))
    assert written(tmp_path) == []


def test_a_network_that_gives_nan_writes_nothing(run, tmp_path):
    soundfile.write(tmp_path / "a.wav", wave(), 8000)
    with pytest.raises(RecipeError, match="NaN or Inf"):
        run(tmp_path / "a.wav", shares=(float("nan"), 1.0))
    assert written(tmp_path) == []


def test_names_that_would_overwrite(tmp_path):
    inputs = [tmp_path / "x" / "a.wav", tmp_path / "y" / "a.wav"]
    with pytest.raises(RecipeError, match=r"x/a.wav and .*y/a.wav: one name"):
        output_paths(inputs, tmp_path, 2)
    of_two = output_paths([tmp_path / "a.wav", tmp_path / "a.flac"], tmp_path, 1)
    assert of_two == [[tmp_path / "a_s1.wav"], [tmp_path / "a_s1.flac"]]
    with pytest.raises(RecipeError, match=r"a_s2.wav: an input that would be overwritten"):
        output_paths([tmp_path / "a.wav", tmp_path / "a_s2.wav"], tmp_path, 2)


def test_both_sources_or_none(tmp_path):
    soundfile.write(tmp_path / "a.wav", wave(), 8000)
    info = check_recording(tmp_path / "a.wav", mixdown=False)
    paths = [tmp_path / "out" / "a_s1.wav", tmp_path / "out" / "a_s2.wav"]
    with pytest.raises(ValueError, match="zip"):
        write_sources(paths, wave()[None], 8000, info)
    assert written(tmp_path) == []
