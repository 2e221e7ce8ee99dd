"""Training: resuming, several processes, bad steps, schedules, every system."""

import errno
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from asteroid.models import BaseModel
from pytorch_lightning.callbacks import ModelCheckpoint, Timer
from torch import nn
from torch._dynamo.utils import counters

from separation.config import ROOT, save_resolved
from separation.corpus.layout import Corpus
from separation.errors import RecipeError
from separation.training.checkpoints import AtomicCheckpoints, WeightAverage
from separation.training.resume import check_resume, newest_checkpoint
from separation.training.schedule import BudgetSchedule, PlateauSchedule
from separation.training.trainer import Training
from separation.tree import tags
from small_networks import SMALL, small_conf
from tiny_corpus import make_corpus

NET = [f"net_conf.{item}" for item in SMALL["convtasnet"]]
QUICK = [
    "data.chunk_size=2000",
    "data.min_length=1000",
    "data.batch_size=2",
    "data.dynamic_mixing=false",
    "data.epoch_size=0",
    "data.speed_range=0",
    "training.accelerator=cpu",
    "training.precision=fp32",
    "training.max_minutes=0",
    "optim.schedule=plateau",
    "nj=1",
]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    make_corpus(folder)
    return folder


def conf_of(*overrides, tag="small"):
    return small_conf(tag, *QUICK, *overrides, corpus="minilibri-2mix")


def run(conf, data_dir, exp_dir, resume=False):
    Training(conf, Corpus.of(conf, data_dir), exp_dir).run(resume)
    return pd.read_csv(exp_dir / "training_log.csv")


def weights(exp_dir, name="last"):
    state = torch.load(exp_dir / "checkpoints" / f"{name}.ckpt", weights_only=True)
    return state["state_dict"]


@pytest.mark.parametrize("tag", tags())
def test_every_system_trains_a_step_and_leaves_a_model(tag, data_dir, tmp_path):
    table = run(conf_of("training.max_epochs=1", tag=tag), data_dir, tmp_path)
    assert table["step"].tolist() == [4]
    assert table["loss"].notna().all()
    model = BaseModel.from_pretrained(str(tmp_path / "best_model.pth"))
    assert model(torch.randn(1, 100)).shape == (1, 2, 100)


@pytest.mark.parametrize("tag", ["small", "dprnn", "sudormrf"])
def test_every_architecture_resumes_as_in_one_go(tag, data_dir, tmp_path):
    run(conf_of("training.max_epochs=2", tag=tag), data_dir, tmp_path / "whole")
    run(conf_of("training.max_epochs=1", tag=tag), data_dir, tmp_path / "parts")
    run(conf_of("training.max_epochs=2", tag=tag), data_dir, tmp_path / "parts", resume=True)
    expected = weights(tmp_path / "whole")
    for name, value in weights(tmp_path / "parts").items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=0)


@pytest.mark.parametrize("loss", ["log_mse", "stoi", "pmsqe"])
def test_other_losses_train_and_cv_has_si_sdri_besides(loss, data_dir, tmp_path, caplog):
    caplog.set_level("INFO", "separation")
    options = ("training.max_epochs=1", "data.chunk_size=6000", f"training.loss={loss}")
    table = run(conf_of(*options), data_dir, tmp_path)
    assert table["loss"].notna().all()
    assert abs(table["val_si_sdri"][0] + table["val_loss"][0]) > 0.1
    assert not any("loss" in name for name in weights(tmp_path))
    assert (" dB, cv loss" in caplog.text) == (loss == "log_mse")


def test_the_rate_rises_over_the_first_steps(data_dir, tmp_path):
    """Four steps an epoch: the last steps of the epochs are the 4th, the 8th and the 12th."""
    options = ("optim.lr=0.01", "optim.warmup_steps=8", "training.max_epochs=3")
    for schedule in ("plateau", "budget"):
        conf = conf_of(*options, f"optim.schedule={schedule}", "optim.decay_share=0.25")
        table = run(conf, data_dir, tmp_path / schedule)
        last = 0.01 if schedule == "plateau" else 0.01 * (1 - 11 / 12) / 0.25
        assert table["lr"].tolist() == pytest.approx([0.005, 0.01, last])


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


