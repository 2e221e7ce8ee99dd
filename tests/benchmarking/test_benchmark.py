"""Benchmarks run, and what they compare is the same; how fast it is, is not tested."""

import re
import sys
from functools import partial

import pytest
import torch

import benchmark
from benchmarking import backends, mixing, networks
from benchmarking.peers import load_peer
from separation.config import load_config
from separation.errors import RecipeError


def run(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["benchmark.py", *words])
    benchmark.main()


def test_mixing_is_compared_with_a_plain_loop(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(mixing, "SECONDS", (0.5, 0.7))
    run(monkeypatch, "mixing", "--mixtures", "6", "--nj", "1", "--dir", str(tmp_path))
    lines = capsys.readouterr().out.splitlines()
    assert len({len(line) for line in lines[:6]}) == 1  # a table whose columns stand in line
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[:6]]
    assert table[0] == ["mixing", "processes", "mixtures/s", "ratio"]
    for plain, ours in (table[2:4], table[4:6]):
        assert float(ours[3]) == pytest.approx(float(ours[2]) / float(plain[2]), abs=0.2, rel=0.1)
    assert re.fullmatch(
        r"6 mixtures of \d recordings; largest difference of a sample: [01] of 32768", lines[6]
    )
    assert not list(tmp_path.iterdir())


def test_evaluation_is_compared_with_get_metrics(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(mixing, "SECONDS", (1.0, 1.2))
    run(monkeypatch, "evaluation", "--mixtures", "2", "--nj", "1", "--dir", str(tmp_path))
    lines = capsys.readouterr().out.splitlines()
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[:5]]
    assert table[0] == ["evaluation", "processes", "mixtures/s", "ratio"]
    plain, *rows = table[2:]
    assert [row[0].rpartition(", ")[2] for row in rows] == ["first system", "further systems"]
    for ours in rows:
        assert float(ours[3]) == pytest.approx(float(ours[2]) / float(plain[2]), abs=0.2, rel=0.2)
    assert lines[5].startswith("2 mixtures; metrics: si_sdr, sdr, snr, stoi, pesq, mse; ")
    apart = dict(re.findall(r"(si_sdr|sdr|stoi|pesq) ([\d.e+-]+)(?:,|$)", lines[5]))
    assert all(float(value) < 0.01 for value in apart.values()) and len(apart) == 4
    assert not list(tmp_path.iterdir())


def test_no_mixtures_are_an_error(monkeypatch):
    with pytest.raises(RecipeError, match="1 or more"):
        run(monkeypatch, "mixing", "--mixtures", "0")


TINY = ["N=8", "B=4", "H=6", "Sc=4", "X=2", "R=1", "L=16"]
SIZES = [f"net_conf.{size}" for size in TINY]


def table_of(text):
    return [[c.strip() for c in line.strip("|").split("|")] for line in text if line[0] == "|"]


@pytest.mark.parametrize(
    ("command", "tags"), [("training", ["causal"]), ("inference", ["convtasnet", "deep"])]
)
def test_networks_are_compared_with_asteroid_s(monkeypatch, capsys, tmp_path, command, tags):
    write_peer(tmp_path)
    monkeypatch.setattr(networks, "has_units", lambda device: False)  # whatever runs this
    monkeypatch.setattr(networks, "measure_peaks", partial(networks.measure_peaks, size=64))
    options = ["--chunk_size", "2000", "--repetitions", "1", "--batch_size", "2"]
    options += ["--tag", *tags, "--peer", str(tmp_path / "theirs")]
    run(monkeypatch, command, *options, "--", *SIZES)
    lines = capsys.readouterr().out.splitlines()
    table = table_of(lines)
    assert [row[0] for row in table[2:]] == [
        f"{tag}, {name}" for tag in tags for name in ("Asteroid", "this project", "theirs")
    ]
    for first in range(2, len(table), 3):
        stock, *rows = table[first : first + 3]
        assert stock[2] == "1.00"
        for row in rows:
            # Rounded figures: the ratio is that of what is printed.
            assert float(row[2]) == pytest.approx(
                float(row[1]) / float(stock[1]), rel=0.05, abs=0.05
            )
    assert "GFLOP/s" in lines[-1]


