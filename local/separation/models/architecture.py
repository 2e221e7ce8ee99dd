"""What the rest of the project asks an architecture.

Entry points: :func:`architecture` of a configuration, :func:`keys` of ``net_conf``.

An architecture is a file of ``architectures/``, named as ``model`` in a YAML, with a class
``Settings``: its fields are the keys of ``net_conf``, with their defaults. Nothing outside
``models/`` knows an architecture's keys. This module does without Torch, so that configurations
are read at once.
"""

from __future__ import annotations

import dataclasses
import importlib
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from separation.errors import RecipeError, nearest
from separation.ranges import ONE_AND_REST, Rule

if TYPE_CHECKING:
    from asteroid.models import BaseModel

FOLDER = Path(__file__).with_name("architectures")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Architecture(ABC):
    """Settings of a network.

    Attributes:
        num_spks: outputs; 0: as many as ``corpus.n_src``, or two of ``training.assignment:
            one_and_rest``.
        rules: what the values of the keys may be.
        added: keys that the oldest experiments lack; they take their defaults.
    """

    num_spks: int = 0

    rules: ClassVar[dict[str, Rule]] = {}
    added: ClassVar[tuple[str, ...]] = ()

    def check(self) -> None:  # noqa: B027 - most need no more than rules
        """Raise a :class:`RecipeError` with the key where values do not fit together."""

    @abstractmethod
    def build(self, sample_rate: int) -> BaseModel:
        """The network with fresh weights: ``(batch, time)`` to ``(batch, source, time)``.

        Args:
            sample_rate: Hz, kept in the saved model.
        """

    @property
    @abstractmethod
    def stride(self) -> int:
        """Samples from one frame of the encoder to the next."""

    @property
    @abstractmethod
    def receptive_field(self) -> int | None:
        """Samples of the mixture that one frame of the estimates depends on.

        Norms are left out: global ones see all of the utterance, cumulative ones all of the past.
        None: the network sees the whole utterance without its norms, too.
        """

    @property
    @abstractmethod
    def latency(self) -> int | None:
        """Algorithmic latency: samples from an output sample to the last input that it depends on.

        The sample itself counts. None: the whole utterance.
        """

    @property
    def causal(self) -> bool:
        """Whether the network looks no further ahead than its filters are long."""
        return False


def names() -> list[str]:
    """Architectures there are."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")


def import_all() -> None:
    """Import all architectures and their networks, which Asteroid then knows by name."""
    for name in ("convtasnet", "spectral"):
        importlib.import_module(f"separation.models.{name}")
    for name in names():
        importlib.import_module(f"separation.models.architectures.{name}")


def keys(name: str, source: str = "") -> dict[str, Any]:
    """Keys of an architecture's ``net_conf`` with their defaults.

    Args:
        name: of the architecture.
        source: where the name is from, for the message.

    Raises:
        RecipeError: there is no such architecture.
    """
    return {field.name: field.default for field in dataclasses.fields(_settings(name, source))}


def required(name: str) -> list[str]:
    """Keys that every experiment with this architecture has."""
    return [key for key in keys(name) if key not in _settings(name).added]


def architecture(conf: dict[str, Any]) -> Architecture:
    """Settings of the network that a configuration names, checked.

    Raises:
        RecipeError: names the key of a wrong value.
    """
    kind = _settings(conf["model"])
    settings = kind(**{key: conf["net_conf"][key] for key in keys(conf["model"])})
    for key, rule in kind.rules.items():
        value = getattr(settings, key)
        if problem := rule.problem(value):
            text = f"'{value}'" if isinstance(value, str) else value
            raise RecipeError(f"net_conf.{key} is {text}: {problem}")
    _check_outputs(settings.num_spks, conf)
    settings.check()
    return settings


def _check_outputs(num_spks: int, conf: dict[str, Any]) -> None:
    n_src = conf["corpus"]["n_src"]
    if conf["training"]["assignment"] == ONE_AND_REST:
        if num_spks != 2:
            raise RecipeError(
                f"net_conf.num_spks is {num_spks}, but training.assignment one_and_rest has two"
                " outputs, a speaker and the rest; leave num_spks out"
            )
        return
    if isinstance(n_src, list):
        raise RecipeError(
            f"corpus.n_src is {n_src}: mixtures of several numbers of speakers need"
            " training.assignment=one_and_rest, as --tag one_and_rest has it"
        )
    if num_spks != n_src:
        raise RecipeError(
            f"net_conf.num_spks is {num_spks}, but corpus.n_src is {n_src}; leave num_spks out,"
            " it follows n_src"
        )


def _settings(name: str, source: str = "") -> type[Architecture]:
    if name not in names():
        where, hint = f"{source}: " if source else "", nearest(name, names())
        raise RecipeError(f"{where}model is '{name}'{hint}; known: {', '.join(names())}")
    return importlib.import_module(f"separation.models.architectures.{name}").Settings
