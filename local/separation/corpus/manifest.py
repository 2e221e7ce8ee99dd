"""Manifests: one CSV a split in LibriMix's columns, validated against the audio.

Entry points: :func:`make_manifests` writes them (stage 2), :func:`read_manifest` reads one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from joblib import delayed
from tqdm import tqdm

from separation.corpus.audio import read_audio
from separation.corpus.completeness import check_expected
from separation.corpus.layout import Corpus
from separation.corpus.lists import ListLine, Utterance, read_sources, read_split
from separation.corpus.ownership import Made
from separation.corpus.problems import Problems
from separation.corpus.starting import FINGERPRINT_FILE, begin_manifests
from separation.corpus.wav16 import read_wav16
from separation.errors import RecipeError
from separation.files import atomic_path, require_file
from separation.process import parallel
from separation.ranges import SPLITS
from separation.tables import manifest_columns, read_table

if TYPE_CHECKING:
    import pandas as pd

BATCH = 32  # mixtures handed to a process at a time
PARTIAL = "-partial"  # ends the fingerprint of a corpus that is not whole
FINGERPRINT = re.compile(rf"[0-9a-f]{{16}}({PARTIAL})?")


def make_manifests(
    corpus: Corpus,
    nj: int,
    problems: Problems | None = None,
    expected: dict | None = None,
    allow_partial: bool = False,
) -> str:
    """Validate every mixture of the lists and write ``<wav_dir>/{tr,cv,tt}.csv``.

    Checked: every file exists, rates and lengths agree, the sources add up to the mixture to 16-bit
    accuracy, no source is silent, no id is there twice, no speaker is in both tr and tt, and what
    the corpus demands of the whole (:func:`.completeness.check_expected`).

    Args:
        corpus: mixed by stage 1.
        nj: processes; 0 is one a core.
        problems: takes what is wrong; nothing is written when there is any.
        expected: what the corpus demands, ``corpus.expected`` of its configuration.
        allow_partial: take a corpus that is not what it should be; its fingerprint says so.

    Returns:
        the fingerprint of the corpus, also in ``<wav_dir>/fingerprint.txt``.

    Raises:
        RecipeError: names the list's line and the file that is wrong.
    """
    import pandas as pd  # half a second, which the processes that check do without

    problems = problems or Problems()
    utterances = {u.path: u for u in read_sources(corpus.data_dir)}
    tables = {}
    digest = hashlib.sha256()
    for split in SPLITS:
        lines = read_split(corpus.data_dir, corpus.numbers, split, problems)
        checks = _check_split(corpus, split, lines, nj, problems)
        good = [line for line in lines if line.mixture_id in checks]
        rows = [_row(split, line, checks[line.mixture_id][0], utterances) for line in good]
        # Mixtures of the most sources first: they have all columns, in their order.
        order = list(dict.fromkeys(key for row in sorted(rows, key=len)[::-1] for key in row))
        tables[split] = pd.DataFrame(rows, [line.where for line in good], order).fillna("")
        for mixture_id, (length, checksum) in sorted(checks.items()):
            digest.update(f"{split} {mixture_id} {length} {checksum}\n".encode())
    problems.finish(str(corpus.data_dir))
    _check_speakers(tables, corpus)
    whole = check_expected(tables, corpus, expected or {}, allow_partial)
    fingerprint = digest.hexdigest()[:16] + ("" if whole else PARTIAL)
    write_manifests(tables, corpus, fingerprint)
    return fingerprint


def write_manifests(tables: dict[str, pd.DataFrame], corpus: Corpus, fingerprint: str) -> None:
    """Write the manifest of each split, and the corpus' fingerprint."""
    begin_manifests(corpus.wav_dir)
    for split, table in tables.items():
        if scores := scores_beside(corpus.manifest(split)):
            scores.unlink(missing_ok=True)  # of mixtures that may be others now
        with atomic_path(corpus.manifest(split)) as temporary:
            table.to_csv(temporary, index=False)
    with atomic_path(corpus.wav_dir / FINGERPRINT_FILE) as temporary:
        temporary.write_text(f"{fingerprint}\n", encoding="utf-8")


def scores_beside(manifest: Path) -> Path | None:
    """File of the scores of a manifest's mixtures themselves, which evaluations keep there.

    None if stage 2 did not make the manifest: nothing is written into a folder of the user's.
    """
    with contextlib.suppress(RecipeError):  # a record that is damaged, which stage 2 names
        if manifest.name in Made(manifest.parent).names:
            return manifest.with_name(f".{manifest.stem}.inputs")
    return None


def _check_split(
    corpus: Corpus, split: str, lines: list[ListLine], nj: int, problems: Problems
) -> dict[str, tuple[int, int]]:
    """Check every mixture of a split; returns length and checksum of each that is good."""
    batches = [lines[start : start + BATCH] for start in range(0, len(lines), BATCH)]
    jobs = (delayed(_check_batch)(corpus, split, batch) for batch in batches)
    results = parallel(nj, return_as="generator", batch_size=1)(jobs)
    good = {}
    with tqdm(total=len(lines), desc=f"check {split}", unit="mixture") as bar:
        for batch, found in zip(batches, results, strict=True):
            bar.update(len(batch))
            for line, result in zip(batch, found, strict=True):
                if isinstance(result, str):
                    problems.add(result)
                else:
                    good[line.mixture_id] = result
    return good


