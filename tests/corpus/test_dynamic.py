"""Dynamic mixing: what is drawn, and that batches are mixed as stage 1 mixes."""

import numpy as np
import pytest
import soundfile
import torch

from separation.corpus.dynamic import (
    DRAWS,
    SPEED_UNIT,
    DynamicMixing,
    MixDraw,
    Mixer,
    MixSpec,
    SpeakerDraw,
    stack,
)
from separation.corpus.layout import Corpus
from separation.corpus.levels import active_level, write_levels
from separation.corpus.lists import Utterance, read_sources
from separation.corpus.mixing import mix_sources
from separation.errors import RecipeError
from separation.ranges import RULES
from tiny_corpus import RATE, make_corpus, syllables


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    make_corpus(folder)
    return folder


def dynamic(data_dir, utterances=None, **changes):
    """Ten mixtures; changes are those of the corpus, of what is drawn, and of the rest."""
    rest = {name: changes.pop(name) for name in ("size", "seed", "nj") if name in changes}
    of_corpus = {name: changes.pop(name) for name in ("n_src", "sample_rate") if name in changes}
    corpus = Corpus(data_dir, data_dir / "unused", **of_corpus)
    utterances = utterances or [u for u in read_sources(data_dir) if u.split == "tr"]
    draw = MixDraw(**({"chunk_size": 4000} | changes))
    return DynamicMixing(utterances, corpus, draw, **({"size": 10, "seed": 1, "nj": 1} | rest))


def mixed(dataset, *keys):
    return dataset.mixer()(stack([dataset[key] for key in keys]))


def recipe(first, last, length, speed=1.0, factor=1.0):
    """A recipe of one mixture of one source."""
    values = (first, last, length, round(speed * SPEED_UNIT))
    batch = (torch.tensor([[value]]) for value in (*values, factor))
    return MixSpec(*batch, length)


def test_levels_of_stage_1_are_mixed_with(tmp_path):
    """One recording's level is 4 times what is measured, so its factor is half as large."""
    make_corpus(tmp_path)
    (path, *_) = [u.path for u in read_sources(tmp_path) if u.split == "tr"]
    measured, given = dynamic(tmp_path), tmp_path / "active_levels.txt"
    level = active_level(soundfile.read(tmp_path / "sources" / path)[0], RATE, band_pass=True)
    write_levels(given, {path: 4 * level})
    levels = [
        {first: level for takes in dataset.speakers.values() for first, _, level in takes}
        for dataset in (measured, dynamic(tmp_path))
    ]
    ratios = sorted(levels[1][first] / levels[0][first] for first in levels[0])
    assert ratios == pytest.approx([*[1] * (len(ratios) - 1), 4], rel=1e-3)
    given.write_text("one two\n")
    with pytest.raises(RecipeError, match=r"active_levels.txt:1: 'one two' is not an utterance"):
        dynamic(tmp_path)


def test_mixtures_are_sums_of_crops_of_two_speakers(data_dir):
    dataset = dynamic(data_dir)
    recordings = {}
    for u in read_sources(data_dir):
        if u.split == "tr":
            takes = recordings.setdefault(u.speaker, [])
            takes.append(soundfile.read(data_dir / "sources" / u.path)[0])

    def speaker_of(source):
        for speaker, takes in recordings.items():
            for take in takes:
                windows = np.lib.stride_tricks.sliding_window_view(take, 4000)
                scaled = windows @ source / np.sqrt((windows**2).sum(1) * (source @ source))
                if scaled.max() > 1 - 1e-6:
                    return speaker
        return None

    mixtures, sources, lengths = mixed(dataset, *((0, index) for index in range(4)))
    torch.testing.assert_close(sources.sum(1), mixtures, atol=1e-6, rtol=0)
    assert lengths.tolist() == [4000] * 4
    for pair in sources.double().numpy():
        found = [speaker_of(source) for source in pair]
        assert None not in found
        assert found[0] != found[1]


