"""A copy of the recipe in a folder with a space in its name, and its run.sh."""

import os
import shutil
import subprocess
import sys

from separation.config import ROOT

TINY = [  # a corpus, a network and a training of seconds
    "corpus.n_mixtures={tr: 6, cv: 2, tt: 2}",
    "corpus.n_voices={tr: 4, cv: 4, tt: 4}",
    "corpus.n_utterances={tr: 3, cv: 3, tt: 3}",
    *("net_conf.N=16", "net_conf.B=8", "net_conf.H=12", "net_conf.X=2", "net_conf.R=1"),
    *("data.chunk_size=4000", "data.batch_size=2"),
    *("training.max_epochs=3", "training.early_stop=0"),
    "data.epoch_size=6",
    *("evaluation.metrics=[si_sdr, sdr, snr]", "evaluation.n_examples=1"),
]
COMMAND = ["--nj", "2", "--", *TINY]


def copy_recipe(root):
    """Copy what run.sh needs; the copy's environment is the one that runs the tests."""
    root.mkdir(parents=True)
    for name in ("run.sh", "path.sh", "requirements.txt"):
        shutil.copy(ROOT / name, root / name)
    for name in ("conf", "egs", "local"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    return root


def environment():
    """Of a run of the copy: one thread, no GPU."""
    values = {"VIRTUAL_ENV": sys.prefix, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return {key: v for key, v in os.environ.items() if key != "PYTHONPATH"} | values


def run(root, *arguments, cwd=None):
    return subprocess.run(
        ["bash", str(root / "run.sh"), *arguments],
        cwd=cwd or root.parent,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
