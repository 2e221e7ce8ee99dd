"""Trainings that are stopped, resumed, averaged, or spread over processes."""

import errno
import os
import signal
import subprocess
import sys

import pandas as pd
import pytest
import torch
from asteroid.models import BaseModel
from pytorch_lightning.callbacks import ModelCheckpoint, Timer
from torch import nn

from forked import forked, script
from separation.config import ROOT, save_resolved
from separation.errors import RecipeError
from separation.training.checkpoints import AtomicCheckpoints, WeightAverage
from separation.training.progress import EpochLog
from separation.training.resume import check_resume, newest_checkpoint
from training_runs import NET, QUICK, conf_of, run, weights


@pytest.mark.parametrize("tag", ["small", "dprnn", "sudormrf", "spectral"])
def test_every_architecture_resumes_as_in_one_go(tag, data_dir, tmp_path):
    run(conf_of("training.max_epochs=2", tag=tag), data_dir, tmp_path / "whole")
    run(conf_of("training.max_epochs=1", tag=tag), data_dir, tmp_path / "parts")
    run(conf_of("training.max_epochs=2", tag=tag), data_dir, tmp_path / "parts", resume=True)
    expected = weights(tmp_path / "whole")
    for name, value in weights(tmp_path / "parts").items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=0)


def test_effects_and_silence_train_and_resume_as_in_one_go(data_dir, tmp_path):
    effects = "{formant_range: 0.1, filter_db: 6, room_share: 0.5, silence_share: 0.5}"
    options = [
        *("data.dynamic_mixing=true", "data.epoch_size=8", f"data.augment={effects}"),
        *("training.loss=snr", "training.loss_max_db=30", "training.average_epochs=2"),
    ]
    whole = run(conf_of(*options, "training.max_epochs=3"), data_dir, tmp_path / "whole")
    run(conf_of(*options, "training.max_epochs=2"), data_dir, tmp_path / "parts")
    parts = run(conf_of(*options, "training.max_epochs=3"), data_dir, tmp_path / "parts", True)
    columns = ["epoch", "step", "lr", "loss", "val_loss", "skipped_steps"]
    pd.testing.assert_frame_equal(whole[columns], parts[columns], rtol=1e-5)
    assert whole["skipped_steps"].tolist() == [0, 0, 0]
    models = [
        BaseModel.from_pretrained(str(tmp_path / name / "best_model.pth")).state_dict()
        for name in ("whole", "parts")
    ]
    for name, value in models[0].items():
        torch.testing.assert_close(models[1][name], value, rtol=1e-5, atol=1e-6)


def test_the_model_is_the_mean_of_the_last_epochs(data_dir, tmp_path):
    """Against the checkpoints that trainings of one, two and three epochs end with."""
    states = []
    for epochs in (1, 2, 3):
        run(conf_of(f"training.max_epochs={epochs}"), data_dir, tmp_path / str(epochs))
        states.append(weights(tmp_path / str(epochs)))
    run(conf_of("training.max_epochs=3", "training.average_epochs=2"), data_dir, tmp_path / "mean")
    model = BaseModel.from_pretrained(str(tmp_path / "mean" / "best_model.pth"))
    changed = 0
    for name, value in model.state_dict().items():
        before, last = (state[f"model.{name}"] for state in states[1:])
        torch.testing.assert_close(value, (before + last) / 2, rtol=1e-5, atol=1e-7)
        changed += int(not torch.equal(before, last))
    assert changed > 10


def test_whole_numbers_are_not_averaged():
    average = WeightAverage(2)
    module = nn.BatchNorm1d(1)
    for count in range(3):
        module.num_batches_tracked.fill_(count)
        module.weight.data.fill_(float(count))
        average.on_train_epoch_end(None, module)
    mean = average.mean()
    assert (mean["num_batches_tracked"].item(), mean["weight"].item()) == (2, 1.5)


@pytest.mark.parametrize(
    ("dynamic", "lr", "rates"),
    [
        ("false", 0.01, [0.01] * 4),
        ("true", 0.01, [0.01] * 4),
        # Too small to improve anything: the rate halves, and is remembered.
        ("false", 1e-14, [1e-14, 5e-15, 2.5e-15, 1.25e-15]),
    ],
)
def test_resuming_equals_training_in_one_go(dynamic, lr, rates, data_dir, tmp_path):
    options = [f"data.dynamic_mixing={dynamic}", "optim.halve_patience=1", f"optim.lr={lr}"]
    whole = run(conf_of(*options, "training.max_epochs=4"), data_dir, tmp_path / "whole")
    run(conf_of(*options, "training.max_epochs=2"), data_dir, tmp_path / "elsewhere")
    (tmp_path / "elsewhere").rename(tmp_path / "parts")  # it resumes where it is now
    parts = run(conf_of(*options, "training.max_epochs=4"), data_dir, tmp_path / "parts", True)
    columns = ["epoch", "step", "lr", "loss", "val_loss"]
    pd.testing.assert_frame_equal(whole[columns], parts[columns], rtol=1e-6)
    assert whole["lr"].tolist() == pytest.approx(rates, rel=1e-6, abs=0)
    for name, value in weights(tmp_path / "whole").items():
        torch.testing.assert_close(weights(tmp_path / "parts")[name], value, rtol=1e-6, atol=1e-7)


def command(data_dir, exp_dir, *overrides):
    return [
        sys.executable,
        str(ROOT / "local" / "train.py"),
        *("--corpus", "minilibri-2mix", "--tag", "small"),
        *("--data_dir", str(data_dir), "--exp_dir", str(exp_dir)),
        *overrides,
    ]


