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
