"""The page that separates in a browser, as a folder of static files. Entry: :func:`write_site`.

The folder has the page (``local/web/``), ONNX Runtime, the network as ``model.onnx`` and what the
page has to know of it as ``model.json``.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from separation.config import load_resolved
from separation.errors import RecipeError
from separation.files import PARTIAL, visible, writing
from separation.inference import runtime
from separation.inference.onnx import OnnxStreamingNetwork, export_streaming, load_streaming
from separation.inference.recursion import refuse_one_and_rest
from separation.inference.streaming import LEVEL_SECONDS, MOST_GAIN
from separation.models.registry import load_model
from separation.models.shelf import find_system
from separation.tree import ROOT

PAGE = ROOT / "local" / "web"
NETWORK, FACTS = "model.onnx", "model.json"


def write_site(system: Path, folder: Path, licence: str = "") -> None:
    """Write the page and all that it loads into a folder.

    Args:
        system: a trained causal system, the name of one of the shelf, or a streaming ONNX file.
        folder: is there already.
        licence: of the weights, shown on the page (default: what the ONNX file says).

    Raises:
        RecipeError: no such system, one that is not causal, or no ONNX Runtime.
    """
    write_network(system, folder, licence)
    there = runtime.fetch_runtime()
    with writing(folder):
        for path in [*visible(PAGE, "*"), *(there / name for name in runtime.FILES)]:
            shutil.copyfile(path, folder / path.name)


def write_network(system: Path, folder: Path, licence: str) -> None:
    """Write the network of a system and what the page has to know of it; otherwise as above."""
    path = folder / NETWORK
    if system.suffix == ".onnx":
        name = system.stem
        load_streaming(system)  # before anything is written
        with writing(path):
            shutil.copyfile(system, path)
    else:
        exp_dir = find_system(system)
        refuse_one_and_rest(exp_dir, "the page")
        model, conf = load_model(exp_dir), load_resolved(exp_dir)
        name = exp_dir.resolve().name
        try:
            export_streaming(
                model, path, {"licence": licence, "trained_on": conf["corpus"]["name"]}
            )
        except RecipeError as error:  # it does not know whose network it is
            raise RecipeError(f"{system}: {error}") from error
    facts = describe(load_streaming(path)) | {"name": name}
    if licence:
        facts["licence"] = licence
    with writing(folder / FACTS):
        (folder / FACTS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def describe(network: OnnxStreamingNetwork) -> dict[str, Any]:
    """What the page has to know of a network.

    Returns:
        the metadata of its file; ``state``, type and shape of each tensor; and the constants of
        :class:`.streaming.LevelFollower`.
    """
    state = [
        {"type": str(tensor.dtype).removeprefix("torch."), "shape": list(tensor.shape)}
        for tensor in network.state()
    ]
    return network.facts | {
        "state": state,
        "level_seconds": LEVEL_SECONDS,
        "most_gain": MOST_GAIN,
    }


@contextlib.contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes ``folder`` when the block ends well.

    Raises:
        RecipeError: something is there already, or it cannot be written.
    """
    if os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir())):
        raise RecipeError(f"{folder}: is there and not an empty folder; remove it or name another")
    with writing(folder):
        parent = folder.absolute().parent
        parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=parent, prefix=PARTIAL))
        try:
            yield temporary
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o777 & ~umask)
            temporary.replace(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
