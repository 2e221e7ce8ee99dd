"""Stage 0 of espeak-2mix: synthesise the voices of tr, cv and tt and draw the mixing lists.

Everything follows from the seed and the configuration, whatever ``nj`` is: each voice is made in a
process of its own, because espeak-ng carries state from one utterance to the next.
"""

from __future__ import annotations

from separation.process import run_command  # isort: split

import contextlib
import csv
import dataclasses
import multiprocessing
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import soxr
from joblib import Parallel, cpu_count, delayed
from tqdm import tqdm

from espeak import Espeak, find_library
from sentences import draw_sentences
from separation.config import Conf
from separation.corpus.audio import write_int16
from separation.corpus.drawing import make_lists
from separation.corpus.lists import Utterance, write_lists
from separation.corpus.starting import begin_sources
from separation.errors import RecipeError
from separation.files import atomic_path
from separation.ranges import SPLITS, numbers_of_sources
from separation.stages import data_stage
from voices import Voice, draw_voices

SHORTEST, LONGEST = 2.0, 6.0  # seconds of an utterance
PEAK = 0.5  # of every utterance; the mixing sets the level


@dataclass(frozen=True)
class Job:
    """One voice to synthesise: its sentences (with spares), how many of them, and where to."""

    voice: Voice
    sentences: list[str]
    count: int
    sample_rate: int
    seed: int
    folder: Path


def main() -> None:
    """Parse the command line and make the corpus."""
    data_stage(0, __doc__, prepare)


def prepare(conf: Conf, data_dir: Path, begin: Callable[[], None]) -> None:
    """Synthesise the voices and write ``sources.csv`` and ``lists/``."""
    check(conf)
    find_library()
    jobs = make_jobs(conf, data_dir / "sources")
    begin()
    made = begin_sources(data_dir)
    wanted = {f"sources/{job.voice.name}/{name}" for job in jobs for name in file_names(job)}
    stale = made.below("sources") - wanted
    made.claim({"voices.csv", *wanted})
    made.remove(stale)
    utterances = synthesise_all(jobs, conf["nj"])
    corpus = conf["corpus"]
    numbers = numbers_of_sources(conf)
    lists = make_lists(utterances, numbers, corpus["n_mixtures"], conf["seed"])
    write_voices(data_dir / "voices.csv", [job.voice for job in jobs])
    write_lists(data_dir, utterances, lists)
    made.note_others("sources")
    print(f"{len(utterances)} utterances of {len(jobs)} voices: {data_dir / 'sources'}")


def check(conf: Conf) -> None:
    """Refuse what cannot be made, before anything is synthesised."""
    corpus, n_src = conf["corpus"], max(numbers_of_sources(conf))
    if corpus["sample_rate"] not in (8000, 16000):
        raise RecipeError(f"corpus.sample_rate={corpus['sample_rate']}: must be 8000 or 16000")
    for split in SPLITS:
        voices, mixtures = corpus["n_voices"][split], corpus["n_mixtures"][split]
        if voices < 0 or mixtures < 0:
            raise RecipeError(f"corpus.n_voices.{split} and corpus.n_mixtures.{split}: not below 0")
        if mixtures and voices < n_src:
            raise RecipeError(
                f"corpus.n_voices.{split}={voices}: fewer voices than speakers in a mixture"
                f" (n_src {n_src}); ask for more voices"
            )
        if corpus["n_utterances"][split] < 1:
            raise RecipeError(f"corpus.n_utterances.{split}: at least 1 of each voice")


def make_jobs(conf: Conf, folder: Path) -> list[Job]:
    """Draw voices and sentences; no sentence is given to two voices."""
    corpus, seed = conf["corpus"], conf["seed"]
    voices = draw_voices({split: corpus["n_voices"][split] for split in SPLITS}, seed)
    counts = [corpus["n_utterances"][voice.split] for voice in voices]
    # As many again as are needed: those that come out too short or too long are left out.
    sentences = iter(draw_sentences(sum(2 * count + 4 for count in counts), seed))
    return [
        Job(
            voice=voice,
            sentences=[next(sentences) for _ in range(2 * count + 4)],
            count=count,
            sample_rate=corpus["sample_rate"],
            seed=seed,
            folder=(folder / voice.name).resolve(),
        )
        for voice, count in zip(voices, counts, strict=True)
    ]


