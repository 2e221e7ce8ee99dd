"""Checkpoints that are whole, and from which training goes on as if it had not been stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO

from separation.files import atomic_path


class AtomicCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside its name first.

    Lightning's way goes through the system's temporary folder, and from there, where that is
    another disk, by a copy that a full disk or a kill leaves in pieces.
    """

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
        """Go on from a checkpoint."""
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
