"""The Lightning system: what one training step and one validation step do."""

from __future__ import annotations

from typing import Any

import torch
from asteroid.engine import System
from torch.nn.utils import clip_grad_norm_

from separation.corpus.datasets import Batch
from separation.corpus.dynamic import Mixer, MixSpec
from separation.errors import RecipeError


class SeparationSystem(System):
    """Asteroid's System for ragged batches ``(mixtures, sources, lengths)``.

    A training batch may be a :class:`.MixSpec`; it is mixed where the network is. A step whose
    gradients are NaN or Inf is left out and counted; too many in a row end training.

    Args:
        clip_grad_norm: largest norm of the gradients, 0 for no limit.
        max_bad_steps: NaN or Inf steps in a row that end training.
        mixer: of batches that are a MixSpec.
        **system: as :class:`asteroid.engine.System`; the loss is one of
            :mod:`separation.training.losses`; the loaders have samplers of
            :mod:`separation.corpus.datasets`, which a resumed run tells where to continue.

    Raises:
        RecipeError: while training, when ``max_bad_steps`` is reached.
    """

    def __init__(
        self,
        *,
        clip_grad_norm: float,
        max_bad_steps: int,
        mixer: Mixer | None = None,
        **system: Any,
    ) -> None:
        super().__init__(**system)
        self.clip_grad_norm = clip_grad_norm
        self.max_bad_steps = max_bad_steps
        self.mixer = mixer
        self.bad_steps = 0
        self.bad_in_a_row = 0
        self.train_sums = torch.zeros(2)  # of the losses in this epoch so far, and how many

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Batch:
        """Mix what is still to be mixed."""
        return self.mixer(batch) if self.mixer and isinstance(batch, MixSpec) else batch

    def common_step(self, batch: Batch, batch_nb: int, train: bool = True) -> torch.Tensor:
        """Mean loss of a batch."""
        mixtures, sources, lengths = batch
        return self.loss_func(self(mixtures, lengths), sources, lengths)

    def training_step(self, batch: Batch, batch_nb: int) -> torch.Tensor:
        """Loss of a training batch; logged, and added to the sums of the epoch."""
        loss = self.common_step(batch, batch_nb)
        if torch.isfinite(loss):  # else the step is left out, and so it is in the epoch's mean
            size = len(batch[0])
            self.log("loss", loss, prog_bar=True, batch_size=size)
            added = torch.stack([loss.detach(), torch.ones_like(loss)]) * size
            self.train_sums = self.train_sums.to(loss.device) + added
        return loss

    def mean_train_loss(self) -> float:
        """Mean loss of the epoch's mixtures so far, over all processes."""
        total, count = self.all_gather(self.train_sums).reshape(-1, 2).sum(0).tolist()
        return total / count if count else float("nan")

    def on_train_epoch_start(self) -> None:
        """Start new sums; an epoch that is resumed in its middle does not come here."""
        self.train_sums = torch.zeros(2)

    def on_validation_epoch_start(self) -> None:
        """Start new sums."""
        self.val_sums = torch.zeros(4, dtype=torch.float64, device="cpu")

    def validation_step(self, batch: Batch, batch_nb: int) -> None:
        """Add loss and SI-SDR improvement of a batch's mixtures to the sums."""
        mixtures, sources, lengths = batch
        estimates = self(mixtures, lengths)
        loss = self.loss_func(estimates, sources, lengths)
        several = sources.any(-1).sum(1) > 1  # a source alone cannot be improved
        improvement = loss.new_zeros(())
        if several.any():
            of = (signals[several] for signals in (mixtures, estimates, sources, lengths))
            improvement = self.loss_func.improvement(*of)
        counts = several.new_tensor([len(mixtures), int(several.sum())], dtype=torch.float64)
        sums = torch.stack([loss, improvement]).double() * counts
        self.val_sums += torch.cat([sums, counts]).cpu()

    def on_validation_epoch_end(self) -> None:
        """Log the means over all mixtures, each counted once however many processes there are.

        Lightning's own mean over processes rounds the number of mixtures down.
        """
        sums = self.all_gather(self.val_sums.float()).reshape(-1, 4).sum(0)
        values = {"val_loss": sums[0] / sums[2], "val_si_sdri": sums[1] / sums[3]}
        self.log_dict(values, prog_bar=True)
        super().on_validation_epoch_end()

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the gradients; drop them where they are not finite, so that nothing changes.

        With several processes the gradients are averaged already, so all of them agree.
        """
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        norm = clip_grad_norm_(parameters, self.clip_grad_norm or float("inf"))
        if torch.isfinite(norm):
            self.bad_in_a_row = 0
            return
        self.bad_steps += 1
        self.bad_in_a_row += 1
        optimizer.zero_grad(set_to_none=True)
        if self.bad_in_a_row >= self.max_bad_steps:
            raise RecipeError(
                f"step {self.global_step}: loss or gradients NaN or Inf {self.bad_in_a_row} times"
                " in a row; lower optim.lr or look at the data, then --resume"
            )

    def setup(self, stage: str) -> None:
        """Give the samplers their share of the data this process has."""
        for loader in (self.train_loader, self.val_loader):
            loader.sampler.rank = self.trainer.global_rank
            loader.sampler.world = self.trainer.world_size

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> dict[str, Any]:
        """Keep the number of skipped steps and the epoch's losses."""
        checkpoint["bad_steps"] = self.bad_steps
        checkpoint["train_sums"] = self.all_gather(self.train_sums).reshape(-1, 2).sum(0)
        return super().on_save_checkpoint(checkpoint)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Continue in the epoch, and at the place in its data, where the checkpoint was written."""
        self.bad_steps = checkpoint["bad_steps"]
        self.train_sums = checkpoint["train_sums"].cpu() / self.trainer.world_size
        progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
        sampler = self.train_loader.sampler
        if progress["is_last_batch"]:
            sampler.epoch = checkpoint["epoch"] + 1
        else:
            sampler.epoch = checkpoint["epoch"]
            sampler.start = progress["current"]["processed"] * self.train_loader.batch_size
