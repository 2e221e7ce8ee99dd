"""The one-and-rest loss by hand: numbers of sources, choices, silence, padding."""

import math

import pytest
import torch

from separation.config import load_config
from separation.corpus.layout import Corpus
from separation.corpus.manifest import make_manifests
from separation.corpus.mixing import mix_split
from separation.errors import RecipeError
from separation.training.check import check_system
from separation.training.losses import LOSSES, PIT, OneAndRest, make_loss
from small_networks import small_conf
from tiny_corpus import make_sources
from training_runs import conf_of as conf_of_run
from training_runs import run

MAX_DB = 30.0


def loss_of():
    return OneAndRest(LOSSES["snr"](8000), MAX_DB)


def bounded_snr(estimate, reference, mixture):
    """Negative SNR in dB with a bound of 30 dB; silence is held against the mixture."""
    e, r, x = estimate.double(), reference.double(), mixture.double()
    power = (r @ r) if r.any() else (x @ x)
    return 10 * torch.log10((e - r) @ (e - r) / power + 10 ** (-MAX_DB / 10))


def by_hand(estimates, sources):
    """All choices written out, for the sources that a mixture has; returns them in order."""
    mixture, n = sum(sources), len(sources)
    found = []
    for i, source in enumerate(sources):
        others = [s for j, s in enumerate(sources) if j != i]
        rest = sum(others) if others else torch.zeros_like(mixture)
        weight = 1 / (n - 1) if n > 1 else 1
        first = bounded_snr(estimates[0], source, mixture)
        found.append(first + weight * bounded_snr(estimates[1], rest, mixture))
    return torch.stack(found)


def signals(n_src, length=400, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n_src, length, generator=generator)


def padded(sources, n_src):
    return torch.cat([sources, torch.zeros(n_src - len(sources), sources.shape[-1])])


@pytest.mark.parametrize("n_src", [1, 2, 3])
@pytest.mark.parametrize("chosen", [0, 1, 2])
def test_the_least_of_all_choices(n_src, chosen):
    """Estimates near one of the choices, in a batch that has room for three sources."""
    sources, chosen = signals(n_src), chosen % n_src
    rest = sources.sum(0) - sources[chosen]
    estimates = torch.stack([sources[chosen], rest]) + 0.3 * signals(2, seed=1)
    expected = by_hand(estimates, list(sources))
    assert expected.argmin() == chosen
    lengths = torch.tensor([400])
    loss = loss_of()(estimates[None], padded(sources, 3)[None], lengths).item()
    assert loss == pytest.approx(expected.min().item(), abs=1e-4)
    alone = loss_of()(estimates[None], sources[None], lengths).item()
    assert alone == pytest.approx(loss, abs=1e-5)


def test_a_batch_mixes_numbers_and_lengths():
    numbers, lengths = (1, 2, 3, 2), (400, 317, 400, 250)
    sources, estimates, alone = torch.zeros(4, 3, 400), torch.zeros(4, 2, 400), []
    for row, (n, length) in enumerate(zip(numbers, lengths, strict=True)):
        sources[row, :n, :length] = signals(n, length, seed=row)
        estimates[row] = signals(2, seed=10 + row)  # noise after the end, too
        cut = sources[row : row + 1, :n, :length]
        alone.append(by_hand(estimates[row, :, :length], list(cut[0])).min())
    loss = loss_of()(estimates, sources, torch.tensor(lengths)).item()
    assert loss == pytest.approx(torch.stack(alone).mean().item(), abs=1e-4)


def test_gradients_are_those_of_the_choice_and_end_with_the_mixture():
    sources = padded(signals(2, 300), 3)[None]
    sources[..., 250:] = 0
    estimates = signals(2, 300, seed=1)[None].requires_grad_()
    loss_of()(estimates, sources, torch.tensor([250])).backward()
    twin = estimates.detach().clone().requires_grad_()
    by_hand(twin[0, :, :250], list(sources[0, :2, :250])).min().backward()
    torch.testing.assert_close(estimates.grad, twin.grad, atol=1e-6, rtol=1e-4)
    assert not estimates.grad[..., 250:].any()
    assert estimates.grad[..., :250].all()