def test_a_batch_is_mixed_as_stage_1_mixes(data_dir):
    """Levels, gains, peak and the padding of the shorter, against the mixing of files."""
    dataset = dynamic(data_dir, chunk_size=8500)  # some recordings are shorter, some longer
    recipes = [dataset[0, index] for index in range(6)]
    mixtures, sources, lengths = dataset.mixer()(stack(recipes))
    assert len({r.length.min() for r in recipes}) > 1
    for row, drawn in enumerate(recipes):
        crops = [
            dataset.recordings[first : first + length] / 2.0**15
            for first, length in zip(drawn.first, drawn.length, strict=True)
        ]
        gains = tuple(20 * np.log10(drawn.factor * 2.0**15))
        mixture, alone = mix_sources(crops, [1.0, 1.0], gains, "max")
        used = len(mixture)
        assert lengths[row] == used == drawn.longest
        np.testing.assert_allclose(mixtures[row, :used], mixture, atol=2e-6)
        np.testing.assert_allclose(sources[row, :, :used], alone, atol=2e-6)
        assert not mixtures[row, used:].any()
        assert not sources[row, :, used:].any()


def test_gains_are_relative_to_active_levels(data_dir):
    dataset = dynamic(data_dir, gain_range=0.0)
    utterances = [u for u in read_sources(data_dir) if u.split == "tr"]
    levels = [
        active_level(soundfile.read(data_dir / "sources" / u.path)[0], RATE, band_pass=True)
        for u in utterances
    ]
    factors = {float(f) for index in range(10) for f in dataset[0, index].factor}
    expected = 2.0**-15 / np.sqrt(levels)
    for factor in factors:
        assert np.abs(expected / factor - 1).min() < 1e-5


def test_draws_depend_on_seed_epoch_and_index_alone(data_dir):
    one, two = dynamic(data_dir, speed_range=0.1), dynamic(data_dir, speed_range=0.1)
    first = mixed(one, (3, 7))[0]
    assert torch.equal(first, mixed(two, (3, 7))[0])
    assert not torch.equal(first, mixed(one, (4, 7))[0])
    assert not torch.equal(first, mixed(dynamic(data_dir, speed_range=0.1, seed=2), (3, 7))[0])
    assert torch.equal(first[0], mixed(one, (3, 7), (3, 8))[0][0])


@pytest.mark.parametrize("speed", [0.9, 1.0, 1.1, 1.25])
def test_a_parabola_is_sampled_exactly_at_any_speed(speed):
    time = np.arange(300)
    parabola = (time - 150) ** 2 - 3 * time
    mixer = Mixer(parabola.astype(np.int16), at_speeds=True)
    _, sources, _ = mixer(recipe(10, 297, 200, speed))
    place = 10 + np.arange(200) * round(speed * SPEED_UNIT) / SPEED_UNIT
    exact = (place - 150) ** 2 - 3 * place
    got = sources[0, 0].double().numpy()
    np.testing.assert_allclose(got / got[50], exact / exact[50], rtol=0, atol=1e-5)


def test_speed_changes_the_pitch():
    tone = np.round(1000 * np.sin(2 * np.pi * 300 / RATE * np.arange(8000))).astype(np.int16)
    _, sources, _ = Mixer(tone, at_speeds=True)(recipe(1, 7997, 6000, 1.25))
    expected = 0.9 * np.sin(2 * np.pi / RATE * (300 + 375 * np.arange(6000)))
    np.testing.assert_allclose(sources[0, 0], expected, atol=5e-3)


def test_recordings_do_not_reach_into_each_other(tmp_path):
    """The cubic stays within the recording, at its first sample and its last."""
    utterances = []
    for speaker, value in (("f", 0.5), ("m", -0.5)):
        (tmp_path / "sources").mkdir(exist_ok=True)
        path = tmp_path / "sources" / f"{speaker}.wav"
        soundfile.write(path, np.full(500, value), RATE, subtype="PCM_16")
        utterances.append(Utterance(path.name, speaker, speaker.upper(), "tr"))
    dataset = dynamic(tmp_path, utterances, speed_range=0.3)
    for index in range(10):
        _, sources, _ = mixed(dataset, (0, index))
        for source, length in zip(sources[0], dataset[0, index].length, strict=True):
            assert length > 300
            torch.testing.assert_close(source[:length], source[0].expand(length))
            assert not source[length:].any()


def test_a_silent_recording_stays_silent():
    mixtures, sources, _ = Mixer(np.zeros(100, dtype=np.int16), at_speeds=False)(recipe(0, 99, 50))
    assert not mixtures.any()
    assert not sources.any()


def test_crops_fill_the_chunk_and_end_with_the_recording(data_dir):
    for speed_range in (0.0, 0.1, 0.5):
        dataset = dynamic(data_dir, chunk_size=6000, speed_range=speed_range)
        for index in range(50):
            drawn = dataset[0, index]
            ends = drawn.first + (drawn.length - 1) * drawn.speed / SPEED_UNIT
            assert (ends <= drawn.last).all()
            for first, last, length, speed in zip(*drawn[:4], strict=True):
                assert length == 6000 or first + length * speed / SPEED_UNIT > last


