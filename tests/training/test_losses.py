"""The loss by hand: SI-SDR, permutations, padding."""

import math
from itertools import permutations

import pytest
import torch

from separation.errors import RecipeError
from separation.training.losses import PITBoundedNegSNR, PITNegSISDR, make_loss, zero_mean_within


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


def test_a_bound_far_away_changes_nothing():
    torch.manual_seed(0)
    sources = torch.randn(3, 2, 500)
    estimates = sources.roll(1, dims=1) + 0.5 * torch.randn(3, 2, 500)
    free, bounded = PITNegSISDR(), PITNegSISDR(max_db=60)
    assert bounded(estimates, sources, whole(sources)).item() == pytest.approx(
        free(estimates, sources, whole(sources)).item(), abs=1e-3
    )


@pytest.mark.parametrize(("noise_db", "loss_db"), [(-20, -19.586), (-30, -26.990), (-90, -30.0)])
def test_si_sdr_gains_nothing_beyond_its_bound(noise_db, loss_db):
    """10 log10(10^(noise/10) + 10^(-30/10)), with noise that is orthogonal to the source."""
    source = torch.tensor([1.0, -1.0, 1.0, -1.0])
    noise = torch.tensor([1.0, 1.0, -1.0, -1.0])
    estimate = source + 10 ** (noise_db / 20) * noise
    loss = PITNegSISDR(max_db=30)(estimate[None, None], source[None, None], torch.tensor([4]))
    assert loss.item() == pytest.approx(loss_db, abs=2e-3)


def test_bounded_snr_by_hand():
    """One source half as loud as it should be, one with its sign turned, in the other order."""
    first = torch.tensor([2.0, 0.0, 2.0, 0.0, 9.0])  # the last sample is padding
    second = torch.tensor([0.0, 3.0, 0.0, -3.0, 9.0])
    sources = torch.stack([first, second])[None]
    estimates = torch.stack([-second, first / 2])[None]
    expected = (10 * math.log10(0.25 + 1e-3) + 10 * math.log10(4 + 1e-3)) / 2
    loss = PITBoundedNegSNR(30)(estimates, sources, torch.tensor([4]))
    assert loss.item() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("rest", "loss_db"), [(1.0, 10 * math.log10(1.001)), (0.0, -30.0)])
def test_a_silent_source_wants_a_silent_estimate(rest, loss_db):
    """The voice alone is perfect; the other estimate is the voice again, or nothing."""
    voice = torch.tensor([1.0, -1.0, 1.0, -1.0])
    sources = torch.stack([torch.zeros(4), voice])[None]
    estimates = torch.stack([voice, rest * voice])[None].requires_grad_()
    loss = PITBoundedNegSNR(30)(estimates, sources, torch.tensor([4]))
    assert loss.item() == pytest.approx((-30.0 + loss_db) / 2, abs=1e-4)
    loss.backward()
    assert torch.isfinite(estimates.grad).all()
    if rest:  # one of the two is to become quieter
        assert (estimates.grad * estimates.detach()).sum(-1).max() > 0


def test_silence_of_all_sources_is_no_nan():
    estimates = torch.zeros(1, 2, 10, requires_grad=True)
    loss = PITBoundedNegSNR(30)(estimates, torch.zeros(1, 2, 10), torch.tensor([10]))
    loss.backward()
    assert loss.item() == pytest.approx(-30.0, abs=1e-4)
    assert torch.isfinite(estimates.grad).all()


def test_the_loss_follows_the_configuration():
    assert isinstance(make_loss({"loss": "si_sdr", "loss_max_db": 0.0}), PITNegSISDR)
    assert isinstance(make_loss({"loss": "snr", "loss_max_db": 30.0}), PITBoundedNegSNR)
    with pytest.raises(RecipeError, match="it needs a training.loss_max_db"):
        make_loss({"loss": "snr", "loss_max_db": 0.0})
