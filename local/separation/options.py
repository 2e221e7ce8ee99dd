"""The command line of run.sh: one table of options, and what they mean for the configuration.

A corpus adds options of its own in ``egs/<corpus>/options.json``. Nothing here needs a package, so
run.sh answers ``--help`` and finds mistyped options before its environment is made.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from separation.errors import RecipeError, nearest
from separation.ranges import ORACLES
from separation.tree import ROOT, corpora, tags

STAGES = "0 get the corpus, 1 mix, 2 manifests, 3 train, 4 evaluate, 5 report"
TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Option:
    """One option of run.sh.

    ``takes`` is what stands for its value in the help, ``""`` for an option without one; values of
    ``PATH`` and ``DIR`` are made absolute. ``key`` is the key of the configuration that the option
    sets, if it is one.
    """

    name: str
    takes: str
    help: str
    key: str = ""

    @property
    def is_path(self) -> bool:
        """Whether the value is a path, or several with commas between them."""
        return "PATH" in self.takes or "DIR" in self.takes


OPTIONS = [
    Option("corpus", "NAME", "a folder of egs/: {corpora} (default: espeak-2mix)"),
    Option("corpus_dir", "DIR[,DIR]", "the corpus' recordings, where you have them",
           "corpus.corpus_dir"),
    Option("levels_file", "PATH", 'active speech levels to mix with, a file or folder of lines'
           ' "utterance power"', "corpus.levels_file"),
    Option("keep_going", "", "name every bad recording of the corpus before giving up, not only"
           " the first", "corpus.keep_going"),
    Option("tag", "NAME", "the system, a file conf/NAME.yaml: {tags} (default: default_tag in"
           " egs/<corpus>/conf.yaml); or masks from the references, without training: {oracles}"),
    Option("conf", "PATH", "the system's file, for a new --tag"),
    Option("stage", "N", f"start at stage N, whatever is done: {STAGES}"),
    Option("stop_stage", "N", "end with stage N (default: 5)"),
    Option("resume", "", "resume the training from its last checkpoint"),
    Option("n_src", "N[,N]", "speakers in a mixture; several numbers: for --tag one_and_rest",
           "corpus.n_src"),
    Option("sample_rate", "HZ", "of the mixtures", "corpus.sample_rate"),
    Option("mode", "min|max", "a mixture ends with its shortest source, or with its longest",
           "corpus.mode"),
    Option("nj", "N", "processes for stages 0, 1, 2 and 4", "nj"),
    Option("precision", "NAME", "of training: fp32, bf16, or auto: bf16 where it is faster",
           "training.precision"),
    Option("devices", "N", "training processes (GPUs) on a machine", "training.devices"),
    Option("num_nodes", "N", "machines", "training.num_nodes"),
    Option("seed", "N", "of the corpus, the weights and the order of the training data", "seed"),
    Option("help", "", "this text"),
]  # fmt: skip


@dataclass
class Command:
    """A command line, read.

    Attributes:
        values: of the options that were given; ``true`` for one without a value.
        changes: what came after ``--``, ``key=value`` each.
        options: all that the corpus has.
    """

    values: dict[str, str] = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)
    options: list[Option] = field(default_factory=list)

    def get(self, name: str, default: str = "") -> str:
        """Value of an option."""
        return self.values.get(name, default)

    def overrides(self) -> list[str]:
        """``key=value`` of the options, the values in YAML, then the changes after ``--``."""
        given = [o for o in self.options if o.key and o.name in self.values]
        return [f"{o.key}={as_yaml(self.values[o.name])}" for o in given] + self.changes


def parse(arguments: list[str], caller: Path) -> Command:
    """Read a command line.

    Args:
        arguments: words after ``run.sh``.
        caller: folder that relative paths are relative to.

    Raises:
        RecipeError: an unknown option, corpus or tag, a missing value, a path that is not there.
    """
    words, changes = arguments, []
    if "--" in arguments:
        place = arguments.index("--")
        words, changes = arguments[:place], arguments[place + 1 :]
    corpus = _corpus(words)
    known = {option.name: option for option in [*OPTIONS, *corpus_options(corpus)]}
    command = Command(changes=changes, options=list(known.values()))
    rest = iter(words)
    for word in rest:
        option, value = _option(word, known)
        if option.takes and value is None:
            value = next(rest, "")
            if not value or value.startswith("--"):
                raise RecipeError(f"--{option.name} needs a value")
        command.values[option.name] = value or "true"
    for name, value in command.values.items():
        if known[name].is_path:
            command.values[name] = _absolute(known[name], value, caller)
    _check(command)
    return command


def corpus_options(corpus: str) -> list[Option]:
    """Options that a corpus has of its own."""
    path = ROOT / "egs" / corpus / "options.json"
    if not path.is_file():
        return []
    return [Option(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]


def location_keys(corpus: str) -> set[str]:
    """Keys that say where a corpus' recordings and lists are, which a corpus remembers."""
    own = {option.key for option in corpus_options(corpus) if option.is_path}
    return {"corpus.corpus_dir"} | own