def _check_batch(corpus: Corpus, split: str, lines: list[ListLine]) -> list[tuple[int, int] | str]:
    results: list[tuple[int, int] | str] = []
    for line in lines:
        try:
            results.append(check_mixture(corpus, split, line))
        except RecipeError as error:
            results.append(str(error))
    return results


def check_mixture(corpus: Corpus, split: str, line: ListLine) -> tuple[int, int]:
    """Check the files of one mixture; its line of the list is named in errors.

    Returns:
        length in samples, and a checksum over the samples of mixture and sources.

    Raises:
        RecipeError: a file that is missing, damaged, silent or of another rate or length, or
        sources that do not add up to the mixture.
    """
    folder, row, n_src = corpus.split_dir(split), line.where, len(line.paths)
    files = [folder / name / f"{line.mixture_id}.wav" for name in corpus.channels_of(n_src)]
    try:
        signals = [_read(file, corpus.sample_rate) for file in files]
    except RecipeError as error:
        raise RecipeError(f"{row}: {error}; stage 1 makes it again") from error
    mixture = signals[0]
    difference = mixture.astype(np.int32)
    for file, source in zip(files[1:], signals[1:], strict=True):
        if len(source) != len(mixture):
            raise RecipeError(
                f"{row}: {file} has {len(source)} samples, its mixture {len(mixture)}"
            )
        if not source.any():
            raise RecipeError(f"{row}: {file} is silent")
        difference -= source
    # Each of mix and sources is rounded by itself: their sum is off by (n + 1) / 2 at most.
    off = max(int(difference.max()), -int(difference.min()))
    if off > (n_src + 1) / 2:
        raise RecipeError(
            f"{row}: the sources of {files[0]} do not add up to it (off by {off} of 32768)"
        )
    checksum = 0
    for signal in signals:
        checksum = zlib.crc32(signal.astype("<i2", copy=False).tobytes(), checksum)
    return len(mixture), checksum


def _read(path: Path, sample_rate: int) -> np.ndarray:
    """Read int16 samples ``(time,)``."""
    plain = read_wav16(path)
    if plain and plain[1] == sample_rate:
        return plain[0]
    return np.rint(read_audio(path, sample_rate) * 2.0**15).astype(np.int16)


def read_manifest(path: Path, n_src: int, fewest: int | None = None) -> pd.DataFrame:
    """Read a manifest, ours or LibriMix's; paths in it become absolute.

    Args:
        path: the file.
        n_src: sources of a mixture, at most.
        fewest: sources that every mixture has; cells of further ones may be empty. None: all.

    Raises:
        RecipeError: no such file, no mixture, or a cell that is not as
            :func:`separation.tables.manifest_columns` demands.
    """
    table = read_table(path, manifest_columns(n_src, fewest), "stage 2 makes it")
    if table.empty:
        raise RecipeError(f"{path}: no mixture in it; stage 2 makes it")
    return table


def read_fingerprint(wav_dir: Path) -> str:
    """The corpus fingerprint that stage 2 wrote, or nothing for a corpus that has none.

    Raises:
        RecipeError: the file holds something else.
    """
    path = wav_dir / FINGERPRINT_FILE
    if not os.path.lexists(path):
        return ""
    require_file(path, "stage 2 makes it")
    text = path.read_bytes().strip().decode("ascii", "replace")
    if not FINGERPRINT.fullmatch(text):
        raise RecipeError(f"{path}: '{text}' is not a fingerprint; stage 2 makes it")
    return text


def _row(split: str, line: ListLine, length: int, utterances: dict[str, Utterance]) -> dict:
    speakers = [utterances[path] for path in line.paths]
    numbers = range(1, len(speakers) + 1)
    file = f"{line.mixture_id}.wav"
    groups = {speaker.group for speaker in speakers}
    group = {"group": groups.pop() if len(groups) == 1 else ""} if any(groups) else {}
    return {
        "mixture_ID": line.mixture_id,
        "mixture_path": f"{split}/mix/{file}",
        **{f"source_{i}_path": f"{split}/s{i}/{file}" for i in numbers},
        "length": length,
        **{f"speaker_{i}_ID": speakers[i - 1].speaker for i in numbers},
        **{f"gender_{i}": speakers[i - 1].gender for i in numbers},
        **group,
    }


def shared_speakers(tables: dict[str, pd.DataFrame], n_src: int) -> list[str]:
    """Speakers that are in both tr and tt."""
    columns = [f"speaker_{i + 1}_ID" for i in range(n_src)]
    speakers = {split: set(table[columns].to_numpy().ravel()) for split, table in tables.items()}
    return sorted((speakers["tr"] & speakers["tt"]) - {""})


def _check_speakers(tables: dict[str, pd.DataFrame], corpus: Corpus) -> None:
    if both := shared_speakers(tables, corpus.n_src):
        columns = [f"speaker_{i + 1}_ID" for i in range(corpus.n_src)]
        where = tables["tt"].index[(tables["tt"][columns] == both[0]).any(axis=1)][0]
        raise RecipeError(f"{where}: speaker {both[0]} of tt is in tr as well")