def environment():
    return {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def train_and_be_killed(step, *arguments):
    """Kill this process before a step."""

    def kill(self, trainer, *_):
        if trainer.global_step == step:
            os.kill(os.getpid(), signal.SIGKILL)

    EpochLog.on_train_batch_start = kill
    script(*arguments)


def test_killed_within_an_epoch_goes_on_at_the_same_step(data_dir, tmp_path):
    """kill -9 as soon as a checkpoint within an epoch is there; the end is that of one go."""
    options = [*NET, *QUICK, "data.batch_size=1", "training.save_minutes=1e-6"]
    options.append("training.max_epochs=3")
    whole = run(conf_of(*options, "training.save_minutes=60"), data_dir, tmp_path / "whole")
    folder = tmp_path / "killed"
    killed = forked(train_and_be_killed, 13, *command(data_dir, folder, "--", *options)[1:])
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    midway = torch.load(newest_checkpoint(folder), weights_only=True)
    assert midway["global_step"] == 13
    assert not (folder / "best_model.pth").exists()
    resumed = run(conf_of(*options, "training.save_minutes=60"), data_dir, folder, True)
    assert resumed["step"].tolist() == whole["step"].tolist() == [8, 16, 24]
    columns = ["loss", "val_loss"]
    pd.testing.assert_frame_equal(resumed[columns], whole[columns], rtol=1e-6)
    for name, value in weights(tmp_path / "whole").items():
        torch.testing.assert_close(weights(folder)[name], value, rtol=1e-6, atol=1e-7)


def test_two_processes_train_as_one_with_the_same_total_batch(data_dir, tmp_path):
    # With skip connections the last residual convolution has no gradient to wait for.
    options = [*NET, *QUICK, "training.max_epochs=2", "net_conf.Sc=6"]
    one = run(conf_of(*options, "data.batch_size=4"), data_dir, tmp_path / "one")
    result = subprocess.run(
        command(data_dir, tmp_path / "two", "--", *options, "training.devices=2"),
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    two = pd.read_csv(tmp_path / "two" / "training_log.csv")
    assert two["step"].tolist() == one["step"].tolist() == [2, 4]
    columns = ["loss", "val_loss"]
    pd.testing.assert_frame_equal(two[columns], one[columns], rtol=1e-5)
    for name, value in weights(tmp_path / "one").items():
        torch.testing.assert_close(weights(tmp_path / "two")[name], value, rtol=1e-4, atol=1e-5)


def test_accumulated_batches_are_one_large_batch(data_dir, tmp_path):
    run(conf_of("data.batch_size=4", "training.max_epochs=1"), data_dir, tmp_path / "large")
    run(conf_of("training.accumulate=2", "training.max_epochs=1"), data_dir, tmp_path / "small")
    for name, value in weights(tmp_path / "large").items():
        torch.testing.assert_close(weights(tmp_path / "small")[name], value, rtol=1e-4, atol=1e-5)


def test_no_checkpoint_is_written_between_the_batches_of_a_step(monkeypatch, data_dir, tmp_path):
    batches = []
    monkeypatch.setattr(
        ModelCheckpoint,
        "on_train_batch_end",
        lambda self, *arguments: batches.append(arguments[-1]) if "midway" in self.filename else 0,
    )
    options = ["training.accumulate=3", "data.batch_size=1", "training.max_epochs=1"]
    run(conf_of(*options), data_dir, tmp_path)
    assert batches == [2, 5]


def test_a_full_disk_leaves_the_earlier_checkpoint(monkeypatch, tmp_path):
    path = tmp_path / "last.ckpt"
    AtomicCheckpoints().save_checkpoint({"step": 1}, path)

    def save(checkpoint, file):
        file.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", save)
    with pytest.raises(RecipeError, match="last.ckpt: cannot be written: No space left"):
        AtomicCheckpoints().save_checkpoint({"step": 2}, path)
    assert torch.load(path) == {"step": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_minutes_of_resumed_runs_add_up():
    first, second = Timer(), Timer()
    first._offset = 70.0
    second.load_state_dict(first.state_dict())
    assert second.time_elapsed() == 70.0


def test_resuming_with_another_network_is_named(data_dir, tmp_path):
    conf = conf_of("training.max_epochs=1")
    run(conf, data_dir, tmp_path)
    save_resolved(conf, tmp_path / "conf.yaml")
    check_resume(conf_of("training.max_epochs=2", "optim.lr=1e-4"), tmp_path)
    with pytest.raises(RecipeError, match=r"was trained with net_conf.H=\d+, not 13"):
        check_resume(conf_of("net_conf.H=13"), tmp_path)


def test_nothing_to_resume_is_named(data_dir, tmp_path):
    with pytest.raises(RecipeError, match="nothing to --resume from"):
        run(conf_of(), data_dir, tmp_path, resume=True)


def test_training_anew_forgets_the_earlier_model_but_not_for_a_wrong_value(data_dir, tmp_path):
    folder = tmp_path / "exp"
    (folder / "checkpoints").mkdir(parents=True)
    for old in ("best_model.pth", "checkpoints/last.ckpt", "checkpoints/midway.ckpt"):
        (folder / old).write_bytes(b"old")

    def start(*overrides):
        arguments = command(
            data_dir, folder, "--", *NET, *QUICK, "training.max_epochs=1", *overrides
        )
        return forked(script, *arguments[1:])

    wrong = start("net_conf.norm=gnl")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (1, 1)
    assert (folder / "best_model.pth").read_bytes() == b"old"
    right = start()
    assert right.returncode == 0, right.stderr
    assert not (folder / "checkpoints" / "midway.ckpt").exists()
    assert BaseModel.from_pretrained(str(folder / "best_model.pth")).sample_rate == 8000
