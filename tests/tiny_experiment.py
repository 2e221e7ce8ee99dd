"""A corpus, a trained and evaluated system, and its results: all that later stages read."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import evaluate
from separation.config import load_config, save_resolved
from separation.corpus.layout import Corpus
from separation.training.trainer import Training
from tiny_corpus import make_corpus

TINY = (
    "net_conf.N=16 net_conf.B=8 net_conf.H=12 net_conf.X=2 net_conf.R=1 data.chunk_size=2000"
    " data.min_length=1000 data.batch_size=2 data.dynamic_mixing=false data.epoch_size=0"
    " data.speed_range=0 training.accelerator=cpu training.precision=fp32 training.max_minutes=0"
    " training.max_epochs=1 optim.schedule=plateau nj=1 evaluation.metrics=[si_sdr]"
    " evaluation.splits=[tt] evaluation.n_examples=1"
).split()


@dataclass(frozen=True)
class World:
    """The folders of a recipe that has run once."""

    root: Path

    @property
    def data_dir(self) -> Path:
        return self.root / "data" / "espeak-2mix"

    @property
    def wav_dir(self) -> Path:
        return self.data_dir / "wav8k" / "min"

    @property
    def exp_dir(self) -> Path:
        return self.root / "exp" / "espeak-2mix_small"

    @property
    def results(self) -> Path:
        return self.root / "results" / "espeak-2mix_small.csv"

    def train(self, *options: str) -> list[str]:
        """The command line that trains it."""
        paths = ["--data_dir", str(self.data_dir), "--exp_dir", str(self.exp_dir)]
        system = ["--corpus", "espeak-2mix", "--tag", "small"]
        return [*system, *paths, *options, "--", *TINY]

    def evaluate(self, *options: str) -> list[str]:
        """The command line that evaluates it."""
        paths = ["--data_dir", str(self.data_dir), "--results", str(self.results)]
        return ["--exp_dir", str(self.exp_dir), *paths, "--device", "cpu", *options]


def make_world(root: Path) -> World:
    """Make a corpus, train for an epoch, evaluate, as the stages do."""
    world = World(root)
    make_corpus(world.data_dir)
    conf = load_config("espeak-2mix", "small", None, TINY)
    Training(conf, Corpus.of(conf, world.data_dir), world.exp_dir).run(resume=False)
    save_resolved(conf, world.exp_dir / "conf.yaml")
    arguments, sys.argv = sys.argv, ["evaluate.py", *world.evaluate()]
    try:
        evaluate.main()
    finally:
        sys.argv = arguments
    return world
