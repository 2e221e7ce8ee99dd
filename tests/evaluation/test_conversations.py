"""Conversations: turns, overlap and pauses; exchanges and leakage of estimates that are known."""

import numpy as np
import pandas as pd
import pytest
import torch

import conversations
from oracle_network import OneOfSources
from separation.errors import RecipeError
from separation.evaluation.conversations import (
    count_exchanges,
    make_conversation,
    measure,
    talk_at_once,
)
from separation.inference.recursion import RecursiveSeparator, StopRule

RATE = 1000


def recordings(speakers=2, seconds=4, seed=0):
    rng = np.random.default_rng(seed)
    return [
        [rng.normal(size=round(seconds * RATE * s)).astype(np.float32) for s in (1, 0.8, 1.2)]
        for _ in range(speakers)
    ]


def speaking(sources):
    return sources != 0


@pytest.mark.parametrize("overlap", [0.0, 0.2, 0.4])
@pytest.mark.parametrize("speakers", [2, 3])
def test_the_share_of_overlap_is_what_was_asked_for(overlap, speakers):
    sources = make_conversation(recordings(speakers), 600, overlap, RATE, np.random.default_rng(0))
    assert sources.shape == (speakers, 600 * RATE)
    count = speaking(sources).sum(0)
    assert (count > 1).sum() / (count > 0).sum() == pytest.approx(overlap, abs=0.04)
    assert count.max() <= 2
    assert speaking(sources).any(1).all()


def test_one_turn_in_ten_is_followed_by_a_pause():
    sources = make_conversation(recordings(), 600, 0.2, RATE, np.random.default_rng(0))
    silent = ~speaking(sources).any(0)
    edges = np.flatnonzero(np.diff(silent.astype(int)))
    pauses = np.diff(edges)[::2] / RATE
    assert len(pauses) >= 5
    assert pauses.min() >= 10
    assert pauses.max() <= 30


def test_the_same_seed_makes_the_same_conversation():
    one, other = (
        make_conversation(recordings(), 60, 0.2, RATE, np.random.default_rng(7)) for _ in range(2)
    )
    assert np.array_equal(one, other)


def test_levels_are_in_their_range():
    sources = make_conversation(recordings(), 600, 0, RATE, np.random.default_rng(0))
    for source in sources:
        level = np.sqrt(np.square(source[source != 0]).mean())
        assert abs(20 * np.log10(level / 0.05)) < 2.6


def conversation():
    return make_conversation(recordings(), 120, 0.2, RATE, np.random.default_rng(1))


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_the_sources_themselves_change_no_places(order):
    sources = conversation()
    found = measure(sources, sources[order] + 0.01 * sources[order[::-1]], RATE)
    assert found.exchanges == 0
    assert found.leakage == pytest.approx(-40, abs=0.1)
    assert found.si_sdri > 30


@pytest.mark.parametrize("places", [[40], [40, 80], [20, 60, 100]])
def test_exchanges_are_counted(places):
    sources = conversation()
    estimates = sources.copy()
    for place in places:
        estimates[:, place * RATE :] = estimates[::-1, place * RATE :]
    assert count_exchanges(sources, estimates, 4 * RATE) == len(places)


def test_outputs_that_are_alike_tell_of_no_exchange():
    sources = conversation()
    mixture = np.stack([sources.sum(0)] * 2)
    assert count_exchanges(sources, mixture, 4 * RATE) == 0


def test_the_program_has_a_row_for_each_share_and_way(world, run, tmp_path):
    """An untrained network keeps nobody apart, but every number has its place."""
    arguments = ["--exp_dir", world.exp_dir, "--data_dir", world.data_dir, "--split", "tr"]
    short = ["--number", "1", "--minutes", "0.7", "--overlaps", "0,40"]
    path = tmp_path / "a table.csv"
    assert run("conversations", [*arguments, *short, "--csv", path])[:2] == (0, "")
    table = pd.read_csv(path)
    assert list(table["way"]) == [*conversations.WAYS] * 2
    assert list(table["overlap"]) == [0] * 3 + [0.4] * 3
    assert table["si_sdri"].notna().all()


