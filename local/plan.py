"""Plan of a run of run.sh: reads the command line, checks all of it, says which stages are due.

Prints shell assignments for run.sh, which runs the stages. Nothing is changed here.
"""

from __future__ import annotations

from separation.process import run_command  # isort: split

import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path

from separation.config import (
    Conf,
    load_config,
    load_corpus_config,
    load_resolved,
)
from separation.corpus.layout import Corpus, folder_name
from separation.errors import RecipeError
from separation.options import TAG, Command, as_yaml, location_keys, parse
from separation.ranges import ORACLES
from separation.stages import (
    LAST_STAGE,
    Settings,
    begun_marker,
    data_settings,
    differences,
    done_marker,
    evaluation_settings,
    oracle_settings,
    read_marker,
    train_settings,
)
from separation.tree import ROOT


@dataclass
class Plan:
    """Folders and settings of a run, the stages to be run, and what to say about the others."""

    corpus: str
    tag: str
    conf_file: str
    data_dir: Path
    wav_dir: Path
    exp_dir: Path
    overrides: list[str]
    data: Settings
    system: Conf
    resume: bool = False
    due: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def is_oracle(self) -> bool:
        """Whether the system is made from the references, without training."""
        return self.tag in ORACLES

    @property
    def result(self) -> Path:
        """Result file of the system."""
        return Path("results", f"{self.exp_dir.name}.csv")

    @property
    def manifest(self) -> str:
        """Script of stage 2; a corpus that comes mixed has one of its own."""
        own = f"egs/{self.corpus}/local/manifest.py"
        return own if Path(own).is_file() else "local/manifest.py"

    def stages(self, first: int, last: int) -> list[int]:
        """Stages there are; a corpus that comes mixed has nothing to do in stage 1."""
        mixed = self.manifest != "local/manifest.py"
        return [number for number in range(first, last + 1) if not (mixed and number == 1)]


def main() -> None:
    """Read the command line, plan, and print the plan for the shell."""
    caller, *arguments = sys.argv[1:]
    command = parse(arguments, Path(caller))
    plan = make_plan(command)
    first, last = int(command.get("stage", "0")), int(command.get("stop_stage", str(LAST_STAGE)))
    explicit = "stage" in command.values
    plan_data(plan, first, min(last, 2), explicit)
    plan_system(plan, first, min(last, 4), explicit, "resume" in command.values)
    check_inputs(plan)
    if {3, 4} & set(plan.due):
        check_system(plan)
    print(assignments(plan, last))


def make_plan(command: Command) -> Plan:
    """Load the configuration of a command line and name its folders.

    Recordings and lists that stage 0 was once shown stay the corpus' own until it is shown others.
    """
    corpus = command.get("corpus", "espeak-2mix")
    overrides = command.overrides()
    conf = load_corpus_config(corpus, overrides)
    folder = folder_name(conf)
    data_dir = Path("data", folder)
    remembered = read_marker(done_marker(0, data_dir)) or {}
    for key in sorted(location_keys(corpus)):
        name = key.removeprefix("corpus.")
        if not conf["corpus"][name] and remembered.get(key):
            overrides.insert(0, f"{key}={as_yaml(remembered[key])}")
    data = load_corpus_config(corpus, overrides)
    tag = command.get("tag") or data["corpus"]["default_tag"]
    if not TAG.fullmatch(tag):
        raise RecipeError(f"egs/{corpus}/conf.yaml: default_tag '{tag}' is no name of a system")
    conf_file = command.get("conf")
    if tag in ORACLES:
        system = data
    else:
        system = load_config(corpus, tag, Path(conf_file) if conf_file else None, overrides)
    if system["corpus"] != data["corpus"]:
        raise RecipeError(
            f"{conf_file or f'conf/{tag}.yaml'}: 'corpus' is not a system's to change;"
            " its keys belong in egs/<corpus>/conf.yaml or on the command line"
        )
    return Plan(
        corpus=corpus,
        tag=tag,
        conf_file=conf_file,
        data_dir=data_dir,
        wav_dir=Corpus.of(data, data_dir).wav_dir,
        exp_dir=Path("exp", f"{folder}_{tag}"),
        overrides=overrides,
        data=data_settings(data),
        system=system,
    )


def plan_data(plan: Plan, first: int, last: int, explicit: bool) -> None:
    """Find out which of stages 0 to 2 are due; with one of them all later ones are."""
    for number in plan.stages(first, last):
        marker = done_marker(number, plan.data_dir)
        before = read_marker(marker)
        if explicit or plan.due or not marker.is_file():
            plan.due.append(number)
        elif before is None or differences(before, plan.data):
            plan.due.append(number)
            plan.notes.append(f"stage {number}: was done with other settings; doing it again")
        else:
            plan.notes.append(
                f"stage {number}: done before, see {plan.data_dir} (--stage {number} does it again)"
            )


