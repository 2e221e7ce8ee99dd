"""Learning-rate schedules as Lightning callbacks, whose state is in every checkpoint.

Lightning steps its own plateau schedulers after the epoch's checkpoint is written, so a resumed run
would forget the last epoch; these are stepped before.
"""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Timer
from torch.optim.lr_scheduler import ReduceLROnPlateau


class PlateauSchedule(pl.Callback):
    """Halve the learning rate after ``patience`` epochs in a row without improvement on cv."""

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.scheduler: ReduceLROnPlateau | None = None
        self._state: dict[str, Any] = {}

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take hold of the optimizer."""
        # Torch waits for patience + 1 bad epochs; its threshold, relative by default, would take a
        # loss below 0 that stands still for a better one.
        self.scheduler = ReduceLROnPlateau(
            trainer.optimizers[0],
            factor=0.5,
            patience=self.patience - 1,
            threshold=0.0,
            threshold_mode="abs",
            eps=0.0,
        )
        if self._state:
            self.scheduler.load_state_dict(self._state)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look at the validation loss."""
        if not trainer.sanity_checking and self.scheduler is not None:
            self.scheduler.step(trainer.callback_metrics["val_loss"])

    def state_dict(self) -> dict[str, Any]:
        """Best loss and bad epochs so far."""
        return self.scheduler.state_dict() if self.scheduler is not None else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self._state = state_dict


class Warmup(pl.Callback):
    """Let the learning rate rise in a straight line over the first steps of training.

    It comes after the schedule in the list of callbacks, and overrides it during these steps.

    Args:
        lr: learning rate of the last of these steps.
        steps: their number; 0 for none.
    """

    def __init__(self, lr: float, steps: int) -> None:
        self.lr, self.steps = lr, steps

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Set the learning rate of the next step."""
        if trainer.global_step < self.steps:
            for group in trainer.optimizers[0].param_groups:
                group["lr"] = self.lr * (trainer.global_step + 1) / self.steps


class BudgetSchedule(pl.Callback):
    """Let the learning rate fall to 0 in a straight line over the last part of the training budget.

    The budget is ``max_epochs`` or the timer's minutes, whichever is closer to its end.

    Args:
        lr: learning rate before it falls.
        decay_share: part of the budget over which it falls, in (0, 1].
        max_minutes: minutes of the budget, 0 for none.
        timer: counts them, resumed runs included.
    """

    def __init__(self, lr: float, decay_share: float, max_minutes: float, timer: Timer) -> None:
        self.lr, self.decay_share = lr, decay_share
        self.max_minutes, self.timer = max_minutes, timer

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Set the learning rate of the next step."""
        done = (trainer.current_epoch + batch_idx / trainer.num_training_batches) / (
            trainer.max_epochs or 1
        )
        if self.max_minutes:
            done = max(done, self.timer.time_elapsed() / 60 / self.max_minutes)
        factor = min(1.0, max(0.0, (1 - done) / self.decay_share))
        for group in trainer.optimizers[0].param_groups:
            group["lr"] = self.lr * factor
