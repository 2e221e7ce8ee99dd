"""Folded blocks against Asteroid's, in float64 to rounding: outputs and every gradient."""

from contextlib import nullcontext

import pytest
import torch
from asteroid.masknn.convolutional import Conv1DBlock
from torch import nn

from blocks import check, computed_by_layers, gradients, make_block, outputs
from separation.models.convtasnet import fix_norms
from separation.models.fast import matmul, native, speed_up
from separation.models.ragged import ragged


@pytest.mark.parametrize("frames", [1, 3, 4, 7, 8, 9, 50])
@pytest.mark.parametrize("skip", [0, 6])
@pytest.mark.parametrize("norm", ["gLN", "cgLN"])
def test_lengths_around_the_reach_of_the_taps(norm, frames, skip):
    check(make_block(skip, norm=norm), torch.randn(3, 5, frames, dtype=torch.float64))


@pytest.mark.parametrize(("taps", "dilation"), [(1, 1), (3, 1), (5, 2), (4, 2)])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("slope", [0.25, -0.4, 2.0])
@pytest.mark.parametrize("norm", ["gLN", "cgLN"])
def test_taps_slopes_and_padding(norm, taps, dilation, slope, causal):
    block = make_block(taps=taps, dilation=dilation, slope=slope, norm=norm, causal=causal)
    cut_to_nothing = causal and taps == 1  # by Asteroid, x[..., :-0]
    if not cut_to_nothing:
        check(block, torch.randn(2, 5, 40, dtype=torch.float64))


def test_a_slope_of_0_which_leaves_nothing_of_what_it_takes():
    block, x = make_block(slope=0.0), torch.randn(2, 5, 40, dtype=torch.float64)
    check(block, x, by_layers=True)
    nn.init.constant_(block.shared_block[4].weight, -0.1)
    check(block, x)  # the first PReLU's input is kept


@pytest.mark.parametrize("frames", [1024, 1025, 2500])
@pytest.mark.parametrize("norm", ["gLN", "cgLN"])
def test_rows_of_more_than_a_stretch(norm, frames):
    check(make_block(dilation=300, norm=norm), torch.randn(2, 5, frames, dtype=torch.float64))


@pytest.mark.parametrize("spacing", [1, 16])
@pytest.mark.parametrize("norm", ["gLN", "cgLN"])
@pytest.mark.parametrize(("batch", "frames"), [(1, 33), (1, 32), (2, 31)])
def test_rows_with_and_without_gaps(monkeypatch, norm, batch, frames, spacing):
    monkeypatch.setattr(matmul, "SPACING", spacing)
    x = torch.randn(batch, 5, frames, dtype=torch.float64)
    fast = check(make_block(norm=norm), x)
    apart = {31: 32, 32: 32, 33: 48}[frames] if spacing == 16 else frames
    assert [out.stride() for out in fast(x)] == [(5 * apart, apart, 1), (6 * apart, apart, 1)]


@pytest.mark.parametrize("norm", ["gLN", "cgLN"])
def test_what_is_saved_may_come_back_without_gaps(monkeypatch, norm):
    monkeypatch.setattr(matmul, "SPACING", 16)
    x, fast = torch.randn(2, 5, 33, dtype=torch.float64), speed_up(make_block(norm=norm))
    expected = gradients(fast, x)
    with torch.autograd.graph.saved_tensors_hooks(
        lambda kept: kept.clone(memory_format=torch.contiguous_format), lambda kept: kept
    ):
        found = gradients(fast, x)
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("mixed", [False, True])
def test_other_norms_are_left_to_the_layers(mixed):
    block = make_block(norm="cLN")
    if mixed:
        block.shared_block[2] = make_block(norm="gLN").shared_block[2]
    check(block, torch.randn(2, 5, 30, dtype=torch.float64), by_layers=True)


@pytest.mark.parametrize("norm", ["gLN", "cgLN"])
def test_gradients_are_the_derivatives(norm):
    """Asteroid's have no part in this."""
    fast = speed_up(make_block(norm=norm))
    x = torch.randn(2, 5, 11, dtype=torch.float64, requires_grad=True)
    names, values = zip(*fast.named_parameters(), strict=True)

    def block(x, *values):
        return torch.func.functional_call(fast, dict(zip(names, values, strict=True)), (x,))

    assert not computed_by_layers(fast, x)
    assert torch.autograd.gradcheck(block, (x, *values))


@pytest.mark.parametrize(("taps", "padding"), [(1, 1), (3, 8), (4, 5), (3, 3)])
def test_more_or_fewer_frames_out_are_left_to_the_layers(taps, padding):
    torch.manual_seed(0)
    block = Conv1DBlock(5, 8, 6, taps, padding, 4).double()
    check(block, torch.randn(2, 5, 40, dtype=torch.float64), by_layers=True)


