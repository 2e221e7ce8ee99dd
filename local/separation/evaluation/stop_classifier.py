"""Is a classifier a better stop rule than the level of the rest? Entry point: :func:`compare`.

The classifier is a logistic regression on a few plain features of each pass, fitted on cv. It is
here to be compared with; the level decides everywhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit
from tqdm import tqdm

from separation.evaluation.speakers import best_rule, read_mixture
from separation.evaluation.talk import frame_powers
from separation.inference.recursion import Pass, RecursiveSeparator, level_db

FOLDS = 5
# Both chosen by the folds of cv. A rest may be silent, and levels far from those at which the
# numbers part must not decide about these.
LARGEST_DB = 20.0
PENALTY = 1e-4  # on squared weights, beside the mean log likelihood
# Columns of rest_features; a system of features is a list of them.
FEATURES = "rest_mixture rest_input rest_one correlation flatness louder second".split()
CHOICES = {
    "level": FEATURES[:1],
    "level, number of the pass": [FEATURES[0], FEATURES[-1]],
    "three levels, number of the pass": [*FEATURES[:3], FEATURES[-1]],
    "all features": FEATURES,
}
Counter = Callable[[np.ndarray], np.ndarray]  # features (mixture, pass, feature) to numbers


@dataclass(frozen=True)
class Passes:
    """Features of all passes of some mixtures.

    Attributes:
        features: ``(mixture, pass, feature)``, of :func:`rest_features`.
        numbers: of speakers, ``(mixture,)``.
    """

    features: np.ndarray
    numbers: np.ndarray

    def __getitem__(self, chosen: np.ndarray) -> Passes:
        return Passes(self.features[chosen], self.numbers[chosen])

    def right(self, counter: Counter) -> np.ndarray:
        """Whether each mixture gets its number, ``(mixture,)``."""
        return np.asarray(counter(self.features) == self.numbers)

    def accuracy(self, counter: Counter) -> float:
        """Share of the mixtures that get their number, in percent."""
        return float(100 * self.right(counter).mean())


def rest_features(mixture: np.ndarray, passes: Sequence[Pass], sample_rate: int) -> np.ndarray:
    """What each pass looks like, ``(pass, feature)``.

    The features: level of the rest in dB of the mixture, of what went into the pass, and of the
    speaker that came out; correlation of speaker and rest, from 0 to 1; spectral flatness of the
    rest in dB; share of frames of 20 ms in which the rest is louder than the speaker; whether it is
    the first pass, 0, or a later one, 1.

    Args:
        mixture: ``(time,)``.
        passes: of the mixture, a speaker and the rest each.
        sample_rate: Hz.
    """
    rows, before = [], mixture
    for number, (one, rest) in enumerate(passes):
        energies = np.dot(one, one), np.dot(rest, rest)
        correlation = np.dot(one, rest) / np.sqrt(max(np.prod(energies), np.finfo(float).tiny))
        spectrum = np.square(np.abs(np.fft.rfft(rest.astype(float)))) + 1e-12
        flatness = 10 * (np.log10(spectrum).mean() - np.log10(spectrum.mean()))
        louder = frame_powers(rest[None], sample_rate) > frame_powers(one[None], sample_rate)
        levels = [level_db(rest, other) for other in (mixture, before, one)]
        rows.append([*levels, abs(correlation), flatness, louder.mean(), float(number > 0)])
        before = rest
    return np.clip(rows, -LARGEST_DB, LARGEST_DB)


def passes_of(separator: RecursiveSeparator, table: pd.DataFrame, n_max: int) -> Passes:
    """Features and numbers of the mixtures of a table, of ``n_max - 1`` passes each."""
    features, numbers = [], []
    for record in tqdm(table.to_dict("records"), "passes", unit="mixture"):
        mixture, references = read_mixture(record, separator.sample_rate)
        passes = list(islice(separator.passes(mixture), n_max - 1))
        features.append(rest_features(mixture, passes, separator.sample_rate))
        numbers.append(len(references))
    return Passes(np.array(features), np.array(numbers))


def level_counter(data: Passes) -> Counter:
    """The stop rule of :func:`.speakers.best_rule`."""
    rule = best_rule(data.features[..., 0], data.numbers, data.features.shape[1] + 1)
    return lambda features: np.array([rule.count(row) for row in features[..., 0]])


def classifier_counter(data: Passes, names: Sequence[str]) -> Counter:
    """A logistic regression: nothing is left where that is more likely than not.

    Passes after the one that leaves nothing are not learnt from; they are never looked at.

    Args:
        data: that it is fitted on.
        names: of the features.
    """
    columns = [FEATURES.index(name) for name in names]
    number = np.arange(1, data.features.shape[1] + 1)
    nothing = number >= data.numbers[:, None]  # (mixture, pass)
    seen = number <= data.numbers[:, None]
    known = data.features[..., columns][seen]
    mean, scale = known.mean(0), np.maximum(known.std(0), 1e-6)
    weights = _logistic((known - mean) / scale, nothing[seen])

    def count(features: np.ndarray) -> np.ndarray:
        scores = (features[..., columns] - mean) / scale @ weights[:-1] + weights[-1]
        stops = np.pad(scores > 0, [(0, 0), (0, 1)], constant_values=True)
        return np.asarray(stops.argmax(1) + 1)

    return count


def _logistic(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Weights of the features ``(row, feature)``, and a constant, by maximum likelihood."""
    x = np.pad(features, [(0, 0), (0, 1)], constant_values=1.0)
    free = np.append(np.zeros(features.shape[1]), 1.0)  # the constant costs nothing

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        scores, paid = x @ weights, PENALTY * (1 - free) * weights
        value = np.logaddexp(0, scores).mean() - scores[labels].sum() / len(labels)
        slope = x.T @ (expit(scores) - labels) / len(labels)
        return value + paid @ weights, slope + 2 * paid

    return np.asarray(minimize(loss, np.zeros(x.shape[1]), jac=True).x)


def compare(cv: Passes, tt: Passes) -> pd.DataFrame:
    """Count accuracy in percent of the level and of classifiers, a row each.

    Columns: ``cv, folds`` (each fifth of cv counted by what was fitted on the other four, by which
    one chooses), ``cv`` (that it was fitted on) and ``tt``.
    """
    rules: dict[str, Callable[[Passes], Counter]] = {"energy: level of the rest": level_counter}
    for name, features in CHOICES.items():
        rules[f"classifier: {name}"] = partial(classifier_counter, names=features)
    fold = np.arange(len(cv.numbers)) % FOLDS
    rows = {}
    for name, fit in rules.items():
        right = [cv[fold == k].right(fit(cv[fold != k])) for k in range(FOLDS)]
        folds = float(100 * np.concatenate(right).mean())
        counter = fit(cv)
        rows[name] = (folds, cv.accuracy(counter), tt.accuracy(counter))
    return pd.DataFrame(rows, index=["cv, folds", "cv", "tt"]).T
