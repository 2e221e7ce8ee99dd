"""The fused norm is Asteroid's norm: outputs, gradients, names."""

import numpy as np
import pytest
import torch
from asteroid.masknn.norms import ChanLN, CumLN, GlobLN
from asteroid.models import ConvTasNet

from separation.models.fast import matmul, speed_up
from separation.models.fast import norms as fast_norms
from separation.models.fast.norms import ExactChanLN, FusedGlobLN, SteadyCumLN
from separation.models.ragged import masked_norm


@pytest.mark.parametrize(
    "norms", [(GlobLN, FusedGlobLN), (CumLN, SteadyCumLN), (ChanLN, ExactChanLN)]
)
@pytest.mark.parametrize("shape", [(1, 4, 1), (3, 16, 7), (2, 64, 1601)])
@pytest.mark.parametrize("spacing", [1, 16])
def test_equal_to_asteroid_s(monkeypatch, shape, norms, spacing):
    monkeypatch.setattr(matmul, "SPACING", spacing)
    torch.manual_seed(0)
    stock, fused = (norm(shape[1]) for norm in norms)
    with torch.no_grad():
        stock.gamma.uniform_(-2, 2)
        stock.beta.uniform_(-2, 2)
    fused.load_state_dict(stock.state_dict())
    data = 3 * torch.randn(shape) + 1
    grad = torch.randn(shape)
    results = []
    for norm in (stock, fused):
        x = data.clone().requires_grad_()
        y = norm(x)
        y.backward(grad)
        results.append((y.detach(), x.grad, norm.gamma.grad, norm.beta.grad))
    for one, other in zip(*results, strict=True):
        assert (one - other).norm() <= 1e-6 * one.norm()
        assert (one - other).abs().max() <= 1e-6 * one.abs().max()


@pytest.mark.usefixtures("way")
def test_the_cumulative_norm_is_asteroid_s_either_way():
    torch.manual_seed(0)
    stock, steady = CumLN(5).double(), SteadyCumLN(5).double()
    for parameter in stock.parameters():
        torch.nn.init.uniform_(parameter, -2, 2)
    steady.load_state_dict(stock.state_dict())
    x = torch.randn(2, 50, 5, dtype=torch.float64).transpose(1, 2) + 1
    assert not x.is_contiguous()
    torch.testing.assert_close(steady(x), stock(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("threads", [2, 3])
def test_the_number_of_threads_changes_no_cumulative_norm(threads):
    torch.manual_seed(0)
    norm, before = SteadyCumLN(5).double(), torch.get_num_threads()
    x = torch.randn(2, 5, 50, dtype=torch.float64, requires_grad=True)

    def found():
        norm.zero_grad()
        y = norm(x)
        (grad,) = torch.autograd.grad(y.sin().sum(), x)
        return y, grad

    expected = found()
    try:
        torch.set_num_threads(threads)
        for one, other in zip(found(), expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-13, atol=1e-13)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("norm", [FusedGlobLN(64), SteadyCumLN(64), ExactChanLN(64)])
def test_statistics_of_bfloat16_are_float32(norm):
    """bfloat16 statistics of this would be off by a tenth of a standard deviation."""
    torch.manual_seed(0)
    x = (torch.randn(2, 64, 500) + 30).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        y = norm(x)
        mask = torch.ones(2, 1, 500, dtype=torch.bool)
        masked = masked_norm(x, mask, norm.gamma, norm.beta)
    torch.testing.assert_close(y.float(), norm(x.float()), rtol=2**-8, atol=1e-3)
    torch.testing.assert_close(masked, FusedGlobLN(64)(x.float()), rtol=1e-4, atol=1e-4)


def test_fusing_keeps_the_parameters_and_leaves_other_norms():
    torch.manual_seed(0)
    model = ConvTasNet(
        n_src=2, n_blocks=2, n_repeats=1, n_filters=32, hid_chan=16, bn_chan=8, skip_chan=8
    ).eval()
    wav = torch.randn(1, 800)
    before, names = model(wav), list(model.state_dict())
    parameters = [id(p) for p in model.parameters()]
    speed_up(model)
    assert not any(type(m) is GlobLN for m in model.modules())
    assert sum(type(m) is FusedGlobLN for m in model.modules()) == 5
    assert list(model.state_dict()) == names
    assert [id(p) for p in model.parameters()] == parameters
    torch.testing.assert_close(model(wav), before, rtol=1e-4, atol=1e-5)


@pytest.fixture(params=["compiled", "by PyTorch"])
def way(request, monkeypatch):
    """A cumulative norm is computed in two ways."""
    if request.param == "by PyTorch":
        monkeypatch.setattr(fast_norms, "is_available", lambda *_: False)
    name = {"compiled": "_CompiledCumulative", "by PyTorch": "_Cumulative"}[request.param]
    x = torch.ones(1, 1, 1, requires_grad=True)
    assert type(SteadyCumLN(1)(x).grad_fn).__name__ == f"{name}Backward"


@pytest.mark.usefixtures("way")
def test_gradients_of_the_cumulative_norm_are_the_derivatives():
    torch.manual_seed(0)
    norm = SteadyCumLN(3).double()
    x = torch.randn(2, 3, 7, dtype=torch.float64, requires_grad=True)
    weights = [torch.randn(3, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    assert torch.autograd.gradcheck(
        lambda x, gamma, beta: torch.func.functional_call(
            norm, {"gamma": gamma, "beta": beta}, (x,)
        ),
        (x, *weights),
    )


@pytest.mark.usefixtures("way")
def test_cumulative_statistics_stay_right_over_an_hour():
    """3.6 million frames, an hour at L 16, against float64."""
    torch.manual_seed(0)
    noise = torch.randn(1, 2, 3_600_000)
    with torch.no_grad():
        for offset, limit in ((1, 2e-6), (30, 1e-5)):
            x = noise + offset
            right = CumLN(2).double()(x.double())
            assert (SteadyCumLN(2)(x) - right).abs()[..., 1000:].max() < limit
        assert (CumLN(2)(x) - right).abs()[..., 1000:].max() > 1e-4  # as Asteroid has it


def test_a_running_sum_in_float32_would_not_do():
    rng = np.random.default_rng(0)
    frames = rng.standard_normal(3_600_000).astype(np.float32) + np.float32(1)
    count = np.arange(1, len(frames) + 1)
    mean, power = (np.cumsum(x, dtype=np.float32) / count for x in (frames, frames * frames))
    normed = (frames - mean) / np.sqrt(power - mean**2 + 1e-8)
    with torch.no_grad():
        steady = SteadyCumLN(1)(torch.from_numpy(frames)[None, None])[0, 0].numpy()
    assert np.abs(normed - steady)[-1000:].max() > 1e-3
