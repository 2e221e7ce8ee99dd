"""wsj0-2mix: SPHERE files decoded and checked, and the second microphone told from the first."""

import re

import numpy as np
import pandas as pd
import pytest
import soundfile

from separation.errors import RecipeError
from sphere_writer import header_text, write_sphere
from tiny_corpus import syllables
from wsj0_tree import (
    CODINGS,
    COMPRESSED,
    CORPUS,
    FILES,
    PLAIN,
    SAMPLES,
    damage,
)


@pytest.fixture
def modules(monkeypatch):
    monkeypatch.syspath_prepend(str(CORPUS / "local"))
    import microphone
    import sphere

    return sphere, microphone


@pytest.mark.parametrize(
    ("listed", "how", "message"),
    [
        (PLAIN, "cut", r"cut short or damaged; \d+ of the 10080 samples"),
        (COMPRESSED, "cut", r"cut short or damaged; \d+ of the 8000 samples"),
        (COMPRESSED, "header", "cut short within its header"),
        (COMPRESSED, "stream", "0 of the 8000 samples"),
        (COMPRESSED, "checksum", r"the checksum of its samples is \d+, but its header says 12345"),
        (PLAIN, "channels", "2 channels"),
        (PLAIN, "rate", "8000 Hz, but 16000 Hz is needed"),
        (PLAIN, "long", "10080 samples, but its header promises 10075"),
    ],
)
def test_a_bad_sphere_file_is_named(tmp_path, modules, listed, how, message):
    sphere, _ = modules
    file = tmp_path / FILES[listed]
    write_sphere(file, SAMPLES[listed], coding="shorten" if listed == COMPRESSED else "pcm")
    damage(file, how)
    with pytest.raises(RecipeError, match=f"{re.escape(str(file))}: .*{message}"):
        sphere.decode(file, 16000)


@pytest.mark.parametrize("coding", CODINGS)
def test_every_sample_comes_back(tmp_path, modules, coding):
    sphere, _ = modules
    rng = np.random.default_rng(1)
    samples = np.concatenate(
        [
            rng.integers(-(2**15), 2**15, 3000),
            np.zeros(700),
            np.full(300, -(2**15)),
            np.cumsum(rng.integers(-3, 4, 5001)) - 40,
        ]
    ).astype(np.int16)
    write_sphere(tmp_path / "a.wv1", samples, **coding)
    np.testing.assert_array_equal(sphere.decode(tmp_path / "a.wv1", 16000), samples)


def test_the_checksum_is_the_sum_of_the_samples_modulo_two_to_the_sixteen(modules):
    sphere, _ = modules
    assert sphere.checksum(np.array([30000, 30000, 30000], np.int16)) == 90000 - 65536
    assert sphere.checksum(np.array([-1], np.int16)) == 65535


def test_a_header_without_a_length_is_named(tmp_path, modules):
    sphere, _ = modules
    path = tmp_path / "a.wv1"
    path.write_bytes(header_text({"channel_count": 1, "sample_rate": 16000}).encode().ljust(1024))
    with pytest.raises(RecipeError, match="a.wv1: no sample_count in its header"):
        sphere.decode(path, 16000)
    path.write_bytes(b"RIFF" + bytes(100))
    with pytest.raises(RecipeError, match="a.wv1: not a SPHERE file"):
        sphere.decode(path, 16000)


@pytest.mark.parametrize(
    ("scale", "stretch", "right"), [(1.0, 1.0, True), (0.5, 1.0, False), (0.5, 1.1, True)]
)
def test_the_second_microphone_is_told_by_its_levels(tmp_path, modules, scale, stretch, right):
    """Speech as long as the known recordings at their levels, 6 dB below, and of other lengths."""
    _, microphone = modules
    known = pd.read_csv(microphone.KNOWN_LEVELS).head(microphone.MIN_COUNT)
    for row in known.itertuples():
        signal = syllables(row.seconds * stretch, 120, 3)
        level = microphone.active_level(signal, 8000, band_pass=True)
        signal = signal * np.sqrt(row.level / level) * scale
        soundfile.write(tmp_path / f"{row.utterance}.wav", signal, 8000, subtype="FLOAT")
    listed = [f"{name}.wav" for name in known["utterance"]]
    if right:
        microphone.check_levels(listed, tmp_path)
    else:
        with pytest.raises(RecipeError, match=r"8 recordings that are known are off by 6.0 dB"):
            microphone.check_levels(listed, tmp_path)
    microphone.check_levels(listed[1:], tmp_path)  # too few to say
