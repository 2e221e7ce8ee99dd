"""Separating an unknown number of speakers: one and the rest, then the rest again.

A network of ``training.assignment: one_and_rest`` gives a speaker and the sum of all others, which
goes in again until nothing is left of it (Takahashi et al. 2019). Entry points:
:func:`open_separator` for any system, :class:`RecursiveSeparator`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
import yaml
from asteroid.models import BaseModel

from separation.config import load_resolved, read_yaml
from separation.errors import RecipeError
from separation.files import atomic_path
from separation.inference.separator import Separator, checked_mono, least_squares_gain
from separation.models.registry import RULE_FILE
from separation.ranges import ONE_AND_REST, Number

AUTO = "auto"
MOST = 20  # speakers, as corpus.n_src
KEPT_DB = -20.0  # of a rest in a segment, which is silence at this level or below
Pass = tuple[np.ndarray, np.ndarray]  # a speaker and the rest, (time,) each


@dataclass(frozen=True)
class StopRule:
    """When nothing is left of a mixture.

    Attributes:
        stop_db: a rest at this level or below, in dB of the mixture's energy, is nothing.
        n_max: speakers at most; the last one is then what is left.
    """

    stop_db: float
    n_max: int

    def count(self, levels: Sequence[float]) -> int:
        """Number of speakers.

        Args:
            levels: of the rest after one pass, two passes and so on, dB; ``n_max - 1`` of them
                decide.
        """
        found = (n for n, level in enumerate(levels[: self.n_max - 1], 1) if level <= self.stop_db)
        return next(found, self.n_max)


class RecursiveSeparator(Separator):
    """Separates recordings into as many sources as there are speakers, one a pass.

    Of ``n`` speakers the first ``n - 1`` are those of as many passes, the last one is the rest that
    these leave; a further pass only shows that it is one speaker. So the estimates of a number that
    was found are those of a number that was given, and what the network gives adds up.

    Args:
        model: takes ``(batch, time)`` and returns a speaker and the rest, ``(batch, 2, time)``.
        device: where the network runs.
        bf16: run it in bfloat16.
        rule: when to stop; None needs ``n_src``.
        n_src: speakers of every recording; None: as many as the rule finds.

    Attributes:
        n_src: sources that it gives, at most.
        counts: whether there may be fewer.
        rule: when to stop; at no level, where only a number was given.

    Raises:
        RecipeError: a network with another number of outputs, or neither rule nor number.
    """

    def __init__(
        self,
        model: BaseModel,
        device: str | torch.device = "cpu",
        bf16: bool = False,
        rule: StopRule | None = None,
        n_src: int | None = None,
    ) -> None:
        super().__init__(model, device, bf16)
        if self.n_src != 2:
            raise RecipeError(f"{self.n_src} outputs; one speaker and the rest are two")
        if n_src is None:
            if rule is None:
                raise RecipeError("neither a stop rule nor a number of speakers")
            n_src = rule.n_max
            self.counts = True
        self.rule, self.n_src = rule or StopRule(-np.inf, n_src), n_src

    def passes(self, samples: np.ndarray) -> Iterator[Pass]:
        """Yield a speaker and the rest of ``(time,)`` at the network's rate, then of that rest."""
        rest = samples
        while True:
            one, rest = self._forward(rest)
            yield one, rest

    def separate_passes(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """Separate a segment of a recording whose number of speakers is not known yet.

        Passes go on below the level at which the rule stops, down to -20 dB of the mixture: where a
        speaker of the recording says little, that is in such a rest.

        Args:
            samples: shape ``(time,)`` or ``(1, time)``.
            sample_rate: in Hz.

        Returns:
            float32 ``(1 + 2 passes, time)``, the samples, then a speaker and the rest of each pass;
            :func:`estimates_of_number` makes estimates of them.
        """
        samples = checked_mono(samples)
        stop_db = min(self.rule.stop_db, KEPT_DB)

        def work(own: np.ndarray) -> np.ndarray:
            kept = self._kept(own, stop_db)
            return np.stack([own, *(signal for one_and_rest in kept for signal in one_and_rest)])

        passes = self._at_own_rate(samples, sample_rate, work).astype(np.float32)
        passes[0] = samples
        return passes

    def _kept(self, samples: np.ndarray, stop_db: float | None) -> list[Pass]:
        """Passes until a rest is at a level or below; None makes all passes."""
        kept: list[Pass] = []
        for one, rest in islice(self.passes(samples), self.n_src - 1):
            if stop_db is not None and level_db(rest, samples) <= stop_db:
                break
            kept.append((one, rest))
        return kept

    def _estimates(self, samples: np.ndarray) -> np.ndarray:
        """Separate ``(time,)`` at the network's rate into ``(source, time)``."""
        stop_db = self.rule.stop_db if self.counts else None
        return estimates_of(samples, self._kept(samples, stop_db))


def estimates_of(mixture: np.ndarray, passes: Sequence[Pass]) -> np.ndarray:
    """The estimates of one speaker more than passes, ``(source, time)``.

    Args:
        mixture: shape ``(time,)``.
        passes: speakers and rests; without any, the mixture is the estimate.
    """
    rest = passes[-1][1] if passes else mixture
    return np.stack([*(one for one, _ in passes), rest])


def estimates_of_number(passes: np.ndarray, number: int) -> np.ndarray:
    """The estimates of a number of speakers, ``(source, time)``, with the gain of all estimates.

    Those for which there are no passes are silent, and come last: no voice is split.

    Args:
        passes: of :meth:`RecursiveSeparator.separate_passes`.
        number: of speakers, 1 or more.
    """
    mixture, ones, rests = passes[0], passes[1::2], passes[2::2]
    there = min(number, 1 + len(ones)) - 1
    estimates = estimates_of(mixture, list(zip(ones, rests, strict=True))[:there])
    estimates *= np.float32(least_squares_gain(estimates, mixture))
    return np.pad(estimates, [(0, number - len(estimates)), (0, 0)])


def level_db(rest: np.ndarray, mixture: np.ndarray) -> float:
    """Energy of a rest over that of its mixture, both ``(time,)``, dB; -inf of a silent rest."""
    energy, whole = (float(np.dot(x, x)) for x in (rest.astype(float), mixture.astype(float)))
    if energy == 0:
        return -np.inf
    return float(10 * np.log10(energy / whole)) if whole else np.inf


def open_separator(
    exp_dir: Path,
    device: str | torch.device = "cpu",
    precision: str = "fp32",
    n_src: str = "",
) -> Separator:
    """Load a trained system, of a fixed or of any number of speakers.

    Args:
        exp_dir: the experiment folder, or an ONNX file.
        device: where the network runs.
        precision: as :meth:`.separator.Separator.from_experiment`.
        n_src: a number; ``auto``: as many as are found; nothing: ``auto`` of a system that can, and
            as many as the network has outputs of others.

    Raises:
        RecipeError: a number that the system cannot give, or no stop rule to find it with.
    """
    problem = "" if n_src in ("", AUTO) else Number(1, MOST).problem(_number(n_src))
    if problem:
        raise RecipeError(f"--n_src {n_src}: {problem}, or {AUTO}")
    if is_one_and_rest(exp_dir):
        rule = read_rule(exp_dir) if n_src in ("", AUTO) else None
        plain = Separator.from_experiment(exp_dir, device, precision)
        given = None if rule else int(n_src)
        return RecursiveSeparator(plain.model, plain.device, plain.bf16, rule, given)
    separator = Separator.from_experiment(exp_dir, device, precision)
    if n_src not in ("", str(separator.n_src)):
        raise RecipeError(
            f"--n_src {n_src}: {exp_dir} gives {separator.n_src} sources, always; a system of"
            " --tag one_and_rest gives any number"
        )
    return separator


def is_one_and_rest(exp_dir: Path) -> bool:
    """Whether a system was trained with ``training.assignment: one_and_rest``."""
    if not (exp_dir / "conf.yaml").is_file():
        return False
    return bool(load_resolved(exp_dir)["training"]["assignment"] == ONE_AND_REST)


def refuse_one_and_rest(exp_dir: Path, program: str) -> None:
    """Raise a :class:`RecipeError` where a program would take the rest for a speaker."""
    if is_one_and_rest(exp_dir):
        raise RecipeError(
            f"{exp_dir}: of one_and_rest: its second output is the rest of a whole recording, and"
            f" {program} takes systems of a fixed number of speakers; local/separate.py takes it"
        )


def write_rule(exp_dir: Path, rule: StopRule) -> None:
    """Keep a stop rule with the experiment."""
    with atomic_path(exp_dir / RULE_FILE) as temporary:
        temporary.write_text(yaml.safe_dump(asdict(rule), sort_keys=False), encoding="utf-8")


def read_rule(exp_dir: Path) -> StopRule:
    """Read the stop rule of an experiment.

    Raises:
        RecipeError: no such file, or a wrong value in it.
    """
    path = exp_dir / RULE_FILE
    if not path.is_file():
        raise RecipeError(
            f"{path} is missing: local/stop_rule.py chooses it on cv, or give the number of"
            " speakers, --n_src N"
        )
    values = read_yaml(path)
    for key, rule in (("stop_db", Number(-1000, 1000)), ("n_max", Number(1, MOST))):
        if problem := rule.problem(values.get(key)):
            raise RecipeError(f"{path}: {key} is {values.get(key)}: {problem}")
    return StopRule(float(values["stop_db"]), int(values["n_max"]))


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None