def test_a_peak_that_resampling_pushes_above_1_is_clipped_not_wrapped(tmp_path):
    """Full-scale recordings of another rate overshoot when they are resampled."""
    utterances = []
    for number, gender in enumerate("FM"):
        path = f"{gender}.wav"
        (tmp_path / "sources").mkdir(exist_ok=True)
        square = np.sign(syllables(1.0, 100 + 90 * number, number)).astype(np.float32)
        soundfile.write(tmp_path / "sources" / path, square, RATE // 2, subtype="FLOAT")
        utterances.append(Utterance(path, gender, gender, "tr"))
    recordings = dynamic(tmp_path, utterances).recordings
    assert recordings.max() == 2**15 - 1
    assert recordings.min() == -(2**15)
    steps = np.abs(np.diff(recordings.astype(int)))
    assert steps.max() < 60000  # one that wraps jumps by 65535


def test_too_few_speakers_are_an_error(data_dir):
    with pytest.raises(RecipeError, match="4 speakers in tr, but a mixture needs 5"):
        dynamic(data_dir, n_src=5)


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """Four speakers of two groups with 1, 4, 9 and 16 seconds of recordings."""
    folder = tmp_path_factory.mktemp("uneven")
    (folder / "sources").mkdir()
    utterances = []
    for number, seconds in enumerate((1, 4, 9, 16)):
        path = f"{number}.wav"
        signal = syllables(seconds, 100 + 30 * number, number)
        soundfile.write(folder / "sources" / path, signal, RATE, subtype="PCM_16")
        group = "read" if number < 2 else "spoken"
        utterances.append(Utterance(path, str(number), "", "tr", group))
    return folder, utterances


@pytest.mark.parametrize(
    ("draw", "expected"),
    [
        (SpeakerDraw("sqrt_seconds"), [0.1, 0.2, 0.3, 0.4]),
        (SpeakerDraw("seconds"), [1 / 30, 4 / 30, 9 / 30, 16 / 30]),
        (SpeakerDraw("speaker", {"read": 3.0}), [3 / 8, 3 / 8, 1 / 8, 1 / 8]),
        (SpeakerDraw("sqrt_seconds", {"spoken": 0.5}), [1 / 6.5, 2 / 6.5, 1.5 / 6.5, 2 / 6.5]),
    ],
)
def test_speakers_are_drawn_in_proportion(uneven, draw, expected):
    folder, utterances = uneven
    dataset = dynamic(folder, utterances, n_src=1, speakers=draw)
    np.testing.assert_allclose(dataset.probabilities, expected)
    starts = np.cumsum([0, *(seconds * RATE + 3 for seconds in (1, 4, 9, 16))])
    first = np.array([dataset[0, index].first[0] for index in range(2000)])
    found = np.bincount(np.searchsorted(starts, first, side="right") - 1, minlength=4) / 2000
    np.testing.assert_allclose(found, expected, atol=0.04)


def test_equal_weights_draw_the_numbers_that_no_weights_draw(uneven):
    folder, utterances = uneven
    plain = dynamic(folder, utterances)
    weighted = dynamic(
        folder, utterances, speakers=SpeakerDraw("speaker", {"read": 1.0, "spoken": 1.0})
    )
    assert weighted.probabilities is None
    for index in range(5):
        assert plain[0, index].first.tolist() == weighted[0, index].first.tolist()


def test_a_group_of_weight_0_is_never_drawn(uneven):
    folder, utterances = uneven
    dataset = dynamic(folder, utterances, speakers=SpeakerDraw("speaker", {"read": 0.0}))
    assert dataset.names == ["2", "3"]
    with pytest.raises(RecipeError, match="2 speakers in tr, but a mixture needs 3"):
        dynamic(folder, utterances, n_src=3, speakers=SpeakerDraw("speaker", {"read": 0.0}))


def test_a_wrong_weight_is_named():
    with pytest.raises(RecipeError, match="corpus.group_weights.read is -1.0; it must be 0 or"):
        SpeakerDraw("speaker", {"read": -1.0})


def test_what_the_configuration_may_name_is_what_can_be_drawn():
    assert RULES["data.draw_speakers"].names == tuple(DRAWS)
