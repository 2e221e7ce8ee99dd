"""Mixtures of several numbers of sources, from the lists to the batches."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from separation.config import load_config
from separation.corpus.audio import read_audio
from separation.corpus.datasets import ChunkDataset, WholeDataset
from separation.corpus.drawing import make_lists
from separation.corpus.dynamic import DynamicMixing, MixDraw, stack
from separation.corpus.layout import Corpus, folder_name
from separation.corpus.lists import Utterance, parse_line, read_sources
from separation.corpus.manifest import make_manifests, read_manifest
from separation.corpus.mixing import mix_split
from separation.errors import RecipeError
from separation.evaluation.oracles import Oracle
from separation.models.architecture import architecture
from tiny_corpus import make_sources

COUNTS = {"tr": 4, "cv": 3, "tt": 2}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Mixtures of one and of two sources, through stages 0 to 2."""
    folder = tmp_path_factory.mktemp("corpus")
    make_sources(folder, COUNTS, (1, 2))
    corpus = Corpus(folder, folder / "wav8k" / "min", 2, several=(1, 2))
    for split in COUNTS:
        assert mix_split(corpus, split, 1).mixtures == 2 * COUNTS[split]
    make_manifests(corpus, 1)
    return corpus


def manifest_of(corpus, split="tr"):
    return read_manifest(corpus.manifest(split), 2, 1)


def utterances():
    return [
        Utterance(f"{split}{s}/{split}{s}-{t}.wav", f"{split}{s}", "FM"[s % 2], split)
        for split in COUNTS
        for s in range(6)
        for t in range(4)
    ]


def test_each_number_has_the_mixtures_of_a_corpus_of_its_own():
    counts = {"tr": 30, "cv": 5, "tt": 7}
    lists = make_lists(utterances(), (1, 2, 3), counts, seed=3)
    alone = {n: make_lists(utterances(), n, counts, seed=3) for n in (2, 3)}
    for split, lines in lists.items():
        singles = min(24, counts[split])  # there are 24 recordings
        assert lines[singles:] == alone[2][split] + alone[3][split]
        found = [parse_line(line, "l") for line in lines[:singles]]
        assert len({line.paths for line in found}) == singles
        assert {line.gains for line in found} == {(0.0,)}


def test_manifests_have_empty_cells_where_there_is_no_source(corpus):
    table = manifest_of(corpus)
    assert (table["source_2_path"] == "").tolist() == [True] * 4 + [False] * 4
    assert (table["speaker_2_ID"] == "").tolist() == [True] * 4 + [False] * 4
    assert list(table)[:5] == [
        *("mixture_ID", "mixture_path", "source_1_path", "source_2_path", "length")
    ]
    one = table.iloc[0]
    mixture = read_audio(one["mixture_path"])
    np.testing.assert_array_equal(mixture, read_audio(one["source_1_path"]))
    recording = corpus.sources_dir / one["speaker_1_ID"] / f"{one['mixture_ID'][:-2]}.wav"
    samples = soundfile.read(recording)[0]
    np.testing.assert_allclose(mixture, 0.9 / np.abs(samples).max() * samples, atol=1 / 2**15)


def test_a_corpus_of_one_number_has_no_empty_cells(corpus):
    with pytest.raises(RecipeError, match=r"tr.csv:2: column 'source_2_path': '' is empty"):
        read_manifest(corpus.manifest("tr"), 2)


def test_a_speaker_of_tr_in_tt_is_named_with_its_line(corpus, tmp_path):
    (tmp_path / "lists").mkdir()
    tr, tt = "f1/f1-0.wav", "f4/f4-0.wav"
    lists = {"tr": [f"{tr} 0"], "cv": [f"{tt} 0"], "tt": [f"{tt} 0"]}
    table = (corpus.data_dir / "sources.csv").read_text().replace(",f4,", ",f1,")
    (tmp_path / "sources.csv").write_text(table)
    (tmp_path / "sources").symlink_to(corpus.sources_dir)
    for split, lines in lists.items():
        (tmp_path / "lists" / f"mix_1_spk_{split}.txt").write_text(f"{lines[0]}\n")
        (tmp_path / "lists" / f"mix_2_spk_{split}.txt").write_text(f"{tr} 1 m1/m1-0.wav -1\n")
    other = Corpus(tmp_path, tmp_path / "wav8k" / "min", 2, several=(1, 2))
    for split in lists:
        mix_split(other, split, 1)
    with pytest.raises(RecipeError, match=r"mix_1_spk_tt.txt:1: speaker f1 of tt is in tr"):
        make_manifests(other, 1)


