"""Networks as ONNX files, and ONNX files as networks.

Entry points: :func:`export_offline` and :func:`export_streaming` write a file and compare it with
the network; :func:`load_onnx` opens one for :class:`.separator.Separator` or
:class:`.streaming.Streamer`, :func:`load_streaming` for the latter alone.

A file is of one of three kinds. ``offline``: ``wav`` ``(1, time)`` of any length to ``estimates``
``(1, source, time)``. ``fixed``: the same for one length. ``streaming``: ``wav`` ``(1, n stride)``
and the state before it, ``state_0``, ``state_1``, ..., to ``estimates`` of the samples ``kernel -
stride`` and ``lookahead`` hops earlier, and the state after it, ``new_state_0``, ...; all of it
begins as zeros. ``edges`` samples of silence are before the first sample and follow the last one;
with none, ``state_0`` begins as the first ``kernel - stride`` samples, ``(1, 1, time)``.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from asteroid.models import BaseModel

from separation.errors import RecipeError
from separation.files import atomic_path, require_file
from separation.models.streaming import StreamingNetwork, make_streaming

OPSET = 18
TOLERANCE = 1e-4  # of the largest estimate: how far a file may be from the network
METADATA = "separation"  # key of the file's metadata


def export_offline(
    model: BaseModel, path: Path, length: int | None, facts: dict[str, Any]
) -> float:
    """Write a network for whole recordings.

    Args:
        model: of this project.
        path: of the file.
        length: samples of every recording; None: any.
        facts: to be written into the file, such as licence and data of the weights.

    Returns:
        the largest difference from the network, to its largest estimate.

    Raises:
        RecipeError: a network that ONNX has no operators for, or a difference above 1e-4.
    """
    wav = torch.randn(1, length or 2 * int(model.sample_rate) + 13)
    axes = {"wav": {1: "time"}, "estimates": {2: "time"}} if length is None else None
    facts = facts | {"kind": "offline" if length is None else "fixed", "length": length}
    with atomic_path(path) as temporary, torch.inference_mode():
        _export(model, (wav,), temporary, ["wav"], ["estimates"], axes)
        _describe(temporary, model, facts)
        network = OnnxNetwork(*_open(temporary))
        lengths = (length,) if length else (8000, 8001, 40, 12345)
        error = max(_error(model, network, wav_of) for wav_of in map(_noise, lengths))
        _check(error, path)
    return error


def export_streaming(model: BaseModel, path: Path, facts: dict[str, Any]) -> float:
    """Write a causal network that takes its input hop by hop; otherwise as above."""
    network = make_streaming(model)
    state = network.state()
    names = [f"state_{number}" for number in range(len(state))]
    new = [f"new_{name}" for name in names]
    axes = {"wav": {1: "time"}, "estimates": {2: "time"}}
    facts = facts | {
        "kind": "streaming",
        "kernel": network.kernel,
        "stride": network.stride,
        "lookahead": network.lookahead,
        "edges": network.edges,
        "latency": network.kernel + network.lookahead * network.stride,
        "decoder_state": network.decoder_state,
    }
    with atomic_path(path) as temporary, torch.inference_mode():
        wav = torch.randn(1, 3 * network.stride)
        _export(network, (wav, *state), temporary, ["wav", *names], ["estimates", *new], axes)
        _describe(temporary, model, facts)
        streamed = OnnxStreamingNetwork(*_open(temporary))
        found, expected = (_stream(n, _noise(8000)) for n in (streamed, make_streaming(model)))
        error = float((found - expected).abs().max() / expected.abs().max())
        _check(error, path)
    return error


def quantize(path: Path, smaller: Path) -> None:
    """Write a file of int8 weights, with the scales of activations found while it runs."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # it tells which tensors stay as they are
    try:
        with atomic_path(smaller) as temporary:
            quantize_dynamic(str(path), str(temporary), weight_type=QuantType.QUInt8)
    finally:
        logging.disable(before)


def load_onnx(path: Path) -> OnnxNetwork | OnnxStreamingNetwork:
    """Open a file that this project wrote.

    Raises:
        RecipeError: no such file, or not such a file.
    """
    require_file(path, "local/export.py makes it")
    session, facts = _open(path)
    if facts["kind"] == "streaming":
        return OnnxStreamingNetwork(session, facts)
    return OnnxNetwork(session, facts)


def load_streaming(path: Path) -> OnnxStreamingNetwork:
    """Open a streaming file.

    Raises:
        RecipeError: no such file, or not such a file.
    """
    network = load_onnx(path)
    if not isinstance(network, OnnxStreamingNetwork):
        raise RecipeError(
            f"{path}: not a streaming file; local/export.py --kind streaming makes one"
        )
    return network


class OnnxNetwork(torch.nn.Module):
    """A file of kind ``offline`` or ``fixed`` as a network; it runs on the CPU, in float32.

    Attributes:
        facts: metadata of the file.
        sample_rate: Hz.
    """

    def __init__(self, session: onnxruntime.InferenceSession, facts: dict[str, Any]) -> None:
        super().__init__()
        self.facts, self.session = facts, session
        self.sample_rate = self.facts["sample_rate"]

    def forward(self, wav: torch.Tensor) -> torch.Tensor:
        """Separate ``(batch, time)`` into ``(batch, source, time)``.

        Raises:
            RecipeError: longer than the file's length, if it is of one length.
        """
        length, fixed = wav.shape[-1], self.facts["length"]
        if fixed and length > fixed:
            raise RecipeError(
                f"{length} samples, but this ONNX file takes {fixed}; export one of any length"
            )
        if fixed:
            wav = torch.nn.functional.pad(wav, (0, fixed - length))
        outputs = [self.session.run(None, {"wav": one[None].numpy()})[0] for one in wav]
        return torch.from_numpy(np.concatenate(outputs))[..., :length]


