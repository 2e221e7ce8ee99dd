"""One and the rest, again and again, with a network that knows the sources."""

import shutil
import sys
from itertools import islice

import numpy as np
import pytest
import soundfile
import torch

import export
import live
import separate
from oracle_network import OneOfSources
from separation.config import load_config, save_resolved
from separation.errors import RecipeError
from separation.inference.recursion import (
    RecursiveSeparator,
    StopRule,
    estimates_of,
    estimates_of_number,
    level_db,
    open_separator,
    read_rule,
    write_rule,
)
from separation.inference.separator import Separator
from separation.models.registry import RULE_FILE

RULE = StopRule(-20.0, 3)


def voices(count, length=4000):
    """Noises of different levels, within 6 dB of each other."""
    noise = np.random.default_rng(3).normal(0, 0.05, (count, length)).astype(np.float32)
    return noise * np.linspace(1, 2, count, dtype=np.float32)[:, None]


def separator_of(sources, **how):
    return RecursiveSeparator(OneOfSources(torch.from_numpy(sources)), **({"rule": RULE} | how))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_it_stops_at_the_right_number_and_gives_all(count):
    sources = voices(count)
    found = separator_of(sources).separate(sources.sum(0), 8000)
    assert found.shape == sources.shape
    np.testing.assert_allclose(found[::-1], sources, atol=1e-5)  # the loudest comes first
    given = separator_of(sources, rule=None, n_src=count).separate(sources.sum(0), 8000)
    np.testing.assert_array_equal(found, given)


def test_more_voices_than_the_most_lose_nothing():
    sources = voices(4)
    mixture = sources.sum(0)
    found = separator_of(sources).separate(mixture, 8000)
    expected = [sources[3], sources[2], sources[0] + sources[1]]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(found.sum(0), mixture, atol=1e-5)


def test_silence_is_one_silent_source():
    found = separator_of(voices(3)).separate(np.zeros(4000, np.float32), 8000)
    np.testing.assert_array_equal(found, np.zeros((1, 4000)))


def test_one_speaker_costs_one_pass_and_comes_back_as_it_is():
    sources = voices(1)
    separator = separator_of(sources)
    before = separator.model.calls
    np.testing.assert_array_equal(separator.separate(sources[0], 8000), sources)
    assert separator.model.calls == before + 1


def test_passes_take_the_rest_again():
    sources = voices(3)
    passes = list(islice(separator_of(sources).passes(sources.sum(0)), 3))
    np.testing.assert_allclose(passes[1][0], sources[1], atol=1e-5)
    np.testing.assert_allclose(passes[1][1], sources[0], atol=1e-5)
    assert not passes[2][1].any()
    np.testing.assert_array_equal(estimates_of(sources.sum(0), []), sources.sum(0)[None])


@pytest.mark.parametrize(
    ("levels", "count"),
    [([-30, -3], 1), ([-20, 0], 1), ([-19, -40], 2), ([-3, -4], 3), ([-3, -np.inf, -40], 2)],
)
def test_the_rule_by_hand(levels, count):
    assert RULE.count(levels) == count


def test_levels_by_hand():
    mixture = np.array([3.0, 4.0], np.float32)
    assert level_db(0.1 * mixture, mixture) == pytest.approx(-20.0, abs=1e-5)
    assert level_db(0 * mixture, mixture) == level_db(0 * mixture, 0 * mixture) == -np.inf


def test_networks_with_other_outputs_and_no_rule_are_refused():
    with pytest.raises(RecipeError, match="3 outputs; one speaker and the rest are two"):
        RecursiveSeparator(OneOfSources(torch.from_numpy(voices(2)), outputs=3), rule=RULE)
    with pytest.raises(RecipeError, match="neither a stop rule nor a number"):
        separator_of(voices(2), rule=None)


