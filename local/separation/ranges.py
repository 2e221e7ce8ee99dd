"""What the values of the configuration may be: one table, one check.

Types follow from the defaults (:mod:`separation.config`). The keys of ``net_conf`` belong to the
architecture, and names of metrics to their table: :mod:`separation.training.check` asks those.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from separation.errors import RecipeError, nearest

SPLITS = ("tr", "cv", "tt")
LARGEST = 10**9  # of a count
LOSS_UNITS = {  # of training.loss, by its names
    **dict.fromkeys(("si_sdr", "snr", "sd_sdr", "log_mse"), "dB"),
    **dict.fromkeys(("mse", "stoi", "pmsqe"), ""),
}
# Values of training.assignment: which output is to be which source.
PERMUTATION, ONE_AND_REST = ASSIGNMENTS = ("permutation", "one_and_rest")
# Tags of separation.evaluation.oracles, which are evaluated without training.
ORACLES = tuple(f"oracle_{mask}" for mask in ("ibm", "irm", "wfm", "psm", "mixture"))


@dataclass(frozen=True)
class Number:
    """A finite number from ``minimum`` to ``most``, without ``minimum`` itself if ``open``."""

    minimum: float
    most: float = LARGEST
    open: bool = False

    def problem(self, value: Any) -> str:
        """Say what it must be, or nothing where it is that."""
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or value < self.minimum:
            good = False
        else:
            good = value <= self.most and not (self.open and value == self.minimum)
        if good:
            return ""
        lowest = f"more than {self.minimum:g}" if self.open else f"{self.minimum:g} or more"
        too_large = number and value > self.most
        highest = f", {self.most:g} at most" if self.most < LARGEST or too_large else ""
        return f"must be {lowest}{highest}"


@dataclass(frozen=True)
class OneOf:
    """One of some names."""

    names: tuple[str, ...]

    def problem(self, value: Any) -> str:
        """Say what it must be, or nothing where it is that."""
        if value in self.names:
            return ""
        return f"known: {', '.join(self.names)}{nearest(str(value), self.names)}"


@dataclass(frozen=True)
class Several:
    """A list of names without doubles; empty only where ``may_be_empty``."""

    names: tuple[str, ...] = ()
    may_be_empty: bool = False

    def problem(self, value: Any) -> str:
        """Say what it must be, or nothing where it is that."""
        if not isinstance(value, list):
            return "must be a list, such as [tt]"
        if not all(isinstance(item, str) for item in value):
            return "must hold names only"
        if not value and not self.may_be_empty:
            return "must name at least one"
        if len({str(item) for item in value}) < len(value):
            return "names one twice"
        problems = (OneOf(self.names).problem(item) for item in value if self.names)
        return next((problem for problem in problems if problem), "")


@dataclass(frozen=True)
class OfSplits:
    """A value for each split."""

    rule: Number

    def problem(self, value: Any) -> str:
        """Say what it must be, or nothing where it is that."""
        if not isinstance(value, dict):
            return "must have a value for each split, such as {tr: 100}"
        unknown = [key for key in value if key not in SPLITS]
        if unknown:
            return f"there is no split '{unknown[0]}'; known: {', '.join(SPLITS)}"
        problems = ((key, self.rule.problem(item)) for key, item in value.items())
        return next((f"{key} {problem}" for key, problem in problems if problem), "")


@dataclass(frozen=True)
class OneOrSeveral:
    """A whole number, or a list of different ones in rising order.

    Attributes:
        alone: what a number may be.
        listed: what those of a list may be.
    """

    alone: Number
    listed: Number

    def problem(self, value: Any) -> str:
        """Say what it must be, or nothing where it is that."""
        if not isinstance(value, list):
            return self.alone.problem(value)
        if len(value) < 2 or sorted(set(value)) != value:
            return "must be one number, or a list of different ones, such as [1, 2, 3]"
        return next((problem for problem in map(self.listed.problem, value) if problem), "")


Rule = Number | OneOf | Several | OfSplits | OneOrSeveral
COUNT, NONE_OR_COUNT, POSITIVE = Number(1), Number(0), Number(0, open=True)
SHARE = Number(0, 1)
RULES: dict[str, Rule] = {
    "seed": NONE_OR_COUNT,
    "nj": Number(0, 1024),
    "corpus.sample_rate": Number(1000, 192_000),
    "corpus.mode": OneOf(("min", "max")),
    "corpus.n_src": OneOrSeveral(Number(2, 20), Number(1, 20)),
    "corpus.n_mixtures": OfSplits(NONE_OR_COUNT),
    "corpus.n_voices": OfSplits(NONE_OR_COUNT),
    "corpus.n_utterances": OfSplits(COUNT),
    "corpus.shares": OfSplits(Number(0, 1)),
    "data.chunk_size": COUNT,
    "data.min_length": NONE_OR_COUNT,
    "data.chunking": OneOf(("random", "all")),
    "data.batch_size": COUNT,
    "data.num_workers": Number(0, 1024),
    "data.epoch_size": NONE_OR_COUNT,
    "data.gain_range": Number(0, 100),
    "data.draw_speakers": OneOf(("speaker", "sqrt_seconds", "seconds")),
    "data.speed_range": Number(0, 0.99),
    "data.augment.formant_range": Number(0, 0.5),
    "data.augment.filter_db": Number(0, 60),
    "data.augment.telephone_share": SHARE,
    "data.augment.room_share": SHARE,
    "data.augment.codec_share": SHARE,
    "data.augment.silence_share": SHARE,
    "optim.name": OneOf(("adam", "muon")),
    "optim.lr": POSITIVE,
    "optim.weight_decay": NONE_OR_COUNT,
    "optim.warmup_steps": NONE_OR_COUNT,
    "optim.schedule": OneOf(("plateau", "budget")),
    "optim.halve_patience": COUNT,
    "optim.decay_share": Number(0, 1, open=True),
    "training.max_epochs": COUNT,
    "training.max_minutes": NONE_OR_COUNT,
    "training.average_epochs": NONE_OR_COUNT,
    "training.early_stop": NONE_OR_COUNT,
    "training.loss": OneOf(tuple(LOSS_UNITS)),
    "training.assignment": OneOf(ASSIGNMENTS),
    "training.loss_max_db": Number(0, 200),
    "training.clip_grad_norm": NONE_OR_COUNT,
    "training.accumulate": COUNT,
    "training.precision": OneOf(("auto", "fp32", "bf16")),
    "training.compile": OneOf(("auto", "true", "false")),
    "training.accelerator": OneOf(("auto", "cpu", "gpu", "cuda", "mps")),
    "training.devices": Number(1, 1024),
    "training.num_nodes": Number(1, 10_000),
    "training.max_bad_steps": COUNT,
    "training.save_minutes": POSITIVE,
    "evaluation.splits": Several(SPLITS),
    "evaluation.max_mixtures": OfSplits(NONE_OR_COUNT),
    "evaluation.metrics": Several(),
    "evaluation.metrics_backend": OneOf(("own", "pb_bss_eval")),
    "evaluation.n_examples": NONE_OR_COUNT,
    "evaluation.oracle_window_ms": Number(0, 1000, open=True),
    "evaluation.oracle_hop_ms": Number(0, 1000, open=True),
}


def numbers_of_sources(conf: dict[str, Any]) -> tuple[int, ...]:
    """Numbers of speakers that mixtures of a corpus have, ``corpus.n_src``, in rising order."""
    n_src = conf["corpus"]["n_src"]
    return tuple(n_src) if isinstance(n_src, list) else (n_src,)


def the_number_of_sources(conf: dict[str, Any], what: str) -> int:
    """The number of speakers of every mixture of a corpus.

    Args:
        conf: with the key ``corpus.n_src``.
        what: needs all mixtures to have as many, for the message.

    Raises:
        RecipeError: there are several numbers.
    """
    numbers = numbers_of_sources(conf)
    if len(numbers) > 1:
        raise RecipeError(
            f"corpus.n_src is {list(numbers)}: {what} needs one number of speakers, such as 2"
        )
    return numbers[0]


def check_values(conf: dict[str, Any], source: str = "") -> None:
    """Hold every value of a configuration against the table.

    Args:
        conf: the nested configuration; keys that it lacks are not looked at.
        source: the file, if all values come from one.

    Raises:
        RecipeError: names the first key whose value is wrong.
    """
    for key, rule in RULES.items():
        place: Any = conf
        for name in key.split("."):
            place = place.get(name) if isinstance(place, dict) else None
        if place is not None and (problem := rule.problem(place)):
            raise RecipeError(
                f"{source + ': ' if source else ''}{key} is {_text(place)}: {problem}"
            )


def _text(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) or value in ([], {}) else str(value)
