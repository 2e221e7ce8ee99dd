"""Datasets of mixtures that lie in files, for training and validation.

:class:`ChunkDataset` feeds training and is indexed by ``(epoch, index)``, which
:class:`EpochSampler` yields: what an item holds depends on the seed, the epoch and the index alone,
so a resumed run, and any number of loader processes, sees the same data. :class:`WholeDataset`
feeds validation. :func:`collate` makes a batch of ragged items.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import soundfile
import torch
from torch.utils.data import Dataset, Sampler

from separation.corpus.audio import read_audio
from separation.corpus.layout import Corpus
from separation.errors import RecipeError

Item = tuple[torch.Tensor, torch.Tensor]
Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def collate(items: Sequence[Item]) -> Batch:
    """Stack mixtures of different lengths, zero-padded at the end.

    Returns:
        mixtures ``(batch, time)``, sources ``(batch, source, time)``, lengths ``(batch,)`` in
        samples.
    """
    lengths = torch.tensor([mixture.shape[-1] for mixture, _ in items])
    longest = int(lengths.max())
    mixtures = torch.zeros(len(items), longest)
    sources = torch.zeros(len(items), items[0][1].shape[0], longest)
    for row, (mixture, source) in enumerate(items):
        mixtures[row, : mixture.shape[-1]] = mixture
        sources[row, :, : source.shape[-1]] = source
    return mixtures, sources, lengths


class EpochSampler(Sampler):
    """Yields ``(epoch, index)`` in an order that the seed and the epoch decide.

    With several processes each takes every ``world``-th place of the same order, so together they
    see what one process would. ``start`` leaves out the first items of an epoch, for resuming
    within one.

    Args:
        size: items of an epoch; the last few that ``world`` processes cannot share are left out.
        seed: of the order.
        rank: this process.
        world: number of processes.
    """

    def __init__(self, size: int, seed: int, rank: int = 0, world: int = 1) -> None:
        self.size, self.seed, self.rank, self.world = size, seed, rank, world
        self.epoch = 0
        self.start = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration yields; Lightning calls this."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.size)
        start, self.start = self.start, 0
        mine = order[: len(self) * self.world][self.rank :: self.world][start:]
        # A generator: Lightning sets the epoch after it has asked for the iterator.
        yield from ((self.epoch, int(index)) for index in mine)

    def __len__(self) -> int:
        return self.size // self.world


class ShardSampler(Sampler):
    """Yields every ``world``-th index in order: all processes together see each one once."""

    def __init__(self, size: int, rank: int = 0, world: int = 1) -> None:
        self.size, self.rank, self.world = size, rank, world

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.rank, self.size, self.world))

    def __len__(self) -> int:
        return len(range(self.rank, self.size, self.world))


class ChunkDataset(Dataset):
    """Training chunks of ``chunk_size`` samples from the mixtures of a manifest.

    Mixtures shorter than ``min_length`` are left out; those shorter than a chunk are a shorter
    chunk, which :func:`collate` pads. Of longer ones, ``chunking: random`` takes one chunk, whose
    start is drawn for each epoch; ``all`` takes every chunk, the last one ending with the mixture.

    Args:
        manifest: as :func:`separation.corpus.manifest.read_manifest` returns it.
        corpus: sources of a mixture, and the rate that the files must have.
        chunk_size: samples.
        min_length: samples.
        chunking: ``random`` or ``all``.
        seed: of the chunk starts.
    """

    def __init__(
        self,
        manifest: pd.DataFrame,
        corpus: Corpus,
        chunk_size: int,
        min_length: int,
        chunking: str,
        seed: int,
    ) -> None:
        self.manifest = manifest[manifest["length"] >= min_length].reset_index(drop=True)
        if self.manifest.empty:
            raise RecipeError(f"data.min_length={min_length}: no training mixture is that long")
        self.corpus, self.chunk_size, self.seed = corpus, chunk_size, seed
        self.chunks: list[tuple[int, int | None]] = []
        for row, length in enumerate(self.manifest["length"]):
            if chunking == "random":
                self.chunks.append((row, None))
            else:
                last = max(0, length - chunk_size)
                self.chunks += [(row, start) for start in range(0, last, chunk_size)]
                self.chunks.append((row, last))

    def __len__(self) -> int:
        return len(self.chunks)

    def __getitem__(self, key: tuple[int, int]) -> Item:
        """Mixture ``(time,)`` and sources ``(source, time)``, ``chunk_size`` samples at most."""
        epoch, index = key
        row, start = self.chunks[index]
        record = self.manifest.iloc[row]
        if start is None:
            rng = np.random.default_rng([self.seed, epoch, index])
            start = int(rng.integers(0, max(0, record["length"] - self.chunk_size) + 1))
        length = min(self.chunk_size, record["length"] - start)
        signals = np.zeros((self.corpus.n_src + 1, length), dtype=np.float32)
        for signal, path in zip(signals, file_names(record, self.corpus.n_src), strict=True):
            if not path:  # fewer sources than others have: zeros
                continue
            part, rate = soundfile.read(
                path, frames=length, start=start, dtype="float32", always_2d=True
            )
            if rate != self.corpus.sample_rate or part.shape[1] != 1:
                raise RecipeError(f"{path}: {rate} Hz, {part.shape[1]} channels; stage 2 checks it")
            signal[: len(part)] = part[:, 0]
        return torch.from_numpy(signals[0]), torch.from_numpy(signals[1:])


class WholeDataset(Dataset):
    """Whole mixtures of a manifest, first sample to last, in the manifest's order.

    Sources that a mixture has not are zeros, after those that it has.
    """

    def __init__(self, manifest: pd.DataFrame, n_src: int, sample_rate: int) -> None:
        self.manifest, self.n_src, self.sample_rate = manifest, n_src, sample_rate

    def __len__(self) -> int:
        return len(self.manifest)

    def __getitem__(self, index: int) -> Item:
        """Mixture ``(time,)`` and sources ``(source, time)``."""
        paths = file_names(self.manifest.iloc[index], self.n_src)
        signals = [read_audio(path, self.sample_rate) for path in paths if path]
        signals += [np.zeros_like(signals[0])] * paths.count("")
        if len({len(signal) for signal in signals}) != 1:
            raise RecipeError(f"{paths[0]}: its sources have other lengths; stage 2 checks it")
        return torch.from_numpy(signals[0]), torch.from_numpy(np.stack(signals[1:]))


def file_names(record: pd.Series, n_src: int) -> list[str]:
    """Paths of the mixture and its sources in a row of a manifest, ``""`` for one it has not."""
    return [record["mixture_path"], *(record[f"source_{i + 1}_path"] for i in range(n_src))]
