"""What a training runs on, its precision and whether it is compiled: as asked for, or what pays."""

import pytest
import torch

from separation.models import bfloat16
from separation.training.acceleration import (
    make_optimizer,
    pick_accelerator,
    pick_compile,
    pick_precision,
)


@pytest.mark.parametrize(
    ("precision", "accelerator", "gpu", "units", "picked"),
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
def test_precision_suits_the_hardware(monkeypatch, precision, accelerator, gpu, units, picked):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(bfloat16, "has_units", lambda device: units)
    training = {"precision": precision, "accelerator": accelerator}
    conf = {"training": training, "data": {"chunk_size": 100}}
    assert pick_precision(conf, torch.nn.Linear(100, 1)) == picked


@pytest.mark.parametrize(("slow_type", "picked"), [("float32", "bf16"), ("bfloat16", "fp32")])
def test_on_a_cpu_with_units_steps_are_tried(monkeypatch, slow_type, picked):
    """The clock goes by what the network computes, a second, and a minute in one precision."""
    now = 0

    class Network(torch.nn.Linear):
        def forward(self, x):
            nonlocal now
            y = super().forward(x)
            now += 60 if str(y.dtype) == f"torch.{slow_type}" else 1
            return y

    monkeypatch.setattr(bfloat16, "has_units", lambda device: True)
    monkeypatch.setattr(bfloat16.time, "perf_counter", lambda: now)
    network = Network(100, 1)
    training = {"precision": "auto", "accelerator": "cpu"}
    assert pick_precision({"training": training, "data": {"chunk_size": 100}}, network) == picked
    assert network.weight.grad is None


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


def test_the_fast_optimizer_takes_the_same_steps():
    weights = []
    for fast in (True, False):
        torch.manual_seed(0)
        network = torch.nn.Linear(100, 3)
        conf = {"optim": {"lr": 0.1, "weight_decay": 0.01}, "training": {"fast": fast}}
        optimizer = make_optimizer(conf, network)
        assert bool(optimizer.defaults["fused"]) == fast
        for _ in range(5):
            optimizer.zero_grad()
            network(torch.randn(4, 100)).square().sum().backward()
            optimizer.step()
        weights.append(network.weight)
    torch.testing.assert_close(*weights, rtol=1e-5, atol=1e-6)
