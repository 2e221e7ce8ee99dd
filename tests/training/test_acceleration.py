"""What a training runs on, its precision and whether it is compiled: as asked for, or what pays."""

import pytest
import torch

from separation.training import acceleration
from separation.training.acceleration import (
    make_optimizer,
    pick_accelerator,
    pick_compile,
    pick_precision,
)


@pytest.mark.parametrize(
    ("precision", "accelerator", "gpu", "faster", "picked"),
    [
        ("auto", "auto", True, True, "bf16"),
        ("auto", "auto", True, False, "fp32"),
        ("auto", "cpu", True, False, "fp32"),
        ("auto", "auto", False, False, "fp32"),
        ("auto", "mps", False, True, "fp32"),
        ("bf16", "cpu", False, False, "bf16"),
        ("fp32", "gpu", True, True, "fp32"),
    ],
)
def test_precision_suits_the_hardware(monkeypatch, precision, accelerator, gpu, faster, picked):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(acceleration, "is_faster", lambda device: faster)
    assert pick_precision({"precision": precision, "accelerator": accelerator}) == picked


@pytest.mark.parametrize(
    ("accelerator", "gpu", "picked"),
    [("auto", True, "cuda"), ("auto", False, "cpu"), ("mps", False, "mps"), ("cpu", True, "cpu")],
)
def test_the_accelerator_is_one_that_all_runs_on(monkeypatch, accelerator, gpu, picked):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    assert pick_accelerator({"accelerator": accelerator}) == picked


@pytest.mark.parametrize(
    ("value", "accelerator", "gpu", "minutes", "picked"),
    [
        ("auto", "auto", True, 0, True),
        ("auto", "auto", True, 30, True),
        ("auto", "auto", True, 7.5, False),
        ("auto", "cpu", True, 0, False),
        ("auto", "auto", False, 0, False),
        ("true", "auto", False, 1, True),
        ("false", "auto", True, 0, False),
    ],
)
def test_compiling_has_to_be_earned_back(monkeypatch, value, accelerator, gpu, minutes, picked):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr("separation.training.acceleration.has_triton", lambda: True)
    training = {"compile": value, "accelerator": accelerator, "max_minutes": minutes}
    assert pick_compile(training) == picked


@pytest.mark.parametrize("name", ["adam", "muon"])
def test_the_fast_optimizer_takes_the_same_steps(name):
    weights = []
    for fast in (True, False):
        torch.manual_seed(0)
        network = torch.nn.Linear(100, 3)
        optim = {"name": name, "lr": 0.1, "weight_decay": 0.01}
        optimizer = make_optimizer({"optim": optim, "training": {"fast": fast}}, network)
        assert bool(optimizer.defaults["fused"]) == fast
        for _ in range(5):
            optimizer.zero_grad()
            network(torch.randn(4, 100)).square().sum().backward()
            optimizer.step()
        weights.append(network.weight)
    torch.testing.assert_close(*weights, rtol=1e-5, atol=1e-6)
