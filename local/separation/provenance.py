"""Where results come from: versions, commit, command line, machine.

Entry points: :func:`write_environment` for an experiment, :func:`commit_name` for a row of results.
"""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from separation.files import atomic_path
from separation.process import command_line
from separation.tree import ROOT


def write_environment(path: Path, fingerprint: str) -> None:
    """Write down versions, commit, command line and the fingerprint of the data."""
    import torch  # seconds, which those who only ask for the commit do without

    packages = ("asteroid", "torch", "pytorch-lightning", "numpy", "pandas", "pb_bss_eval")
    lines = [
        f"command: {command_line()}",
        f"commit: {commit_name()}",
        f"data: {fingerprint}",
        f"python: {platform.python_version()}",
        *(f"{name}: {version(name)}" for name in packages),
        f"machine: {platform.platform()}, {os.cpu_count()} cores",
        f"accelerator: {torch.cuda.get_device_name() if torch.cuda.is_available() else 'none'}",
    ]
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def commit_name() -> str:
    """Short hash of the recipe's commit, with ``-dirty`` for changes on top; empty outside git.

    Results are no changes: every run writes the tables again.
    """
    git = ["git", "-C", str(ROOT)]
    try:
        name, changes = (
            subprocess.run([*git, *command], capture_output=True, text=True, check=True).stdout
            for command in (
                ["rev-parse", "--short", "HEAD"],
                ["status", "--porcelain", "--untracked-files=no", "--", ".", ":!results"],
            )
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return name.strip() + ("-dirty" if changes else "")
