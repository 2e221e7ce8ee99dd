"""The deep encoder and decoder."""

import pytest
import torch
from asteroid.models import BaseModel, ConvTasNet
from torch import nn

from separation.config import load_config
from separation.models.convtasnet import DeepConvTasNet, DeepLayer
from separation.models.registry import build_model, load_model, save_model

SIZE = {"n_src": 2, "n_filters": 16, "bn_chan": 8, "hid_chan": 12, "n_blocks": 2, "n_repeats": 1}
SMALL = ["net_conf.N=16", "net_conf.B=8", "net_conf.H=12", "net_conf.X=2", "net_conf.R=1"]
DEEP = ["net_conf.deep_layers=2"]


def build(tag, *overrides):
    torch.manual_seed(0)
    conf = load_config("espeak-2mix", tag, None, [*SMALL, *overrides])
    return build_model(conf).eval()


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("norm", ["gLN", "cgLN", "cLN", "bN"])
def test_without_layers_it_is_asteroid_s_convtasnet_to_the_bit(norm, causal):
    torch.manual_seed(0)
    deep = DeepConvTasNet(**SIZE, norm_type=norm, causal=causal).eval()
    # Asteroid would change the norm of a causal network, so its own is compared where it does not.
    stock = ConvTasNet(**SIZE, norm_type=norm, causal=causal and norm in ("cgLN", "cLN")).eval()
    if causal and norm not in ("cgLN", "cLN"):
        stock.masker = deep.masker
    stock.load_state_dict(deep.state_dict())
    wav = torch.randn(3, 16 + 8 * 70)
    with torch.no_grad():
        assert torch.equal(deep(wav), stock(wav))


def test_layers_by_hand():
    layer = DeepLayer(1, 3, 2, "prelu", causal=False)
    with torch.no_grad():
        layer.conv.weight[:] = torch.tensor([[[1.0, 2.0, 3.0]]])
        layer.conv.bias[:] = 0.5
    x = torch.tensor([[[1.0, 0.0, 0.0, 0.0, -1.0]]])
    expected = torch.tensor([[[2.5, 0.5, 1.5 - 3.0, 0.5, -2.0 + 0.5]]])
    torch.testing.assert_close(layer(x), torch.where(expected > 0, expected, 0.25 * expected))
    layer.conv.padding = DeepLayer(1, 3, 2, "prelu", causal=True).conv.padding
    expected = torch.tensor([[[3.5, 0.5, 2.5, 0.5, 1.0 - 3.0 + 0.5]]])
    torch.testing.assert_close(layer(x), torch.where(expected > 0, expected, 0.25 * expected))


def test_a_gate_is_half_of_the_channels():
    layer = DeepLayer(2, 1, 1, "glu", causal=False)
    x = torch.randn(1, 2, 5)
    both = layer.conv(x)
    torch.testing.assert_close(layer(x), both[:, :2] * both[:, 2:].sigmoid())


def test_a_mirrored_layer_is_a_transposed_convolution():
    torch.manual_seed(0)
    layer = DeepLayer(4, 3, 2, "prelu", causal=False)
    transposed = nn.ConvTranspose1d(4, 4, 3, dilation=2, padding=2)
    with torch.no_grad():
        transposed.weight[:] = layer.conv.weight.flip(-1).transpose(0, 1)
        transposed.bias[:] = layer.conv.bias
    x = torch.randn(2, 4, 19)
    torch.testing.assert_close(layer(x), layer.activation(transposed(x)))


@pytest.mark.parametrize("dilated", ["true", "false"])
@pytest.mark.parametrize("gate", ["prelu", "glu"])
@pytest.mark.parametrize("tag", ["deep", "deep_causal"])
def test_any_program_that_knows_the_class_loads_the_file(tmp_path, tag, gate, dilated):
    codec = [f"net_conf.deep_gate={gate}", f"net_conf.deep_dilated={dilated}"]
    model = build(tag, *DEEP, *codec, "net_conf.deep_kernel=5")
    save_model(model, tmp_path / "model.pth")
    loaded = BaseModel.from_pretrained(str(tmp_path / "model.pth")).eval()
    assert type(loaded) is DeepConvTasNet
    assert [m.conv.dilation[0] for m in loaded.deep_decoder] == (
        [2, 1] if dilated == "true" else [1, 1]
    )
    wav = torch.randn(2, 777)
    with torch.no_grad():
        torch.testing.assert_close(loaded(wav), model(wav), rtol=1e-4, atol=1e-6)


def test_a_file_of_an_earlier_version_is_loaded(tmp_path):
    model = build("deep", *DEEP)
    save_model(model, tmp_path / "best_model.pth")
    package = torch.load(tmp_path / "best_model.pth")
    arguments = package["model_args"]
    package["model_args"] = {k.replace("deep_", "codec_"): v for k, v in arguments.items()}
    torch.save(package, tmp_path / "best_model.pth")
    wav = torch.randn(1, 520)
    with torch.no_grad():
        assert torch.equal(load_model(tmp_path)(wav), model(wav))


def test_norms_without_affine_stay_as_they_are(tmp_path):
    model = build("convtasnet", "net_conf.affine=false")
    names = [name for name, _ in model.named_parameters()]
    assert not any("gamma" in name or "beta" in name for name in names)
    assert list(model.state_dict()) == list(build("convtasnet").state_dict())
    save_model(model, tmp_path / "model.pth")
    plain = BaseModel.from_pretrained(str(tmp_path / "model.pth")).eval()
    wav = torch.randn(1, 920)
    with torch.no_grad():
        torch.testing.assert_close(plain(wav), model(wav), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("gate", ["prelu", "glu"])
@pytest.mark.parametrize(
    ("kernel", "dilation", "causal"), [(3, 1, False), (3, 4, True), (2, 1, True)]
)
def test_a_layer_starts_close_to_handing_on_its_input(gate, kernel, dilation, causal):
    torch.manual_seed(0)
    layers = [DeepLayer(64, kernel, dilation, gate, causal) for _ in range(8)]
    x = torch.randn(2, 64, 50)
    if gate == "prelu":
        for layer in layers:
            nn.init.ones_(layer.activation.weight)  # which scales negative values
    y = nn.Sequential(*layers)(x)
    assert (y - x).norm() < 0.25 * x.norm()
    assert (y[..., :-1] - x[..., 1:]).norm() > x.norm()  # a frame of another place it is not
