"""The YAML configuration: load, merge, override, reject what is unknown.

Entry points: :func:`load_config` for stages that train, :func:`load_corpus_config` for stages that
make data, :func:`load_resolved` for everything after training.
"""

from __future__ import annotations

from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from separation.errors import RecipeError, nearest
from separation.files import atomic_path, check_name, read_text, require_file
from separation.models.architecture import keys, required
from separation.ranges import ONE_AND_REST, check_values, numbers_of_sources
from separation.tree import ROOT, corpora, tags

BASE = ROOT / "conf" / "base.yaml"
Conf = dict[str, Any]
# Keys that every experiment has besides those of its net_conf, since without them nobody knows what
# was trained.
REQUIRED = [
    *("seed", "model"),
    *(f"corpus.{key}" for key in ("name", "sample_rate", "mode", "n_src")),
]
RENAMED = {  # keys of earlier versions, which experiments from then still have
    "data.split": "data.chunking",
    "data.least": "data.min_length",
    **{f"net_conf.codec_{key}": f"net_conf.deep_{key}" for key in ("layers", "kernel", "dilated")},
    "net_conf.codec_gate": "net_conf.deep_gate",
}
ONE_OR_SEVERAL = ("corpus.n_src",)  # a whole number, or several: [1, 2, 3], or 1,2,3 as text
LARGEST_YAML = 10_000  # values of a file
KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def load_config(corpus: str, tag: str, conf_file: Path | None, overrides: list[str]) -> Conf:
    """Merge base <- corpus <- system <- overrides into one checked configuration.

    Args:
        corpus: a folder of ``egs/``.
        tag: names the system; its file is ``conf/<tag>.yaml`` unless ``conf_file`` is given.
        conf_file: the system's YAML file, or None.
        overrides: ``a.b=value`` each, the value in YAML.

    Raises:
        RecipeError: unknown corpus, tag or key, or a value of the wrong type.
    """
    path = conf_file or ROOT / "conf" / f"{tag}.yaml"
    if not path.is_file():
        if conf_file:
            raise RecipeError(f"{path}: no such file; give an existing YAML file to --conf")
        known = tags()
        raise RecipeError(
            f"--tag {tag}: there is no conf/{tag}.yaml{nearest(tag, known)};"
            f" tags there are: {', '.join(known)}; for another give --conf FILE"
        )
    system = read_yaml(path)
    model, source = system.get("model"), str(path)
    for item in overrides:
        if item.startswith("model="):
            model, source = item.removeprefix("model="), "command line"
    conf = _base_and_corpus(corpus, model, source)
    _merge(conf, system, str(path))
    return _finish(conf, overrides)


def load_corpus_config(corpus: str, overrides: list[str]) -> Conf:
    """Merge base <- corpus <- overrides: what stages 0 to 2 need, to which networks are all one."""
    of_networks = ("model=", "net_conf.")
    return _finish(
        _base_and_corpus(corpus), [item for item in overrides if not item.startswith(of_networks)]
    )


def load_resolved(exp_dir: Path, overrides: list[str] | None = None) -> Conf:
    """Read the resolved configuration of an experiment folder, with overrides on top.

    Keys added since it was written take their defaults; renamed ones have their new names.

    Raises:
        RecipeError: missing, damaged, or without a key that every experiment has.
    """
    path = exp_dir / "conf.yaml"
    require_file(path, "train first (stage 3), or give another --exp_dir")
    written = read_yaml(path)
    _rename(written)
    for key in REQUIRED:
        _require(written, key, path)
    conf = read_yaml(BASE)
    conf["net_conf"] = keys(str(written["model"]), str(path))
    for key in required(written["model"]):
        _require(written, f"net_conf.{key}", path)
    _merge(conf, written, str(path), new_keys=True)
    check_values(conf, str(path))
    check_name(conf["corpus"]["name"], f"{path}: corpus.name")
    _override(conf, overrides or [])
    check_values(conf)
    return conf


def _rename(written: Conf) -> None:
    """Give the keys of an earlier version their names of today, in place."""
    for old, new in RENAMED.items():
        block, name = old.split(".")
        if isinstance(written.get(block), dict) and name in written[block]:
            written[block][new.partition(".")[2]] = written[block].pop(name)


def _require(written: Conf, key: str, path: Path) -> None:
    place: Any = written
    for name in key.split("."):
        if not isinstance(place, dict) or place.get(name) is None:
            raise RecipeError(f"{path}: key '{key}' is missing; it says what was trained")
        place = place[name]


def save_resolved(conf: Conf, path: Path) -> None:
    """Write a configuration as YAML."""
    with atomic_path(path) as temporary:
        temporary.write_text(yaml.safe_dump(conf, sort_keys=False), encoding="utf-8")


def read_yaml(path: Path) -> Conf:
    """Read a YAML file that holds a mapping.

    Raises:
        RecipeError: no such file, not YAML, or something else in it.
    """
    content = _parse_yaml(read_text(path), str(path))
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise RecipeError(f"{path}: must hold keys and values")
    return content


