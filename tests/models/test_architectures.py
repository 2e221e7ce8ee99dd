"""What holds for every architecture, and what each of them says of itself."""

import re
import subprocess
import sys

import pytest
import torch
from asteroid.models import BaseModel

from separation.config import ROOT, load_config
from separation.errors import RecipeError
from separation.models.architecture import architecture, keys, names
from separation.models.registry import build_model, load_model, save_model
from separation.tree import tags
from small_networks import SMALL, small_conf, small_network

SYSTEMS = [
    *((tag, ()) for tag in tags()),
    ("convtasnet", ("net_conf.affine=false",)),
    ("deep", ("net_conf.affine=false", "net_conf.Sc=4")),
    ("dprnn", ("net_conf.norm=cln_frame", "net_conf.activate=softmax")),
    ("sudormrf", ("net_conf.variant=original", "net_conf.activate=softmax")),
]


def test_every_architecture_is_tested_in_small():
    assert set(SMALL) == set(names())
    assert set(SMALL) == {load_config("espeak-2mix", tag, None, [])["model"] for tag in tags()}


@pytest.mark.parametrize(("tag", "overrides"), SYSTEMS)
def test_a_saved_model_comes_back_here_and_in_asteroid(tmp_path, tag, overrides):
    model = small_network(tag, *overrides)
    save_model(model, tmp_path / "best_model.pth")
    wav = torch.randn(2, 920)  # fills the frames of all systems
    with torch.no_grad():
        torch.testing.assert_close(load_model(tmp_path)(wav), model(wav), rtol=0, atol=0)
        plain = BaseModel.from_pretrained(str(tmp_path / "best_model.pth")).eval()
        peak = float(model(wav).abs().max())
        torch.testing.assert_close(plain(wav), model(wav), rtol=0, atol=1e-5 * peak)
    assert plain.sample_rate == 8000


@pytest.mark.parametrize(("tag", "overrides"), SYSTEMS)
def test_gradients_flow_to_every_parameter(tag, overrides):
    model = small_network(tag, *overrides).train()
    model(torch.randn(2, 1000)).square().sum().backward()
    unused = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    # Asteroid computes the last residual of a network with skip connections for nothing.
    assert all(re.fullmatch(r"masker\.TCN\.\d+\.res_conv\.(weight|bias)", name) for name in unused)
    assert len(unused) == (2 if small_conf(tag, *overrides)["net_conf"].get("Sc") else 0)
    for name, parameter in model.named_parameters():
        if name not in unused:
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("tag", tags())
def test_the_number_of_outputs_follows_from_the_corpus(tag):
    conf = small_conf(tag, "corpus.n_src=3")
    outputs = 2 if tag == "one_and_rest" else 3  # a speaker and the rest
    assert conf["net_conf"]["num_spks"] == outputs
    assert build_model(conf)(torch.randn(1, 400)).shape == (1, outputs, 400)


def test_the_number_of_outputs_follows_from_the_file_of_the_corpus(tmp_path, monkeypatch):
    from separation import config

    (tmp_path / "egs" / "three").mkdir(parents=True)
    (tmp_path / "egs" / "three" / "conf.yaml").write_text("corpus: {n_src: 3}\n")
    monkeypatch.setattr(config, "corpora", lambda: ["three"])
    (tmp_path / "conf").symlink_to(ROOT / "conf")
    monkeypatch.setattr(config, "ROOT", tmp_path)
    conf = load_config("three", "small", None, [])
    assert conf["net_conf"]["num_spks"] == 3
    with pytest.raises(RecipeError, match=r"num_spks is 2, but corpus.n_src is 3; leave num_spks"):
        architecture(load_config("three", "small", None, ["net_conf.num_spks=2"]))


@pytest.mark.parametrize("field", ["stride", "receptive_field", "latency"])
@pytest.mark.parametrize("name", names())
def test_what_an_architecture_says_is_a_number_of_samples_or_all(name, field):
    settings = architecture(small_conf(name))
    value = getattr(settings, field)
    assert value is None or value >= 1
    assert not settings.causal or settings.latency is not None


@torch.no_grad()
@pytest.mark.parametrize("overlap", [2, 4])
def test_spectral_masks_of_1_give_the_mixture_to_its_ends(overlap):
    model, wav = small_network("spectral", f"net_conf.overlap={overlap}"), torch.randn(2, 801)
    model.masker.forward = lambda x: torch.ones(2, 2, *x.shape[1:])
    torch.testing.assert_close(model(wav), wav[:, None].expand(-1, 2, -1), rtol=0, atol=1e-5)
    model.masker.forward = lambda x: torch.zeros(2, 2, *x.shape[1:])
    assert not model(wav).any()


