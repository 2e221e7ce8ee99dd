"""A corpus small enough for tests: sources with syllables, lists, mixtures, manifests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from separation.corpus.drawing import make_lists
from separation.corpus.layout import Corpus
from separation.corpus.lists import Utterance, write_lists
from separation.corpus.manifest import make_manifests
from separation.corpus.mixing import mix_split

RATE = 8000
VOICES = {"tr": ["f1", "m1", "f2", "m2"], "cv": ["f3", "m3"], "tt": ["f4", "m4"]}


def syllables(seconds: float, pitch: float, seed: int) -> np.ndarray:
    """Harmonics of ``pitch`` Hz that come and go like syllables, peak 0.5, shape ``(time,)``."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    tone = sum(np.sin(2 * np.pi * pitch * k * time + rng.uniform(0, 6)) / k for k in range(1, 8))
    envelope = 0.55 + 0.45 * np.sin(2 * np.pi * rng.uniform(2, 5) * time + rng.uniform(0, 6))
    signal = tone * envelope + 0.01 * rng.standard_normal(len(time))
    return (0.5 * signal / np.abs(signal).max()).astype(np.float32)


def make_sources(data_dir: Path, n_mixtures: dict[str, int], n_src: int = 2) -> list[Utterance]:
    """Write three recordings a voice, ``sources.csv`` and the lists: what stage 0 leaves."""
    utterances = []
    for split, voices in VOICES.items():
        for number, voice in enumerate(voices):
            for take in range(3):
                pitch = (200 if voice[0] == "f" else 100) + 12 * number + take
                seed = len(utterances)
                path = Path(voice) / f"{voice}-{take}.wav"
                (data_dir / "sources" / voice).mkdir(parents=True, exist_ok=True)
                signal = syllables(1.0 + 0.11 * take, pitch, seed)
                soundfile.write(data_dir / "sources" / path, signal, RATE, subtype="PCM_16")
                utterances.append(Utterance(path.as_posix(), voice, voice[0].upper(), split))
    write_lists(data_dir, utterances, make_lists(utterances, n_src, n_mixtures, seed=0))
    return utterances


def make_corpus(data_dir: Path, n_mixtures: dict[str, int] | None = None) -> Path:
    """Make sources, mixtures and manifests; returns the folder of the manifests."""
    n_mixtures = n_mixtures or {"tr": 8, "cv": 3, "tt": 3}
    make_sources(data_dir, n_mixtures)
    wav_dir = data_dir / "wav8k" / "min"
    for split in n_mixtures:
        mix_split(Corpus(data_dir, wav_dir, 2, RATE, "min"), split, 1)
    make_manifests(Corpus(data_dir, wav_dir), 1)
    return wav_dir
