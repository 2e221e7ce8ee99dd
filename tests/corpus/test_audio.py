"""Reading audio: the value of each sample, and one line for every bad file."""

import numpy as np
import pytest
import soundfile

from separation.corpus.audio import audio_info, load_resampled, read_audio, write_int16
from separation.errors import RecipeError


def test_int16_samples_come_back_to_the_bit(tmp_path):
    samples = np.array([0, 1, -1, 32767, -32768, 12345]) / 2**15
    write_int16(tmp_path / "a.wav", samples, 8000)
    assert (read_audio(tmp_path / "a.wav", 8000) * 2**15).tolist() == (samples * 2**15).tolist()
    assert audio_info(tmp_path / "a.wav").subtype == "PCM_16"


def test_write_rounds_to_the_nearest_step(tmp_path):
    write_int16(tmp_path / "a.wav", np.array([0.4, 0.6, -0.6, 1.6]) / 2**15, 8000)
    assert (read_audio(tmp_path / "a.wav") * 2**15).tolist() == [0, 1, -1, 2]


def test_resampling_keeps_a_tone(tmp_path):
    time = np.arange(16000) / 16000
    soundfile.write(tmp_path / "a.flac", 0.5 * np.sin(2 * np.pi * 440 * time), 16000)
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)
    found = load_resampled(tmp_path / "a.flac", 8000)
    assert len(found) == 8000
    assert np.abs(found - expected)[200:-200].max() < 1e-3


def write_bad(kind, path):
    good = 0.1 * np.ones(8000)
    if kind == "missing":
        return
    if kind == "text":
        path.write_text("not audio")
    elif kind == "no samples":
        soundfile.write(path, good[:0], 8000)
    elif kind == "stereo":
        soundfile.write(path, np.stack([good, good], axis=1), 8000)
    elif kind == "NaN":
        good[5] = np.nan
        soundfile.write(path, good, 8000, subtype="FLOAT")
    elif kind == "other rate":
        soundfile.write(path, good, 16000)
    elif kind == "cut short":
        soundfile.write(path, good, 8000)
        path.write_bytes(path.read_bytes()[:5000])
    elif kind == "zero bytes":
        path.write_bytes(b"")


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("missing", "no such file"),
        ("text", "cannot be read as audio"),
        ("zero bytes", "cannot be read as audio"),
        ("no samples", "no samples"),
        ("stereo", "2 channels; one is needed"),
        ("NaN", "NaN"),
        ("other rate", "16000 Hz, but 8000 Hz is needed"),
        ("cut short", "cut short"),
    ],
)
def test_bad_file_is_named_with_what_is_wrong(tmp_path, kind, says):
    path = tmp_path / "a file.wav"
    write_bad(kind, path)
    with pytest.raises(RecipeError, match=says) as error:
        read_audio(path, 8000)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("form", "subtype"),
    [("WAV", "PCM_24"), ("WAVEX", "PCM_24"), ("RF64", "PCM_16"), ("AIFF", "PCM_16")],
)
def test_what_is_cut_short_is_told_of_every_format_of_samples(tmp_path, form, subtype):
    path = tmp_path / "a.wav"
    samples = 0.1 * np.random.default_rng(0).standard_normal(2000)
    soundfile.write(path, samples, 8000, format=form, subtype=subtype)
    assert read_audio(path).shape == (2000,)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(RecipeError, match="a.wav: cut short"):
        read_audio(path)


def test_truncated_flac_is_an_error(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 40000), 8000)
    path.write_bytes(path.read_bytes()[:20000])
    with pytest.raises(RecipeError, match=r"a\.flac: (cut short|cannot be decoded)"):
        read_audio(path)
