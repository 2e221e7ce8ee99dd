"""Checkpoints that are whole, and from which training resumes as if it had not been stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO

from separation.errors import RecipeError
from separation.files import atomic_path, name_problem
from separation.models.weights import check_state, read_weights
from separation.training.resume import REMEDY

KEYS: dict[str, type] = {
    "epoch": int,
    "global_step": int,
    "pytorch-lightning_version": str,
    "state_dict": dict,
    "loops": dict,
    "callbacks": dict,
    "optimizer_states": list,
    "lr_schedulers": list,
    "bad_steps": int,
    "train_sums": torch.Tensor,
}


def read_checkpoint(path: Path, network: torch.nn.Module | None = None) -> dict[str, Any]:
    """Read a checkpoint of a training; it holds tensors and plain values and executes nothing.

    The paths of other checkpoints in it become those in its own folder, as if the experiment had
    been trained where it is now.

    Args:
        path: the checkpoint.
        network: of this training; None: the weights are not compared with one.

    Raises:
        RecipeError: a damaged or foreign file, or the checkpoint of another network.
    """
    checkpoint = read_weights(path, KEYS, REMEDY)
    try:
        progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
        progress["is_last_batch"], progress["current"]["processed"] + 0
        states = [state for state in checkpoint["callbacks"].values() if "best_model_path" in state]
        for state in states:
            _bring_home(state, path.parent.resolve())
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RecipeError(
            f"{path}: not a checkpoint of this training ({error!r}); {REMEDY}"
        ) from error
    if network is not None:
        prefix = "model."
        state = {k.removeprefix(prefix): v for k, v in checkpoint["state_dict"].items()}
        check_state(state, network.state_dict(), path, REMEDY)
    return checkpoint


def _bring_home(state: dict[str, Any], folder: Path) -> None:
    """Let all paths in the state of a ModelCheckpoint lead into ``folder``."""

    def home(path: str) -> str:
        name = Path(path).name
        if path and name_problem(name):  # such as the folder above
            raise ValueError(path)
        return str(folder / name) if path else ""

    state["dirpath"] = str(folder)
    for key in ("best_model_path", "kth_best_model_path", "last_model_path"):
        state[key] = home(state[key])
    state["best_k_models"] = {home(k): score for k, score in state["best_k_models"].items()}


class AtomicCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside its name first, and reads none that could execute something.

    Lightning's way of writing goes through the system's temporary folder, and from there, where
    that is another disk, by a copy that a full disk or a kill leaves in pieces.
    """

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint; see :func:`read_checkpoint`."""
        return read_checkpoint(Path(path))

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Write ``checkpoint`` to ``path``."""
        with atomic_path(path) as temporary:
            torch.save(checkpoint, temporary)


class WeightAverage(pl.Callback):
    """Keeps the weights after each of the last epochs, for their mean.

    Args:
        epochs: how many are kept; 0 for none.
    """

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs
        self.kept: list[dict[str, torch.Tensor]] = []

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the weights."""
        if self.epochs:
            state = {name: value.cpu().clone() for name, value in pl_module.state_dict().items()}
            self.kept = [*self.kept, state][-self.epochs :]

    def mean(self) -> dict[str, torch.Tensor]:
        """Mean of the kept weights; counters, which are whole numbers, are those of the last."""
        return {
            name: torch.stack([state[name] for state in self.kept]).mean(0)
            if last.is_floating_point()
            else last
            for name, last in self.kept[-1].items()
        }

    def state_dict(self) -> dict[str, Any]:
        """The weights kept so far."""
        return {"kept": self.kept}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self.kept = state_dict["kept"]


class StepCheckpoint(ModelCheckpoint):
    """Saves after whole steps only: gradients that wait for more batches are in no checkpoint."""

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Save if it is time to."""
        if (batch_idx + 1) % trainer.accumulate_grad_batches == 0:
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
