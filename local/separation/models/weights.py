"""Files of tensors and plain values: models and checkpoints. Nothing in them is ever executed."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from separation.errors import RecipeError
from separation.files import require_file


class Undrawn(TorchFunctionMode):
    """Networks that are made under it draw no normal weights, for those that only ask sizes.

    To draw these on the device ``meta`` imports TorchDynamo, two seconds of a program's start.
    """

    def __torch_function__(
        self, function: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call ``function``, unless it draws: then the tensor stays as it is."""
        if function is torch.Tensor.normal_:
            return args[0]
        return function(*args, **(kwargs or {}))


def read_weights(path: Path, keys: Mapping[str, type], advice: str) -> dict[str, Any]:
    """Read a file that ``torch.save`` wrote of a dictionary.

    Args:
        path: the file.
        keys: those that it must have, and the type of each value.
        advice: how to get a good file, such as ``train first (stage 3)``.

    Raises:
        RecipeError: no such file, one that is damaged, or one that holds something else.
    """
    require_file(path, advice)
    try:
        with warnings.catch_warnings(action="ignore"):  # Torch's, of files that are not its own
            content = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # a damaged file can make the unpickler raise anything
        raise RecipeError(
            f"{path}: damaged, or not a file of tensors and plain values; {advice}"
        ) from error
    if not isinstance(content, dict):
        raise RecipeError(f"{path}: holds a {type(content).__name__}, no dictionary; {advice}")
    for key, kind in keys.items():
        if not isinstance(content.get(key), kind):
            raise RecipeError(f"{path}: '{key}' is missing or no {kind.__name__}; {advice}")
    return content


def check_state(
    state: dict[str, Any], wanted: dict[str, torch.Tensor], path: Path, advice: str
) -> None:
    """Compare the weights of a file with those of the network that is to take them.

    Raises:
        RecipeError: names the first weight that is missing, left over or of another shape or type.
    """
    for name in [*wanted, *state]:
        have, want = state.get(name), wanted.get(name)
        if want is None:
            raise RecipeError(f"{path}: weights of another network: '{name}' is too many; {advice}")
        if (
            not isinstance(have, torch.Tensor)
            or have.shape != want.shape
            or have.is_floating_point() != want.is_floating_point()
        ):
            raise RecipeError(
                f"{path}: weights of another network: '{name}' is missing or of another shape or"
                f" type than {tuple(want.shape)}, {want.dtype}; {advice}"
            )


def summary(error: Exception) -> str:
    """The beginning of an error's message, which may be pages long, or the name of its class."""
    text = " ".join(str(error).split())
    return textwrap.shorten(text, 160, placeholder=" ...") or type(error).__name__
