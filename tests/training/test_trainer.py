"""Training: every system and loss, bad steps, precisions, wrong values."""

import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from asteroid.models import BaseModel
from pytorch_lightning.callbacks import Timer
from torch import nn
from torch._dynamo.utils import counters

from separation.corpus.layout import Corpus
from separation.errors import RecipeError
from separation.training.trainer import Training
from separation.tree import tags
from training_runs import conf_of, run, weights


@pytest.mark.parametrize("tag", tags())
def test_every_system_trains_a_step_and_leaves_a_model(tag, data_dir, tmp_path):
    table = run(conf_of("training.max_epochs=1", tag=tag), data_dir, tmp_path)
    assert table["step"].tolist() == [4]
    assert table["loss"].notna().all()
    model = BaseModel.from_pretrained(str(tmp_path / "best_model.pth"))
    assert model(torch.randn(1, 100)).shape == (1, 2, 100)


@pytest.mark.parametrize("loss", ["log_mse", "stoi", "pmsqe"])
def test_other_losses_train_and_cv_has_si_sdri_besides(loss, data_dir, tmp_path, caplog):
    caplog.set_level("INFO", "separation")
    options = ("training.max_epochs=1", "data.chunk_size=6000", f"training.loss={loss}")
    table = run(conf_of(*options), data_dir, tmp_path)
    assert table["loss"].notna().all()
    assert abs(table["val_si_sdri"][0] + table["val_loss"][0]) > 0.1
    assert not any("loss" in name for name in weights(tmp_path))
    assert (" dB, cv loss" in caplog.text) == (loss == "log_mse")


def test_silent_sources_need_a_loss_that_is_defined_for_them(data_dir, tmp_path):
    with pytest.raises(RecipeError, match="set training.loss=snr training.loss_max_db=30"):
        run(conf_of("data.augment.silence_share=0.2"), data_dir, tmp_path)


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