@pytest.fixture
def exp_dir(tmp_path, monkeypatch):
    """An experiment of one_and_rest with a rule, whose network knows four voices."""
    folder = tmp_path / "exp"
    conf = load_config("espeak-2mix", "one_and_rest", None, ["corpus.n_src=[1,2,3]"])
    save_resolved(conf, folder / "conf.yaml")
    write_rule(folder, RULE)
    network = OneOfSources(torch.from_numpy(voices(4)))
    monkeypatch.setattr(Separator, "from_experiment", classmethod(lambda cls, *_: cls(network)))
    return folder


def test_a_rule_is_read_back_and_a_bad_one_is_named(exp_dir):
    assert read_rule(exp_dir) == RULE
    path = exp_dir / RULE_FILE
    path.write_text("stop_db: loud\nn_max: 3\n")
    with pytest.raises(RecipeError, match=r"stop_rule.yaml: stop_db is loud: must be"):
        read_rule(exp_dir)
    path.write_text("stop_db: -3\n")
    with pytest.raises(RecipeError, match=r"stop_rule.yaml: n_max is None: must be 1 or more"):
        read_rule(exp_dir)
    path.unlink()
    with pytest.raises(RecipeError, match=r"stop_rule.yaml is missing.*stop_rule.py.*--n_src N"):
        read_rule(exp_dir)
    assert open_separator(exp_dir, n_src="2").n_src == 2


def run_separate(monkeypatch, tmp_path, exp_dir, *options):
    head = ["separate.py", "--exp_dir", exp_dir, "-o", tmp_path / "out", "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", [str(a) for a in (*head, *options)])
    separate.main()


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_separate_writes_a_file_a_speaker(monkeypatch, tmp_path, exp_dir, capsys, count):
    soundfile.write(tmp_path / "a.wav", voices(4)[:count].sum(0), 8000, subtype="FLOAT")
    run_separate(monkeypatch, tmp_path, exp_dir, tmp_path / "a.wav")
    names = [f"a_s{number}.wav" for number in range(1, min(count, 3) + 1)]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    assert capsys.readouterr().out.strip().endswith(names[-1])
    total = sum(soundfile.read(tmp_path / "out" / name)[0] for name in names)
    np.testing.assert_allclose(total, voices(4)[:count].sum(0), atol=1e-5)


def test_a_number_may_be_given_and_auto_asked_for(monkeypatch, tmp_path, exp_dir):
    soundfile.write(tmp_path / "a.wav", voices(4).sum(0), 8000, subtype="FLOAT")
    run_separate(monkeypatch, tmp_path, exp_dir, tmp_path / "a.wav", "--n_src", "4")
    found = [soundfile.read(tmp_path / "out" / f"a_s{n}.wav")[0] for n in (4, 3, 2, 1)]
    np.testing.assert_allclose(found, voices(4), atol=1e-5)
    shutil.rmtree(tmp_path / "out")
    run_separate(monkeypatch, tmp_path, exp_dir, tmp_path / "a.wav", "--n_src", "auto")
    assert len(list((tmp_path / "out").iterdir())) == 3


@pytest.mark.parametrize("number", ["0", "21", "some", "-1", "1.5"])
def test_a_wrong_number_is_named(exp_dir, number):
    with pytest.raises(RecipeError, match=rf"--n_src {number}: must be 1 or more.* or auto"):
        open_separator(exp_dir, n_src=number)


def test_a_fixed_system_has_its_number(exp_dir, tmp_path):
    save_resolved(load_config("espeak-2mix", "small", None, []), tmp_path / "conf.yaml")
    for wanted in ("", "2"):
        separator = open_separator(tmp_path, n_src=wanted)
        assert (separator.n_src, separator.counts) == (2, False)
    for wanted in ("auto", "3"):
        with pytest.raises(RecipeError, match=rf"--n_src {wanted}: .* gives 2 sources, always"):
            open_separator(tmp_path, n_src=wanted)