def synthesise_all(jobs: list[Job], nj: int) -> list[Utterance]:
    """Run the jobs in ``nj`` processes at a time (0: one a core), in the order of ``jobs``."""
    context = multiprocessing.get_context("forkserver")
    # What every child imports is imported once, in the process that they are forked from.
    context.set_forkserver_preload(["joblib", "soxr", "tqdm", "separation.corpus.audio",
                                    "separation.config", "separation.corpus.lists"])  # fmt: skip
    # The threads only wait for their processes.
    parallel = Parallel(nj or cpu_count(), prefer="threads", return_as="generator")
    results = parallel(delayed(in_fresh_process)(context, job) for job in jobs)
    utterances = []
    for names, job in zip(tqdm(results, "voices", len(jobs)), jobs, strict=True):
        voice = job.voice
        utterances += [
            Utterance(f"{voice.name}/{name}", voice.name, voice.gender, voice.split)
            for name in names
        ]
    return utterances


def in_fresh_process(context: multiprocessing.context.BaseContext, job: Job) -> list[str]:
    """Run :func:`synthesise` in a new process; give back its result or raise its error here."""
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(sender, job), daemon=True)  # type: ignore[attr-defined]
    process.start()
    sender.close()
    try:
        result = receiver.recv()
    except EOFError as error:
        process.join()
        raise RecipeError(
            f"voice {job.voice.name}: its process died (status {process.exitcode}); out of memory?"
        ) from error
    process.join()
    if isinstance(result, BaseException):
        raise result
    return result


def _child(sender: Connection, job: Job) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it
    outcome: list[str] | Exception
    try:
        outcome = synthesise(job)
    except Exception as error:
        outcome = error
    with contextlib.suppress(BrokenPipeError):  # the parent has ended, on another voice's error
        sender.send(outcome)


def synthesise(job: Job) -> list[str]:
    """Synthesise one voice into ``job.folder``.

    Utterances vary around the voice's own pitch, liveliness and speed. The formants are moved by
    resampling, as if the sound were played ``tract`` times as fast; pitch and speed are asked for
    so that they come out right after it.

    Returns:
        the file names, ``job.count`` of them.
    """
    voice = job.voice
    rng = random.Random(f"{job.seed} {voice.name}")
    names: list[str] = []
    with Espeak(rng.getrandbits(31)) as espeak:
        espeak.set_voice(voice.accent, voice.variant)
        for sentence in job.sentences:
            samples = espeak.speak(
                sentence,
                pitch=min(max(voice.pitch + rng.uniform(-4, 4), 0), 99),
                rate=voice.rate * rng.uniform(0.92, 1.08) / voice.tract,
                pitch_range=voice.pitch_range + rng.uniform(-10, 10),
            )
            samples = soxr.resample(
                samples, espeak.sample_rate * voice.tract, job.sample_rate, "HQ"
            )
            if not SHORTEST <= len(samples) / job.sample_rate <= LONGEST:
                continue
            name = file_names(job)[len(names)]
            write_int16(
                job.folder / name, samples * (PEAK / np.abs(samples).max()), job.sample_rate
            )
            names.append(name)
            if len(names) == job.count:
                return names
    raise RecipeError(
        f"voice {voice.name}: only {len(names)} of {job.count} utterances last"
        f" {SHORTEST:g} to {LONGEST:g} s; take another seed"
    )


def file_names(job: Job) -> list[str]:
    """Names of a voice's utterances."""
    return [f"{job.voice.name}-{number + 1:03d}.wav" for number in range(job.count)]


def write_voices(path: Path, voices: list[Voice]) -> None:
    """Write what each voice is made of."""
    with atomic_path(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([field.name for field in dataclasses.fields(Voice)])
        for voice in voices:
            row = dataclasses.astuple(voice)
            writer.writerow([f"{x:.4g}" if isinstance(x, float) else x for x in row])


if __name__ == "__main__":
    run_command(main)
