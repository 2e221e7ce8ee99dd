"""Scores of an evaluation under way, so that a killed one resumes at its first missing row.

The part file holds JSON lines: first the key of what is evaluated and how, then the scores of one
mixture a line, in the order of the table. A part file of another key is not used.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from separation.config import Conf
from separation.evaluation.metrics import MixtureScores
from separation.evaluation.oracles import Oracle
from separation.files import atomic_path
from separation.inference.separator import Separator
from separation.provenance import commit_name

PART = "scores.part.jsonl"  # beside scores.csv


class Part:
    """The scores so far, in the file and here.

    Args:
        path: of the file.
        key: of what is evaluated, see :func:`evaluation_key`.

    Attributes:
        scores: of the first mixtures of the table, those of a killed run included.
    """

    def __init__(self, path: Path, key: str) -> None:
        self.path = path
        self.scores = read_part(path, key)
        # Written again without a line that was cut short.
        with atomic_path(path) as temporary:
            lines = [key, *(asdict(score) for score in self.scores)]
            temporary.write_text("".join(f"{json.dumps(line)}\n" for line in lines))

    @property
    def input_scores(self) -> list[tuple[str, dict[str, float]]]:
        """Scores of the mixtures themselves, for :func:`separation.evaluation.inputs.keep`."""
        return [(score.input_key, score.of_input) for score in self.scores]

    def add(self, score: MixtureScores) -> None:
        """Keep the scores of the next mixture."""
        self.scores.append(score)
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(f"{json.dumps(asdict(score))}\n")


def read_part(path: Path, key: str) -> list[MixtureScores]:
    """Scores of a part file; none of a file that is not there, damaged, or of another key."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]  # a killed run cuts the last one
        first, *rows = map(json.loads, lines)
        scores = [MixtureScores(**row) for row in rows]
    except (OSError, ValueError, TypeError):
        return []
    return scores if first == key else []


def evaluation_key(system: Separator | Oracle, table: pd.DataFrame, settings: Conf) -> str:
    """Hash of all that decides the scores: system, mixtures, settings, and the commit of this code.

    Args:
        system: its weights, its layers, and where and how it is computed.
        table: of the mixtures.
        settings: the block ``evaluation`` of the configuration.
    """
    digest = hashlib.sha256()
    if isinstance(system, Oracle):
        facts = [system.tag]
    else:
        facts = [str(system.model), str(system.device.type), str(system.bf16)]
        for name, values in system.model.state_dict().items():
            digest.update(name.encode() + values.cpu().numpy().tobytes())
    # Which mixtures are chosen is in the table.
    chosen = {k: v for k, v in settings.items() if k not in ("splits", "max_mixtures")}
    facts += [json.dumps(chosen, sort_keys=True), table.to_csv(index=False), commit_name()]
    for fact in facts:
        digest.update(fact.encode() + b"\0")
    return digest.hexdigest()
