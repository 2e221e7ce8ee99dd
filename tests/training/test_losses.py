"""The loss by hand: SI-SDR, permutations, padding."""

from itertools import permutations

import pytest
import torch

from separation.training.losses import PITNegSISDR, zero_mean_within


def si_sdr(estimate, source):
    """Le Roux et al. 2019, eq. 3, written out once more in float64."""
    estimate, source = (x.double() - x.double().mean() for x in (estimate, source))
    target = (estimate @ source) / (source @ source) * source
    error = estimate - target
    return 10 * torch.log10((target @ target) / (error @ error))


def whole(*signals):
    return torch.tensor([signals[0].shape[-1]] * signals[0].shape[0])


def test_known_value():
    source = torch.tensor([1.0, -1.0, 1.0, -1.0])
    noise = torch.tensor([1.0, 1.0, -1.0, -1.0])  # orthogonal, zero mean, as strong
    estimate = 5 * source + 0.5 * noise + 3.0  # scale and mean do not matter
    loss = PITNegSISDR()(estimate[None, None], source[None, None], torch.tensor([4]))
    assert loss.item() == pytest.approx(-20.0, abs=1e-4)


@pytest.mark.parametrize("n_src", [2, 3, 4])
def test_best_of_all_permutations(n_src):
    torch.manual_seed(n_src)
    sources = torch.randn(3, n_src, 500)
    estimates = sources.roll(1, dims=1) + 0.5 * torch.randn(3, n_src, 500)
    by_hand = []
    for estimate, source in zip(estimates, sources, strict=True):
        scores = [
            sum(si_sdr(estimate[p], source[i]) for i, p in enumerate(order)) / n_src
            for order in permutations(range(n_src))
        ]
        by_hand.append(-max(scores))
    loss = PITNegSISDR()(estimates, sources, whole(sources))
    assert loss.item() == pytest.approx(torch.stack(by_hand).mean().item(), abs=1e-4)


def test_a_padded_example_has_the_loss_it_has_alone():
    torch.manual_seed(0)
    loss = PITNegSISDR()
    lengths = torch.tensor([300, 117])
    sources = torch.randn(2, 2, 300) + 0.3
    estimates = sources + 0.7 * torch.randn(2, 2, 300)
    alone = [
        loss(estimates[i : i + 1, :, :n], sources[i : i + 1, :, :n], lengths[i : i + 1])
        for i, n in enumerate(lengths.tolist())
    ]
    together = loss(estimates, sources, lengths)
    assert together.item() == pytest.approx(torch.stack(alone).mean().item(), abs=1e-5)


def test_what_is_estimated_in_the_padding_gets_no_gradient():
    torch.manual_seed(0)
    estimates = torch.randn(1, 2, 50, requires_grad=True)
    PITNegSISDR()(estimates, torch.randn(1, 2, 50), torch.tensor([30])).backward()
    assert estimates.grad[..., :30].abs().min() > 0
    assert not estimates.grad[..., 30:].any()


def test_mean_is_over_the_true_length():
    found = zero_mean_within(torch.tensor([[[1.0, 3.0, 9.0]]]), torch.tensor([2]))
    assert found.tolist() == [[[-1.0, 1.0, 0.0]]]


def test_bf16_estimates_are_scored_in_float32():
    torch.manual_seed(0)
    sources = torch.randn(1, 2, 400)
    estimates = (sources + 0.1 * torch.randn_like(sources)).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        loss = PITNegSISDR()(estimates, sources, whole(sources))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(
        PITNegSISDR()(estimates.float(), sources, whole(sources)).item()
    )