def test_sources_that_are_not_there_are_zeros(corpus):
    table = manifest_of(corpus)
    whole = WholeDataset(table, 2, 8000)
    chunked = ChunkDataset(table, corpus, 3000, 0, "random", seed=1)
    for items in ([whole[row] for row in range(8)], [chunked[0, row] for row in range(8)]):
        present = [source.any(-1).tolist() for _, source in items]
        assert present == [[True, False]] * 4 + [[True, True]] * 4
        for mixture, source in items:
            torch.testing.assert_close(source.sum(0), mixture, atol=1e-4, rtol=0)


def test_dynamic_mixing_draws_every_number_equally_often(corpus):
    speakers = [u for u in read_sources(corpus.data_dir) if u.split == "tr"]
    three = Corpus(corpus.data_dir, corpus.wav_dir, 3, several=(1, 2, 3))
    dataset = DynamicMixing(speakers, three, MixDraw(2000, speed_range=0.1), 300, seed=2, nj=1)
    specs = [dataset[0, row] for row in range(300)]
    mixtures, sources, lengths = dataset.mixer()(stack(specs))
    numbers = sources.any(-1).sum(1)
    for count in Counter(numbers.tolist()).values():
        assert 75 <= count <= 125  # 100 expected, with a standard deviation of 8
    assert sorted(set(numbers.tolist())) == [1, 2, 3]
    assert not sources[numbers == 1, 1:].any()
    assert lengths.tolist() == [spec.longest for spec in specs]
    torch.testing.assert_close(sources.sum(1), mixtures, atol=1e-6, rtol=0)
    assert sources.abs().amax((1, 2)).max() == pytest.approx(0.9, abs=1e-5)
    again = dataset[0, 7]
    assert [values.tolist() for values in again[:5]] == [v.tolist() for v in specs[7][:5]]


def conf_of(*overrides, tag="one_and_rest"):
    return load_config("espeak-2mix", tag, None, list(overrides))


@pytest.mark.parametrize("text", ["[1, 2, 3]", "[3,1,2]", "1,2,3", "'1,2,3'"])
def test_numbers_are_a_list_or_a_text(text):
    conf = conf_of(f"corpus.n_src={text}")
    assert conf["corpus"]["n_src"] == [1, 2, 3]
    assert conf["net_conf"]["num_spks"] == 2  # a speaker and the rest
    assert architecture(conf).num_spks == 2
    assert folder_name(conf) == "espeak-2mix-1-2-3spk"
    assert Corpus.of(conf, Path("data")).numbers == (1, 2, 3)


@pytest.mark.parametrize("text", ["2", "[2]", "'2'"])
def test_a_list_of_one_number_is_that_number(text):
    conf = conf_of(f"corpus.n_src={text}", tag="small")
    assert conf["corpus"]["n_src"] == 2
    assert folder_name(conf) == "espeak-2mix"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[]", "'corpus.n_src' must be a whole number"),
        ("[1.5, 2]", "'corpus.n_src' must be a whole number"),
        ("1,two", "'corpus.n_src' must be a whole number, not '1,two'"),
        ("[2, 2]", r"corpus.n_src is \[2, 2\]: must be one number, or a list of different ones"),
        ("[0, 2]", r"corpus.n_src is \[0, 2\]: must be 1 or more"),
        ("[2, 21]", "must be 1 or more, 20 at most"),
    ],
)
def test_wrong_numbers_are_named(text, says):
    with pytest.raises(RecipeError, match=says):
        conf_of(f"corpus.n_src={text}")


def test_what_needs_one_number_says_so():
    conf = conf_of("corpus.n_src=[1,2]", tag="small")
    with pytest.raises(RecipeError, match=r"corpus.n_src is \[1, 2\].*--tag one_and_rest has it"):
        architecture(conf)
    with pytest.raises(RecipeError, match=r"--tag oracle_irm needs one number of speakers"):
        Oracle("oracle_irm", conf)
    with pytest.raises(RecipeError, match="num_spks is 3, but training.assignment one_and_rest"):
        architecture(conf_of("net_conf.num_spks=3"))
