"""Make a network of half as many frames from a trained `spectral` network, to train on from.

Its windows overlap by half of what they did. A dilation of 2 frames was one of 1 of the new ones,
and so on: the first block of each repeat is left out, the others keep their weights and their reach
in seconds. What comes out needs training: `-- training.init=OUT net_conf.overlap=2 net_conf.X=5`.
"""

from __future__ import annotations

from separation.process import run_command  # isort: split

import re
from pathlib import Path

from asteroid.models import BaseModel

from separation.arguments import make_parser
from separation.config import load_resolved, save_resolved
from separation.errors import RecipeError
from separation.models.registry import MODEL_FILES, load_model, save_model
from separation.models.shelf import find_system
from separation.models.spectral import SpectralNet


def main() -> None:
    """Parse the command line, and write an experiment folder with the new network."""
    parser = make_parser(__doc__, "exp_dir")
    parser.add_argument("--out", type=Path, required=True, help="new experiment folder")
    arguments = parser.parse_args()
    if arguments.out.exists():
        raise RecipeError(f"{arguments.out}: there already; give another --out")
    source = find_system(arguments.exp_dir)
    conf = load_resolved(source)
    model = halve(load_model(source), source)
    settings = model.get_model_args()
    conf["net_conf"].update(overlap=settings["overlap"], X=settings["n_blocks"])
    arguments.out.mkdir(parents=True)
    save_model(model, arguments.out / MODEL_FILES[0])
    save_resolved(conf, arguments.out / "conf.yaml")


def halve(model: BaseModel, source: Path) -> SpectralNet:
    """The network of half as many frames, with the weights of all blocks but each repeat's first.

    Raises:
        RecipeError: another architecture, or no block or overlap to leave out.
    """
    settings = dict(model.get_model_args()) if isinstance(model, SpectralNet) else {}
    blocks, overlap = settings.get("n_blocks", 0), settings.get("overlap", 0)
    if blocks < 2 or overlap % 4:
        raise RecipeError(f"{source}: not a spectral network with X of 2 or more and overlap 4")
    settings |= {"n_blocks": blocks - 1, "overlap": overlap // 2}
    half, trained = SpectralNet(**settings), model.state_dict()

    def origin(found: re.Match[str]) -> str:
        repeat, block = divmod(int(found[0]), blocks - 1)
        return str(repeat * blocks + block + 1)

    state = half.state_dict()
    for name in state:
        if name.startswith("masker."):
            state[name] = trained[re.sub(r"(?<=masker\.TCN\.)\d+", origin, name)]
    half.load_state_dict(state)
    return half


if __name__ == "__main__":
    run_command(main)
