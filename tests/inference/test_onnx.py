"""ONNX files: equal to the network or not written, and taken by programs as experiments are."""

import sys

import numpy as np
import onnx
import pytest
import soundfile
import torch

import export
import live
import separate
from separation.config import load_config, save_resolved
from separation.corpus.layout import Corpus
from separation.corpus.manifest import read_manifest
from separation.errors import RecipeError
from separation.inference import onnx as files
from separation.inference.onnx import export_offline, export_streaming, load_onnx
from separation.inference.separator import Separator
from separation.inference.streaming import Streamer
from separation.models.registry import build_model, save_model
from separation.process import run_command
from small_networks import small_conf, small_network
from tiny_corpus import make_corpus


def speech(length, seed=0):
    return (0.1 * np.random.default_rng(seed).normal(size=length)).astype(np.float32)


@pytest.fixture
def run(monkeypatch, capfd):
    """Run a script; its exit status or error line, and what it printed."""

    def call(script, *arguments):
        monkeypatch.setattr(sys, "argv", [str(a) for a in ("x", *arguments)])
        try:
            run_command(script.main)
            status = 0
        except SystemExit as end:
            status = end.code
        return status, capfd.readouterr().out

    return call


@pytest.fixture
def experiment(tmp_path):
    save_model(small_network("causal"), tmp_path / "exp" / "best_model.pth")
    save_resolved(small_conf("causal"), tmp_path / "exp" / "conf.yaml")
    return tmp_path / "exp"


@pytest.mark.parametrize("tag", ["small", "causal", "deep", "deep_causal", "sudormrf"])
@pytest.mark.parametrize("length", [None, 4001])
def test_a_file_gives_the_estimates_of_the_network(tmp_path, tag, length):
    model, path = small_network(tag), tmp_path / "a.onnx"
    assert export_offline(model, path, length, {"licence": "CC0"}) < 1e-5
    network = load_onnx(path)
    assert network.facts["licence"] == "CC0"
    assert (network.facts["kind"], network.sample_rate) == ("fixed" if length else "offline", 8000)
    one, other = Separator(network), Separator(model)
    samples = speech(length or 5017)
    found, expected = one.separate(samples, 8000), other.separate(samples, 8000)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_a_file_of_one_length_refuses_longer_recordings(tmp_path):
    export_offline(small_network("small"), tmp_path / "a.onnx", 9000, {})
    separator = Separator(load_onnx(tmp_path / "a.onnx"))
    assert separator.separate(speech(5000), 8000).shape == (2, 5000)
    with pytest.raises(RecipeError, match="9001 samples, but this ONNX file takes 9000"):
        separator.separate(speech(9001), 8000)


@pytest.mark.parametrize(
    "system",
    [
        *((tag, "net_conf.Sc=4") for tag in ("causal", "deep_causal", "spectral_causal")),
        *((tag, "net_conf.norm=cln_frame") for tag in ("causal", "deep_causal")),
        *((tag,) for tag in ("causal", "deep_causal", "spectral_causal")),
    ],
)
def test_a_streaming_file_streams_as_the_network(tmp_path, system):
    model, path = small_network(*system), tmp_path / "a.onnx"
    assert export_streaming(model, path, {}) < 1e-5
    one, other = Streamer(load_onnx(path)), Streamer(model)
    latency = model.encoder.filterbank.kernel_size
    assert (one.latency, one.n_src, one.sample_rate) == (latency, 2, 8000)
    samples = speech(2003)
    kept = []
    for streamer in (one, other):
        parts = [streamer.feed(piece) for piece in np.split(samples, [7, 900, 1000])]
        kept.append(np.concatenate([*parts, streamer.flush()], -1))
    np.testing.assert_allclose(kept[0], kept[1], atol=1e-5 * np.abs(kept[1]).max())
    one.reset()
    first = one.feed(samples[:1000])
    state = one.state_dict()
    one.feed(samples[1000:])
    one.load_state_dict(state)
    again = np.concatenate([first, one.feed(samples[1000:]), one.flush()], -1)
    np.testing.assert_allclose(again, kept[0], atol=1e-6)
    with pytest.raises(RecipeError, match="one stream, not 2"):
        Streamer(load_onnx(path), batch=2)


def test_what_onnx_has_no_operators_for_is_said(tmp_path):
    with pytest.raises(RecipeError, match="cannot be written as ONNX"):
        export_offline(small_network("dprnn"), tmp_path / "a.onnx", None, {})
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_differs_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "TOLERANCE", 1e-12)
    with pytest.raises(RecipeError, match=r"a.onnx: differs from the network by .* not written"):
        export_offline(small_network("small"), tmp_path / "a.onnx", None, {})
    assert list(tmp_path.iterdir()) == []


