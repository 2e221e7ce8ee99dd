"""Causality to the sample, and output lengths."""

import pytest
import torch

from separation.config import load_config
from separation.models.architecture import architecture
from separation.tree import tags
from small_networks import small_conf, small_network

DEEPER = ["net_conf.X=3", "net_conf.R=2", "net_conf.Sc=6"]
VARIANTS = {
    **{tag: (tag, []) for tag in tags()},
    "frame norm": ("causal", ["net_conf.norm=cln_frame"]),
    "left padding": ("convtasnet", ["net_conf.norm=bn", "net_conf.padding=left"]),
    "lookahead": ("causal", ["net_conf.lookahead=3"]),
    "without affine": ("deep_causal", ["net_conf.affine=false"]),
    "gated": ("deep_causal", ["net_conf.deep_gate=glu", "net_conf.deep_dilated=false"]),
    "two taps": ("deep_causal", ["net_conf.P=2", "net_conf.deep_kernel=2", "net_conf.L=16"]),
    "softmax": ("causal", ["net_conf.activate=softmax", "net_conf.Sc=0", "net_conf.L=2"]),
    "symmetric": ("convtasnet", ["net_conf.norm=bn"]),
    "global norm, left padding": ("convtasnet", ["net_conf.padding=left"]),
}


def build(name, *more):
    tag, overrides = VARIANTS[name]
    model = load_config("espeak-2mix", tag, None, [])["model"]
    overrides = [*(DEEPER if model == "convtasnet" else []), *overrides, *more]
    return small_network(tag, *overrides), architecture(small_conf(tag, *overrides))


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("length", [1200, 1213])
@pytest.mark.parametrize("name", VARIANTS)
def test_an_output_sample_sees_its_latency_and_nothing_later(name, length, batch):
    """Changed from sample n on, the input leaves every output sample before n - (L - 1) alone.

    To the last bit; and the one at that place changes, for an n at which a frame ends.
    """
    model, settings = build(name)
    delay, hop = settings.latency, settings.stride
    filters = model.encoder.filterbank.kernel_size
    wav = torch.randn(batch, length)
    with torch.no_grad():
        before = model(wav)
        for n in (0, 1, 700 - 700 % hop - 1, 700 - 700 % hop, 811, length - 1):
            later = wav.clone()
            later[:, n:] = torch.randn(batch, length - n)
            after = model(later)
            changed = torch.nonzero((after != before).any(0).any(0)).flatten()
            if delay is None:
                assert int(changed[0]) == 0, f"a global norm sees everything, from {n} too"
                continue
            assert int(changed[0]) >= n - (delay - 1)
            # Where the last sample of a frame changed, its first does; that what comes through many
            # layers from a frame ahead is more than rounding is not said. A window ends in zero.
            exact = (delay == filters and "spectral" not in name) or name == "lookahead"
            if exact and n % hop == hop - 1 and n >= delay:
                assert int(changed[0]) == n - (delay - 1)
            assert int(changed[0]) <= n
            if delay > filters and n > delay:
                assert int(changed[0]) < n - (filters - 1), "it does look ahead"
    if hasattr(settings, "norm"):
        assert (delay is None) == (settings.norm == "gln")
    if name == "lookahead":
        assert delay == filters + 3 * hop
    else:
        assert (delay == filters) == (settings.causal or name == "left padding")


@pytest.mark.parametrize(
    ("name", "overrides", "longest"),
    [
        ("convtasnet", ["net_conf.X=1", "net_conf.R=1"], 5000),
        ("causal", ["net_conf.X=1", "net_conf.R=1", "net_conf.deep_layers=1"], 1000),
        ("dprnn", [], 300),
        ("sudormrf", ["net_conf.B=1"], 300),
        ("spectral", [], 300),
        ("spectral", ["net_conf.overlap=2"], 300),
        ("sudormrf", ["net_conf.B=1", "net_conf.variant=original"], 300),
    ],
)
def test_output_is_as_long_as_the_input(name, overrides, longest):
    model, _ = build(name, *overrides)
    with torch.inference_mode():
        for length in range(1, longest + 1):
            assert model(torch.zeros(1, length)).shape == (1, 2, length)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_batch_of_ragged_lengths_equals_one_by_one(name):
    model, _ = build(name)
    mixtures = [torch.randn(length) for length in (1200, 807, 437, 30, 1)]
    together, lengths = pad(mixtures)
    with torch.no_grad():
        estimates = model(together, lengths)
        for row, mixture in enumerate(mixtures):
            alone = model(mixture[None])[0]
            found = estimates[row, :, : len(mixture)]
            torch.testing.assert_close(found, alone, rtol=1e-4, atol=1e-5 * alone.abs().max())
            assert not estimates[row, :, len(mixture) :].any()
        # What the batch was padded with cannot be told from the mixtures without their lengths.
        if name == "convtasnet":
            assert (model(together)[1, :, :807] - estimates[1, :, :807]).abs().max() > 1e-3
        assert torch.equal(model(together, torch.full((5,), 1200)), model(together))


def test_a_ragged_batch_after_a_full_one_is_right_in_a_compiled_network():
    model, _ = build("convtasnet")
    wav, lengths = torch.randn(2, 500), torch.tensor([500, 300])
    with torch.inference_mode():
        expected = model(wav), model(wav, lengths)
        model.masker.compile(backend="eager")
        found = model(wav), model(wav, lengths)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    "name", ["convtasnet", "deep", "deep_causal", "dprnn", "sudormrf", "spectral"]
)
def test_gradients_of_a_ragged_batch_are_those_one_by_one(name):
    model = build(name)[0].double()
    mixtures = [torch.randn(length, dtype=torch.float64) for length in (900, 431)]
    gradients = []
    for batches in ([pad(mixtures)], [pad([mixture]) for mixture in mixtures]):
        model.zero_grad()
        for batch in batches:
            model(*batch).square().sum().backward()
        gradients.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-12)


def pad(mixtures):
    lengths = torch.tensor([len(mixture) for mixture in mixtures])
    return torch.nn.utils.rnn.pad_sequence(mixtures, batch_first=True), lengths