def test_means_and_counts_of_the_table():
    table = pd.DataFrame(
        [(2, 0.2, 0, "one pass", 2, 3.0, 2, -10.0), (2, 0.2, 1, "one pass", 2, 4.0, 0, -20.0)],
        columns=["speakers", "overlap", "number", "way", *conversations.COLUMNS],
    )
    assert last_row(table) == ["20 %", "one pass", "2", "3.50", "1", "2", "-15.0"]


def last_row(table):
    row = conversations.summary(table).splitlines()[-1]
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_numbers_that_were_found_are_counted():
    way = conversations.FOUND
    table = pd.DataFrame(
        [(3, 1.0, 0, way, 3, 3.0, 2.0, -10.0), (3, 1.0, 1, way, 2, 4.0, np.nan, np.nan)],
        columns=["speakers", "overlap", "number", "way", *conversations.COLUMNS],
    )
    expected = ["3", "1 of 2", "100 %", way, "2", "3.50", "1", "2", "-10.0"]
    assert last_row(table) == expected
    alone = table[1:].assign(speakers=1, found=1, si_sdri=np.nan)
    assert last_row(alone) == ["1", "1 of 1", "100 %", way, "1", "–", "0", "0", "–"]


def test_estimates_of_another_number_are_scored_in_pairs():
    sources = conversation()
    apart = conversations.scores(sources, sources[::-1] + 0.01 * sources, RATE)
    assert apart[0] == 2
    assert apart[1] > 30
    one, si_sdri, *others = conversations.scores(sources, sources.sum(0)[None], RATE)
    assert (one, si_sdri) == (1, pytest.approx(0, abs=1e-6))  # the mixture itself
    assert np.isnan(others).all()
    assert conversations.scores(sources[:1], sources[:1], RATE)[0] == 1
    found, si_sdri, *_ = conversations.scores(sources, np.stack([sources[0], 0 * sources[0]]), RATE)
    assert found == 2
    assert np.isnan(si_sdri)  # one of them is silent


@pytest.mark.parametrize("speakers", [1, 3])
def test_all_talk_at_once(speakers):
    sources = talk_at_once(recordings(speakers), 600, RATE, np.random.default_rng(0))
    assert sources.shape == (speakers, 600 * RATE)
    for source in sources:
        level = np.sqrt(np.square(source[source != 0]).mean())
        assert abs(20 * np.log10(level / 0.05)) < 2.6
        gaps = np.diff(np.flatnonzero(source)) / RATE
        gaps = gaps[gaps > 0.01]
        assert gaps.min() > 0.1
        assert 10 < gaps.max() < 30
        assert 0.05 < (gaps > 1.01).mean() < 0.15  # one in ten
    if speakers == 3:
        assert (speaking(sources).sum(0) == 3).mean() > 0.1


def test_a_system_that_counts_is_asked_for_every_number(monkeypatch, tmp_path):
    network = OneOfSources(torch.ones(1, 8))
    separator = RecursiveSeparator(network, rule=StopRule(-20.0, 3))
    monkeypatch.setattr(conversations, "open_separator", lambda *_: separator)
    ways = conversations.ways_of(tmp_path, "cpu")
    assert {n: list(own) for n, own in ways.items()} == {
        n: [conversations.FOUND, "true number"] for n in (1, 2, 3)
    }
    silence = np.zeros(100, np.float32)
    assert ways[3][conversations.FOUND](silence).shape == (1, 100)
    assert ways[3]["true number"](silence).shape == (3, 100)


@pytest.mark.parametrize("text", ["", "20,", "a", "-1", "95", "nan"])
def test_wrong_shares_are_named(text):
    with pytest.raises(RecipeError, match="--overlaps .*numbers from 0 to 90"):
        conversations.parse_overlaps(text)