def test_silent_sources_need_a_loss_that_is_defined_for_them(data_dir, tmp_path):
    with pytest.raises(RecipeError, match="set training.loss=snr training.loss_max_db=30"):
        run(conf_of("data.augment.silence_share=0.2"), data_dir, tmp_path)


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


def test_killed_within_an_epoch_goes_on_at_the_same_step(data_dir, tmp_path):
    """kill -9 as soon as a checkpoint within an epoch is there; the end is that of one go."""
    options = [*NET, *QUICK, "data.batch_size=1", "training.save_minutes=1e-6"]
    options.append("training.max_epochs=3")
    whole = run(conf_of(*options, "training.save_minutes=60"), data_dir, tmp_path / "whole")
    folder = tmp_path / "killed"
    program = (
        "import os, signal, sys, pytorch_lightning as pl\n"
        "sys.argv = sys.argv[1:]\n"
        "from separation.training.progress import EpochLog\n"
        "def kill(self, trainer, *_):\n"
        "    if trainer.global_step == 13: os.kill(os.getpid(), signal.SIGKILL)\n"
        "EpochLog.on_train_batch_start = kill\n"
        "import runpy; runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    arguments = command(data_dir, folder, "--", *options)[1:]
    killed = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**environment(), "PYTHONPATH": str(ROOT / "local")},
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
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


def spoil_loss(monkeypatch, bad_steps):
    """Let the loss be NaN in the given training steps."""
    from separation.training.system import SeparationSystem

    step = SeparationSystem.training_step
    calls = iter(range(10_000))

    def spoilt(self, batch, batch_nb):
        loss = step(self, batch, batch_nb)
        return loss * float("nan") if next(calls) in bad_steps else loss

    monkeypatch.setattr(SeparationSystem, "training_step", spoilt)


def test_a_nan_step_is_left_out_and_counted(data_dir, tmp_path, monkeypatch):
    spoil_loss(monkeypatch, {1, 2})
    table = run(conf_of("training.max_epochs=1"), data_dir, tmp_path)
    assert table["skipped_steps"].tolist() == [2]
    assert all(torch.isfinite(value).all() for value in weights(tmp_path).values())


def test_a_nan_step_changes_no_weight(data_dir, tmp_path, monkeypatch):
    conf = conf_of("training.max_epochs=1", "training.max_bad_steps=99")
    spoil_loss(monkeypatch, set(range(4)))
    run(conf, data_dir, tmp_path / "bad")
    from separation.models.registry import build_model

    torch.manual_seed(0)
    import pytorch_lightning as pl

    pl.seed_everything(conf["seed"], verbose=False)
    for name, value in build_model(conf).state_dict().items():
        assert torch.equal(weights(tmp_path / "bad")[f"model.{name}"], value)


def test_too_many_nan_steps_in_a_row_end_training(data_dir, tmp_path, monkeypatch):
    spoil_loss(monkeypatch, {1, 2, 3})
    with pytest.raises(RecipeError, match="NaN or Inf 3 times in a row; lower optim.lr"):
        run(conf_of("training.max_epochs=1", "training.max_bad_steps=3"), data_dir, tmp_path)


def test_minutes_end_training_with_a_model(data_dir, tmp_path, monkeypatch):
    elapsed = lambda timer, *_: 0.0 if timer.start_time() is None else 300.0  # noqa: E731
    monkeypatch.setattr(Timer, "time_elapsed", elapsed)
    conf = conf_of("training.max_minutes=5", "training.max_epochs=5")
    assert run(conf, data_dir, tmp_path)["step"].tolist() == [1]
    assert (tmp_path / "best_model.pth").is_file()