def test_an_input_that_is_not_contiguous():
    x = torch.randn(2, 41, 5, dtype=torch.float64).transpose(1, 2)
    check(make_block(), x)


def test_norms_whose_gain_is_no_parameter_and_weights_that_are_fixed():
    block = make_block()
    fix_norms(block)
    block.res_conv.requires_grad_(False)
    block.shared_block[0].bias.requires_grad_(False)
    check(block, torch.randn(2, 5, 40, dtype=torch.float64))


def test_layers_that_are_watched_compute():
    x = torch.randn(2, 5, 40, dtype=torch.float64)
    for name in ("res_conv", "skip_conv"):
        block = make_block()
        getattr(block, name).register_forward_pre_hook(lambda _, inputs: (2 * inputs[0],))
        check(block, x, by_layers=True)
    block = speed_up(make_block())
    seen = []
    block.shared_block[3].register_full_backward_hook(lambda *_: seen.append(1))
    outputs(block, x.requires_grad_()).sum().backward()
    assert seen


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("norm", ["gLN", "cgLN"])
def test_the_number_of_threads_changes_nothing(norm, threads):
    fast, x = speed_up(make_block(norm=norm)), torch.randn(2, 5, 400, dtype=torch.float64)
    before = torch.get_num_threads()
    expected = [outputs(fast, x), *gradients(fast, x)]
    try:
        torch.set_num_threads(threads)
        found = [outputs(fast, x), *gradients(fast, x)]
    finally:
        torch.set_num_threads(before)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-13, atol=1e-13)


@pytest.fixture
def compiled_anew():
    native.compiled.cache_clear()
    yield
    native.compiled.cache_clear()


@pytest.mark.usefixtures("compiled_anew")
def test_without_a_temporary_folder_asteroid_s_layers_compute(monkeypatch):
    monkeypatch.setattr(native.tempfile, "tempdir", "/nowhere/at/all")
    check(make_block(), torch.randn(2, 5, 30, dtype=torch.float64), by_layers=True)


@pytest.mark.usefixtures("compiled_anew")
@pytest.mark.parametrize("compiler", ["no-such-compiler", "false", "cc -no-such-option"])
def test_without_a_compiler_asteroid_s_layers_compute(monkeypatch, compiler):
    monkeypatch.setenv("CC", compiler)
    check(make_block(), torch.randn(2, 5, 30, dtype=torch.float64), by_layers=True)


def test_hooks_see_every_layer():
    """Without hooks the block is one function."""
    fast, seen = speed_up(make_block()), []
    hook = fast.shared_block[3].register_forward_hook(lambda *_: seen.append(1))
    x = torch.randn(2, 5, 30, dtype=torch.float64)
    expected = outputs(fast, x)
    hook.remove()
    assert seen == [1]
    torch.testing.assert_close(outputs(fast, x), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("skip", [0, 6])
@pytest.mark.parametrize(
    ("norm", "causal", "slope", "by_layers"),
    [
        ("gLN", False, 0.25, False),
        ("gLN", True, -0.4, False),
        ("cgLN", True, 0.25, False),
        ("cgLN", False, 0.25, True),  # looks at frames after the end, which have to be zeros
        ("gLN", False, 0.0, True),
    ],
)
def test_a_ragged_batch_is_its_examples(norm, causal, slope, by_layers, skip):
    """Outputs and gradients, whatever there is after the ends."""
    fast = speed_up(make_block(skip, norm=norm, causal=causal, slope=slope))
    x, ends = torch.randn(4, 5, 30, dtype=torch.float64), [20, 30, 1, 7]
    with ragged(fast, torch.tensor(ends)):
        assert computed_by_layers(fast, x) == by_layers
    assert fast.frames is None

    def derived(pieces, frames):
        """Estimates of all examples, the gradients of x, and those of the parameters."""
        fast.zero_grad()
        data = x.clone().requires_grad_()
        with ragged(fast, frames) if frames is not None else nullcontext():
            out = [outputs(fast, piece) for piece in pieces(data)]
        rows = [row for piece in out for row in piece]
        valid = [row[:, :end] for row, end in zip(rows, ends, strict=True)]
        sum((v * torch.arange(v.numel()).view(v.shape).sin()).sum() for v in valid).backward()
        return *valid, data.grad, *(p.grad for p in fast.parameters())

    together = derived(lambda data: [data], torch.tensor(ends))
    alone = derived(lambda data: [data[i : i + 1, :, :n] for i, n in enumerate(ends)], None)
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-9)