def _parse_yaml(text: str, source: str) -> Any:
    """Read YAML; a small file whose aliases stand for gigabytes is refused.

    Raises:
        RecipeError: names the source.
    """
    try:
        content = deepcopy(_load_yaml(text))  # the caller may change it
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise RecipeError(f"{source}: not YAML: {error}") from error
    count, left = 0, [content]
    while left:
        count += 1
        value = left.pop()
        left += (
            value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
        )
        if count > LARGEST_YAML:
            raise RecipeError(f"{source}: more than {LARGEST_YAML} values, aliases included")
    return content


@lru_cache(maxsize=64)
def _load_yaml(text: str) -> Any:
    """Parse YAML; a stage reads conf/base.yaml several times, and each would take 20 ms."""
    return yaml.safe_load(text)


def _base_and_corpus(corpus: str, model: Any = None, source: str = "") -> Conf:
    """Merge base <- corpus.

    Args:
        corpus: a folder of ``egs/``.
        model: the architecture, whose keys ``net_conf`` then has; None: that of the base.
        source: where the architecture is named.
    """
    conf = read_yaml(BASE)
    path = ROOT / "egs" / corpus / "conf.yaml"
    if corpus not in corpora():
        raise RecipeError(
            f"--corpus {corpus}: there is no such corpus{nearest(corpus, corpora())};"
            f" there are: {' '.join(corpora())}"
        )
    conf["net_conf"] = keys(str(model or conf["model"]), source)
    settings = read_yaml(path)
    # A corpus may have settings of its own; they become known keys for what is merged later.
    for key, value in (settings.get("corpus") or {}).items():
        conf["corpus"].setdefault(key, deepcopy(value))
    _merge(conf, settings, str(path))
    conf["corpus"]["name"] = corpus
    return conf


def _finish(conf: Conf, overrides: list[str]) -> Conf:
    n_src_before = conf["corpus"]["n_src"]
    _override(conf, overrides)
    check_values(conf)
    # The network separates what the corpus mixes; --n_src 3 alone is enough.
    n_src, net_conf = conf["corpus"]["n_src"], conf["net_conf"]
    asked = any(item.startswith("net_conf.num_spks=") for item in overrides)
    if not net_conf["num_spks"] or (n_src != n_src_before and not asked):
        net_conf["num_spks"] = n_outputs(conf)
    return conf


def n_outputs(conf: Conf) -> int:
    """Outputs of the network: a speaker and the rest, or as many as mixtures have speakers."""
    one_and_rest = conf["training"]["assignment"] == ONE_AND_REST
    return 2 if one_and_rest else max(numbers_of_sources(conf))


def _override(conf: Conf, overrides: list[str]) -> Conf:
    for item in overrides:
        key, equals, text = item.partition("=")
        if not equals or not key:
            raise RecipeError(f"override '{item}': write key=value, such as optim.lr=5e-4")
        value = _parse_yaml(text, f"override '{item}'")
        nested: Conf = {}
        place = nested
        *parents, last = key.split(".")
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
        _merge(conf, nested, "command line")
    return conf


def _merge(
    conf: Conf, changes: Conf, source: str, prefix: str = "", new_keys: bool = False
) -> None:
    """Merge ``changes`` into ``conf`` in place; keys must be there already unless ``new_keys``."""
    for key, value in changes.items():
        name = f"{prefix}{key}"
        if key not in conf and new_keys:
            conf[key] = value
        elif key not in conf:
            today = f"; it is '{RENAMED[name]}' now" if name in RENAMED else ""
            hint = today or nearest(str(key), map(str, conf))
            raise RecipeError(f"{source}: unknown key '{name}'{hint}")
        elif isinstance(conf[key], dict):
            if not isinstance(value, dict):
                raise RecipeError(f"{source}: '{name}' must hold keys and values")
            _merge(conf[key], value, source, f"{name}.", new_keys)
        else:
            conf[key] = _converted(value, conf[key], name, source)


def _converted(value: Any, default: Any, name: str, source: str) -> Any:
    """Give ``value`` the type of ``default``; YAML 1.1 reads 5e-4 as a string and 5 as an int."""
    if default is None or (value is None and isinstance(default, str)):
        return value if value is not None else default
    try:
        if name in ONE_OR_SEVERAL:
            value = _one_or_several(value)
        elif isinstance(default, bool):
            if not isinstance(value, bool):
                raise ValueError
        elif isinstance(default, int):
            if isinstance(value, bool) or int(value) != float(value):
                raise ValueError
            value = int(value)
        elif isinstance(default, float):
            if isinstance(value, bool):
                raise ValueError
            value = float(value)
        elif isinstance(default, str):
            if isinstance(value, (list, dict)):
                raise ValueError
            value = str(value).lower() if isinstance(value, bool) else str(value)
        elif not isinstance(value, type(default)):
            raise ValueError
    except (TypeError, ValueError, OverflowError) as error:
        wanted = KINDS.get(type(default), f"a {type(default).__name__}")
        raise RecipeError(f"{source}: '{name}' must be {wanted}, not '{value}'") from error
    return value


def _one_or_several(value: Any) -> int | list[int]:
    """Read a whole number or a list of them, in rising order; a list of one is that number.

    Raises:
        ValueError: something else.
    """
    several = value.split(",") if isinstance(value, str) else value
    if not isinstance(several, list):
        several = [several]
    if not several or any(isinstance(v, bool) or int(v) != float(v) for v in several):
        raise ValueError
    numbers = sorted(int(v) for v in several)
    return numbers[0] if len(numbers) == 1 else numbers
