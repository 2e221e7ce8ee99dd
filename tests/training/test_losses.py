"""The loss by hand: SI-SDR, permutations, padding."""

import math
from itertools import permutations

import pytest
import torch

from separation.config import load_config
from separation.errors import RecipeError
from separation.ranges import LOSS_UNITS
from separation.training.losses import BOUNDED, LOSSES, PIT, make_loss, zero_mean_within


def si_sdr(estimate, source):
    """Le Roux et al. 2019, eq. 3, written out once more in float64."""
    estimate, source = (x.double() - x.double().mean() for x in (estimate, source))
    target = (estimate @ source) / (source @ source) * source
    error = estimate - target
    return 10 * torch.log10((target @ target) / (error @ error))


def loss_of(name="si_sdr", max_db=0.0, rate=8000):
    return PIT(LOSSES[name](rate), max_db)


def whole(*signals):
    return torch.tensor([signals[0].shape[-1]] * signals[0].shape[0])


def test_known_value():
    source = torch.tensor([1.0, -1.0, 1.0, -1.0])
    noise = torch.tensor([1.0, 1.0, -1.0, -1.0])  # orthogonal, zero mean, as strong
    estimate = 5 * source + 0.5 * noise + 3.0  # scale and mean do not matter
    loss = loss_of()(estimate[None, None], source[None, None], torch.tensor([4]))
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
    loss = loss_of()(estimates, sources, whole(sources))
    assert loss.item() == pytest.approx(torch.stack(by_hand).mean().item(), abs=1e-4)


@pytest.fixture(scope="module")
def ragged():
    """Noisy estimates, in another order, of sources of three lengths; a second at most."""
    torch.manual_seed(0)
    lengths = torch.tensor([8000, 5117, 8000])
    there = torch.arange(8000) < lengths[:, None, None]
    sources = there * (0.1 * torch.randn(3, 2, 8000).cumsum(-1).sin() + 0.02)
    estimates = sources.roll(1, dims=1) + 0.05 * torch.randn(3, 2, 8000)
    return estimates, sources, lengths


@pytest.mark.parametrize("name", LOSSES)
def test_a_padded_example_has_the_loss_it_has_alone(name, ragged):
    estimates, sources, lengths = ragged
    loss = loss_of(name)
    alone = [
        loss(estimates[i : i + 1, :, :n], sources[i : i + 1, :, :n], lengths[i : i + 1])
        for i, n in enumerate(lengths.tolist())
    ]
    together = loss(estimates, sources, lengths)
    assert together.item() == pytest.approx(torch.stack(alone).mean().item(), rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_what_is_estimated_in_the_padding_gets_no_gradient(name, ragged):
    estimates, sources, lengths = ragged
    estimates = estimates.clone().requires_grad_()
    loss_of(name)(estimates, sources, lengths).backward()
    assert torch.isfinite(estimates.grad).all()
    assert not estimates.grad[1, :, 5117:].any()
    assert (estimates.grad[..., :5117] != 0).float().mean() > 0.9


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_less_for_better_estimates_in_any_order(name, ragged):
    estimates, sources, lengths = ragged
    better = sources + 0.3 * (estimates.roll(1, dims=1) - sources)
    losses = [
        loss_of(name)(e, sources, lengths).item()
        for e in (estimates, better, better.roll(1, dims=1))
    ]
    assert losses[1] < losses[0]
    assert losses[2] == pytest.approx(losses[1], rel=1e-5)


def by_hand(name, estimate, source):
    """Losses of a pair, written out once more in float64."""
    e, s = estimate.double(), source.double()
    error = ((e - s) ** 2).sum()
    e_0, s_0 = e - e.mean(), s - s.mean()
    projected = (e_0 @ s_0) / (s_0 @ s_0) * s_0
    return {
        "snr": 10 * torch.log10(error / (s**2).sum()),
        "sd_sdr": 10 * torch.log10(((e_0 - s_0) ** 2).sum() / (projected**2).sum()),
        "mse": error / len(s),
        "log_mse": 10 * torch.log10(error / len(s)),
    }[name].item()


@pytest.mark.parametrize("name", ["snr", "sd_sdr", "mse", "log_mse"])
def test_losses_by_hand(name, ragged):
    estimates, sources, lengths = ragged
    expected = [
        (by_hand(name, e[1, :n], s[0, :n]) + by_hand(name, e[0, :n], s[1, :n])) / 2
        for e, s, n in zip(estimates, sources, lengths.tolist(), strict=True)
    ]
    found = loss_of(name)(estimates, sources, lengths).item()
    assert found == pytest.approx(sum(expected) / 3, rel=1e-4)


@pytest.mark.parametrize("rate", [8000, 16000])
def test_stoi_is_that_of_the_metric(rate):
    from separation.evaluation.perceptual import stoi_score

    rng = torch.Generator().manual_seed(0)
    envelope = torch.sin(torch.arange(2 * rate) / rate * 12).square()
    source = envelope * torch.randn(2 * rate, generator=rng)
    estimate = source + 0.2 * torch.randn(2 * rate, generator=rng)
    loss = loss_of("stoi", rate=rate)(estimate[None, None], source[None, None], whole(source[None]))
    expected = stoi_score(source.double().numpy(), estimate.double().numpy(), rate)
    assert -loss.item() == pytest.approx(expected, abs=0.02)


def test_mean_is_over_the_true_length():
    found = zero_mean_within(torch.tensor([[[1.0, 3.0, 9.0]]]), torch.tensor([2]))
    assert found.tolist() == [[[-1.0, 1.0, 0.0]]]


def test_bf16_estimates_are_scored_in_float32():
    torch.manual_seed(0)
    sources = torch.randn(1, 2, 400)
    estimates = (sources + 0.1 * torch.randn_like(sources)).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        loss = loss_of()(estimates, sources, whole(sources))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(
        loss_of()(estimates.float(), sources, whole(sources)).item()
    )


def test_a_bound_far_away_changes_nothing():
    torch.manual_seed(0)
    sources = torch.randn(3, 2, 500)
    estimates = sources.roll(1, dims=1) + 0.5 * torch.randn(3, 2, 500)
    free, bounded = loss_of(), loss_of(max_db=60)
    assert bounded(estimates, sources, whole(sources)).item() == pytest.approx(
        free(estimates, sources, whole(sources)).item(), abs=1e-3
    )


@pytest.mark.parametrize(("noise_db", "loss_db"), [(-20, -19.586), (-30, -26.990), (-90, -30.0)])
def test_si_sdr_gains_nothing_beyond_its_bound(noise_db, loss_db):
    """10 log10(10^(noise/10) + 10^(-30/10)), with noise that is orthogonal to the source."""
    source = torch.tensor([1.0, -1.0, 1.0, -1.0])
    noise = torch.tensor([1.0, 1.0, -1.0, -1.0])
    estimate = source + 10 ** (noise_db / 20) * noise
    loss = loss_of(max_db=30)(estimate[None, None], source[None, None], torch.tensor([4]))
    assert loss.item() == pytest.approx(loss_db, abs=2e-3)


def test_bounded_snr_by_hand():
    """One source half as loud as it should be, one with its sign turned, in the other order."""
    first = torch.tensor([2.0, 0.0, 2.0, 0.0, 9.0])  # the last sample is padding
    second = torch.tensor([0.0, 3.0, 0.0, -3.0, 9.0])
    sources = torch.stack([first, second])[None]
    estimates = torch.stack([-second, first / 2])[None]
    expected = (10 * math.log10(0.25 + 1e-3) + 10 * math.log10(4 + 1e-3)) / 2
    loss = loss_of("snr", 30)(estimates, sources, torch.tensor([4]))
    assert loss.item() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("rest", "loss_db"), [(1.0, 10 * math.log10(1.001)), (0.0, -30.0)])
