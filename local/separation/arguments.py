"""Arguments that several programs have, each described once. Entry point: :func:`make_parser`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from separation.errors import RecipeError, nearest

PRECISIONS = ("auto", "fp32", "bf16")
ARGUMENTS: dict[str, dict[str, Any]] = {
    "--corpus": {"required": True, "help": "a folder of egs/"},
    "--tag": {"required": True, "help": "a system of conf/, or the name of another one"},
    "--conf": {"type": Path, "help": "file of the system (default: conf/<tag>.yaml)"},
    "--data_dir": {"type": Path, "required": True, "help": "the folder of the corpus"},
    "--exp_dir": {
        "type": Path,
        "required": True,
        "help": "a trained system, or the name of one of the shelf",
    },
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
# Of programs that separate while people talk.
CAUSAL_SYSTEM: dict[str, Any] = {
    "required": False,
    "default": Path("voices_live"),
    "help": "a causal system, the name of one of the shelf, or a streaming ONNX file"
    " (default: %(default)s)",
}


class Parser(argparse.ArgumentParser):
    """A parser that says in one line what is wrong, where argparse prints its usage before."""

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Read the command line.

        Raises:
            RecipeError: an unknown option, with the one that it may stand for, or another mistake.
        """
        words = list(sys.argv[1:] if args is None else args)
        if not self._subparsers:  # else a command behind them knows more options
            self._refuse_unknown(words)
        return super().parse_known_args(words, namespace)

    def error(self, message: str) -> NoReturn:
        """Report a mistake in the command line."""
        raise RecipeError(f"{message}; --help lists what there is")

    def _refuse_unknown(self, words: Sequence[str]) -> None:
        """Find mistyped options first: argparse would call them required ones that are missing."""
        known = [name for name in self._option_string_actions if name.startswith("--")]
        options = words[: words.index("--")] if "--" in words else words
        for option in (word.partition("=")[0] for word in options if word.startswith("--")):
            if not any(name.startswith(option) for name in known):
                raise RecipeError(
                    f"unknown option {option}{nearest(option, known)}; --help lists them"
                )


def make_parser(description: str | None, *names: str, **changes: dict[str, Any]) -> Parser:
    """Make a parser of arguments of :data:`ARGUMENTS`.

    Args:
        description: of the program, for ``--help``; lines are kept.
        names: of the arguments, in their order, without dashes.
        changes: to some of them, by their names.
    """
    parser = Parser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in names:
        flag = name if name in ARGUMENTS else f"--{name}"
        parser.add_argument(flag, **ARGUMENTS[flag] | changes.get(name, {}))
    return parser