class OnnxStreamingNetwork:
    """A file of kind ``streaming``, used as :class:`separation.models.streaming.StreamingNetwork`.

    Attributes:
        facts: metadata of the file.
        sample_rate: Hz.
        kernel: length of the encoder's filters, samples.
        stride: samples of a hop.
        lookahead: frames that a mask comes later than its frame.
        edges: samples of silence before the first sample, and after the last.
        n_src: sources.
    """

    def __init__(self, session: onnxruntime.InferenceSession, facts: dict[str, Any]) -> None:
        self.facts, self.session = facts, session
        self.sample_rate, self.n_src = facts["sample_rate"], facts["n_src"]
        self.kernel, self.stride = facts["kernel"], facts["stride"]
        self.lookahead, self.edges = facts["lookahead"], facts.get("edges", 0)  # not in older files
        self._inputs = session.get_inputs()[1:]
        self.begin(1)

    def begin(self, batch: int) -> None:
        """Forget all that was seen.

        Raises:
            RecipeError: more than one stream.
        """
        if batch != 1:
            raise RecipeError(f"an ONNX file separates one stream, not {batch}")
        types = {"tensor(float)": np.float32, "tensor(double)": np.float64}
        self._state = [np.zeros(value.shape, types[value.type]) for value in self._inputs]

    def start(self, wav: torch.Tensor) -> None:
        """Take the samples before the first whole frame, ``(1, kernel - stride)``."""
        self._state[0] = wav[:, None].numpy()

    def tail(self) -> torch.Tensor:
        """Estimates after the last hop if no frame follows, ``(1, source, overlap)``."""
        return torch.from_numpy(self._state[self.facts["decoder_state"]])[None, :, 0]

    def __call__(self, wav: torch.Tensor) -> tuple[torch.Tensor]:
        """Separate the next hops, ``(1, n stride)``."""
        named = {v.name: state for v, state in zip(self._inputs, self._state, strict=True)}
        estimates, *self._state = self.session.run(None, {"wav": wav.numpy(), **named})
        return (torch.from_numpy(estimates),)

    def state(self) -> list[torch.Tensor]:
        """All that is kept from one call to the next."""
        return [torch.from_numpy(values.copy()) for values in self._state]

    def load_state(self, state: Sequence[torch.Tensor]) -> None:
        """Continue from what :meth:`state` returned."""
        self._state = [tensor.numpy() for tensor in state]


def _export(
    network: torch.nn.Module,
    inputs: tuple[torch.Tensor, ...],
    path: Path,
    names: list[str],
    outputs: list[str],
    axes: dict[str, dict[int, str]] | None,
) -> None:
    with warnings.catch_warnings(action="ignore"):  # Torch's, of what is traced
        try:
            torch.onnx.export(
                network,
                inputs,
                str(path),
                input_names=names,
                output_names=outputs,
                dynamic_axes=axes,
                opset_version=OPSET,
                dynamo=False,
            )
        except Exception as error:  # the exporter raises anything
            what = " ".join(str(error).split())[-200:]
            raise RecipeError(f"this network cannot be written as ONNX: {what}") from error


def _describe(path: Path, model: BaseModel, facts: dict[str, Any]) -> None:
    """Write metadata into a file."""
    content = onnx.load(str(path))
    known = {"sample_rate": int(model.sample_rate), "n_src": int(model.masker.n_src), **facts}
    onnx.helper.set_model_props(content, {METADATA: json.dumps(known)})
    onnx.save(content, str(path))


def _open(path: Path) -> tuple[onnxruntime.InferenceSession, dict[str, Any]]:
    """Open a file; returns what runs it, and its metadata.

    Raises:
        RecipeError: not an ONNX file, or not one of this project.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    providers = ["CPUExecutionProvider"]
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # ONNX Runtime has many kinds of its own
        raise RecipeError(f"{path}: not an ONNX file that can be run here") from error
    try:
        return session, json.loads(session.get_modelmeta().custom_metadata_map[METADATA])
    except (KeyError, ValueError) as error:
        raise RecipeError(f"{path}: not written by local/export.py") from error


def _noise(length: int) -> torch.Tensor:
    return 0.1 * torch.randn(1, length, generator=torch.Generator().manual_seed(length))


def _error(model: BaseModel, network: OnnxNetwork, wav: torch.Tensor) -> float:
    expected = model(wav)
    return float((network(wav) - expected).abs().max() / expected.abs().max())


def _stream(network: StreamingNetwork | OnnxStreamingNetwork, wav: torch.Tensor) -> torch.Tensor:
    """Estimates of noise in pieces of several lengths."""
    overlap, stride = network.kernel - network.stride, network.stride
    network.start(wav[:, :overlap])
    rest = wav[:, overlap : overlap + (wav.shape[1] - overlap) // stride * stride]
    pieces = [network(piece)[0] for piece in rest.split(7 * stride, 1)]
    return torch.cat([*pieces, network.tail()], -1)


def _check(error: float, path: Path) -> None:
    if not error <= TOLERANCE:
        raise RecipeError(
            f"{path}: differs from the network by {error:.1e} of the largest estimate, more than"
            f" {TOLERANCE:g}; it is not written"
        )
