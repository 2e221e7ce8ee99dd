"""Looking inside a network: values that are known beforehand, and the script."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import explain
import report
from report_files import example
from separation.config import save_resolved
from separation.corpus.problems import Problems
from separation.models.architecture import architecture
from separation.models.registry import save_model
from separation.report.inside import (
    MOMENT,
    PATCHES,
    activity,
    gradients,
    learned_filters,
    loudest_moment,
    masks,
    occlusion,
    sort_filters,
)
from small_networks import small_conf, small_network

RATE = 8000


def noise(length, seed=0):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, length).astype(np.float32)


class Delayed(nn.Module):
    """Output 1 is the mixture 0.5 s ago, output 2 what is below 1 kHz of it."""

    def forward(self, wav):
        late = nn.functional.pad(wav, (RATE // 2, 0))[:, : wav.shape[1]]
        spectrum = torch.fft.rfft(wav)
        spectrum[:, spectrum.shape[1] // 4 :] = 0
        return torch.stack([late, torch.fft.irfft(spectrum, wav.shape[1])], dim=1)


class Fir(nn.Module):
    """Both outputs are a moving average of 11 samples, five to either side."""

    def forward(self, wav):
        mean = nn.functional.conv1d(wav[:, None], torch.ones(1, 1, 11) / 11, padding=5)
        return torch.cat([mean, mean], dim=1)


def test_filters_are_placed_at_their_frequencies():
    time = np.arange(64) / RATE
    hertz = np.array([3000, 1000, 2000])
    bank = sort_filters(np.sin(2 * np.pi * hertz[:, None] * time), RATE)
    assert bank.peaks == pytest.approx([1000, 2000, 3000], abs=RATE / 1024)
    assert bank.order.tolist() == [1, 2, 0]
    np.testing.assert_allclose(bank.taps[0], np.sin(2 * np.pi * 1000 * time))
    assert bank.spectra.max(axis=1) == pytest.approx([0, 0, 0])
    # The first is far below its peak at 3 kHz.
    assert bank.spectra[0, 513 * 3 // 4] < -20


def test_an_stft_has_no_learned_filters():
    assert learned_filters(small_network("spectral"), RATE) == {}
    banks = learned_filters(small_network("convtasnet"), RATE)
    assert {name: bank.taps.shape for name, bank in banks.items()} == {
        "encoder": (16, 40),
        "decoder": (16, 40),
    }


@pytest.mark.parametrize("tag", ["convtasnet", "causal", "spectral", "dprnn", "sudormrf"])
def test_masks_and_activity_have_the_networks_own_shapes(tag):
    model, mixture = small_network(tag), noise(RATE)
    found = masks(model, mixture)
    assert found.shape[0] == 2 and found.min() >= 0
    levels = activity(model, mixture)
    blocks = {"dprnn": 1}.get(tag, 2)
    assert levels.shape[0] == blocks and np.isfinite(levels).all()
    assert not model.masker._forward_hooks  # nothing is left behind


def test_masks_are_those_that_the_estimates_are_made_with():
    model, mixture = small_network("convtasnet"), noise(RATE)
    wave = torch.as_tensor(mixture)[None, None]
    with torch.no_grad():
        frames = model.forward_encoder(wave)
        expected = model(wave[0])[0]
        masked = frames[:, None] * torch.as_tensor(masks(model, mixture))[None]
        decoded = model.forward_decoder(masked)[0]
    torch.testing.assert_close(decoded[:, :RATE], expected[:, : decoded.shape[-1]])


def test_activity_is_the_level_of_a_blocks_output():
    model = small_network("convtasnet")
    with torch.no_grad():
        for parameter in model.masker.TCN[1].parameters():
            parameter.zero_()
    levels = activity(model, noise(RATE))
    assert (levels[1] == -120).all()
    assert (levels[0] > -120).all()


def test_occlusion_finds_the_time_and_the_band_that_an_output_needs():
    mixture = noise(4 * RATE)
    mixture[: 2 * RATE] *= 0.1
    mixture[3 * RATE : 3 * RATE + 800] *= 2  # what is loudest, 0.1 s
    late, low = occlusion(Delayed(), mixture, RATE)
    assert late.change.shape == PATCHES
    assert late.moment == pytest.approx(3.5, abs=0.02)
    assert low.moment == pytest.approx(3.0, abs=0.02)
    width = 4 / PATCHES[1]
    needed = late.change.max(axis=0)
    assert needed.argmax() == int(3.0 / width)  # half a second before it is heard
    assert needed[int((late.moment + MOMENT) / width)] < -30
    bands = low.change.max(axis=1)
    assert bands[0] > -10 and bands[-1] < -60


def test_the_loudest_moment():
    assert loudest_moment(np.array([0, 0, 3, 3, 1, 0]), 2) == 2
    assert loudest_moment(np.zeros(5), 5) == 0


def test_the_gradient_of_a_moving_average_is_its_filter():
    offsets, slopes = gradients(Fir(), noise(400))
    seen = slopes > 0
    assert offsets[seen].tolist() == list(range(-5, 6))
    assert slopes[seen] == pytest.approx(1 / 11)


def fields(tag, *overrides):
    """Offsets with a gradient, and those of the architecture."""
    settings = architecture(small_conf(tag, *overrides))
    model = small_network(tag, *overrides)
    offsets, slopes = gradients(model, noise(RATE // 2))
    kernel = model.encoder.filterbank.kernel_size
    return offsets[slopes > 0], explain.reach(settings.receptive_field, settings.latency, kernel)


@pytest.mark.parametrize("lookahead", [0, 3])
def test_a_causal_network_has_no_gradient_after_its_latency(lookahead):
    seen, (first, last) = fields("causal", f"net_conf.lookahead={lookahead}", "net_conf.norm=cln")
    assert last == 40 + 20 * lookahead - 1
    assert 0 < seen.max() <= last
    assert seen.max() > last - 25
    # Cumulative norms see all that was before; the convolutions do not.
    assert seen.min() < first


def test_the_field_of_convolutions_is_what_the_gradient_sees():
    seen, (first, last) = fields("convtasnet", "net_conf.norm=bn")
    assert (first, last) == (-99, 99)  # three frames of 20 to either side, and a filter of 40
    assert first <= seen.min() < first + 20
    assert last - 20 < seen.max() <= last
    assert explain.reach(None, None, 40) is None


@pytest.fixture(params=["convtasnet", "spectral"])
def trained(request, tmp_path):
    exp_dir = tmp_path / "exp" / f"espeak-2mix_{request.param}"
    save_model(small_network(request.param), exp_dir / "best_model.pth")
    save_resolved(small_conf(request.param), exp_dir / "conf.yaml")
    return exp_dir


def test_script_draws_and_the_report_shows_it(trained, run):
    _, line, _ = run("explain", ["--exp_dir", trained])
    assert line.endswith("no mixture; give a recording, or run stage 4")
    example(trained / "eval_tt" / "examples" / "a", 0)
    assert run("explain", ["--exp_dir", trained])[0] == 0
    names = {path.stem.removeprefix("explain_") for path in (trained / "plots").iterdir()}
    learned = {"filters"} if trained.name.endswith("convtasnet") else set()
    assert names == {"masks", "occlusion", "field", "activity"} | learned
    problems = Problems(keep_going=True)
    pictures = report.read_pictures(trained / "plots", problems)
    assert [png[:4] for _, png in pictures] == [b"\x89PNG"] * len(names)
    captions = " ".join(caption for caption, _ in pictures)
    assert "What an output listens to" in captions
    assert ("Learned filters" in captions) == bool(learned)
    with Image.open(trained / "plots" / "explain_masks.png") as picture:
        assert picture.size[0] == 810


def test_a_damaged_picture_is_named(tmp_path, capsys):
    (tmp_path / "explain_masks.png").write_bytes(b"\x89PNG half")
    problems = Problems(keep_going=True)
    assert report.read_pictures(tmp_path, problems) == []
    assert "explain_masks.png: not a picture" in capsys.readouterr().err
