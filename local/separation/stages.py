"""What stages share: their command line, the lock on the folder that they write, and markers.

A stage that is done leaves a marker with the settings that it was done with; :mod:`plan` reads
them. Entry points: :func:`data_stage` for scripts of stages 0 to 2, :class:`Stage` for the others.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import platform
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from separation.arguments import make_parser
from separation.config import BASE, Conf, load_corpus_config, read_yaml
from separation.errors import RecipeError
from separation.files import atomic_path
from separation.process import command_line

LAST_STAGE = 5
LOCK = ".lock"
Settings = dict[str, Any]  # values by dotted key
# Where and how a stage runs changes no result.
PLACES = {"nj", "corpus.keep_going", "training.accelerator", "training.devices"} | {
    "training.num_nodes"
}


class Stage:
    """One run of a stage: locks its folder, and keeps the markers of the folder true.

    Args:
        number: of the stage.
        folder: that it writes.
        settings: that decide its result.
        reads: folder that nobody may write from now on until this run ends.
    """

    def __init__(
        self, number: int, folder: Path, settings: Settings, reads: Path | None = None
    ) -> None:
        self.number, self.folder, self.settings = number, folder, settings
        self._lock: IO[str] | None = None
        self._reading = lock(reads, self.name, shared=True) if reads and reads.is_dir() else None

    @property
    def name(self) -> str:
        """Such as ``stage 3``."""
        return f"stage {self.number}"

    def begin(self) -> None:
        """Call when everything is checked, before the first change in the folder.

        This stage and those that build on it are no longer done.

        A second call does nothing.

        Raises:
            RecipeError: another process is at work in the folder.
        """
        if self._lock is not None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = lock(self.folder, self.name)
        for later in range(self.number, LAST_STAGE):
            done_marker(later, self.folder).unlink(missing_ok=True)
        with atomic_path(begun_marker(self.number, self.folder)) as temporary:
            temporary.write_text(json.dumps(self.settings, indent=1) + "\n", encoding="utf-8")

    def finish(self) -> None:
        """Leave the marker, and let others into the folder."""
        self.begin()
        begun_marker(self.number, self.folder).replace(done_marker(self.number, self.folder))
        if self._lock is not None:
            self._lock.truncate(0)
            self._lock.close()
        if self._reading is not None:
            self._reading.close()


def data_stage(
    number: int, description: str | None, work: Callable[[Conf, Path, Callable[[], None]], None]
) -> None:
    """Parse the command line of a stage that makes data, and do its work.

    Args:
        number: of the stage.
        description: for ``--help``.
        work: is given the configuration, the corpus folder, and :meth:`Stage.begin`, which it calls
            when everything is checked, before it changes anything.
    """
    arguments = make_parser(description, "corpus", "data_dir", "overrides").parse_args()
    conf = load_corpus_config(arguments.corpus, arguments.overrides)
    stage = Stage(number, arguments.data_dir, data_settings(conf))
    work(conf, arguments.data_dir, stage.begin)
    stage.finish()


def lock(folder: Path, doing: str, shared: bool = False) -> IO[str]:
    """Lock a folder until the returned file is closed or the process ends, even by ``kill -9``.

    Args:
        folder: that is there.
        doing: for the message to others.
        shared: reads the folder: keeps out who writes it, and not others who read.

    Raises:
        RecipeError: another process has the folder; names it.
    """
    try:
        file = open(folder / LOCK, "a+", encoding="utf-8", errors="replace")  # noqa: SIM115 - outlives this function
    except OSError as error:
        if shared and error.errno in (errno.EACCES, errno.EROFS):  # nobody can write there
            return open(os.devnull, encoding="utf-8")
        raise
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holders = [line for line in file.read().splitlines() if _is_running(line)]
        file.close()
        raise RecipeError(
            f"{folder}: in use by {' and '.join(holders) or 'another process'};"
            " wait for its end, or stop it"
        ) from None
    if not shared:
        file.truncate(0)
    since = datetime.now().strftime("%Y-%m-%d %H:%M:%S")
    command = " ".join(command_line().split())
    file.write(f"process {os.getpid()} on {platform.node()}, {doing} since {since}: {command}\n")
    file.flush()
    return file


def _is_running(holder: str) -> bool:
    """Whether the process of a line that :func:`lock` wrote may be running still."""
    words = holder.split()
    if len(words) < 4 or words[3].rstrip(",") != platform.node():
        return True
    try:
        os.kill(int(words[1]), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True


def done_marker(stage: int, folder: Path) -> Path:
    """File that says that a stage is done."""
    return folder / f".done.stage{stage}"


def begun_marker(stage: int, folder: Path) -> Path:
    """File that says that a stage was begun and not finished."""
    return folder / f".begun.stage{stage}"


def read_marker(path: Path) -> Settings | None:
    """Settings of a marker; None where there is none, or one that no run of today has written."""
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return settings if isinstance(settings, dict) else None


def data_settings(conf: Conf) -> Settings:
    """Settings that decide what stages 0 to 2 make."""
    return _without_places(flat({"corpus": conf["corpus"], "seed": conf["seed"]}))


def train_settings(conf: Conf, locations: set[str]) -> Settings:
    """Settings that decide what stage 3 makes.

    Args:
        conf: of the system.
        locations: keys that say where recordings and lists are, which is for the data to know.
    """
    settings = flat({key: value for key, value in conf.items() if key != "evaluation"})
    return _without_places({k: v for k, v in settings.items() if k not in locations})


def evaluation_settings(conf: Conf) -> Settings:
    """Settings that decide what stage 4 makes of a model."""
    return flat({"evaluation": conf["evaluation"]})


def oracle_settings(conf: Conf) -> Settings:
    """Settings that decide what stage 4 makes of an oracle, which depends on the data alone."""
    return data_settings(conf) | evaluation_settings(conf)


def differences(before: Settings, now: Settings) -> list[str]:
    """Name what differs between settings, as ``key=before, not now``.

    Keys that ``before`` lacks have been added since; they had today's default.
    """
    defaults = flat(read_yaml(BASE))
    found = []
    for key, value in now.items():
        was = before.get(key, defaults.get(key, value))
        if was != value:
            found.append(f"{key}={_text(was)}, not {_text(value)}")
    return found


def flat(conf: Conf, prefix: str = "") -> Settings:
    """Values of nested keys, by dotted key."""
    settings: Settings = {}
    for key, value in conf.items():
        if isinstance(value, dict):
            settings |= flat(value, f"{prefix}{key}.")
        else:
            settings[f"{prefix}{key}"] = value
    return settings


def _without_places(settings: Settings) -> Settings:
    return {key: value for key, value in settings.items() if key not in PLACES}


def _text(value: Any) -> str:
    return "nothing" if value == "" else str(value)
