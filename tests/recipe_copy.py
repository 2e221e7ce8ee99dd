"""A copy of the recipe in a folder with a space in its name, and its run.sh."""

import os
import pickle
import shutil
import subprocess
import sys

import pandas as pd
import torch

from separation.config import ROOT
from separation.files import exclusive

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

# These say when and how fast something was computed.
CHANGING = ["real_time_factor", "date", "commit", "command"]

# Bytecode is copied, too, and holds for the copies, which are as old as what they are copies of;
# to compile it again takes half of a run of recorders. Python renames it when it is whole.
half_written = shutil.ignore_patterns("*.pyc.*")


def copy_recipe(root):
    """Copy what run.sh needs; the copy's environment is the one that runs the tests."""
    root.mkdir(parents=True)
    for name in ("run.sh", "path.sh", "requirements.txt"):
        shutil.copy(ROOT / name, root / name)
    for name in ("conf", "egs", "local"):
        shutil.copytree(ROOT / name, root / name, ignore=half_written)
    # path.sh's own verdict on it, which takes it the import of every package: test_path_sh.py.
    with open(root / "requirements.txt", "rb") as pins:
        sums = subprocess.run(["cksum"], stdin=pins, capture_output=True, text=True, check=True)
    (root / ".venv.active").write_text(f"right {sums.stdout.strip()} {sys.prefix}\n")
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


def run_once(shared, own):
    """Run all stages of a copy, unless it was done for another worker, and copy what is there.

    Args:
        shared: folder of all workers.
        own: folder of this one.

    Returns:
        the copy in ``own``, how run.sh ended, and what it made.
    """
    with exclusive(shared, "recipe"):
        recipe, known = shared / "whole run" / "speech separation", shared / "whole run.pickle"
        if not known.exists():
            result = run(copy_recipe(recipe), *COMMAND)
            made = made_by(recipe) if result.returncode == 0 else None
            known.write_bytes(pickle.dumps((result, made)))
        shutil.copytree(recipe, own / recipe.name, symlinks=True)
    return own / recipe.name, *pickle.loads(known.read_bytes())


def made_by(recipe):
    """All that a run leaves, as bytes or tables that can be compared."""
    data, exp = recipe / "data" / "espeak-2mix", recipe / "exp" / "espeak-2mix_small"
    files = [p for p in data.rglob("*") if p.suffix in (".wav", ".csv", ".txt")]
    made = {str(path.relative_to(data)): path.read_bytes() for path in files}
    for split in ("tt", "tr"):
        made[f"scores {split}"] = (exp / f"eval_{split}" / "scores.csv").read_bytes()
    log = pd.read_csv(exp / "training_log.csv")[["epoch", "step", "lr", "loss", "val_loss"]]
    results = pd.read_csv(recipe / "results" / "espeak-2mix_small.csv").drop(columns=CHANGING)
    weights = torch.load(exp / "best_model.pth", weights_only=True)["state_dict"]
    left = [p.name for p in recipe.rglob(".*") if p.name.startswith((".partial-", ".mixing-"))]
    return made, log, results, weights, left
