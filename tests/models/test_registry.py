"""From a YAML to a network, and to a file that plain Asteroid loads."""

import io
import subprocess
import sys

import pytest
import torch
from asteroid.masknn.norms import ChanLN, CumLN
from asteroid.models import ConvTasNet
from torch.utils._python_dispatch import TorchDispatchMode

from separation.config import ROOT, load_config
from separation.errors import RecipeError
from separation.models.registry import build_model, load_model, save_model
from separation.models.weights import Undrawn
from small_networks import SMALL as SIZES
from small_networks import small_conf

SMALL = ["net_conf.N=16", "net_conf.B=8", "net_conf.H=12", "net_conf.X=2", "net_conf.R=1"]


def conf_of(*overrides, tag="small"):
    return load_config("minilibri-2mix", tag, None, list(overrides))


def count(model):
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(("tag", "millions"), [("convtasnet", 1.7), ("paper", 5.1)])
def test_sizes_are_the_papers(tag, millions):
    assert round(count(build_model(conf_of("net_conf.Sc=128", tag=tag))) / 1e6, 1) == millions


@pytest.mark.parametrize("length", [5, 47, 801])
def test_the_last_samples_are_separated_too(length):
    """A ramp that ends off the frame grid: the estimates do not stop before its end."""
    torch.manual_seed(0)
    model = build_model(conf_of(*SMALL, "net_conf.norm=bn")).eval()
    wav = torch.randn(1, length)
    with torch.no_grad():
        whole = model(torch.nn.functional.pad(wav, (0, -(length - 40) % 20)))[..., :length]
        found = model(wav)
    assert found[..., -1].abs().min() > 0
    if length > 40:
        torch.testing.assert_close(found, whole)


def test_letters_reach_asteroid():
    model = build_model(conf_of(*SMALL, "net_conf.Sc=6", "net_conf.L=20", "net_conf.activate=relu"))
    assert isinstance(model, ConvTasNet)
    arguments = model.get_model_args()
    assert arguments["n_filters"] == 16
    assert (arguments["kernel_size"], arguments["stride"]) == (20, 10)
    assert (arguments["bn_chan"], arguments["hid_chan"], arguments["skip_chan"]) == (8, 12, 6)
    assert (arguments["n_blocks"], arguments["n_repeats"]) == (2, 1)
    assert arguments["mask_act"] == "relu"
    assert model.sample_rate == 8000


def test_without_skip_there_is_no_skip_convolution():
    names = build_model(conf_of(*SMALL, "net_conf.Sc=0")).state_dict()
    assert not any("skip" in name for name in names)
    assert any(
        "skip" in name for name in build_model(conf_of(*SMALL, "net_conf.Sc=4")).state_dict()
    )


def test_cln_is_cumulative_and_the_model_does_not_look_ahead():
    model = build_model(conf_of(*SMALL, "net_conf.causal=true", "net_conf.norm=cln")).eval()
    norms = [m for m in model.modules() if isinstance(m, (CumLN, ChanLN))]
    assert norms
    assert all(isinstance(m, CumLN) for m in norms)
    wav = torch.randn(1, 2000)
    later = wav.clone()
    later[:, 1200:] += 1
    with torch.no_grad():
        before, after = model(wav), model(later)
    assert torch.equal(before[..., : 1200 - 39], after[..., : 1200 - 39])
    assert not torch.equal(before, after)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("net_conf.causal=true", r"net_conf.causal is true, but net_conf.norm 'gln'.*norm: cln"),
        ("net_conf.causal=true net_conf.norm=bn", "'bn' takes the mean over batches.*norm: cln"),
        (
            "net_conf.causal=true net_conf.norm=cln net_conf.padding=symmetric",
            "net_conf.padding 'symmetric' looks ahead; set net_conf.padding: left",
        ),
        ("net_conf.lookahead=2", "net_conf.lookahead is 2; it is for causal networks"),
        (
            "net_conf.lookahead=2 net_conf.causal=true net_conf.norm=cln net_conf.deep_layers=1",
            "net_conf.lookahead is 2; it is for causal networks without deep_layers",
        ),
        ("net_conf.padding=lefft", r"net_conf.padding is 'lefft': .* \(did you mean 'left'\?\)"),
        ("net_conf.deep_gate=gru", r"net_conf.deep_gate is 'gru': .* \(did you mean 'glu'\?\)"),
        ("net_conf.deep_layers=-1", "net_conf.deep_layers is -1"),
        ("net_conf.deep_kernel=4", "net_conf.deep_kernel is 4; it must be odd unless padding"),
        ("net_conf.norm=gnl", r"net_conf.norm is 'gnl': .* \(did you mean 'gln'\?\)"),
        ("net_conf.activate=tanh", "net_conf.activate is 'tanh'"),
        ("net_conf.L=41", "net_conf.L is 41; it must be even"),
        ("net_conf.P=4", "net_conf.P is 4; it must be odd"),
        ("net_conf.X=0", "net_conf.X is 0: must be 1 or more"),
        ("net_conf.Sc=-1", "net_conf.Sc is -1"),
        ("net_conf.num_spks=3", "net_conf.num_spks is 3, but corpus.n_src is 2"),
        ("model=convtasnt", r"model is 'convtasnt' \(did you mean 'convtasnet'\?\)"),
    ],
)
def test_a_wrong_value_is_named_with_its_key(override, says):
    with pytest.raises(RecipeError, match=says):
        build_model(conf_of(*override.split()))


