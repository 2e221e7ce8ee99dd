"""Conversations of minutes: do the speakers keep their places?

Makes conversations of the speakers of a corpus, with pauses and several shares of overlapping
speech, and separates them in three ways: as local/separate.py does long recordings (segments whose
orders are found together), in segments of that length that overlap by half, each matched with the
one before it (Asteroid's LambdaOverlapAdd), and the whole file in one pass. A system of
one_and_rest separates conversations of one, two and so on, in segments, with the number of speakers
that it finds and with the true one. Prints a row for each share of overlap and way.
"""

from __future__ import annotations

from separation.process import run_command  # isort: split

from collections import defaultdict
from collections.abc import Callable
from dataclasses import astuple
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import numpy as np
import pandas as pd
import soundfile
import torch
from asteroid.dsp.overlap_add import LambdaOverlapAdd
from tqdm import tqdm

from separation.arguments import make_parser
from separation.config import load_resolved
from separation.corpus.audio import audio_info, load_resampled, read_audio
from separation.corpus.layout import Corpus
from separation.corpus.lists import read_sources
from separation.errors import RecipeError
from separation.evaluation.conversations import make_conversation, measure, talk_at_once
from separation.evaluation.speakers import score_counted
from separation.files import atomic_path
from separation.inference.long import SEGMENT_SECONDS, separate_long
from separation.inference.recursion import RecursiveSeparator, open_separator
from separation.inference.separator import Separator, pick_device
from separation.models.shelf import find_system
from separation.ranges import SPLITS
from separation.report.tables import markdown

COLUMNS = ["found", "si_sdri", "exchanges", "leakage"]
FOUND = "number that is found"
Way = Callable[[np.ndarray], np.ndarray]  # mixture (time,) to estimates (source, time)


def main() -> None:
    """Parse the command line, make and separate the conversations, print the table."""
    parser = make_parser(
        __doc__,
        *("exp_dir", "data_dir", "device"),
    )
    parser.add_argument("--split", default="tt", help=f"{', '.join(SPLITS)} (default: tt)")
    parser.add_argument(
        "--number", type=int, default=5, help="conversations of each overlap (default: 5)"
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="length of each (default: 10)")
    parser.add_argument(
        "--overlaps",
        default="0,20,40",
        help="percent of the speech, with commas between them; 100: nobody waits until the others"
        " are silent (default: 0,20,40)",
    )
    parser.add_argument("--csv", type=Path, help="a row for each conversation and way, as a file")
    arguments = parser.parse_args()
    overlaps = parse_overlaps(arguments.overlaps)
    if arguments.number < 1 or not 0 < arguments.minutes <= 600:
        raise RecipeError("--number must be 1 or more, --minutes more than 0 and at most 600")
    exp_dir = find_system(arguments.exp_dir)
    corpus = Corpus.of(load_resolved(exp_dir), arguments.data_dir)
    ways = ways_of(exp_dir, pick_device(arguments.device))
    speakers = recordings(corpus, arguments.split)
    rows = []
    for n_src, overlap, number in tqdm(
        [(n, o, k) for n in ways for o in overlaps for k in range(arguments.number)],
        unit="conversation",
    ):
        rng = np.random.default_rng([number, round(100 * overlap)])
        chosen = [
            [load_resampled(path, corpus.sample_rate) for path in speakers[i]]
            for i in rng.permutation(len(speakers))[:n_src]
        ]
        place = 60 * arguments.minutes, corpus.sample_rate, rng
        references = converse(chosen, overlap, *place)
        for way, separate in ways[n_src].items():
            found = scores(references, separate(references.sum(0)), corpus.sample_rate)
            rows.append((n_src, overlap, number, way, *found))
    table = pd.DataFrame(rows, columns=["speakers", "overlap", "number", "way", *COLUMNS])
    if arguments.csv:
        with atomic_path(arguments.csv) as temporary:
            table.to_csv(temporary, index=False)
    print(summary(table))


def ways_of(exp_dir: Path, device: torch.device) -> dict[int, dict[str, Way]]:
    """The ways to separate conversations of each number of speakers."""
    separator = open_separator(exp_dir, device)
    if not isinstance(separator, RecursiveSeparator):
        return {separator.n_src: {way: partial(work, separator) for way, work in WAYS.items()}}
    ways: dict[int, dict[str, Way]] = {}
    for number in range(1, separator.n_src + 1):
        given = RecursiveSeparator(separator.model, device, n_src=number)
        ways[number] = {FOUND: partial(in_segments, separator)}
        ways[number]["true number"] = partial(in_segments, given)
    return ways


