"""From ``net_conf``, the letters of the paper, to a network: :func:`build_convtasnet`."""

from __future__ import annotations

from typing import Any

from asteroid.masknn import norms
from torch import nn

from separation.errors import RecipeError, nearest
from separation.models.codec import GATES, DeepConvTasNet
from separation.models.convtasnet import WholeConvTasNet

# Asteroid's cLN normalises each frame by itself; the paper's cumulative cLN is Asteroid's cgLN.
NORMS = {"gln": "gLN", "cln": "cgLN", "cln_frame": "cLN", "bn": "bN"}
CAUSAL_NORMS = ("cln", "cln_frame")
ACTIVATIONS = ("sigmoid", "relu", "softmax")
PADDINGS = ("auto", "symmetric", "left")


def build_convtasnet(net_conf: dict[str, Any], sample_rate: int) -> WholeConvTasNet:
    """Map ``net_conf`` to Asteroid's ConvTasNet, or to one with a deep encoder and decoder.

    Args:
        net_conf: the network block of the YAML.
        sample_rate: Hz, kept in the saved model.

    Raises:
        RecipeError: a value that no network can be built from, with its key.
    """
    check_net_conf(net_conf)
    left = pads_left(net_conf)
    arguments = {
        "n_src": net_conf["num_spks"],
        "n_filters": net_conf["N"],
        "kernel_size": net_conf["L"],
        "stride": net_conf["L"] // 2,
        "bn_chan": net_conf["B"],
        "hid_chan": net_conf["H"],
        "skip_chan": net_conf["Sc"],
        "conv_kernel_size": net_conf["P"],
        "n_blocks": net_conf["X"],
        "n_repeats": net_conf["R"],
        "norm_type": NORMS[net_conf["norm"]],
        "mask_act": net_conf["activate"],
        "causal": left,
        "sample_rate": sample_rate,
    }
    if net_conf["codec_layers"] or (left and net_conf["norm"] not in CAUSAL_NORMS):
        codec = {key: value for key, value in net_conf.items() if key.startswith("codec_")}
        model: WholeConvTasNet = DeepConvTasNet(**arguments, **codec)
    else:
        model = WholeConvTasNet(**arguments)
    if net_conf["Sc"]:
        # With skip connections nothing comes after the last residual, which Asteroid computes all
        # the same; processes that train together would wait for its gradient.
        model.masker.TCN[-1].res_conv.requires_grad_(False)
    if not net_conf["affine"]:
        fix_norms(model)
    return model


def pads_left(net_conf: dict[str, Any]) -> bool:
    """Whether the convolutions over frames see the past alone."""
    return net_conf["padding"] == "left" or (net_conf["padding"] == "auto" and net_conf["causal"])


def fix_norms(model: nn.Module) -> None:
    """Make gains and biases of all norms constants, 1 and 0; their names in files stay."""
    for module in model.modules():
        names = {
            norms.GlobLN: ("gamma", "beta"),
            norms.CumLN: ("gamma", "beta"),
            norms.ChanLN: ("gamma", "beta"),
            norms.BatchNorm: ("weight", "bias"),
        }.get(type(module), ())
        for name in names:
            value = getattr(module, name).detach()
            delattr(module, name)
            module.register_buffer(name, value)


def check_net_conf(net_conf: dict[str, Any]) -> None:
    """Raise a :class:`RecipeError` that names the key of a wrong value."""
    for key, known in (
        ("norm", list(NORMS)),
        ("activate", list(ACTIVATIONS)),
        ("padding", list(PADDINGS)),
        ("codec_gate", list(GATES)),
    ):
        if net_conf[key] not in known:
            hint = nearest(net_conf[key], known)
            raise RecipeError(
                f"net_conf.{key} is '{net_conf[key]}'{hint}; known: {', '.join(known)}"
            )
    for key in ("N", "L", "B", "H", "P", "X", "R", "num_spks", "codec_kernel"):
        if net_conf[key] < 1:
            raise RecipeError(f"net_conf.{key} is {net_conf[key]}; it must be 1 or more")
    if net_conf["Sc"] < 0:
        raise RecipeError(f"net_conf.Sc is {net_conf['Sc']}; it must be 0 (no skip) or more")
    if net_conf["codec_layers"] < 0:
        raise RecipeError(f"net_conf.codec_layers is {net_conf['codec_layers']}; 0 or more")
    if net_conf["L"] % 2:
        raise RecipeError(f"net_conf.L is {net_conf['L']}; it must be even, the stride is L/2")
    if not pads_left(net_conf):
        for key in ("P", "codec_kernel"):
            if net_conf[key] % 2 == 0:
                raise RecipeError(
                    f"net_conf.{key} is {net_conf[key]}; it must be odd unless padding is left"
                )
    if net_conf["causal"]:
        check_causal(net_conf)


def check_causal(net_conf: dict[str, Any]) -> None:
    """Raise a :class:`RecipeError` where a network that is to be causal looks ahead."""
    if net_conf["norm"] not in CAUSAL_NORMS:
        what = (
            "takes the mean over batches of whole utterances while training"
            if net_conf["norm"] == "bn"
            else "looks at the whole utterance"
        )
        raise RecipeError(
            f"net_conf.causal is true, but net_conf.norm '{net_conf['norm']}' {what};"
            " set net_conf.norm: cln"
        )
    if net_conf["padding"] == "symmetric":
        raise RecipeError(
            "net_conf.causal is true, but net_conf.padding 'symmetric' looks ahead;"
            " set net_conf.padding: left"
        )
