"""OpenVINO gives Torch's estimates; what it cannot run is said, or left to Torch."""

import sys

import numpy as np
import pytest
import torch

from separation.config import load_config
from separation.errors import RecipeError
from separation.inference import backends
from separation.inference.backends import PAYS_SECONDS, run_on
from separation.inference.separator import Separator
from separation.models.registry import build_model

CPU = torch.device("cpu")
TINY = ["net_conf.N=24", "net_conf.B=8", "net_conf.H=12", "net_conf.X=3", "net_conf.R=1"]


def network(*overrides):
    torch.manual_seed(1)
    return build_model(load_config("espeak-2mix", "convtasnet", None, [*TINY, *overrides])).eval()


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("net_conf.codec_layers=2",),
        ("net_conf.codec_layers=1", "net_conf.codec_gate=glu", "net_conf.activate=softmax"),
        ("net_conf.causal=true", "net_conf.norm=cln_frame", "net_conf.Sc=0"),
    ],
)
def test_openvino_gives_the_estimates_of_torch(overrides):
    model = network(*overrides)
    fast = run_on("openvino", model, CPU, 1.0)
    assert fast is not model
    for length in (1, 39, 40, 41, 4000, 7777):
        wav = torch.randn(1, length)
        with torch.inference_mode():
            expected, found = model(wav), fast(wav)
        assert found.shape == (1, 2, length)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


def test_openvino_reports_nothing_over_the_network():
    run_on("openvino", network(), CPU, 1.0)
    assert sys.modules["openvino_telemetry"] is None


def test_it_is_chosen_where_its_start_is_earned_back():
    model = network()
    assert run_on("auto", model, CPU, PAYS_SECONDS - 1) is model
    assert run_on("torch", model, CPU, PAYS_SECONDS + 1) is model
    assert "separate_frames" in vars(run_on("auto", model, CPU, PAYS_SECONDS))
    assert "separate_frames" not in vars(model)


def test_a_separator_runs_on_it():
    model, wave = network(), np.random.default_rng(0).uniform(-0.5, 0.5, 5001)
    expected = Separator(model).separate(wave, 8000)
    found = Separator(run_on("openvino", model, CPU, 1.0)).separate(wave, 8000)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("overrides", "device", "why"),
    [
        (("net_conf.causal=true", "net_conf.norm=cln"), "cpu", "cumulative norms .* drift"),
        ((), "meta", "not on meta"),
    ],
)
def test_what_it_cannot_run_is_said_or_left_to_torch(overrides, device, why):
    model, device = network(*overrides), torch.device(device)
    with pytest.raises(RecipeError, match=f"--backend openvino: .*{why}.*--backend torch"):
        run_on("openvino", model, device, PAYS_SECONDS)
    assert run_on("auto", model, device, PAYS_SECONDS) is model


def test_where_openvino_fails_torch_does_it(monkeypatch):
    def fail(model):
        raise ImportError("libtbb.so.12:\n cannot open")

    monkeypatch.setattr(backends, "on_openvino", fail)
    model = network()
    with pytest.raises(RecipeError, match="it failed: libtbb.so.12: cannot open; take"):
        run_on("openvino", model, CPU, PAYS_SECONDS)
    assert run_on("auto", model, CPU, PAYS_SECONDS) is model


def test_without_openvino_torch_does_it(monkeypatch):
    monkeypatch.setattr(backends.importlib.util, "find_spec", lambda name: None)
    model = network()
    with pytest.raises(RecipeError, match="openvino is not installed"):
        run_on("openvino", model, CPU, PAYS_SECONDS)
    assert run_on("auto", model, CPU, PAYS_SECONDS) is model