def usage() -> str:
    """Text of ``--help``."""
    lines = [
        "Usage: ./run.sh [options] [-- key=value ...]",
        "",
        "Makes its environment, gets a corpus, mixes it, trains a separator, evaluates it and",
        "prints a table. Without options: all of it, on a corpus that is made on the spot. A stage",
        "that is done is not done again.",
        "",
    ]
    names = {"corpora": " ".join(corpora()), "tags": " ".join(tags())}
    names["oracles"] = " ".join(ORACLES)
    lines += [_help_line(option, names) for option in OPTIONS]
    for corpus in corpora():
        if own := corpus_options(corpus):
            lines += ["", f"With --corpus {corpus}:", *(_help_line(o, names) for o in own)]
    return "\n".join([
        *lines,
        "",
        "Names may have dashes for underscores, and --name=value is fine too. After a -- come",
        "changes to the configuration (conf/base.yaml has every key and its default), such as",
        "  ./run.sh --stage 3 --tag convtasnet -- training.max_epochs=10 optim.lr=5e-4",
    ])  # fmt: skip


def as_yaml(text: str) -> str:
    """Write a value so that YAML reads a number as a number and any other text as that text."""
    plain = re.fullmatch(r"[+-]?[0-9]+|true|false", text)
    return text if plain else json.dumps(text, ensure_ascii=False)


def _corpus(words: list[str]) -> str:
    """Find the corpus, whose options must be known before the others are read."""
    corpus = "espeak-2mix"
    for place, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name == "--corpus":
            corpus = value if equals else (words[place + 1] if place + 1 < len(words) else "")
    if corpus not in corpora() and corpus and not corpus.startswith("--"):
        raise RecipeError(
            f"--corpus {corpus}: there is no such corpus{nearest(corpus, corpora())};"
            f" there are: {' '.join(corpora())}"
        )
    return corpus


def _option(word: str, known: dict[str, Option]) -> tuple[Option, str | None]:
    """Option of a word ``--name`` or ``--name=value``, and the value if it is there."""
    if word == "-h":
        word = "--help"
    if not word.startswith("--"):
        raise RecipeError(
            f"'{word}' is no option; changes to the configuration come after a --, such as"
            " -- optim.lr=5e-4"
        )
    name, equals, value = word[2:].partition("=")
    name = name.replace("-", "_")
    if name not in known:
        of = [c for c in corpora() if name in {o.name for o in corpus_options(c)}]
        if of:
            raise RecipeError(f"--{name} is an option of --corpus {' and '.join(of)} only")
        hint = nearest(f"--{name}", [f"--{other}" for other in known])
        raise RecipeError(f"unknown option --{name}{hint}; --help lists them")
    if equals and not known[name].takes:
        raise RecipeError(f"--{name} takes no value")
    if equals and not value:
        raise RecipeError(f"--{name} needs a value")
    return known[name], value if equals else None


def _absolute(option: Option, value: str, caller: Path) -> str:
    parts = [value]
    if "[" in option.takes and not (caller / value).exists():
        parts = value.split(",")
    folder = option.takes.startswith("DIR")
    for part in parts:
        path = caller / part
        if not (path.is_dir() if folder else path.exists()):
            what = "folder" if folder else "file" if option.name == "conf" else "folder or file"
            raise RecipeError(f"--{option.name} {part}: no such {what}")
    return ",".join(str((caller / part).resolve()) for part in parts)


def _check(command: Command) -> None:
    """Hold what stages, tag and conf say against each other."""
    for name in ("stage", "stop_stage"):
        if not re.fullmatch("[0-5]?", command.get(name)):
            raise RecipeError(f"--{name} {command.get(name)}: the stages are 0 to 5")
    stage, stop_stage = command.get("stage", "0"), command.get("stop_stage", "5")
    if stage > stop_stage:
        raise RecipeError(f"--stage {stage} comes after --stop_stage {stop_stage}")
    tag, conf = command.get("tag"), command.get("conf")
    if conf and not tag:
        raise RecipeError("--conf needs --tag NAME, the name of the experiment")
    if tag and not TAG.fullmatch(tag):
        raise RecipeError(f"--tag '{tag}': letters, digits and _ . - make a tag")
    known = ROOT / "conf" / f"{tag}.yaml"
    if tag in ORACLES:
        if conf:
            raise RecipeError(f"--tag {tag} is an oracle and has no file: leave --conf out")
        return
    if tag and not conf and tag not in tags():
        hint = nearest(tag, [*tags(), *ORACLES])
        raise RecipeError(
            f"--tag {tag}: there is no conf/{tag}.yaml{hint}; there are:"
            f" {' '.join(tags())}, and {' '.join(ORACLES)}; a new one needs --conf FILE"
        )
    if conf and not Path(conf).is_file():
        raise RecipeError(f"--conf {conf}: no such file")
    if conf and known.is_file() and not known.samefile(conf):
        raise RecipeError(f"--tag {tag} means conf/{tag}.yaml: give --conf {conf} a tag of its own")


def _help_line(option: Option, names: dict[str, str]) -> str:
    head = f"  --{option.name} {option.takes}".rstrip()
    text = option.help.format(**names)
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) > 72:
            lines.append("")
        lines[-1] += f"{word} "
    space = "\n" + " " * 23
    return f"{head:<22} " + space.join(line.rstrip() for line in lines)
