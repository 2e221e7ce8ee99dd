"""The discs' recordings become wav files below ``sources/``; converted ones are linked to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from joblib import delayed
from tqdm import tqdm

from separation.corpus.audio import SHORTEST, audio_info
from separation.errors import RecipeError
from separation.files import atomic_path
from separation.process import parallel
from sphere import checksum, decode, is_sphere, read_header

SAMPLE_RATE = 16000  # of WSJ0


@dataclass(frozen=True)
class Job:
    """One recording: its path in the lists, the file on the discs, and the wav file to be."""

    listed: str
    source: Path
    target: Path


def convert_all(jobs: list[Job], nj: int, keep_going: bool) -> dict[str, str]:
    """Convert or link every recording; those that an earlier run made are only checked.

    Returns:
        what is wrong with each bad recording; without ``keep_going`` the first one ends it.
    """
    problems = {}
    results = parallel(nj, return_as="generator_unordered", batch_size=8)(
        delayed(_try)(job) for job in jobs
    )
    for listed, problem in tqdm(results, total=len(jobs), desc="convert", unit="file"):
        if problem:
            problems[listed] = problem
            if not keep_going:
                break
    return problems


def convert(job: Job) -> None:
    """Make ``job.target`` of ``job.source``.

    Raises:
        RecipeError: the recording is damaged, cut short, not 16 kHz mono, or shorter than 0.1 s.
    """
    if job.source.exists() and not job.source.is_file():
        raise RecipeError(f"{job.source}: a pipe or a device, not a recording")
    if is_sphere(job.source):
        if not _is_made(job):
            samples = decode(job.source, SAMPLE_RATE)
            _check_length(job.source, len(samples))
            with atomic_path(job.target) as temporary:
                soundfile.write(temporary, samples, SAMPLE_RATE, subtype="PCM_16")
        return
    info = audio_info(job.source)
    if info.channels != 1:
        raise RecipeError(f"{job.source}: {info.channels} channels; WSJ0's recordings have one")
    if info.sample_rate != SAMPLE_RATE:
        raise RecipeError(
            f"{job.source}: {info.sample_rate} Hz, but {SAMPLE_RATE} Hz is needed;"
            " convert WSJ0 without resampling, or give the discs themselves"
        )
    _check_length(job.source, info.frames)
    _link(job.target, job.source.resolve())


def _try(job: Job) -> tuple[str, str]:
    try:
        convert(job)
    except RecipeError as error:
        return job.listed, f"is bad: {error}"
    except OSError as error:  # a scratched disc, a link to nowhere
        return job.listed, f"is bad: {error.filename or job.source}: {error.strerror}"
    return job.listed, ""


def _check_length(path: Path, frames: int) -> None:
    if frames < SHORTEST * SAMPLE_RATE:
        raise RecipeError(f"{path}: {frames} samples, shorter than {SHORTEST} s")


def _is_made(job: Job) -> bool:
    """Whether an earlier run made the target of this very recording, going by its checksum."""
    if job.target.is_symlink() or not job.target.is_file():
        return False
    header = read_header(job.source)
    try:
        samples, rate = soundfile.read(job.target, dtype="int16")
    except soundfile.LibsndfileError:
        return False
    same = (rate, samples.shape, header.channels) == (header.sample_rate, (header.frames,), 1)
    return same and rate == SAMPLE_RATE and checksum(np.asarray(samples)) == header.checksum


def _link(target: Path, source: Path) -> None:
    if target.exists() and target.samefile(source):  # perhaps the very file of the user
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    target.symlink_to(source)
