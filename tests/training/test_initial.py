"""Weights that a training starts from."""

import pytest
import torch

from separation.models.registry import save_model
from separation.training.initial import load_initial
from small_networks import small_conf, small_network

CAUSAL = ["net_conf.causal=true", "net_conf.norm=cln"]
KINDS = {"whole": [], "causal": CAUSAL, "lookahead": [*CAUSAL, "net_conf.lookahead=2"]}


@pytest.mark.parametrize("start", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("goal", KINDS.values(), ids=KINDS)
def test_causal_networks_start_from_whole_ones_and_the_other_way_round(tmp_path, start, goal):
    trained = small_network("convtasnet", *start)
    save_model(trained, tmp_path / "best_model.pth")
    (tmp_path / "conf.yaml").touch()
    model = small_network("convtasnet", *goal)
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    load_initial(model, small_conf("convtasnet", *goal, f"training.init={tmp_path}"))
    for found, weight in zip(model.parameters(), trained.parameters(), strict=True):
        assert torch.equal(found, weight)
