"""Manifests: one CSV a split in LibriMix's columns, validated against the audio.

Entry points: :func:`make_manifests` writes them (stage 2), :func:`read_manifest` reads one.
"""

from __future__ import annotations

import hashlib
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from tqdm import tqdm

from separation.corpus.audio import read_audio
from separation.corpus.lists import SPLITS, ListLine, Utterance, list_path, read_list, read_sources
from separation.corpus.mixing import channel_names
from separation.errors import RecipeError
from separation.files import atomic_path

# Each of mix and sources is rounded to 16 bit by itself, so a sum of n is off by (n + 1) / 2 at
# most.
INT16 = 2.0**15


def make_manifests(data_dir: Path, wav_dir: Path, n_src: int, sample_rate: int, nj: int) -> str:
    """Validate every mixture of the lists and write ``<wav_dir>/{tr,cv,tt}.csv``.

    Checked: every file exists, rates and lengths agree, the sources add up to the mixture to 16-bit
    accuracy, no source is silent, no id stands twice, no speaker is in both tr and tt.

    Returns:
        the fingerprint of the corpus, also in ``<wav_dir>/fingerprint.txt``.

    Raises:
        RecipeError: names the manifest's row and the file that is wrong.
    """
    utterances = {u.path: u for u in read_sources(data_dir)}
    tables = {}
    digest = hashlib.sha256()
    for split in SPLITS:
        list_file = list_path(data_dir, n_src, split)
        lines = read_list(list_file, n_src)
        unknown = [p for line in lines for p in line.paths if p not in utterances]
        if unknown:
            raise RecipeError(f"{data_dir / 'sources.csv'}: no row for {unknown[0]} of {list_file}")
        where = [f"{list_file}:{number}" for number in range(1, len(lines) + 1)]
        jobs = (
            delayed(check_mixture)(wav_dir / split, line.mixture_id, n_src, sample_rate, row)
            for line, row in zip(lines, where, strict=True)
        )
        results = Parallel(n_jobs=nj, return_as="generator", batch_size=16)(jobs)
        checks = list(tqdm(results, total=len(lines), desc=f"check {split}", unit="mixture"))
        rows = [
            _row(split, line, length, utterances)
            for line, (length, _) in zip(lines, checks, strict=True)
        ]
        for line, (length, checksum) in sorted(
            zip(lines, checks, strict=True), key=lambda pair: pair[0].mixture_id
        ):
            digest.update(f"{split} {line.mixture_id} {length} {checksum}\n".encode())
        tables[split] = pd.DataFrame(rows)
    _check_speakers(tables, n_src, data_dir)
    for split, table in tables.items():
        with atomic_path(wav_dir / f"{split}.csv") as temporary:
            table.to_csv(temporary, index=False)
    fingerprint = digest.hexdigest()[:16]
    with atomic_path(wav_dir / "fingerprint.txt") as temporary:
        temporary.write_text(f"{fingerprint}\n", encoding="utf-8")
    return fingerprint


def check_mixture(
    folder: Path, mixture_id: str, n_src: int, sample_rate: int, row: str
) -> tuple[int, int]:
    """Check the files of one mixture; ``row`` names it in errors.

    Returns:
        length in samples, and a checksum over the samples of mixture and sources.
    """
    try:
        signals = [
            read_audio(folder / name / f"{mixture_id}.wav", sample_rate)
            for name in channel_names(n_src)
        ]
    except RecipeError as error:
        raise RecipeError(f"{row}: {error}; stage 1 makes it anew") from error
    mixture, sources = signals[0], signals[1:]
    for name, source in zip(channel_names(n_src)[1:], sources, strict=True):
        if len(source) != len(mixture):
            raise RecipeError(
                f"{row}: {folder / name / mixture_id}.wav has {len(source)} samples,"
                f" its mixture {len(mixture)}"
            )
        if not source.any():
            raise RecipeError(f"{row}: {folder / name / mixture_id}.wav is silent")
    error_lsb = np.abs(np.sum(sources, axis=0, dtype=np.float64) - mixture).max() * INT16
    if error_lsb > (n_src + 1) / 2 + 1e-3:
        raise RecipeError(
            f"{row}: the sources of {folder / 'mix' / mixture_id}.wav do not add up to it"
            f" (off by {error_lsb:.0f} of 32768)"
        )
    checksum = 0
    for signal in signals:
        checksum = zlib.crc32((signal * INT16).astype("<i2").tobytes(), checksum)
    return len(mixture), checksum


