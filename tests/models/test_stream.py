"""The compiled stream against the streaming network that it replaces."""

import pytest
import torch

from separation.inference.streaming import Streamer
from separation.models.fast import native
from separation.models.fast.stream import CompiledStream, compile_stream
from separation.models.streaming import StreamingNetwork, make_streaming
from small_networks import small_network

DEEPER = ("net_conf.X=3", "net_conf.R=2")
COMPILED = {
    "causal": ("causal", *DEEPER),
    "skip": ("causal", *DEEPER, "net_conf.Sc=5"),
    "one block, skip": ("causal", "net_conf.X=1", "net_conf.Sc=5"),
    "constant norms": ("causal", "net_conf.affine=false"),
    "P 2": ("causal", *DEEPER, "net_conf.P=2"),
    "P 4": ("causal", *DEEPER, "net_conf.P=4"),
    "three sources": ("causal", "corpus.n_src=3"),
    "relu": ("causal", "net_conf.activate=relu"),
    "softmax": ("causal", "net_conf.activate=softmax"),
    "lookahead": ("causal", *DEEPER, "net_conf.lookahead=5"),
    "more than a panel": ("causal", "net_conf.N=70", "net_conf.B=33", "net_conf.H=40"),
    "inputs in three steps": ("causal", "net_conf.N=300", "net_conf.B=20", "net_conf.H=257"),
    "L 2": ("causal", "net_conf.L=2"),
    "spectral": ("spectral_causal", *DEEPER),
    "spectral, half overlapping": ("spectral_causal", "net_conf.overlap=2"),
    "spectral, softmax": ("spectral_causal", "net_conf.activate=softmax", "corpus.n_src=3"),
    "spectral, skip": ("spectral_causal", "net_conf.Sc=5", "net_conf.L=76"),
}
NOT_COMPILED = {
    "frame norm": ("causal", "net_conf.norm=cln_frame"),
    "deep": ("deep_causal",),
    "P 1": ("causal", "net_conf.P=1"),
}


def both(system):
    model = small_network(*system)
    plain = make_streaming(model)
    compiled = compile_stream(make_streaming(model))
    assert isinstance(compiled, CompiledStream)
    return plain, compiled


def assert_equal(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6 * float(expected.abs().max()))


@pytest.mark.parametrize("system", COMPILED.values(), ids=COMPILED)
@pytest.mark.parametrize("batch", [1, 3])
@torch.inference_mode()
def test_one_continues_where_the_other_was(system, batch):
    """Any number of frames in a call; the state goes from one to the other and back."""
    torch.manual_seed(0)
    plain, compiled = both(system)
    plain.begin(batch)
    compiled.begin(batch)
    start = torch.randn(batch, plain.kernel - plain.stride)
    plain.start(start)
    compiled.start(start)
    for number, hops in enumerate((1, 2, 3, 4, 5, 6, 7, 16, 17, 100, 1)):
        wav = torch.randn(batch, hops * plain.stride)
        (expected,), (found,) = plain(wav), compiled(wav)
        assert_equal(found, expected)
        assert_equal(compiled.tail(), plain.tail())
        state, own = plain.state(), compiled.state()
        assert [t.shape for t in own] == [t.shape for t in state]
        for one, other in zip(own, state, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
        if number % 2:
            compiled.load_state([tensor.clone() for tensor in state])
        else:
            plain.load_state([tensor.clone() for tensor in own])


@torch.inference_mode()
def test_a_state_that_was_taken_stays():
    _, compiled = both(COMPILED["lookahead"])
    compiled(torch.randn(1, 400))
    state = compiled.state()
    kept = [tensor.clone() for tensor in state]
    first = compiled(torch.randn(1, 400, generator=torch.Generator().manual_seed(1)))[0]
    assert all(torch.equal(one, other) for one, other in zip(state, kept, strict=True))
    compiled.load_state(state)
    again = compiled(torch.randn(1, 400, generator=torch.Generator().manual_seed(1)))[0]
    assert torch.equal(first, again)


@pytest.mark.parametrize("system", NOT_COMPILED.values(), ids=NOT_COMPILED)
def test_other_networks_stay_as_they_are(system):
    network = make_streaming(small_network(*system))
    assert compile_stream(network) is network


def test_without_a_compiler_a_stream_runs_in_torch(monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler")
    native.compiled.cache_clear()
    try:
        assert isinstance(Streamer(small_network("causal")).network, StreamingNetwork)
    finally:
        native.compiled.cache_clear()
    monkeypatch.delenv("CC")
    assert isinstance(Streamer(small_network("causal")).network, CompiledStream)


def test_weights_are_copied():
    model = small_network("causal")
    compiled = compile_stream(make_streaming(model))
    with torch.inference_mode():
        (before,) = compiled(torch.ones(1, 400))
        for parameter in model.parameters():
            parameter.zero_()
        compiled.begin(1)
        (after,) = compiled(torch.ones(1, 400))
    assert torch.equal(before, after)