@pytest.mark.parametrize("command", ["training", "inference"])
def test_a_processor_with_units_computes_in_bfloat16_too(monkeypatch, capsys, command):
    monkeypatch.setattr(networks, "has_units", lambda device: True)
    # Without units a large matmul in bfloat16 takes seconds.
    monkeypatch.setattr(networks, "measure_peaks", partial(networks.measure_peaks, size=64))
    options = ["--chunk_size", "2000", "--repetitions", "1", "--batch_size", "2"]
    # The memory of a step is measured in a process of its own, where nothing is set.
    monkeypatch.setattr(networks, "memory_of_step", lambda *_: 1.0)
    run(monkeypatch, command, *options, "--device", "cpu", "--tag", "causal", "--", *SIZES)
    lines = capsys.readouterr().out.splitlines()
    assert [row[0] for row in table_of(lines)[2:]] == [
        f"causal, {name}" for name in ("Asteroid", "this project", "this project, bf16")
    ]
    assert "(float32); " in lines[-1]
    assert "(bfloat16); " in lines[-1]


def test_a_contender_computes_in_its_precision():
    seen = []

    class Network(torch.nn.Linear):
        def forward(self, wav):
            seen.append(super().forward(wav).dtype)
            return wav

    for dtype in (torch.float32, torch.bfloat16):
        networks.forward(networks.Contender(lambda: Network(4, 4), dtype), torch.ones(1, 4))()
    assert seen == [torch.float32, torch.bfloat16]


def test_a_missing_backend_is_named(monkeypatch):
    monkeypatch.setattr(backends, "find_spec", lambda name: None if name == "onnx" else name)
    with pytest.raises(RecipeError, match="onnxruntime: not installed; pip install onnx$"):
        run(monkeypatch, "inference", "--backends", "openvino", "onnxruntime")


@pytest.mark.parametrize("overrides", [(), ("net_conf.deep_layers=2",)])
@pytest.mark.parametrize(
    ("name", "shown"), [("openvino", "OpenVINO"), ("onnxruntime", "ONNX Runtime")]
)
def test_backends_give_the_same_estimates(name, shown, overrides):
    for package in backends.BACKENDS[name]:
        pytest.importorskip(package, reason=f"{package} is not installed")
    torch.manual_seed(1)
    model = networks.stock(load_config("espeak-2mix", "convtasnet", None, [*SIZES, *overrides]))
    mixtures = torch.randn(2, 4000)
    with torch.inference_mode():
        expected = model(mixtures)
    found = torch.as_tensor(backends.other_backends([name], model, mixtures)[shown]())
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


def test_cumulative_norms_are_not_for_backends_that_would_drift():
    model = networks.stock(load_config("espeak-2mix", "causal", None, SIZES))
    assert not backends.other_backends(["openvino", "onnxruntime"], model, torch.randn(1, 4000))


def write_peer(folder):
    """A checkout with a network of another repository's name and place."""
    (folder / "theirs").mkdir()
    (folder / "theirs" / "Conv_TasNet.py").write_text(
        "import torch\n"
        "class ConvTasNet(torch.nn.Module):\n"
        "    def __init__(self, N, L, B, H, P, X, R, norm, num_spks, activate, causal):\n"
        "        super().__init__()\n"
        "        self.weight = torch.nn.Parameter(torch.ones(num_spks, 1, 1))\n"
        "        self.told = (N, L, B, H, P, X, R, norm, num_spks, activate, causal)\n"
        "    def forward(self, x):\n"
        "        return list(self.weight * x[None, :, 4:])\n"
    )