def plan_system(plan: Plan, first: int, last: int, explicit: bool, resume: bool) -> None:
    """Find out whether stages 3 and 4 are due, and how training starts.

    Raises:
        RecipeError: the experiment was trained with other settings, and the command line does not
            say what is to become of it.
    """
    exp_dir = plan.exp_dir
    trains = first <= 3 <= last and not plan.is_oracle
    if first <= 3 <= last and plan.is_oracle:
        plan.notes.append(f"stage 3: nothing to train, {plan.tag} is made from the references")
    changed = trained_differently(plan) if trains and not explicit and not resume else []
    if changed:
        raise RecipeError(
            f"{exp_dir} was trained with other settings: {changed[0]}; --resume continues it"
            " under these, another --tag (with --conf) keeps it, --stage 3 replaces it"
        )
    if trains:
        plan.resume = resume
        if resume:
            from separation.training.resume import check_resume

            check_resume(plan.system, exp_dir)
        done = done_marker(3, exp_dir).is_file()
        if explicit or resume or not done:
            plan.due.append(3)
            if can_resume(exp_dir) and not done and not explicit and not resume:
                plan.resume = True
                plan.notes.append(
                    "stage 3: was cut short; resuming from its last checkpoint (--stage 3 starts"
                    " over)"
                )
        else:
            plan.notes.append(f"stage 3: done before, see {exp_dir} (--stage 3 does it again)")
    if first <= 4 <= last:
        plan_evaluation(plan, explicit)


def plan_evaluation(plan: Plan, explicit: bool) -> None:
    """Find out whether stage 4 is due."""
    exp_dir = plan.exp_dir
    before = read_marker(done_marker(4, exp_dir))
    made = done_marker(4, exp_dir).is_file() and plan.result.is_file()
    new_input = bool(plan.due) if plan.is_oracle else 3 in plan.due
    if explicit or new_input or not made:
        plan.due.append(4)
        return
    if plan.is_oracle:
        now = oracle_settings(plan.system)
    else:
        now = evaluation_settings(load_resolved(exp_dir, plan.overrides))
    if before is None or differences(before, now):
        plan.due.append(4)
        plan.notes.append("stage 4: was done with other settings; doing it again")
    else:
        plan.notes.append(f"stage 4: done before, see {exp_dir} (--stage 4 does it again)")


def can_resume(exp_dir: Path) -> bool:
    """Whether a training was begun and not finished, and left a checkpoint."""
    return begun_marker(3, exp_dir).is_file() and any(exp_dir.glob("checkpoints/*.ckpt"))


def trained_differently(plan: Plan) -> list[str]:
    """What differs between the settings of the experiment's training, if any, and those of now."""
    path = plan.exp_dir / "conf.yaml"
    whole = done_marker(3, plan.exp_dir).is_file()
    if not path.is_file() or not (whole or can_resume(plan.exp_dir)):
        return []
    now = train_settings(plan.system, location_keys(plan.corpus))
    if now.get("training.precision") == "auto":  # the experiment keeps the one that it chose
        del now["training.precision"]
    then = train_settings(load_resolved(plan.exp_dir), location_keys(plan.corpus))
    return differences(then, now)


def check_system(plan: Plan) -> None:
    """Check what needs packages whose import takes seconds.

    Raises:
        RecipeError: names the key of a value with which stage 3 or 4 would fail.
    """
    if plan.is_oracle:
        from separation.evaluation.metrics import check_metrics
        from separation.evaluation.oracles import Oracle

        settings = plan.system["evaluation"]
        check_metrics(settings["metrics"], settings["metrics_backend"])
        Oracle(plan.tag, plan.system)
    else:
        from separation.training import check

        check.check_system(plan.system)


def check_inputs(plan: Plan) -> None:
    """Raise a :class:`RecipeError` for an input that is missing and that no due stage makes."""
    mixes = plan.manifest == "local/manifest.py"
    inputs = {
        1: (plan.data_dir / "lists", 0),
        2: (plan.wav_dir / "tr" / "mix", 1) if mixes else (plan.data_dir / "mixtures", 0),
        3: (plan.wav_dir / "tr.csv", 2),
        4: (plan.wav_dir / "tt.csv", 2) if plan.is_oracle else (plan.exp_dir / "best_model.pth", 3),
    }
    for number in plan.due:
        path, maker = inputs.get(number, (ROOT, 0))
        if not path.exists() and maker not in plan.due:
            raise RecipeError(
                f"{path} is missing: stage {maker} makes it (--stage {maker}, with the same other"
                " options)"
            )


def assignments(plan: Plan, last: int) -> str:
    """Write the plan as assignments to shell variables."""
    texts = {
        "corpus": plan.corpus,
        "tag": plan.tag,
        "oracle": "yes" if plan.is_oracle else "",
        "conf": plan.conf_file,
        "data_dir": str(plan.data_dir),
        "wav_dir": str(plan.wav_dir),
        "exp_dir": str(plan.exp_dir),
        "result": str(plan.result),
        "manifest": plan.manifest,
        "resume": "yes" if plan.resume else "",
        "stop_stage": str(last),
    }
    lists = {
        "due": [str(number) for number in plan.due],
        "overrides": ["--", *plan.overrides],
        "notes": plan.notes,
    }
    lines = [f"{name}={shlex.quote(text)}" for name, text in texts.items()]
    lines += [f"{name}=({shlex.join(words)})" for name, words in lists.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    run_command(main)