def test_a_segment_keeps_rests_that_are_no_speaker_yet():
    """Rests of -14 and -36 dB: one speaker by the rule, of whom two are kept, or three."""
    sources = voices(3) * np.array([0.015, 0.2, 1], np.float32)[:, None] / [[1], [1.5], [2]]
    small, middle, large = sources
    mixture = sources.sum(0)
    separator = separator_of(sources, rule=StopRule(-10.0, 3))
    kept = separator.separate_passes(mixture, 8000)
    np.testing.assert_allclose(kept, [mixture, large, middle + small], atol=1e-6)
    assert len(separator.separate(mixture, 8000)) == 1
    assert separator.separate_passes(np.zeros((1, 7999), np.float32), 16000).shape == (1, 7999)
    all_kept = separator_of(sources, rule=StopRule(-40.0, 3)).separate_passes(mixture, 8000)
    expected = [mixture, large, middle + small, middle, small]
    np.testing.assert_allclose(all_kept, expected, atol=1e-6)


def test_estimates_of_a_number_by_hand():
    """The second speaker's gain is 2: what is given adds up to the mixture as well as it can."""
    passes = np.array([[4, 8], [2, 0], [0, 4], [0, 3], [0, 1]], np.float32)
    np.testing.assert_array_equal(estimates_of_number(passes, 1), [[4, 8]])
    np.testing.assert_array_equal(estimates_of_number(passes, 2), [[4, 0], [0, 8]])
    np.testing.assert_array_equal(estimates_of_number(passes, 3), [[4, 0], [0, 6], [0, 2]])
    silence = [0, 0]
    expected = [[4, 0], [0, 8], silence, silence]
    np.testing.assert_array_equal(estimates_of_number(passes[:3], 4), expected)
    np.testing.assert_array_equal(estimates_of_number(passes[:1], 2), [[4, 8], silence])


@pytest.mark.parametrize("count", [1, 3])
def test_estimates_of_a_number_are_those_of_the_number_given(count):
    sources = voices(3)
    mixture = sources.sum(0)
    passes = separator_of(sources).separate_passes(mixture, 8000)
    given = separator_of(sources, rule=None, n_src=count).separate(mixture, 8000)
    np.testing.assert_array_equal(estimates_of_number(passes, count), given)


def test_long_recordings_have_as_many_files_as_speakers(monkeypatch, tmp_path, exp_dir, capsys):
    """One in the first segment; of the second, which the network does not know, all is rest."""
    samples = np.random.default_rng(0).normal(0, 0.05, 40 * 8000)
    soundfile.write(tmp_path / "a b.wav", samples, 8000, subtype="FLOAT")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a b_s3.wav").write_bytes(b"of yesterday")
    network = OneOfSources(torch.from_numpy(samples[None, : 24 * 8000]))
    monkeypatch.setattr(Separator, "from_experiment", classmethod(lambda cls, *_: cls(network)))
    run_separate(monkeypatch, tmp_path, exp_dir, tmp_path / "a b.wav")
    output = capsys.readouterr()
    assert output.out.strip().endswith("out/a b_s1.wav")
    assert "a b_s3.wav: of an earlier run; this one found fewer speakers" in output.err
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["a b_s1.wav", "a b_s3.wav"]
    found, _ = soundfile.read(tmp_path / "out" / "a b_s1.wav")
    np.testing.assert_allclose(found, samples, atol=1e-6)


def test_long_recordings_of_many_speakers_are_refused(monkeypatch, tmp_path, exp_dir):
    soundfile.write(tmp_path / "a.wav", np.zeros(40 * 8000), 8000)
    with pytest.raises(RecipeError, match=r"a.wav: 6 speakers; recordings of more than 36 s can"):
        run_separate(monkeypatch, tmp_path, exp_dir, tmp_path / "a.wav", "--n_src", "6")
    assert not (tmp_path / "out").exists()


def test_streams_and_onnx_files_refuse_it(monkeypatch, tmp_path, exp_dir):
    (exp_dir / "best_model.pth").write_bytes(b"")
    for script, out in ((live, ["-o", tmp_path]), (export, ["-o", tmp_path / "a.onnx"])):
        words = [script.__name__, "--exp_dir", exp_dir, *out]
        monkeypatch.setattr(sys, "argv", list(map(str, words)))
        with pytest.raises(RecipeError, match=r"one_and_rest: its second output is the rest"):
            script.main()
