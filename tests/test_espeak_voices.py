"""espeak-2mix: the sentences, the voices and the synthesiser that stage 0 uses."""

import sys

import numpy as np
import pytest

from pitch import median_f0
from separation.config import ROOT
from separation.errors import RecipeError
from separation.ranges import SPLITS

sys.path.insert(0, str(ROOT / "egs" / "espeak-2mix" / "local"))

from espeak import Espeak
from sentences import draw_sentences
from voices import ACCENTS, VARIANTS, draw_voices

N_VOICES = {"tr": 120, "cv": 12, "tt": 12}


# --- sentences


def test_sentences_are_the_same_for_a_seed_and_never_repeat():
    sentences = draw_sentences(5000, 3)
    assert sentences == draw_sentences(5000, 3)
    assert sentences[:100] == draw_sentences(100, 3)
    assert len(set(sentences)) == 5000
    assert not set(sentences[:50]) & set(draw_sentences(50, 4))


def test_sentences_are_sentences():
    sentences = draw_sentences(3000, 0)
    assert {s[-1] for s in sentences} == {".", "?"}
    assert all(s[0].isupper() and "  " not in s and s.isascii() for s in sentences)
    lengths = [len(s.split()) for s in sentences]
    assert min(lengths) >= 7
    assert max(lengths) <= 20
    words = {word.strip(",.?").lower() for s in sentences for word in s.split()}
    assert len(words) > 500
    assert {"keys", "diaries", "shelves"} <= words
    assert not {"diarys", "shelfs"} & words


# --- voices


def test_no_variant_is_in_two_splits():
    used = [variant for split in SPLITS for names in VARIANTS[split].values() for variant in names]
    assert len(used) == len(set(used))


def test_voices_are_balanced_named_once_and_the_same_for_a_seed():
    voices = draw_voices(N_VOICES, 0)
    assert voices == draw_voices(N_VOICES, 0)
    assert voices != draw_voices(N_VOICES, 1)
    assert len({voice.name for voice in voices}) == 144
    for split, count in N_VOICES.items():
        genders = [voice.gender for voice in voices if voice.split == split]
        assert (genders.count("F"), genders.count("M")) == (count // 2, count // 2)
    assert {voice.accent for voice in voices} == set(ACCENTS)


def test_an_odd_number_of_voices_has_one_woman_more():
    voices = draw_voices({"tr": 3}, 0)
    assert [voice.name for voice in voices] == ["trf01", "trf02", "trm01"]


def test_pitches_are_within_what_espeak_takes():
    for seed in range(20):
        for voice in draw_voices(N_VOICES, seed):
            assert 0 <= voice.pitch <= 99
            # pitch 50 is the variant's own; an octave is 1/0.0145 steps
            own = VARIANTS[voice.split][voice.gender][voice.variant] * voice.tract
            assert voice.f0 == pytest.approx(own * 2 ** ((voice.pitch - 50) * 0.0145))


def test_voices_of_one_variant_differ_in_pitch_or_accent():
    by_variant = {}
    for voice in draw_voices(N_VOICES, 0):
        by_variant.setdefault(voice.variant, []).append(voice)
    for voices in by_variant.values():
        assert len({(voice.accent, round(voice.f0)) for voice in voices}) == len(voices)


# --- espeak


def test_every_variant_and_accent_is_in_the_library():
    with Espeak(0) as espeak:
        for accent in ACCENTS:
            espeak.set_voice(accent, "f1")
        for split in SPLITS:
            for names in VARIANTS[split].values():
                for variant in names:
                    espeak.set_voice("en-us", variant)
        with pytest.raises(RecipeError, match=r"no voice en-us\+nobody"):
            espeak.set_voice("en-us", "nobody")
        with pytest.raises(RecipeError, match=r"no voice xx\+f1"):
            espeak.set_voice("xx", "f1")


def test_faster_is_shorter_and_higher_pitch_is_higher():
    with Espeak(0) as espeak:
        espeak.set_voice("en-us", "m4")
        text = "Our neighbour never wears a yellow raincoat in the morning."
        slow = espeak.speak(text, pitch=50, rate=140, pitch_range=50)
        fast = espeak.speak(text, pitch=50, rate=200, pitch_range=50)
        high = espeak.speak(text, pitch=80, rate=140, pitch_range=50)
    assert espeak.sample_rate == 22050
    assert len(fast) / len(slow) == pytest.approx(140 / 200, abs=0.1)
    assert median_f0(slow, 22050) == pytest.approx(94, rel=0.08)
    assert median_f0(high, 22050) / median_f0(slow, 22050) == pytest.approx(2**0.42, rel=0.06)
    assert 0.05 < np.abs(slow).max() < 0.9
