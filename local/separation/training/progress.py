"""Log of a training: ``train.log``, and ``training_log.csv`` with a row an epoch."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
from pytorch_lightning.callbacks import Timer
from pytorch_lightning.utilities import rank_zero_only

from separation.files import atomic_path
from separation.training.system import SeparationSystem

log = logging.getLogger("separation")


class EpochLog(pl.Callback):
    """Writes a row to ``training_log.csv`` and a line to the log after every epoch.

    Columns: epoch, step, minutes (of training so far), lr, loss, val_loss, val_si_sdri (dB),
    skipped_steps, data_wait (share of the training time spent waiting for data).

    Args:
        path: of the file.
        timer: of the training.
        unit: of the losses, for the log.
    """

    def __init__(self, path: Path, timer: Timer, unit: str) -> None:
        self.path, self.timer = path, timer
        self.unit = f" {unit}" if unit else ""
        self.rows: list[dict[str, Any]] = []
        self._waited = self._worked = 0.0
        self._mark = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock of an epoch that is resumed in its middle."""
        self._mark = time.perf_counter()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._waited = self._worked = 0.0
        self._mark = time.perf_counter()

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        """What has passed since the last batch was spent waiting for this one."""
        now = time.perf_counter()
        self._waited += now - self._mark
        self._mark = now

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """What has passed since the batch came was work."""
        now = time.perf_counter()
        self._worked += now - self._mark
        self._mark = now

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: SeparationSystem) -> None:  # type: ignore[override]
        """Write the row; the epoch's loss is known only here."""
        metrics = {key: float(value) for key, value in trainer.callback_metrics.items()}
        row = {
            "epoch": trainer.current_epoch,
            "step": trainer.global_step,
            "minutes": round(self.timer.time_elapsed() / 60, 3),
            "lr": trainer.optimizers[0].param_groups[0]["lr"],
            "loss": pl_module.mean_train_loss(),
            "val_loss": metrics.get("val_loss", np.nan),
            "val_si_sdri": metrics.get("val_si_sdri", np.nan),
            "skipped_steps": pl_module.bad_steps,
            "data_wait": round(self._waited / max(1e-9, self._waited + self._worked), 4),
        }
        self.rows.append(row)
        if trainer.is_global_zero:
            with atomic_path(self.path) as temporary:
                pd.DataFrame(self.rows).to_csv(temporary, index=False)
            log.info(
                "epoch %(epoch)d, step %(step)d, %(minutes).1f min: loss %(loss).4g%(unit)s,"
                " cv loss %(val_loss).4g%(unit)s, cv SI-SDRi %(val_si_sdri).2f dB, lr %(lr).2g,"
                " skipped %(skipped_steps)d, waiting for data %(data_wait).4f of the time",
                row | {"unit": self.unit},
            )

    def state_dict(self) -> dict[str, Any]:
        """The rows so far, so that a resumed run does not write an epoch twice."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self.rows = state_dict["rows"]


def is_first_process() -> bool:
    """Whether this is the one process, of all that train together, that writes files."""
    return bool(rank_zero_only.rank == 0)  # type: ignore[attr-defined]


def set_up_logging(log_file: Path) -> None:
    """Send the project's log to the console and to a file."""
    log_file.parent.mkdir(parents=True, exist_ok=True)
    log.setLevel(logging.INFO)
    log.propagate = False
    for handler in (logging.StreamHandler(), logging.FileHandler(log_file)):
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        log.addHandler(handler)
