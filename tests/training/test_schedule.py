"""Learning rates over the steps and epochs of a training."""

import pytest
import torch
from pytorch_lightning.callbacks import Timer

from separation.training.schedule import BudgetSchedule, PlateauSchedule
from training_runs import conf_of, run


def test_the_rate_rises_over_the_first_steps(data_dir, tmp_path):
    """Four steps an epoch: the last steps of the epochs are the 4th, the 8th and the 12th."""
    options = ("optim.lr=0.01", "optim.warmup_steps=8", "training.max_epochs=3")
    for schedule in ("plateau", "budget"):
        conf = conf_of(*options, f"optim.schedule={schedule}", "optim.decay_share=0.25")
        table = run(conf, data_dir, tmp_path / schedule)
        last = 0.01 if schedule == "plateau" else 0.01 * (1 - 11 / 12) / 0.25
        assert table["lr"].tolist() == pytest.approx([0.005, 0.01, last])


class FakeTrainer:
    """What the schedules look at."""

    def __init__(self):
        self.optimizers = [torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)]
        self.sanity_checking = False
        self.callback_metrics = {}
        self.current_epoch, self.max_epochs, self.num_training_batches = 0, 10, 4

    @property
    def lr(self):
        return self.optimizers[0].param_groups[0]["lr"]


@pytest.mark.parametrize("offset", [0.0, -20.0])
def test_lr_halves_after_three_epochs_without_improvement(offset):
    trainer, schedule = FakeTrainer(), PlateauSchedule(3)
    schedule.on_fit_start(trainer, None)
    rates = []
    for loss in [5.0, 4.0, 4.0, 4.0, 4.0, 3.0]:
        trainer.callback_metrics["val_loss"] = torch.tensor(loss + offset)
        schedule.on_validation_end(trainer, None)
        rates.append(trainer.lr)
    assert rates == [1, 1, 1, 1, 0.5, 0.5]


def test_lr_falls_to_zero_over_the_last_part_of_the_budget():
    trainer = FakeTrainer()
    schedule = BudgetSchedule(1.0, 0.5, 0.0, Timer())
    rates = []
    for epoch, batch in [(0, 0), (5, 0), (7, 2), (9, 2)]:
        trainer.current_epoch = epoch
        schedule.on_train_batch_start(trainer, None, None, batch)
        rates.append(trainer.lr)
    assert rates == pytest.approx([1, 1, 0.5, 0.1])