def converse(
    recordings: list[list[np.ndarray]],
    overlap: float,
    seconds: float,
    sample_rate: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """A conversation, or people who all talk on: references ``(speaker, time)``."""
    if overlap == 1 or len(recordings) == 1:
        return talk_at_once(recordings, seconds, sample_rate, rng)
    return make_conversation(recordings, seconds, overlap, sample_rate, rng)


def scores(
    references: np.ndarray, estimates: np.ndarray, sample_rate: int
) -> tuple[int, float, float, float]:
    """The number of estimates and all measures; where that is wrong, SI-SDRi of pairs alone.

    References and estimates are ``(source, time)``.
    """
    if len(references) == len(estimates) > 1 and estimates.any(1).all():
        return len(estimates), *astuple(measure(references, estimates, sample_rate))
    pairs = score_counted(references.sum(0), references, estimates)
    return len(estimates), pairs["si_sdri"], np.nan, np.nan


def parse_overlaps(text: str) -> list[float]:
    """Shares of ``0,20,40``.

    Raises:
        RecipeError: not numbers from 0 to 90, or 100.
    """
    try:
        shares = [float(word) / 100 for word in text.split(",")]
    except ValueError:
        shares = [np.nan]
    if not all(0 <= share <= 0.9 or share == 1 for share in shares):
        raise RecipeError(
            f"--overlaps {text}: numbers from 0 to 90, or 100, with commas between them"
        )
    return shares


def recordings(corpus: Corpus, split: str) -> list[list[Path]]:
    """Files of each speaker of a split.

    Raises:
        RecipeError: too few speakers.
    """
    speakers = defaultdict(list)
    for utterance in read_sources(corpus.data_dir):
        if utterance.split == split:
            speakers[utterance.speaker].append(corpus.sources_dir / utterance.path)
    if len(speakers) < corpus.n_src:
        raise RecipeError(
            f"{corpus.data_dir}: {len(speakers)} speakers in '{split}', {corpus.n_src} are needed"
        )
    return [sorted(files) for _, files in sorted(speakers.items())]


def in_segments(separator: Separator, mixture: np.ndarray) -> np.ndarray:
    """Separate ``(time,)`` into ``(source, time)`` as local/separate.py does long recordings."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        recording = folder / "mixture.wav"
        soundfile.write(recording, mixture, separator.sample_rate, subtype="FLOAT")
        paths = [folder / f"s{number}.wav" for number in range(separator.n_src)]
        info = audio_info(recording)
        written, _ = separate_long(separator, recording, info, paths, recording)
        return np.stack([read_audio(path) for path in written])


def with_neighbours(separator: Separator, mixture: np.ndarray) -> np.ndarray:
    """The same, each segment in the order that fits the one before it."""
    rate = separator.sample_rate

    def network(segments: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(np.stack([separator.separate(s, rate) for s in segments.numpy()]))

    stitcher = LambdaOverlapAdd(
        network,
        separator.n_src,
        2 * round(SEGMENT_SECONDS * rate / 2),
    )
    return cast(np.ndarray, stitcher(torch.from_numpy(mixture)[None, None])[0].numpy())


def in_one_pass(separator: Separator, mixture: np.ndarray) -> np.ndarray:
    """The same, the whole file at once."""
    return separator.separate(mixture, separator.sample_rate)


WAYS: dict[str, Callable[[Separator, np.ndarray], np.ndarray]] = {
    "all segments together": in_segments,
    "neighbours (LambdaOverlapAdd)": with_neighbours,
    "one pass": in_one_pass,
}


def summary(table: pd.DataFrame) -> str:
    """Means and counts for each number of speakers, share of overlap and way.

    Columns about numbers are there where a way finds them.
    """
    counting = FOUND in set(table["way"])
    rows = []
    for (speakers, overlap, way), group in table.groupby(
        ["speakers", "overlap", "way"], sort=False
    ):
        right = [f"{speakers}", f"{(group['found'] == speakers).sum()} of {len(group)}"]
        row = [
            *(f"{100 * overlap:.0f} %", way, f"{len(group)}", f"{group['si_sdri'].mean():.2f}"),
            *(f"{(group['exchanges'] > 0).sum()}", f"{group['exchanges'].sum():.0f}"),
            f"{group['leakage'].mean():.1f}",
        ]
        rows.append([*(right if counting else []), *("–" if c == "nan" else c for c in row)])
    heads = ["overlap", "way", "files", "SI-SDRi, dB", "with exchanges", "exchanges"]
    numbers = ["speakers", "right number"] if counting else []
    return markdown([*numbers, *heads, "leakage, dB"], rows)


if __name__ == "__main__":
    run_command(main)
