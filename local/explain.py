"""Look inside a trained network: pictures of it at work, in EXP_DIR/plots/explain_*.png.

Learned filters with their spectra, masks over time, what an output listens to (the mixture with
patches taken out), the effective receptive field, the activity of the blocks. Without a recording
the first example that stage 4 kept is taken; at most 6 s of it are looked at. Stage 5 shows the
pictures in its page. EXP_DIR may be the name of a model on the shelf; its pictures are then in
`exp/pretrained_NAME/plots`.
"""

from __future__ import annotations

from separation.process import run_command  # isort: split

from pathlib import Path

import numpy as np
from torch import nn

from separation.arguments import make_parser
from separation.config import load_resolved
from separation.corpus.audio import read_audio
from separation.errors import RecipeError
from separation.files import atomic_path, visible
from separation.models.architecture import architecture
from separation.models.registry import load_model
from separation.models.shelf import find_system
from separation.report import inside, inside_plots
from separation.tree import output_dir

MOST_SECONDS = 6.0
LEAST_SECONDS = 0.2


def main() -> None:
    """Parse the command line and write the pictures."""
    parser = make_parser(__doc__, "exp_dir")
    parser.add_argument(
        "recording", type=Path, nargs="?", help="a mixture at the network's rate, of one channel"
    )
    arguments = parser.parse_args()
    exp_dir = find_system(arguments.exp_dir)
    out_dir = output_dir(exp_dir)
    conf = load_resolved(exp_dir)
    model = load_model(exp_dir)
    rate = int(model.sample_rate)
    path = arguments.recording or first_example(out_dir)
    mixture = read_audio(path, rate)[: round(MOST_SECONDS * rate)]
    if mixture.size < LEAST_SECONDS * rate:
        raise RecipeError(f"{path}: shorter than {LEAST_SECONDS:g} s; give a longer recording")
    print(f"{path}: {mixture.size / rate:.1f} s are looked at")
    folder = out_dir / "plots"
    pictures = explain(model, mixture, rate)
    offsets, slopes = inside.gradients(model, mixture)
    settings, kernel = architecture(conf), int(model.encoder.filterbank.kernel_size)
    field = reach(settings.receptive_field, settings.latency, kernel)
    pictures["field"] = inside_plots.field_plot(offsets, slopes, rate, field)
    if "filters" not in pictures:
        print("no learned filters: its encoder is an STFT")
        (folder / "explain_filters.png").unlink(missing_ok=True)
    for name, png in pictures.items():
        with atomic_path(folder / f"explain_{name}.png") as temporary:
            temporary.write_bytes(png)
        print(folder / f"explain_{name}.png")


def explain(model: nn.Module, mixture: np.ndarray, rate: int) -> dict[str, bytes]:
    """Draw all that needs no configuration; without filters where none are learned."""
    seconds = mixture.size / rate
    pictures = {}
    banks = inside.learned_filters(model, rate)
    if banks:
        pictures["filters"] = inside_plots.filters_plot(banks, rate)
    masks = inside.masks(model, mixture)
    pictures["masks"] = inside_plots.masks_plot(mixture, masks, banks, rate)
    found = inside.occlusion(model, mixture, rate)
    pictures["occlusion"] = inside_plots.occlusion_plot(found, seconds, rate)
    pictures["activity"] = inside_plots.activity_plot(inside.activity(model, mixture), seconds)
    return pictures


def first_example(exp_dir: Path) -> Path:
    """The mixture of the first example that stage 4 kept.

    Raises:
        RecipeError: there is none.
    """
    found = visible(exp_dir / "eval_tt" / "examples", "*/mix.wav")
    if not found:
        raise RecipeError(
            f"{exp_dir}/eval_tt/examples: no mixture; give a recording, or run stage 4"
        )
    return found[0]


def reach(field: int | None, latency: int | None, kernel: int) -> tuple[int, int] | None:
    """First and last input sample, counted from an output sample, that convolutions reach.

    A sample is in every frame that overlaps it, so it sees almost a filter more than a frame does.

    Args:
        field: samples of the mixture that one frame of the estimates depends on; None: all.
        latency: samples that an output waits for; None: the field is to both sides.
        kernel: samples of a filter of the encoder.
    """
    if field is None:
        return None
    if latency is not None:
        return latency - field - kernel + 1, latency - 1
    side = (field - kernel) // 2 + kernel - 1
    return -side, side


if __name__ == "__main__":
    run_command(main)