def test_programs_take_files_as_they_take_experiments(run, experiment, tmp_path):
    soundfile.write(tmp_path / "talk.wav", speech(8000), 8000)
    for kind in ("offline", "streaming"):
        file = tmp_path / f"{kind}.onnx"
        status, said = run(export, "--exp_dir", experiment, "--kind", kind, "-o", file)
        assert status == 0
        assert "differs from the network by" in said
    talk, out = tmp_path / "talk.wav", tmp_path / "out"
    separating = [talk, "-o", out, "--device", "cpu", "--exp_dir"]
    assert run(separate, *separating, tmp_path / "offline.onnx")[0] == 0
    by_file = soundfile.read(out / "talk_s1.wav")[0]
    assert run(separate, *separating, experiment)[0] == 0
    np.testing.assert_allclose(by_file, soundfile.read(out / "talk_s1.wav")[0], atol=2**-14)
    living = ["--simulate", talk, "--full_speed", "-o", tmp_path / "live", "--exp_dir"]
    assert run(live, *living, tmp_path / "streaming.onnx")[0] == 0
    by_file = soundfile.read(tmp_path / "live" / "talk_s2.wav")[0]
    assert run(live, *living, experiment)[0] == 0
    by_network = soundfile.read(tmp_path / "live" / "talk_s2.wav")[0]
    np.testing.assert_allclose(by_file, by_network, atol=2**-14)
    says = run(separate, *separating, tmp_path / "streaming.onnx")[0]
    assert says.endswith("a streaming file; local/live.py takes it")
    assert "not a streaming file" in run(live, *living, tmp_path / "offline.onnx")[0]


@pytest.mark.parametrize("kind", ["offline", "streaming"])
def test_int8_is_smaller_and_its_loss_is_said(run, experiment, tmp_path, kind):
    torch.manual_seed(0)  # the weights have to be most of the file
    model = build_model(
        load_config("espeak-2mix", "causal", None, ["net_conf.X=1", "net_conf.R=1"])
    )
    save_model(model, experiment / "best_model.pth")
    plain, small = tmp_path / "a.onnx", tmp_path / "b.onnx"
    exporting = ["--exp_dir", experiment, "--kind", kind, "-o"]
    assert run(export, *exporting, plain)[0] == 0
    status, said = run(export, *exporting, small, "--int8")
    assert status == 0
    assert small.stat().st_size < 0.5 * plain.stat().st_size
    assert "dB less than in float32 (3 mixtures)" in said
    assert load_onnx(small).facts == load_onnx(plain).facts


def test_int8_is_scored_on_the_evaluation_set_or_there_is_no_file(run, tmp_path):
    make_corpus(tmp_path / "data")
    corpus = Corpus.of(small_conf("causal"), tmp_path / "data")
    for n_src in (2, 3):
        model = small_network("causal", f"corpus.n_src={n_src}")
        save_model(model, tmp_path / str(n_src) / "best_model.pth")
        conf = small_conf("causal", f"corpus.n_src={n_src}")
        save_resolved(conf, tmp_path / str(n_src) / "conf.yaml")
    exporting = ["-o", tmp_path / "a.onnx", "--int8", "--exp_dir"]
    says = run(export, *exporting, tmp_path / "3")[0]
    assert says == "error: --int8 needs --data_dir, to be scored: the sample has 2 speakers"
    says = run(export, *exporting, tmp_path / "2", "--data_dir", tmp_path / "none")[0]
    assert "tt.csv: no such file; stage 2 makes it" in says
    assert not (tmp_path / "a.onnx").exists()
    status, said = run(export, *exporting, tmp_path / "2", "--data_dir", tmp_path / "data")
    assert status == 0
    count = len(read_manifest(corpus.manifest("tt"), 2))
    assert f"dB less than in float32 ({count} mixtures)" in said


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["-o", "a.bin"], "must end in .onnx"),
        (["-o", "a.onnx", "--kind", "fixed"], "--length SECONDS belongs to --kind fixed"),
        (["-o", "a.onnx", "--length", "3"], "--length SECONDS belongs to --kind fixed"),
        (["-o", "a.onnx", "--kind", "fixed", "--length", "0"], "--length 0.0: more than 0"),
        (["-o", "a.onnx", "--exp_dir", "nowhere"], "nowhere: neither a folder nor a model"),
    ],
)
def test_what_cannot_be_is_refused(run, experiment, tmp_path, monkeypatch, options, says):
    monkeypatch.chdir(tmp_path)
    status, _ = run(export, "--exp_dir", experiment, *options)
    assert status.startswith("error: ") and says in status and "\n" not in status
    assert not (tmp_path / "a.onnx").exists()


def test_files_of_others_and_damaged_ones_are_named(tmp_path):
    path = tmp_path / "a.onnx"
    with pytest.raises(RecipeError, match="a.onnx: no such file; local/export.py makes it"):
        load_onnx(path)
    path.write_bytes(b"no graph")
    with pytest.raises(RecipeError, match="a.onnx: not an ONNX file"):
        load_onnx(path)
    torch.onnx.export(torch.nn.Identity(), (torch.zeros(1),), str(path), dynamo=False)
    content = onnx.load(str(path))
    assert not content.metadata_props
    with pytest.raises(RecipeError, match="a.onnx: not written by local/export.py"):
        load_onnx(path)


def test_a_network_that_cannot_stream_is_named(run, experiment, tmp_path):
    save_model(small_network("small"), experiment / "best_model.pth")
    options = ("--kind", "streaming", "-o", tmp_path / "new" / "a.onnx")
    status, _ = run(export, "--exp_dir", experiment, *options)
    assert status.startswith(f"error: {experiment}: not causal: ")
    assert not (tmp_path / "new").exists()
