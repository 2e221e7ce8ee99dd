"""A copy of the recipe in a folder with a space in its name, and its run.sh."""

import os
import shutil
import subprocess
import sys

from separation.config import ROOT


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
