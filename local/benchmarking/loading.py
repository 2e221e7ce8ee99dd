"""Loaders of training chunks: this project's against one like Asteroid's, on the same wav files.

Entry point: :func:`compare_loading`.
"""

from __future__ import annotations

import random
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
import torch
from torch.utils.data import DataLoader, Dataset

from benchmarking.mixing import corpus_of, make_recordings, stage_1
from benchmarking.networks import Timed, Work, take_turns
from separation.corpus.datasets import Batch, ChunkDataset, EpochSampler, collate
from separation.corpus.dynamic import DynamicMixing, MixDraw, Mixer, MixSpec, stack
from separation.corpus.lists import ListLine, read_sources
from separation.corpus.manifest import read_manifest
from separation.errors import RecipeError
from separation.report.tables import markdown

N_MIXTURES = 200
STOCK = "as Asteroid's LibriMix"
CHANNELS = ("mix", "s1", "s2")
COLUMNS = ["mixture_ID", "mixture_path", "source_1_path", "source_2_path", "length"]
SEED = 0


def compare_loading(work: Work, nj: int, folder: Path | None) -> str:
    """Load epochs of training chunks of synthetic recordings, in the training process.

    Args:
        work: size of batches and chunks, and epochs.
        nj: processes that make the data.
        folder: where to work; None is the system's place for temporary files.

    Returns:
        a table of chunks a second.
    """
    with tempfile.TemporaryDirectory(prefix="benchmark-", dir=folder) as name:
        data_dir = Path(name)
        lines = make_recordings(data_dir, N_MIXTURES)
        stage_1(data_dir, "tr", nj, None)
        loaders = make_loaders(data_dir, write_manifest(data_dir, lines, work.chunk_size), work)
        epochs: Timed = {name: partial(list, loader) for name, loader in loaders.items()}
        seconds = take_turns(epochs, work.repetitions)
        chunks = len(loaders[STOCK].sampler)  # type: ignore[arg-type]
    rows = [
        [name, f"{chunks / taken:.0f}", f"{seconds[STOCK] / taken:.2f}"]
        for name, taken in seconds.items()
    ]
    return markdown(["loading", "chunks/s", "ratio"], rows)


def write_manifest(data_dir: Path, lines: list[ListLine], min_length: int) -> Path:
    """Write the mixtures of ``min_length`` samples and more as LibriMix does; returns the file."""
    rows = []
    for line in lines:
        paths = [data_dir / "ours" / "tr" / name / f"{line.mixture_id}.wav" for name in CHANNELS]
        length = soundfile.info(paths[0]).frames
        if length >= min_length:
            rows.append([line.mixture_id, *paths, length])
    if not rows:
        raise RecipeError(f"--chunk_size {min_length}: no mixture is that long")
    path = data_dir / "mixture_tr_mix_clean.csv"
    pd.DataFrame(rows, columns=COLUMNS).to_csv(path, index=False)
    return path


class PlainChunks(Dataset):
    """Random segments of mixtures as Asteroid's ``LibriMix`` reads them, from the files every time.

    That class itself needs packages that nothing else here does.
    """

    def __init__(self, manifest: pd.DataFrame, chunk_size: int) -> None:
        self.manifest, self.chunk_size = manifest, chunk_size

    def __len__(self) -> int:
        return len(self.manifest)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Mixture ``(time,)`` and sources ``(source, time)``."""
        row = self.manifest.iloc[index]
        start = random.randint(0, row["length"] - self.chunk_size)
        stop = start + self.chunk_size
        mixture, *sources = (
            soundfile.read(row[name], dtype="float32", start=start, stop=stop)[0]
            for name in COLUMNS[1:-1]
        )
        return torch.from_numpy(mixture), torch.from_numpy(np.vstack(sources))


def make_loaders(data_dir: Path, csv: Path, work: Work) -> dict[str, DataLoader]:
    """Loaders in one process, by name."""
    manifest, corpus = read_manifest(csv, 2), corpus_of(data_dir)
    chunks = ChunkDataset(manifest, corpus, work.chunk_size, work.chunk_size, "random", SEED)
    loaders = {
        STOCK: DataLoader(PlainChunks(manifest, work.chunk_size), work.batch_size, shuffle=True),
        "this project, chunks of files": DataLoader(
            chunks, work.batch_size, sampler=EpochSampler(len(chunks), SEED), collate_fn=collate
        ),
    }
    for speed_range in (0.0, 0.1):
        utterances = [u for u in read_sources(data_dir) if u.split == "tr"]
        draw = MixDraw(work.chunk_size, speed_range=speed_range)
        mixing = DynamicMixing(utterances, corpus, draw, len(manifest), SEED, nj=1)
        speed = f", speed +-{speed_range:.0%}" if speed_range else ""
        loaders[f"this project, dynamic mixing{speed}"] = DataLoader(
            mixing,
            work.batch_size,
            sampler=EpochSampler(len(mixing), SEED),
            collate_fn=partial(_stack_and_mix, mixing.mixer()),
        )
    return loaders


def _stack_and_mix(mixer: Mixer, specs: list[MixSpec]) -> Batch:
    return mixer(stack(specs))
