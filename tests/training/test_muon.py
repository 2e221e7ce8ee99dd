"""Muon: orthogonal steps of matrices, Adam's for the rest."""

import pytest
import torch

from separation.training.muon import ITERATIONS, POLYNOMIAL, Muon, orthogonal


def polynomial(x):
    a, b, c = POLYNOMIAL
    for _ in range(ITERATIONS):
        x = a * x + b * x**3 + c * x**5
    return x


@pytest.mark.parametrize("shape", [(3, 5, 8), (3, 8, 5), (1, 4, 4)])
def test_singular_values_come_close_to_1_and_directions_stay(shape):
    torch.manual_seed(0)
    matrices = torch.randn(shape, dtype=torch.float64)
    u, values, v = torch.linalg.svd(matrices, full_matrices=False)
    scaled = values / values.square().sum(-1, keepdim=True).sqrt()
    expected = u @ torch.diag_embed(polynomial(scaled)) @ v
    found = orthogonal(matrices)
    torch.testing.assert_close(found, expected)
    assert torch.linalg.svdvals(found).sub(1).abs().max() < 0.35


def test_zeros_stay_zeros():
    assert torch.equal(orthogonal(torch.zeros(2, 3, 4)), torch.zeros(2, 3, 4))


def test_the_step_of_a_matrix_by_hand():
    """A gradient of 2 I: momentum 0.05 of it, Nesterov's point, made orthogonal, scaled."""
    weight = torch.nn.Parameter(torch.ones(2, 2, 1))
    optimizer = Muon([weight], lr=0.1, weight_decay=0.5)
    weight.grad = 2 * torch.eye(2)[:, :, None]
    optimizer.step()
    step = polynomial(2**-0.5) * torch.eye(2)  # singular values are all alike
    expected = 0.95 * torch.ones(2, 2) - 0.1 * 0.2 * 2**0.5 * step
    torch.testing.assert_close(weight.detach()[:, :, 0], expected)
    torch.testing.assert_close(optimizer.state[weight]["momentum"], 0.05 * weight.grad)


def parameters():
    torch.manual_seed(0)
    shapes = {"pointwise": (4, 3, 1), "depthwise": (4, 1, 3), "filters": (4, 1, 8), "bias": (4,)}
    return {name: torch.nn.Parameter(torch.randn(shape)) for name, shape in shapes.items()}


def take_steps(optimizer, ours, number):
    for step in range(number):
        torch.manual_seed(step)
        for parameter in ours.values():
            parameter.grad = torch.randn(parameter.shape)
        optimizer.step()


@pytest.mark.parametrize("fused", [None, True])
def test_all_but_matrices_are_adam_s(fused):
    ours, theirs = parameters(), parameters()
    take_steps(Muon(ours.values(), lr=0.01, weight_decay=0.1, fused=fused), ours, 3)
    take_steps(torch.optim.Adam(theirs.values(), lr=0.01, weight_decay=0.1), theirs, 3)
    for name in ("depthwise", "filters", "bias"):
        torch.testing.assert_close(ours[name], theirs[name])
    assert not torch.allclose(ours["pointwise"], theirs["pointwise"])


def test_a_step_is_about_as_large_as_adam_s():
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.zeros(64, 128))
    optimizer = Muon([weight], lr=0.01)
    weight.grad = torch.randn(64, 128)
    optimizer.step()
    assert weight.detach().square().mean().sqrt() == pytest.approx(0.2 * 0.01, rel=0.2)


def test_it_continues_from_its_state():
    whole, halves = parameters(), parameters()
    take_steps(Muon(whole.values(), lr=0.01), whole, 4)
    first = Muon(halves.values(), lr=0.01)
    take_steps(first, halves, 2)
    second = Muon(halves.values(), lr=0.5)
    second.load_state_dict(first.state_dict())
    for step in (2, 3):
        torch.manual_seed(step)
        for parameter in halves.values():
            parameter.grad = torch.randn(parameter.shape)
        second.step()
    for name, parameter in whole.items():
        torch.testing.assert_close(halves[name], parameter, rtol=0, atol=0)


def test_what_has_no_gradient_stays():
    ours = parameters()
    optimizer = Muon(ours.values(), lr=0.01)
    before = {name: parameter.detach().clone() for name, parameter in ours.items()}
    ours["bias"].grad = torch.ones(4)
    assert optimizer.step(lambda: 7) == 7
    changed = {name for name in ours if not torch.equal(ours[name], before[name])}
    assert changed == {"bias"}