def test_a_budget_too_small_to_validate_is_named(data_dir, tmp_path, monkeypatch):
    monkeypatch.setattr(Timer, "time_elapsed", lambda *_: 300.0)
    with pytest.raises(RecipeError, match=r"more training.max_minutes"):
        run(conf_of("training.max_minutes=5"), data_dir, tmp_path)


def test_minutes_of_resumed_runs_add_up():
    first, second = Timer(), Timer()
    first._offset = 70.0
    second.load_state_dict(first.state_dict())
    assert second.time_elapsed() == 70.0


def test_bf16_trains_as_float32_does(data_dir, tmp_path):
    def losses(precision):
        options = [f"training.precision={precision}", "training.max_epochs=2"]
        return run(conf_of(*options), data_dir, tmp_path / precision)[["loss", "val_loss"]]

    bf16 = losses("bf16")
    assert not bf16.equals(losses("fp32"))
    np.testing.assert_allclose(bf16, losses("fp32"), atol=0.2)  # dB
    model = BaseModel.from_pretrained(str(tmp_path / "bf16" / "best_model.pth"))
    assert next(model.parameters()).dtype == torch.float32


@pytest.mark.parametrize("tag", ["small", "deep_causal"])
def test_fast_layers_train_as_asteroid_s_do(data_dir, tmp_path, tag):
    def losses(fast):
        conf = conf_of(f"training.fast={fast}", "training.max_epochs=2", tag=tag)
        training = Training(conf, Corpus.of(conf, data_dir), tmp_path / fast)
        layers = {type(module) for module in training.system.model.modules()}
        assert (nn.PReLU in layers) == (fast == "false")
        training.run(resume=False)
        return pd.read_csv(tmp_path / fast / "training_log.csv")[["loss", "val_loss"]]

    np.testing.assert_allclose(losses("true"), losses("false"), rtol=1e-3)


def test_a_compiled_network_trains_as_it_does_otherwise(data_dir, tmp_path):
    def losses(compiled):
        options = [f"training.compile={compiled}", "training.max_epochs=2"]
        return run(conf_of(*options), data_dir, tmp_path / compiled)[["loss", "val_loss"]]

    counters.clear()
    np.testing.assert_allclose(losses("true"), losses("false"), rtol=1e-3)
    assert counters["stats"]["unique_graphs"] > 0  # Torch did compile
    model = BaseModel.from_pretrained(str(tmp_path / "true" / "best_model.pth"))
    assert model(torch.randn(1, 100)).shape == (1, 2, 100)


def test_compiling_without_a_compiler_is_said(monkeypatch, data_dir, tmp_path):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(RecipeError, match="training.compile needs a C"):
        run(conf_of("training.compile=true"), data_dir, tmp_path)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("training.precision=fp16", r"training.precision is 'fp16'"),
        ("training.compile=maybe", r"training.compile is 'maybe'"),
        ("optim.schedule=cosine", "optim.schedule is 'cosine'"),
        ("data.batch_size=0", "data.batch_size is 0: must be 1 or more"),
        ("optim.lr=-1", "optim.lr is -1.0: must be more than 0"),
        ("optim.lr=.nan", "optim.lr is nan"),
        ("data.num_workers=-1", "data.num_workers is -1"),
        ("seed=-1", "seed is -1"),
        ("training.max_minutes=-5", "training.max_minutes is -5.0"),
        ("training.accelerator=cup", "training.accelerator is 'cup': known: auto, cpu"),
        ("training.accelerator=tpu", "training.accelerator is 'tpu': known: auto, cpu"),
        ("training.accelerator=gpu", "training.accelerator is gpu, but there is no GPU"),
        ("training.devices=0", "training.devices is 0: must be 1 or more, 1024 at most"),
        ("training.devices=1000", "training.devices is 1000, but there are .* CPU cores"),
        ("data.chunk_size=99999999999", "data.chunk_size is 99999999999: must be"),
        ("data.chunking=foo", "data.chunking is 'foo'"),
        ("training.num_nodes=0", "training.num_nodes is 0"),
        ("nj=-3", "nj is -3: must be 0 or more"),
        ("optim.decay_share=0", "optim.decay_share is 0"),
    ],
)
def test_a_wrong_value_is_named(override, says, data_dir, tmp_path):
    with pytest.raises(RecipeError, match=says):
        run(conf_of(override), data_dir, tmp_path)


