"""Which samples training and validation see."""

from pathlib import Path

import numpy as np
import pytest
import torch

from separation.corpus.audio import read_audio
from separation.corpus.datasets import (
    ChunkDataset,
    EpochSampler,
    ShardSampler,
    WholeDataset,
    collate,
)
from separation.corpus.layout import Corpus
from separation.corpus.manifest import read_manifest
from separation.errors import RecipeError
from tiny_corpus import RATE, make_corpus


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    make_corpus(folder)
    return folder


@pytest.fixture
def manifest(data_dir):
    return read_manifest(data_dir / "wav8k" / "min" / "tr.csv", 2)


def chunks(manifest, chunk_size, split, min_length=0):
    return ChunkDataset(manifest, Corpus(Path(), Path()), chunk_size, min_length, split, seed=5)


def test_all_chunks_cover_every_sample_and_the_last_ends_with_the_mixture(manifest):
    dataset = chunks(manifest, 3000, "all")
    for row, record in manifest.iterrows():
        whole = read_audio(record["mixture_path"])
        starts = [start for r, start in dataset.chunks if r == row]
        covered = np.zeros(len(whole), dtype=bool)
        for start in starts:
            covered[start : start + 3000] = True
        assert covered.all()
        assert starts[-1] + 3000 == len(whole)
        assert len(starts) == -(-len(whole) // 3000)
        item = dataset[0, dataset.chunks.index((row, starts[1]))][0]
        np.testing.assert_array_equal(item, whole[starts[1] : starts[1] + 3000])


def test_random_chunks_move_with_the_epoch_and_come_back_with_it(manifest):
    dataset = chunks(manifest, 3000, "random")
    first, again, later = dataset[0, 2], dataset[0, 2], dataset[1, 2]
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[0], later[0])
    whole = read_audio(manifest["mixture_path"][2])
    windows = np.lib.stride_tricks.sliding_window_view(whole, 3000)
    assert (windows == later[0].numpy()).all(axis=1).any()


def test_mixture_and_sources_are_cut_at_the_same_place(manifest):
    mixture, sources = chunks(manifest, 3000, "random")[4, 1]
    assert sources.shape == (2, 3000)
    assert (sources.sum(0) - mixture).abs().max() <= 1.51 / 2**15


def test_a_short_mixture_is_padded_in_its_batch_which_knows_its_length(manifest):
    dataset = chunks(manifest, int(manifest["length"].max()), "random")
    order = [int(manifest["length"].argmin()), int(manifest["length"].argmax())]
    mixtures, sources, lengths = collate([dataset[0, row] for row in order])
    assert lengths.tolist() == manifest["length"][order].tolist()
    assert lengths[0] < lengths[1] == mixtures.shape[1]
    for row, record in enumerate(order):
        whole = read_audio(manifest["mixture_path"][record])
        np.testing.assert_array_equal(mixtures[row, : lengths[row]], whole)
    assert not mixtures[0, lengths[0] :].any()
    assert not sources[0, :, lengths[0] :].any()


def test_shorter_than_min_length_is_left_out(manifest):
    min_length = manifest["length"].max()
    dataset = chunks(manifest, 3000, "random", min_length)
    assert len(dataset) == (manifest["length"] >= min_length).sum() < len(manifest)
    with pytest.raises(RecipeError, match="data.min_length=99999"):
        chunks(manifest, 3000, "random", 99999)


def test_validation_sees_whole_mixtures_and_padding_is_zero(data_dir):
    table = read_manifest(data_dir / "wav8k" / "min" / "cv.csv", 2)
    dataset = WholeDataset(table, 2, RATE)
    mixtures, sources, lengths = collate([dataset[i] for i in range(len(dataset))])
    assert lengths.tolist() == table["length"].tolist()
    for row, record in table.iterrows():
        np.testing.assert_array_equal(
            mixtures[row, : record["length"]], read_audio(record["mixture_path"])
        )
        np.testing.assert_array_equal(
            sources[row, 1, : record["length"]], read_audio(record["source_2_path"])
        )
        assert not mixtures[row, record["length"] :].any()


def test_processes_share_an_epoch_as_one_would_see_it():
    one = list(EpochSampler(11, seed=0))
    two = [list(EpochSampler(11, seed=0, rank=rank, world=2)) for rank in (0, 1)]
    assert [pair for both in zip(*two, strict=True) for pair in both] == one[:10]
    assert sorted(index for _, index in one) == list(range(11))
    later = EpochSampler(11, seed=0)
    later.set_epoch(1)
    assert list(later) != one


def test_a_resumed_epoch_goes_on_where_it_was():
    whole, resumed = EpochSampler(9, seed=0), EpochSampler(9, seed=0)
    resumed.start = 4
    assert list(resumed) == list(whole)[4:]
    assert list(resumed) == list(whole)


def test_validation_shards_cover_everything_once():
    shards = [list(ShardSampler(7, rank, 3)) for rank in range(3)]
    assert sorted(index for shard in shards for index in shard) == list(range(7))
    assert [len(ShardSampler(7, rank, 3)) for rank in range(3)] == [3, 2, 2]