@torch.no_grad()
def test_spectral_features_are_log_magnitudes():
    model, wav = small_network("spectral", "net_conf.overlap=4"), torch.randn(1, 400)
    seen = []
    model.masker.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model(wav)
    padded = torch.nn.functional.pad(wav, (24, 24 + -(400 + 48 - 32) % 8))
    window = torch.as_tensor(model.encoder.filterbank.window).float()
    frames = padded.unfold(1, 32, 8) * window
    scale = seen[0].exp().max() / torch.fft.rfft(frames).abs().max()
    expected = (torch.fft.rfft(frames).abs() * scale + 1e-5).log().transpose(1, 2)
    inner = slice(1, -1)  # Asteroid's filters of the first and last bin are shorter by sqrt(2)
    torch.testing.assert_close(seen[0][:, inner], expected[:, inner], rtol=1e-3, atol=2e-2)


@pytest.mark.parametrize("overrides", [(), ("net_conf.variant=original",), ("net_conf.Q=2",)])
def test_the_receptive_field_of_sudormrf_is_what_gradients_reach(overrides):
    """Gradients of a sample, of a network whose norms and activations let all through."""
    conf = small_conf("sudormrf", *overrides)
    settings = architecture(conf)
    model = build_model(conf).double().eval()
    linear = ("GlobLN", "FusedGlobLN", "GroupNorm", "PReLU", "FastPReLU", "ReLU")
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child).__name__ in linear:
                setattr(module, name, torch.nn.Identity())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.abs_()
    length = 4 * settings.receptive_field
    middle = length // 2
    wav = torch.rand(1, length, dtype=torch.float64, requires_grad=True)
    reach = []
    for sample in range(middle, middle + settings.stride * 2 ** (settings.Q - 1)):
        wav.grad = None
        model(wav)[0, 0, sample].backward()
        touched = torch.nonzero(wav.grad[0]).flatten()
        reach.append(int(touched[-1] - touched[0]) + 1)
    # A sample is in the filters of two frames, a stride apart; the phases of the blocks differ.
    most = settings.receptive_field + settings.stride
    assert most - settings.B * settings.stride * 2 ** (settings.Q - 1) < max(reach) <= most


@pytest.mark.parametrize(
    ("tag", "override", "says"),
    [
        ("dprnn", "K=7", "net_conf.K is 7; it must be even"),
        ("dprnn", "norm=cln", "net_conf.norm is 'cln': known: gln, cln_frame"),
        ("dprnn", "dropout=1", "net_conf.dropout is 1.0: must be 0 or more, 0.99 at most"),
        ("spectral", "L=33", "net_conf.L is 33; it must be a multiple of 2"),
        ("spectral", "overlap=5", "net_conf.L is 256; it must be a multiple of 10"),
        ("spectral", "overlap=1", "net_conf.overlap"),
        ("spectral", "P=2", "net_conf.P is 2; it must be odd"),
        ("sudormrf", "K_E=20", "net_conf.K_E is 20; it must be odd"),
        (
            "sudormrf",
            "variant=improvd",
            r"variant is 'improvd': .*did you mean 'improved'",
        ),
        ("sudormrf", "Q=1", "net_conf.Q is 1: must be 2 or more"),
    ],
)
def test_a_wrong_value_is_named_with_its_key(tag, override, says):
    with pytest.raises(RecipeError, match=says):
        architecture(load_config("espeak-2mix", tag, None, [f"net_conf.{override}"]))


@pytest.mark.parametrize(
    ("tag", "override", "says"),
    [
        ("sudormrf", "net_conf.X=3", "unknown key 'net_conf.X'"),
        (
            "dprnn",
            "net_conf.drop_out=0",
            r"key 'net_conf.drop_out' \(did you mean 'dropout'",
        ),
        ("small", "model=dprn", r"command line: model is 'dprn' \(did you mean 'dprnn'\?\); known"),
        ("small", "net_conf.codec_layers=2", "it is 'net_conf.deep_layers' now"),
        ("small", "data.least=2", "'data.least'; it is 'data.min_length' now"),
    ],
)
def test_keys_are_those_of_the_architecture(tag, override, says):
    with pytest.raises(RecipeError, match=says):
        load_config("espeak-2mix", tag, None, [override])


def test_another_architecture_by_command_line_has_its_own_keys(tmp_path):
    (tmp_path / "mine.yaml").write_text("net_conf: {B: 8}\n")
    overrides = ["model=dprnn", "net_conf.K=20"]
    conf = load_config("espeak-2mix", "mine", tmp_path / "mine.yaml", overrides)
    assert conf["net_conf"] == keys("dprnn") | {"B": 8, "K": 20, "num_spks": 2}


def test_configurations_are_read_without_torch():
    program = (
        "import sys; sys.path.insert(0, 'local'); from separation.config import load_config;"
        "load_config('espeak-2mix', 'small', None, []); print('torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout.strip() == "False", run.stderr
