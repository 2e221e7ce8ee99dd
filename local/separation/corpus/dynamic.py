"""Dynamic mixing: new training mixtures every epoch, where the network computes.

:class:`DynamicMixing` draws what is to be mixed, which is a few numbers a mixture; :class:`Mixer`
has the recordings in memory, that of a GPU if the network is there, and mixes whole batches.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from joblib import delayed
from torch.utils.data import Dataset

from separation.corpus.augmentation import Augmentation, Effector, Effects, stack_effects
from separation.corpus.datasets import Batch
from separation.corpus.layout import Corpus
from separation.corpus.levels import read_levels, read_with_level
from separation.corpus.lists import Utterance
from separation.corpus.mixing import PEAK
from separation.errors import RecipeError
from separation.process import parallel

# A chunk quieter than this against the utterance's active level is a pause: another one is drawn.
PAUSE_DB = -20.0
CHUNK_TRIES = 10
# Speeds are counted in 2^-16, so that places between samples are whole numbers on every device.
SPEED_BITS = 16
SPEED_UNIT = 2**SPEED_BITS
# How often a speaker is drawn, in proportion, by seconds of recordings.
DRAWS: dict[str, Callable[[float], float]] = {
    "speaker": lambda seconds: 1.0,
    "sqrt_seconds": math.sqrt,
    "seconds": lambda seconds: seconds,
}
# A source that a mixture has not: no samples, so zeros where others have more sources.
ABSENT = (1, 1, 0, SPEED_UNIT, 1.0)
# Around every recording its first sample is repeated once and its last one twice, which the cubic
# needs to reach its ends.
EDGES = (1, 2)


class MixSpec(NamedTuple):
    """What a mixture, or a batch of them, is made of; each ``(source,)`` or ``(batch, source)``."""

    first: np.ndarray | torch.Tensor  # where in all recordings the source starts, samples
    last: np.ndarray | torch.Tensor  # of its recording
    length: np.ndarray | torch.Tensor  # of the source, samples
    speed: np.ndarray | torch.Tensor  # recorded samples per output sample, in units of 2^-16
    factor: np.ndarray | torch.Tensor  # of 16-bit samples
    longest: int  # source of the batch, samples
    effects: Effects | None = None  # on the sources, where there are any


def stack(specs: Sequence[MixSpec]) -> MixSpec:
    """Make one specification of a batch's."""
    *columns, longest, effects = zip(*specs, strict=True)
    first, last, length, speed, factor = (torch.from_numpy(np.stack(c)) for c in columns)
    drawn = None if effects[0] is None else stack_effects(effects)
    return MixSpec(first, last, length, speed, factor, max(longest), drawn)


@dataclass(frozen=True)
class SpeakerDraw:
    """How often each speaker is drawn.

    Args:
        by: a name of :data:`DRAWS`.
        group_weights: how often speakers of a group are drawn, compared with those of others; 1
            for groups that are not named.

    Raises:
        RecipeError: a weight is negative or not finite.
    """

    by: str = "speaker"
    group_weights: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for group, weight in self.group_weights.items():
            if not (math.isfinite(weight) and weight >= 0):
                raise RecipeError(f"corpus.group_weights.{group} is {weight}; it must be 0 or more")

    def probabilities(self, seconds: list[float], groups: list[str]) -> np.ndarray | None:
        """Probability of each speaker, ``(speaker,)``; None if all are alike.

        Args:
            seconds: of recordings of each speaker.
            groups: the group of each.
        """
        weights = np.array(
            [
                DRAWS[self.by](length) * self.group_weights.get(group, 1.0)
                for length, group in zip(seconds, groups, strict=True)
            ]
        )
        return weights / weights.sum() if len(set(weights)) > 1 else None


