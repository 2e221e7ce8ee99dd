"""A corpus as a run sees it: :class:`Corpus`, the names of its files, and how it is mixed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from separation.config import Conf
from separation.ranges import numbers_of_sources


def folder_name(conf: Conf) -> str:
    """Name of a corpus' folder in ``data/``.

    That is ``<corpus>``, ``<corpus>-3spk`` for three sources, ``<corpus>-1-2-3spk`` for one to
    three.
    """
    numbers = numbers_of_sources(conf)
    addition = "" if numbers == (2,) else f"-{'-'.join(map(str, numbers))}spk"
    return str(conf["corpus"]["name"]) + addition


@dataclass(frozen=True)
class Corpus:
    """What always travels together.

    Attributes:
        data_dir: the corpus folder, ``data/<corpus>``: ``sources.csv``, ``sources/``, ``lists/``,
            ``active_levels.txt``.
        wav_dir: of the mixed splits and their manifests.
        n_src: sources of a mixture, at most.
        sample_rate: Hz of the mixtures.
        mode: ``min``: a mixture ends with its shortest source; ``max``: with its longest.
        several: the numbers of sources that mixtures have, if these differ.
    """

    data_dir: Path
    wav_dir: Path
    n_src: int = 2
    sample_rate: int = 8000
    mode: str = "min"
    several: tuple[int, ...] = ()

    @classmethod
    def of(cls, conf: Conf, data_dir: Path) -> Corpus:
        """The corpus of a configuration, mixed in ``<data_dir>/wav8k/min`` for 8 kHz and min."""
        corpus = conf["corpus"]
        rate, mode = corpus["sample_rate"], corpus["mode"]
        wav_dir = data_dir / f"wav{rate / 1000:g}k" / mode
        numbers = numbers_of_sources(conf)
        several = numbers if len(numbers) > 1 else ()
        return cls(data_dir, wav_dir, max(numbers), rate, mode, several)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Numbers of sources that mixtures have, in rising order."""
        return self.several or (self.n_src,)

    @property
    def sources_dir(self) -> Path:
        """Folder of the recordings."""
        return self.data_dir / "sources"

    @property
    def levels_file(self) -> Path:
        """Level of each recording that was mixed, from stage 1."""
        return self.data_dir / "active_levels.txt"

    @property
    def channels(self) -> list[str]:
        """Folder names of a mixture and its sources: mix, s1, s2, ..."""
        return self.channels_of(self.n_src)

    @staticmethod
    def channels_of(n_src: int) -> list[str]:
        """Those of :attr:`channels` that a mixture of so many sources has."""
        return ["mix", *(f"s{i + 1}" for i in range(n_src))]

    def split_dir(self, split: str) -> Path:
        """Folder of a split's mixtures."""
        return self.wav_dir / split

    def manifest(self, split: str) -> Path:
        """Manifest of a split."""
        return self.wav_dir / f"{split}.csv"