@pytest.mark.parametrize(
    ("tag", "imports"), [("small", ""), ("deep", "import separation.models.convtasnet;")]
)
def test_another_program_loads_the_file(tmp_path, tag, imports):
    """Without this project, for Asteroid's own networks."""
    model, wav = build_model(conf_of(*SMALL, tag=tag)).eval(), torch.randn(1, 520)
    save_model(model, tmp_path / "best_model.pth")
    torch.save(wav, tmp_path / "wav.pt")
    program = (
        f"import sys, torch; from asteroid.models import BaseModel; {imports}"
        "m = BaseModel.from_pretrained('best_model.pth').eval();"
        "torch.save(m(torch.load('wav.pt')).detach(), 'estimates.pt');"
        "print('separation' in sys.modules)"
    )
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    if imports:
        environment["PYTHONPATH"] = str(ROOT / "local")
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env=environment,
    )
    assert result.stdout.strip() == str(bool(imports))
    expected = model(wav).detach()
    difference = (torch.load(tmp_path / "estimates.pt") - expected).abs().max()
    assert difference <= 1e-5 * expected.abs().max()


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "best_model.pth"
    save_model(build_model(conf_of(*SMALL)), path)
    return path.read_bytes()


def changed(package, **parts):
    """The package with other values; those of ``model_args`` are merged into it."""
    content = torch.load(io.BytesIO(package))
    if isinstance(parts.get("model_args"), dict):
        parts["model_args"] = content["model_args"] | parts["model_args"]
    return content | parts


def with_weight(name, value):
    return lambda package: {
        **changed(package),
        "state_dict": changed(package)["state_dict"] | {name: value},
    }


FILTERS = "encoder.filterbank._filters"
BAD_FILES = {
    "empty": (lambda p: b"", "damaged, or not a file"),
    "cut short": (lambda p: p[: len(p) // 2], "damaged, or not a file"),
    "last byte": (lambda p: p[:-1], "damaged, or not a file"),
    "text": (lambda p: b"nonsense", "damaged, or not a file"),
    "list": (lambda p: [1], "holds a list, no dictionary"),
    "tensor": (lambda p: torch.zeros(3), "holds a Tensor, no dictionary"),
    "no name": (lambda p: {"state_dict": {}}, "'model_name' is missing or no str"),
    "name": (lambda p: changed(p, model_name="ConvTasNt"), "no network can be made"),
    "function": (lambda p: changed(p, model_name="save_publishable"), "is not a network"),
    "arguments": (lambda p: changed(p, model_args=None), "'model_args' is missing or no dict"),
    "activation": (lambda p: changed(p, model_args={"mask_act": "x"}), "no network can be made"),
    "filters": (lambda p: changed(p, model_args={"n_filters": -3}), "no network can be made"),
    "sizes": (lambda p: changed(p, model_args={"kernel_size": 10**12}), "of another network"),
    "weights": (lambda p: changed(p, state_dict=[]), "'state_dict' is missing or no dict"),
    "shape": (with_weight(FILTERS, torch.zeros(3)), f"another network: '{FILTERS}' is missing or"),
    "type": (with_weight(FILTERS, torch.zeros(16, 1, 40).long()), f"another network: '{FILTERS}'"),
    "too many": (with_weight("x", torch.zeros(3)), "another network: 'x' is too many"),
    **{
        f"rate {rate}": (
            lambda p, rate=rate: changed(p, model_args={"sample_rate": rate}),
            f"its sample rate is {rate!r}, not a number of Hz",
        )
        for rate in (None, 0, -8000, "8000", float("nan"), 10**12)
    },
}


@pytest.mark.parametrize(("bad", "says"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_model_file_is_named_with_the_remedy(tmp_path, package, bad, says):
    content = bad(package)
    path = tmp_path / "best_model.pth"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(RecipeError, match=f"best_model.pth: .*{says}.*; train first"):
        load_model(tmp_path)


def test_no_model_file_is_named(tmp_path):
    with pytest.raises(RecipeError, match=r"best_model.pth: no such file; train first"):
        load_model(tmp_path)


class Draws(TorchDispatchMode):
    """On which devices normal numbers were drawn."""

    def __init__(self):
        super().__init__()
        self.devices = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function is torch.ops.aten.normal_.default:
            self.devices.append(args[0].device.type)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("tag", [tag for tag in SIZES if tag != "spectral"])  # it keeps an STFT
def test_sizes_are_found_without_drawing_weights(tag):
    """Which needs an import of seconds, on the device without memory."""
    model = build_model(small_conf(tag, corpus="minilibri-2mix"))
    arguments = model.get_model_args()
    with torch.device("meta"), Draws() as drawn:
        type(model)(**arguments)
        assert set(drawn.devices) == {"meta"}  # so the test would see them
    with torch.device("meta"), Undrawn(), Draws() as drawn:
        state = type(model)(**arguments).state_dict()
    assert drawn.devices == []
    assert {k: v.shape for k, v in state.items()} == {
        k: v.shape for k, v in model.state_dict().items()
    }