@dataclass(frozen=True)
class MixDraw:
    """What is drawn for a mixture.

    Attributes:
        chunk_size: samples of a mixture at most; it is as long as the longest chunk in it.
        gain_range: dB; gains are drawn in +- this.
        speed_range: a source plays at 1 +- up to this times its speed (and pitch); 0 leaves it.
        speakers: how often each speaker is drawn.
        augmentation: effects on the sources.
    """

    chunk_size: int
    gain_range: float = 2.5
    speed_range: float = 0.0
    speakers: SpeakerDraw = field(default_factory=SpeakerDraw)
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        if not 0 <= self.speed_range < 1:
            raise RecipeError(f"data.speed_range is {self.speed_range}; it must be in [0, 1)")


class DynamicMixing(Dataset):
    """Draws mixtures: new speakers, utterances, chunks, gains and speeds every epoch.

    Speakers of a mixture differ always. Of several numbers of sources each is drawn equally often;
    sources that a mixture has not are zeros, after the others. Recordings are decoded once and kept
    in memory as 16 bit.
    Items are indexed by ``(epoch, index)``, as of :class:`separation.corpus.datasets.ChunkDataset`.

    Args:
        utterances: recordings of the training split.
        corpus: where they are, and how many speakers of what rate mixtures have.
        draw: what is drawn.
        size: mixtures of an epoch.
        seed: of all that is drawn.
        nj: processes that decode; 0 is one a core.

    Attributes:
        recordings: all of them, one after the other, 16 bit, each with its EDGES.
    """

    def __init__(
        self,
        utterances: list[Utterance],
        corpus: Corpus,
        draw: MixDraw,
        size: int,
        seed: int,
        nj: int,
    ) -> None:
        sources_dir, sample_rate = corpus.sources_dir, corpus.sample_rate
        self.draw, self.n_src, self.size, self.seed = draw, corpus.n_src, size, seed
        self.numbers = corpus.numbers
        known = read_levels(corpus.levels_file) if corpus.levels_file.is_file() else {}
        jobs = (
            delayed(read_with_level)(sources_dir / u.path, sample_rate, known.get(u.path))
            for u in utterances
        )
        decoded = parallel(nj)(jobs)
        self.recordings = np.concatenate([np.pad(s, EDGES, mode="edge") for s, _ in decoded])
        self.speakers: dict[str, list[tuple[int, int, float]]] = defaultdict(list)
        start = EDGES[0]
        for utterance, (samples, level) in zip(utterances, decoded, strict=True):
            if level > 0:
                self.speakers[utterance.speaker].append((start, start + len(samples), level))
            start += len(samples) + sum(EDGES)
        self.sample_rate = sample_rate
        groups = {u.speaker: u.group for u in utterances}
        self.names = sorted(
            name for name in self.speakers if draw.speakers.group_weights.get(groups[name], 1.0)
        )
        if len(self.names) < self.n_src:
            raise RecipeError(
                f"{sources_dir}: {len(self.names)} speakers in tr, but a mixture needs {self.n_src}"
            )
        seconds = [
            sum(end - start for start, end, _ in self.speakers[name]) / sample_rate
            for name in self.names
        ]
        self.probabilities = draw.speakers.probabilities(
            seconds, [groups[name] for name in self.names]
        )

    def __len__(self) -> int:
        return self.size

    def mixer(self) -> Mixer:
        """What mixes batches of the items, stacked."""
        effector = None
        if self.draw.augmentation:
            effector = Effector(self.draw.augmentation, self.sample_rate, self.seed)
        return Mixer(self.recordings, self.draw.speed_range > 0, effector)

    def __getitem__(self, key: tuple[int, int]) -> MixSpec:
        """What to mix."""
        rng = np.random.default_rng([self.seed, *key])
        n_src = int(rng.choice(self.numbers)) if len(self.numbers) > 1 else self.n_src
        chosen = rng.choice(len(self.names), n_src, replace=False, p=self.probabilities)
        chunks = [self._draw_chunk(self.speakers[self.names[speaker]], rng) for speaker in chosen]
        chunks += [ABSENT] * (self.n_src - n_src)
        first, last, length, speed, level = (np.array(value) for value in zip(*chunks, strict=True))
        gains = rng.uniform(-self.draw.gain_range, self.draw.gain_range, self.n_src)
        factor = (10 ** (gains / 20) / np.sqrt(level) * 2.0**-15).astype(np.float32)
        effects = self.draw.augmentation.draw(length, rng) if self.draw.augmentation else None
        return MixSpec(first, last, length, speed, factor, int(length.max()), effects)

    def _draw_chunk(
        self, takes: list[tuple[int, int, float]], rng: np.random.Generator
    ) -> tuple[int, int, int, int, float]:
        start, end, level = takes[rng.integers(len(takes))]
        speed = round(SPEED_UNIT * (1 + rng.uniform(-self.draw.speed_range, self.draw.speed_range)))
        needed = min(end - start, -(-(self.draw.chunk_size - 1) * speed // SPEED_UNIT) + 1)
        floor = level * 10 ** (PAUSE_DB / 10)
        for _ in range(CHUNK_TRIES):
            first = int(rng.integers(start, end - needed + 1))
            chunk = np.multiply(self.recordings[first : first + needed], 2.0**-15, dtype=np.float32)
            if np.dot(chunk, chunk) >= floor * needed:
                break
        length = min(self.draw.chunk_size, (needed - 1) * SPEED_UNIT // speed + 1)
        return first, end - 1, length, speed, level


class Mixer:
    """Mixes on the device that the batch is on, as :func:`separation.corpus.mixing.mix_sources`.

    Args:
        recordings: all of them, one after the other, 16 bit, each with its EDGES.
        at_speeds: sources have speeds; if not, their samples are taken as they are.
        effector: applies the effects that specs have.
    """

    def __init__(
        self, recordings: np.ndarray, at_speeds: bool, effector: Effector | None = None
    ) -> None:
        self.recordings, self.at_speeds = torch.from_numpy(recordings), at_speeds
        self.effector = effector

    def __call__(self, spec: MixSpec) -> Batch:
        """Mix a batch: every source at its speed, by its factor, and all with a peak of 0.9.

        Returns:
            mixtures ``(batch, time)``, sources ``(batch, source, time)``, lengths ``(batch,)`` in
            samples; what is shorter than others is padded with zeros at the end.
        """
        first, last, length, speed, factor = (
            torch.as_tensor(value)[..., None] for value in spec[:5]
        )
        self.recordings = self.recordings.to(first.device)  # at the first batch
        time = torch.arange(spec.longest, device=first.device)
        place = time * speed
        index = torch.minimum(first + (place >> SPEED_BITS), last)
        if self.at_speeds:
            index -= 1
            four = [self.recordings[k:][index].float() for k in range(4)]
            sources = cubic(four, (place & (SPEED_UNIT - 1)) / SPEED_UNIT)
        else:
            sources = self.recordings[index].float()
        sources = sources.mul_(factor).masked_fill_(time >= length, 0)
        if self.effector and spec.effects:
            sources = self.effector(sources, spec.effects).masked_fill_(time >= length, 0)
        mixtures = sources.sum(1)
        peak = torch.maximum(sources.abs().amax((1, 2)), mixtures.abs().amax(1))
        scale = PEAK / peak.clamp(min=torch.finfo(peak.dtype).tiny)
        return mixtures * scale[:, None], sources * scale[:, None, None], length.amax((1, 2))


def cubic(four: Sequence[torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """Value ``x`` of the way, 0 to 1, between the second and the third of four samples in a row.

    Catmull and Rom's cubic goes through the samples, and is as steep there as the line between
    their neighbours. All tensors are of one shape, and so is the value.
    """
    before, here, after, later = four
    third = 1.5 * (here - after) + 0.5 * (later - before)
    second = before - 2.5 * here + 2 * after - 0.5 * later
    return ((third * x + second) * x + 0.5 * (after - before)) * x + here