def test_dynamic_mixing_of_noisy_mixtures_is_refused(data_dir, tmp_path):
    conf = conf_of("data.dynamic_mixing=true", "training.max_epochs=1")
    conf["corpus"]["task"] = "sep_noisy"
    with pytest.raises(RecipeError, match="set data.dynamic_mixing=false"):
        run(conf, data_dir, tmp_path)


def test_resuming_with_another_network_is_named(data_dir, tmp_path):
    conf = conf_of("training.max_epochs=1")
    run(conf, data_dir, tmp_path)
    save_resolved(conf, tmp_path / "conf.yaml")
    check_resume(conf_of("training.max_epochs=2", "optim.lr=1e-4"), tmp_path)
    with pytest.raises(RecipeError, match=r"was trained with net_conf.H=\d+, not 13"):
        check_resume(conf_of("net_conf.H=13"), tmp_path)


def test_training_starts_from_the_weights_of_another_model(data_dir, tmp_path):
    conf = conf_of("training.max_epochs=1")
    run(conf, data_dir, tmp_path / "one")
    trained = BaseModel.from_pretrained(str(tmp_path / "one" / "best_model.pth")).state_dict()
    init = f"training.init={tmp_path / 'one'}"
    corpus = Corpus.of(conf, data_dir)
    training = Training(conf_of(init, "training.max_epochs=1"), corpus, tmp_path / "two")
    start = {name: w.clone() for name, w in training.system.model.state_dict().items()}
    assert all(torch.equal(start[name], weight) for name, weight in trained.items())
    training.run(resume=False)
    tuned = BaseModel.from_pretrained(str(tmp_path / "two" / "best_model.pth"))
    assert any(not torch.equal(tuned.state_dict()[name], w) for name, w in trained.items())
    assert tuned.sample_rate == 8000


def test_weights_that_do_not_fit_are_named(data_dir, tmp_path):
    run(conf_of("training.max_epochs=1"), data_dir, tmp_path / "one")
    (tmp_path / "one" / "conf.yaml").touch()
    init = f"training.init={tmp_path / 'one'}"
    for overrides, says in (
        ([init, "net_conf.H=13"], r"weights of another network.*needs the net_conf of .*one/conf"),
        ([init, "corpus.sample_rate=16000"], "for 8000 Hz, but corpus.sample_rate is 16000"),
        (["training.init=voyces"], "training.init voyces: neither a folder nor a model"),
    ):
        with pytest.raises(RecipeError, match=says):
            run(conf_of(*overrides), data_dir, tmp_path / "two")
    assert not (tmp_path / "two").exists()


def test_nothing_to_resume_is_named(data_dir, tmp_path):
    with pytest.raises(RecipeError, match="nothing to --resume from"):
        run(conf_of(), data_dir, tmp_path, resume=True)


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


def test_training_anew_forgets_the_earlier_model_but_not_for_a_wrong_value(data_dir, tmp_path):
    folder = tmp_path / "exp"
    (folder / "checkpoints").mkdir(parents=True)
    for old in ("best_model.pth", "checkpoints/last.ckpt", "checkpoints/midway.ckpt"):
        (folder / old).write_bytes(b"old")

    def start(*overrides):
        arguments = command(
            data_dir, folder, "--", *NET, *QUICK, "training.max_epochs=1", *overrides
        )
        return subprocess.run(
            arguments, env=environment(), capture_output=True, text=True, check=False
        )

    wrong = start("net_conf.norm=gnl")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (1, 1)
    assert (folder / "best_model.pth").read_bytes() == b"old"
    right = start()
    assert right.returncode == 0, right.stderr
    assert not (folder / "checkpoints" / "midway.ckpt").exists()
    assert BaseModel.from_pretrained(str(folder / "best_model.pth")).sample_rate == 8000
