"""What is said of a network: against counts by hand, the papers' figures, and what it does."""

import sys

import pytest
import torch
from asteroid.models import ConvTasNet

import describe
from separation.config import load_config
from separation.models.architecture import architecture
from separation.models.complexity import (
    count_macs,
    count_parameters,
    in_ms,
)
from separation.models.registry import build_model
from separation.tree import tags

# Luo and Mesgarani (2019), table II: overrides, millions of parameters, receptive field in ms
PAPER = [
    ([], 1.7, 1275),
    (["net_conf.H=512", "net_conf.X=8", "net_conf.R=3"], 5.1, 3830),
    (["net_conf.H=512", "net_conf.X=8", "net_conf.R=3", "net_conf.L=16"], 5.1, 1532),
]


def conf_of(tag, *overrides):
    return load_config("espeak-2mix", tag, None, list(overrides))


def test_macs_of_known_layers():
    class Layers(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = torch.nn.Conv1d(1, 6, 10, stride=5)
            self.depthwise = torch.nn.Conv1d(6, 6, 3, padding=1, groups=6)
            self.linear = torch.nn.Linear(6, 4)
            self.decoder = torch.nn.ConvTranspose1d(4, 2, 10, stride=5)

        def forward(self, wave):
            hidden = self.depthwise(self.encoder(wave[:, None]))
            return self.decoder(self.linear(hidden.mT).mT)

    frames = (8000 - 10) // 5 + 1
    assert count_macs(Layers(), 8000) == frames * (6 * 10 + 6 * 3 + 6 * 4 + 4 * 2 * 10)


def test_macs_of_convtasnet():
    n, kernel, b, h, skip, p, blocks, sources = 16, 10, 4, 8, 3, 3, 4, 2
    model = ConvTasNet(
        sources,
        n_filters=n,
        kernel_size=kernel,
        stride=5,
        bn_chan=b,
        hid_chan=h,
        skip_chan=skip,
        n_blocks=2,
        n_repeats=2,
        conv_kernel_size=p,
        sample_rate=8000,
    )
    frames = (8000 - kernel) // 5 + 1
    separator = n * b + blocks * (b * h + h * p + h * b + h * skip) + skip * sources * n
    codec = n * kernel + sources * n * kernel
    assert count_macs(model.eval(), 8000) == frames * (separator + codec)


def test_macs_of_an_lstm():
    layer = torch.nn.LSTM(6, 5, num_layers=2, batch_first=True, bidirectional=True)

    class Layers(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, wave):
            return self.layer(wave.unflatten(1, (-1, 6)).expand(3, -1, -1))[0]

    gates = 4 * 5
    each = 2 * (6 * gates + 5 * gates) + 2 * (10 * gates + 5 * gates)
    assert count_macs(Layers(), 600) == 3 * 100 * each
    assert layer(torch.zeros(1, 2, 6))[0].shape == (1, 2, 10)  # the network itself is as it was


@pytest.mark.parametrize(("overrides", "millions", "milliseconds"), PAPER)
def test_the_papers_rows(overrides, millions, milliseconds):
    for causal in ([], ["net_conf.causal=true", "net_conf.norm=cln"]):
        conf = conf_of("convtasnet", "net_conf.Sc=128", *overrides, *causal)
        assert round(count_parameters(build_model(conf)) / 1e6, 1) == millions
        assert round(in_ms(architecture(conf).receptive_field, 8000)) == milliseconds


def test_a_layer_of_the_deep_codec_is_as_large_as_the_paper_says():
    sizes = [
        count_parameters(build_model(conf_of("deep", f"net_conf.deep_layers={n}", *more)))
        for n, more in ((0, []), (1, []), (4, []), (1, ["net_conf.deep_gate=glu"]))
    ]
    layer = (sizes[1] - sizes[0]) // 2
    assert layer == 512 * 512 * 3 + 512 + 1
    assert round(layer / 1e6, 2) == 0.79
    assert sizes[2] - sizes[0] == 8 * layer
    assert sizes[3] - sizes[0] == 2 * 2 * (512 * 512 * 3 + 512)


def test_constants_of_norms_are_no_parameters():
    with_affine, without = (
        count_parameters(build_model(conf_of("convtasnet", f"net_conf.affine={value}")))
        for value in ("true", "false")
    )
    assert with_affine - without == 2 * (512 + 14 * 2 * 256)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dilated", ["true", "false"])
def test_the_field_is_what_reaches_an_output_frame(causal, dilated):
    """Gradients of one frame of the masks' product: as many frames of input as is said."""
    small = ["N=3", "B=2", "H=2", "Sc=0", "X=2", "R=2", "L=2", "deep_layers=2", "norm=bn"]
    padding = "left" if causal else "symmetric"
    overrides = [f"net_conf.{o}" for o in (*small, f"deep_dilated={dilated}", f"padding={padding}")]
    conf = conf_of("deep", *overrides)
    torch.manual_seed(0)
    model = build_model(conf).double().eval()
    frames = architecture(conf).frames_seen
    wav = torch.randn(1, 4 * frames, dtype=torch.float64, requires_grad=True)
    middle = 2 * frames
    model(wav)[0, :, middle].sum().backward()
    touched = torch.nonzero(wav.grad[0]).flatten()
    # Filters of two samples, a stride of one: two frames overlap in a sample.
    assert len(touched) == frames + 2 == architecture(conf).receptive_field + 1
    assert int(touched[-1]) - middle == architecture(conf).latency - 1


def test_latency_of_a_global_norm_is_the_whole_utterance():
    assert architecture(conf_of("convtasnet")).latency is None
    assert in_ms(architecture(conf_of("convtasnet")).latency, 8000) is None
    assert in_ms(architecture(conf_of("causal", "net_conf.L=16")).latency, 8000) == 2.0


def test_describe_prints_a_row_a_system(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["describe.py"])
    describe.main()
    table = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in capsys.readouterr().out.splitlines()
    ]
    assert table[0] == describe.COLUMNS
    rows = {row[0]: row[1:] for row in table[2:]}
    assert sorted(rows) == tags()
    assert rows["paper"][0] == "5.05 M"
    assert rows["paper"][2:] == ["1532", "whole utterance"]
    assert rows["causal"][2:] == ["1275", "5"]


def test_describe_takes_tags_and_overrides(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["describe.py", "--tag", "causal", "--", "net_conf.L=16"])
    describe.main()
    assert "| causal |" in capsys.readouterr().out.splitlines()[2]
