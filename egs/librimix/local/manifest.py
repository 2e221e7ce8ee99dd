"""Stage 2 of librimix: check LibriMix's mixtures and write the CSV files of the corpus."""

from __future__ import annotations

from separation.process import run_command  # isort: split

import hashlib
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import delayed
from tqdm import tqdm

from separation.config import Conf
from separation.corpus.audio import read_audio
from separation.corpus.layout import Corpus
from separation.corpus.manifest import read_manifest, shared_speakers, write_manifests
from separation.corpus.problems import Problems
from separation.errors import RecipeError
from separation.process import parallel
from separation.ranges import SPLITS
from separation.stages import data_stage

INT16 = 2.0**15


def main() -> None:
    """Parse the command line and write the manifests."""
    data_stage(2, __doc__, make_manifests)


def make_manifests(conf: Conf, data_dir: Path, begin: Callable[[], None]) -> None:
    """Write ``{tr,cv,tt}.csv`` and ``fingerprint.txt``."""
    corpus = Corpus.of(conf, data_dir)
    tables, digest = {}, hashlib.sha256()
    problems = Problems(conf["corpus"]["keep_going"])
    for split in SPLITS:
        path = data_dir / "mixtures" / f"{split}.csv"
        if not path.is_file():
            raise RecipeError(f"{path}: not there; stage 0 makes it")
        tables[split] = read_manifest(path, corpus.n_src)
        checksums = check_all(tables[split], path, conf, problems)
        for mixture_id, length, checksum in sorted(
            zip(tables[split]["mixture_ID"], tables[split]["length"], checksums, strict=True)
        ):
            digest.update(f"{split} {mixture_id} {length} {checksum}\n".encode())
    problems.finish(str(data_dir))
    if both := shared_speakers(tables, corpus.n_src):
        path = data_dir / "mixtures" / "tt.csv"
        raise RecipeError(f"{path}: speaker {both[0]} of tt is in tr as well")
    begin()
    fingerprint = digest.hexdigest()[:16]
    for split, table in tables.items():
        tables[split] = table.drop(columns="noise_path", errors="ignore")
    write_manifests(tables, corpus, fingerprint)
    print(f"manifests are in {corpus.wav_dir}/{{tr,cv,tt}}.csv, fingerprint {fingerprint}")


def check_all(table: pd.DataFrame, path: Path, conf: Conf, problems: Problems) -> list[int]:
    """Check every mixture of the table that was read from ``path``.

    Returns:
        a checksum of the samples of each.

    Raises:
        RecipeError: the first bad mixture, unless ``problems`` takes them all.
    """
    corpus = conf["corpus"]
    names = ["mixture_path", *(f"source_{i + 1}_path" for i in range(corpus["n_src"]))]
    # A noisy mixture does not add up where LibriMix kept no noise.
    names += ["noise_path"] if "noise_path" in table else []
    adds_up = corpus["task"] == "sep_clean" or "noise_path" in table
    jobs = (
        delayed(_try)(record, names, corpus["sample_rate"], adds_up, f"{path}:{row}")
        for row, record in enumerate(table.to_dict("records"), 2)
    )
    results = parallel(conf["nj"], return_as="generator", batch_size=16)(jobs)
    checksums = []
    for checksum, problem in tqdm(
        results, total=len(table), desc=f"check {path.stem}", unit="mixture"
    ):
        if problem:
            problems.add(problem)
        checksums.append(checksum)
    return checksums


def check_mixture(record: dict, names: list[str], sample_rate: int, adds_up: bool) -> int:
    """Check the files of one mixture: rates, lengths, sum.

    Args:
        record: a row of the table.
        names: its columns of files: the mixture first, then what it is the sum of.
        sample_rate: Hz that the files must have.
        adds_up: whether the mixture is that sum, to 16-bit accuracy.

    Returns:
        a checksum of the samples of all files.

    Raises:
        RecipeError: what is wrong with which file.
    """
    signals = [read_audio(record[name], sample_rate) for name in names]
    for name, signal in zip(names, signals, strict=True):
        if len(signal) != record["length"]:
            raise RecipeError(
                f"{record[name]} has {len(signal)} samples, but the table says {record['length']}"
            )
        if not signal.any() and name != "noise_path":
            raise RecipeError(f"{record[name]} is silent")
    mixture, parts = signals[0], signals[1:]
    off = np.abs(np.sum(parts, axis=0, dtype=np.float64) - mixture)
    # Each file is rounded by itself; samples at full scale were clipped.
    off_lsb = off[np.abs(mixture) < 1 - 2 / INT16].max(initial=0) * INT16
    if adds_up and off_lsb > (len(parts) + 1) / 2 + 1e-3:
        raise RecipeError(
            f"{record['mixture_path']}: its sources do not add up to it"
            f" (off by {off_lsb:.0f} of 32768)"
        )
    checksum = 0
    for signal in signals:
        checksum = zlib.crc32((signal * INT16).astype("<i2").tobytes(), checksum)
    return checksum


def _try(
    record: dict, names: list[str], sample_rate: int, adds_up: bool, row: str
) -> tuple[int, str]:
    try:
        return check_mixture(record, names, sample_rate, adds_up), ""
    except RecipeError as error:
        return 0, f"{row}: {error}"


if __name__ == "__main__":
    run_command(main)
