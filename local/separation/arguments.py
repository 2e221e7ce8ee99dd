"""Arguments that several programs have, each described once. Entry point: :func:`make_parser`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

PRECISIONS = ("auto", "fp32", "bf16")
ARGUMENTS: dict[str, dict[str, Any]] = {
    "--corpus": {"required": True, "help": "a folder of egs/"},
    "--tag": {"required": True, "help": "a system of conf/, or the name of another one"},
    "--conf": {"type": Path, "help": "file of the system (default: conf/<tag>.yaml)"},
    "--data_dir": {"type": Path, "required": True, "help": "the folder of the corpus"},
    "--exp_dir": {"type": Path, "required": True, "help": "the folder of the trained system"},
    "--resume": {"action": "store_true", "help": "from the last checkpoint"},
    "--device": {"help": "cpu, cuda, cuda:1, ... (default: a GPU where there is one)"},
    "--precision": {
        "choices": PRECISIONS,
        "default": "auto",
        "help": "of the network (auto, the default: bf16 where it is faster, on GPUs and CPUs with"
        " units for it)",
    },
    "--metrics": {"help": "names with commas between them (default: evaluation.metrics)"},
    "--metrics_backend": {"help": "own or pb_bss_eval (default: evaluation.metrics_backend)"},
    "--scheduler": {
        "default": "",
        "help": "tcp://host:port of a Dask scheduler whose workers compute the metrics",
    },
    "overrides": {"nargs": "*", "help": "key=value of the YAML, after --"},
}


def make_parser(
    description: str | None, *names: str, **changes: dict[str, Any]
) -> argparse.ArgumentParser:
    """Make a parser of arguments of :data:`ARGUMENTS`.

    Args:
        description: of the program, for ``--help``; lines are kept.
        names: of the arguments, in their order, without dashes.
        changes: to some of them, by their names.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in names:
        flag = name if name in ARGUMENTS else f"--{name}"
        parser.add_argument(flag, **ARGUMENTS[flag] | changes.get(name, {}))
    return parser