@pytest.mark.parametrize(("rest", "loss_db"), [(0.0, -60.0), (1.0, -30.0)])
def test_the_rest_of_a_source_alone_is_to_be_silent(rest, loss_db):
    """A perfect first output; the rest is silent, or the source again, 0 dB below the mixture."""
    source = signals(1)
    estimates = torch.stack([source[0], rest * source[0]])[None].requires_grad_()
    loss = loss_of()(estimates, padded(source, 3)[None], torch.tensor([400]))
    loss.backward()
    assert loss.item() == pytest.approx(loss_db, abs=0.01)
    assert torch.isfinite(estimates.grad).all()


def test_silence_of_all_is_no_nan():
    estimates = torch.zeros(2, 2, 100, requires_grad=True)
    loss = loss_of()(estimates, torch.zeros(2, 3, 100), torch.tensor([100, 50]))
    loss.backward()
    assert loss.item() == pytest.approx(-60.0, abs=1e-3)
    assert torch.isfinite(estimates.grad).all()


def test_of_two_sources_it_is_that_of_permutations():
    """Both are the choice of one of two, so that training may start from such a network."""
    sources, estimates = signals(2)[None], signals(2, seed=1)[None]
    permuted = PIT(LOSSES["snr"](8000), MAX_DB)(estimates, sources, torch.tensor([400]))
    loss = loss_of()(estimates, sources, torch.tensor([400]))
    assert loss.item() == pytest.approx(2 * permuted.item(), abs=1e-4)


def test_improvement_is_that_of_the_source_that_gains_most():
    """Noise 20 dB below the second source, which was 0 dB from the first one: 20 dB are gained."""
    t = torch.arange(800) / 800
    first, second, noise = (torch.sin(2 * torch.pi * k * t) for k in (3, 5, 7))  # orthogonal
    sources = padded(torch.stack([first, second]), 3)[None]
    estimates = torch.stack([second + 0.1 * noise, first])[None]
    gained = loss_of().improvement(sources.sum(1), estimates, sources, torch.tensor([800]))
    assert gained.item() == pytest.approx(20.0, abs=1e-3)


def conf_of(*overrides):
    return load_config("espeak-2mix", "one_and_rest", None, list(overrides))


def test_a_loss_that_is_not_defined_for_silence_is_refused():
    assert isinstance(make_loss(conf_of()), OneAndRest)
    for change in ("training.loss=sd_sdr", "training.loss_max_db=0"):
        with pytest.raises(RecipeError, match="set training.loss=snr training.loss_max_db=30"):
            make_loss(conf_of(change))


def test_a_causal_network_is_refused():
    conf = small_conf("one_and_rest", "net_conf.causal=true", "net_conf.norm=cln")
    with pytest.raises(RecipeError, match=r"one_and_rest needs whole mixtures.*net_conf.causal"):
        check_system(conf)
    check_system(small_conf("one_and_rest", "corpus.n_src=[1,2,3]"))


@pytest.mark.parametrize("dynamic", ["true", "false"])
def test_training_on_mixtures_of_several_numbers(tmp_path, dynamic):
    """Losses and SI-SDRi of cv are finite, although a source alone has no SI-SDRi."""
    make_sources(tmp_path, {"tr": 4, "cv": 2, "tt": 1}, (1, 2))
    changes = ("corpus.n_src=[1,2]", "training.max_epochs=1", f"data.dynamic_mixing={dynamic}")
    conf = conf_of_run(*changes, tag="one_and_rest")
    corpus = Corpus.of(conf, tmp_path)
    for split in ("tr", "cv", "tt"):
        mix_split(corpus, split, 1)
    make_manifests(corpus, 1)
    (row,) = run(conf, tmp_path, tmp_path / "exp").to_dict("records")
    assert all(math.isfinite(row[name]) for name in ("loss", "val_loss", "val_si_sdri"))
    assert row["step"] == 4