def read_manifest(path: Path, n_src: int) -> pd.DataFrame:
    """Read a manifest, ours or LibriMix's; paths in it become absolute.

    Raises:
        RecipeError: no such file, a missing column, a path that is not there, a double id, a bad
        length.
    """
    if not path.is_file():
        raise RecipeError(f"{path}: not there; stage 2 makes it")
    paths = ["mixture_path", *(f"source_{i + 1}_path" for i in range(n_src))]
    try:
        table = pd.read_csv(path, dtype={"mixture_ID": str})
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: not a CSV file: {error}") from error
    for column in ["mixture_ID", *paths, "length"]:
        if column not in table:
            raise RecipeError(f"{path}: column '{column}' is missing")
    if table.empty:
        raise RecipeError(f"{path}: no mixture in it")
    double = table["mixture_ID"].duplicated()
    if double.any():
        row = int(np.flatnonzero(double)[0])
        raise RecipeError(
            f"{path}:{row + 2}: mixture {table['mixture_ID'][row]} stands there twice"
        )
    lengths = pd.to_numeric(table["length"], errors="coerce")
    bad = ~(lengths > 0)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise RecipeError(
            f"{path}:{row + 2}: length '{table['length'][row]}' is not a sample count"
        )
    table["length"] = lengths.astype(int)
    for column in paths:
        table[column] = [str(path.parent / name) for name in table[column].astype(str)]
        for row, name in enumerate(table[column]):
            if not Path(name).is_file():
                raise RecipeError(f"{path}:{row + 2}: {column} {name} does not exist")
    speakers = [c for c in table if c.startswith(("speaker_", "gender_"))]
    table[speakers] = table[speakers].astype(object).where(table[speakers].notna(), "").astype(str)
    return table


def read_fingerprint(wav_dir: Path) -> str:
    """The corpus fingerprint that stage 2 wrote, or nothing for a corpus that has none."""
    path = wav_dir / "fingerprint.txt"
    return path.read_text(encoding="utf-8").strip() if path.is_file() else ""


def _row(split: str, line: ListLine, length: int, utterances: dict[str, Utterance]) -> dict:
    speakers = [utterances[path] for path in line.paths]
    numbers = range(1, len(speakers) + 1)
    file = f"{line.mixture_id}.wav"
    return {
        "mixture_ID": line.mixture_id,
        "mixture_path": f"{split}/mix/{file}",
        **{f"source_{i}_path": f"{split}/s{i}/{file}" for i in numbers},
        "length": length,
        **{f"speaker_{i}_ID": speakers[i - 1].speaker for i in numbers},
        **{f"gender_{i}": speakers[i - 1].gender for i in numbers},
    }


def _check_speakers(tables: dict[str, pd.DataFrame], n_src: int, data_dir: Path) -> None:
    columns = [f"speaker_{i + 1}_ID" for i in range(n_src)]
    voices = {split: set(table[columns].to_numpy().ravel()) for split, table in tables.items()}
    both = sorted(voices["tr"] & voices["tt"])
    if both:
        row = tables["tt"].index[(tables["tt"][columns] == both[0]).any(axis=1)][0]
        list_file = list_path(data_dir, n_src, "tt")
        raise RecipeError(f"{list_file}:{row + 1}: speaker {both[0]} of tt is in tr as well")