def test_a_silent_source_wants_a_silent_estimate(rest, loss_db):
    """The voice alone is perfect; the other estimate is the voice again, or nothing."""
    voice = torch.tensor([1.0, -1.0, 1.0, -1.0])
    sources = torch.stack([torch.zeros(4), voice])[None]
    estimates = torch.stack([voice, rest * voice])[None].requires_grad_()
    loss = loss_of("snr", 30)(estimates, sources, torch.tensor([4]))
    assert loss.item() == pytest.approx((-30.0 + loss_db) / 2, abs=1e-4)
    loss.backward()
    assert torch.isfinite(estimates.grad).all()
    if rest:  # one of the two is to become quieter
        assert (estimates.grad * estimates.detach()).sum(-1).max() > 0


def test_silence_of_all_sources_is_no_nan():
    estimates = torch.zeros(1, 2, 10, requires_grad=True)
    loss = loss_of("snr", 30)(estimates, torch.zeros(1, 2, 10), torch.tensor([10]))
    loss.backward()
    assert loss.item() == pytest.approx(-30.0, abs=1e-4)
    assert torch.isfinite(estimates.grad).all()


def conf_of(*overrides):
    return load_config("espeak-2mix", "small", None, [f"training.{item}" for item in overrides])


def test_names_are_those_of_the_configuration():
    assert LOSSES.keys() == LOSS_UNITS.keys()
    assert all(LOSS_UNITS[name] == "dB" for name in BOUNDED)


@pytest.mark.parametrize("name", BOUNDED)
def test_a_bound_is_taken_from_the_configuration(name, ragged):
    loss = make_loss(conf_of(f"loss={name}", "loss_max_db=6"))(*ragged).item()
    assert loss > make_loss(conf_of(f"loss={name}"))(*ragged).item() > loss - 3
    assert make_loss(conf_of(f"loss={name}", "loss_max_db=6"))(ragged[1], *ragged[1:]) >= -6.001


def test_a_bound_for_a_loss_without_is_named():
    with pytest.raises(RecipeError, match="loss_max_db is 30, which is for si_sdr, snr, sd_sdr"):
        make_loss(conf_of("loss=mse", "loss_max_db=30"))


@pytest.mark.parametrize("name", ["stoi", "pmsqe"])
def test_a_rate_that_a_loss_is_not_for_is_named(name):
    conf = conf_of(f"loss={name}")
    conf["corpus"]["sample_rate"] = 11025
    with pytest.raises(RecipeError, match=f"training.loss {name} is for 8000 or 16000 Hz"):
        make_loss(conf)
