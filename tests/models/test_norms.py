"""The fused norm is Asteroid's norm: outputs, gradients, names."""

import pytest
import torch
from asteroid.masknn.norms import GlobLN
from asteroid.models import ConvTasNet

from separation.models.norms import FusedGlobLN, fuse_norms


@pytest.mark.parametrize("shape", [(1, 4, 1), (3, 16, 7), (2, 64, 1601)])
def test_equal_to_asteroid_s(shape):
    torch.manual_seed(0)
    stock, fused = GlobLN(shape[1]), FusedGlobLN(shape[1])
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
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(results[0][0], results[1][0], rtol=0, atol=3e-6)


def test_fusing_keeps_the_parameters_and_leaves_other_norms():
    torch.manual_seed(0)
    model = ConvTasNet(
        n_src=2, n_blocks=2, n_repeats=1, n_filters=32, hid_chan=16, bn_chan=8, skip_chan=8
    ).eval()
    wav = torch.randn(1, 800)
    before, names = model(wav), list(model.state_dict())
    parameters = [id(p) for p in model.parameters()]
    fuse_norms(model)
    assert not any(type(m) is GlobLN for m in model.modules())
    assert sum(type(m) is FusedGlobLN for m in model.modules()) == 5
    assert list(model.state_dict()) == names
    assert [id(p) for p in model.parameters()] == parameters
    torch.testing.assert_close(model(wav), before, rtol=1e-4, atol=1e-5)
