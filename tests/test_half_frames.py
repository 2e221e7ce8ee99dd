"""A spectral network of half as many frames, made from a trained one."""

import pytest
import torch

from run_here import run_here
from separation.config import ROOT, load_config, load_resolved, save_resolved
from separation.models.registry import build_model, load_model, save_model

SCRIPT = ROOT / "egs" / "voices-2mix" / "local" / "half_frames.py"
NET = ["L=32", "overlap=4", "B=8", "H=12", "X=3", "R=2"]


def trained(folder, tag, *net_conf):
    conf = load_config("espeak-2mix", tag, None, [f"net_conf.{item}" for item in net_conf])
    torch.manual_seed(0)
    folder.mkdir()
    model = build_model(conf).eval()
    save_model(model, folder / "best_model.pth")
    save_resolved(conf, folder / "conf.yaml")
    return model


@torch.no_grad()
def test_frames_that_come_in_pairs_have_the_masks_of_single_ones(tmp_path):
    """A first block with a dilation of one frame that adds nothing is none."""
    whole = trained(tmp_path / "whole", "spectral", *NET)
    for block in (0, 3):  # with a dilation of one frame
        for parameter in whole.masker.TCN[block].res_conv.parameters():
            parameter.zero_()
    save_model(whole, tmp_path / "whole" / "best_model.pth")
    run = run_here(SCRIPT, "--exp_dir", tmp_path / "whole", "--out", tmp_path / "half")
    assert run.returncode == 0, run.stderr
    half = load_model(tmp_path / "half")
    features = torch.randn(3, 17, 25)
    expected = whole.masker(features.repeat_interleave(2, dim=-1))[..., ::2]
    torch.testing.assert_close(half.masker(features), expected, rtol=0, atol=1e-5)
    settings = load_resolved(tmp_path / "half")["net_conf"]
    assert (settings["X"], settings["overlap"]) == (2, 2)
    assert half.encoder.filterbank.stride == 16


@pytest.mark.parametrize(
    ("tag", "net_conf"),
    [
        ("spectral", ["L=32", "overlap=4", "B=8", "H=12", "X=1"]),
        ("spectral", ["L=32", "B=8", "H=12", "X=2", "overlap=2"]),
        ("convtasnet", ["N=16", "B=8", "H=12", "X=2", "R=1"]),
    ],
)
def test_what_has_no_half_is_refused(tmp_path, tag, net_conf):
    trained(tmp_path / "whole", tag, *net_conf)
    run = run_here(SCRIPT, "--exp_dir", tmp_path / "whole", "--out", tmp_path / "half")
    assert run.returncode == 1
    assert "not a spectral network with X of 2 or more and overlap 4" in run.stderr
    assert not (tmp_path / "half").exists()


def test_a_folder_that_is_there_stays_as_it_is(tmp_path):
    trained(tmp_path / "whole", "spectral", *NET)
    trained(tmp_path / "half", "spectral", *NET)
    before = (tmp_path / "half" / "best_model.pth").read_bytes()
    run = run_here(SCRIPT, "--exp_dir", tmp_path / "whole", "--out", tmp_path / "half")
    assert run.returncode == 1
    assert "half: there already" in run.stderr
    assert (tmp_path / "half" / "best_model.pth").read_bytes() == before
