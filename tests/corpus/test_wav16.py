"""The quick reader and writer of 16-bit wav files, against libsndfile."""

import numpy as np
import pytest
import soundfile

from separation.corpus.wav16 import read_wav16, write_wav16
from separation.errors import RecipeError

SAMPLES = np.array([0.0, 0.5, -1.0, 32767 / 2**15, 1.4 / 2**15, -1.6 / 2**15, 0.25])
INTEGERS = [0, 16384, -32768, 32767, 1, -2, 8192]


def test_same_bytes_as_libsndfile(tmp_path):
    write_wav16(str(tmp_path), "a.wav", SAMPLES, 8000)
    soundfile.write(tmp_path / "b.wav", np.array(INTEGERS, np.int16), 8000)
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()
    samples, rate = read_wav16(tmp_path / "a.wav")
    assert (samples.tolist(), rate) == (INTEGERS, 8000)


def test_nothing_is_left_of_a_file_that_cannot_be_written(tmp_path):
    (tmp_path / "a.wav").mkdir()
    with pytest.raises(RecipeError, match="a.wav: cannot be written: Is a directory"):
        write_wav16(str(tmp_path), "a.wav", SAMPLES, 8000)
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def other(kind, path):
    write_wav16(str(path.parent), path.name, SAMPLES, 8000)
    content = path.read_bytes()
    if kind == "float":
        soundfile.write(path, SAMPLES, 8000, subtype="FLOAT")
    elif kind == "24 bit":
        soundfile.write(path, SAMPLES, 8000, subtype="PCM_24")
    elif kind == "stereo":
        soundfile.write(path, np.stack([SAMPLES, SAMPLES], axis=1), 8000)
    elif kind == "flac":
        soundfile.write(path, SAMPLES, 8000, format="FLAC")
    elif kind == "empty":
        soundfile.write(path, SAMPLES[:0], 8000)
    elif kind == "cut":
        path.write_bytes(content[:-4])
    elif kind == "cut in a sample":
        path.write_bytes(content[:-3])
    elif kind == "cut in the header":
        path.write_bytes(content[:30])
    elif kind == "of a pipe":  # whose length nobody knew
        path.write_bytes(content[:40] + b"\xff" * 4 + content[44:])
    elif kind == "missing":
        path.unlink()


@pytest.mark.parametrize(
    "kind",
    "float,24 bit,stereo,flac,empty,cut,cut in a sample,cut in the header,of a pipe,missing".split(
        ","
    ),
)
def test_what_is_not_plain_and_whole_is_left_to_the_other_reader(tmp_path, kind):
    other(kind, tmp_path / "a.wav")
    assert read_wav16(tmp_path / "a.wav") is None