def test_a_peer_gets_its_sizes_and_gives_sources(tmp_path):
    write_peer(tmp_path)
    net_conf = load_config("espeak-2mix", "causal", None, [])["net_conf"]
    peer = load_peer(tmp_path / "theirs", net_conf)
    assert peer.network.told == (512, 40, 128, 256, 3, 7, 2, "cln", 2, "sigmoid", True)
    wav = torch.randn(3, 50)
    assert torch.equal(peer(wav)[:, 1, :46], wav[:, 4:])
    assert not peer(wav)[..., 46:].any()


def test_the_modules_beside_a_peer_are_found(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "beside.py").write_text("SOURCES = 2\n")
    (tmp_path / "src" / "conv_tasnet.py").write_text(
        "import torch\n"
        "import beside\n"
        "class ConvTasNet(torch.nn.Module):\n"
        "    def __init__(self, N, L, B, H, P, X, R, C, norm_type, causal):\n"
        "        super().__init__()\n"
        "        self.told = (C, norm_type, causal)\n"
        "    def forward(self, x):\n"
        "        return x[:, None].repeat(1, beside.SOURCES, 1)\n"
    )
    net_conf = load_config("espeak-2mix", "convtasnet", None, [])["net_conf"]
    before = list(sys.path)
    peer = load_peer(tmp_path, net_conf)
    assert sys.path == before
    assert peer.network.told == (2, "gLN", False)
    assert peer(torch.randn(3, 50)).shape == (3, 2, 50)


def test_no_peer_is_an_error(tmp_path):
    net_conf = load_config("espeak-2mix", "convtasnet", None, [])["net_conf"]
    with pytest.raises(RecipeError, match="has none of Conv_TasNet.py"):
        load_peer(tmp_path, net_conf)
    (tmp_path / "Conv_TasNet.py").write_text("import nothing_of_that_name\n")
    with pytest.raises(RecipeError, match="cannot be imported: No module named"):
        load_peer(tmp_path, net_conf)


def test_loaders_are_compared_with_asteroid_s(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(mixing, "SECONDS", (0.5, 0.7))
    monkeypatch.setattr("benchmarking.loading.N_MIXTURES", 6)
    options = ["--chunk_size", "2000", "--repetitions", "1", "--nj", "1", "--dir", str(tmp_path)]
    run(monkeypatch, "loading", *options)
    table = table_of(capsys.readouterr().out.splitlines())
    assert table[0] == ["loading", "chunks/s", "ratio"]
    names = [row[0].split(",")[0] for row in table[2:]]
    assert names == ["as Asteroid's LibriMix"] + 3 * ["this project"]
    assert table[2][2] == "1.00"
    assert not list(tmp_path.iterdir())
    with pytest.raises(RecipeError, match="--chunk_size 90000: no mixture is that long"):
        run(monkeypatch, "loading", *options, "--chunk_size", "90000")


WAYS = ("this project", "PyTorch", "ONNX Runtime", "naive")


def test_streams_are_compared_with_the_naive_way(monkeypatch, capsys):
    tiny = ["net_conf.N=16", "net_conf.B=8", "net_conf.H=12", "net_conf.X=2", "net_conf.R=1"]
    run(monkeypatch, "streaming", "--seconds", "0.1", "--", *tiny)
    lines = capsys.readouterr().out.splitlines()
    table = table_of(lines)
    assert table[0] == ["stream", "real-time factor", "worst call to median"]
    names = [row[0] for row in table[2:]]
    assert names == [f"causal, {way}" for way in WAYS]
    assert all(float(row[1]) > 0 and float(row[2]) >= 1 for row in table[2:])
    assert lines[-1] == "Calls of 10 ms, 1 thread."
    with pytest.raises(RecipeError, match="--call_ms 0.0: more than 0"):
        run(monkeypatch, "streaming", "--call_ms", "0")
    with pytest.raises(RecipeError, match="cannot stream"):
        run(monkeypatch, "streaming", "--tag", "dprnn")
