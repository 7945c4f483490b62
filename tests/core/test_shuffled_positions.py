"""Which samples are held out: of samples in a regular order neither side lacks a kind."""

from __future__ import annotations

import numpy as np
import pytest

from rockpress.core.streaming.shuffled_positions import shuffled_position
from rockpress.prune.search.divergence import JUDGING, RANKING, SampleSplit


def indices_of(split: tuple[int, ...], count: int, *, alone: bool) -> list[int]:
    samples = [{"x": np.array([index])} for index in range(count)]
    return [int(feeds["x"][0]) for feeds in SampleSplit(samples, split, alone=alone)]


@pytest.mark.parametrize("kinds", [2, 3, 4, 5, 8])
@pytest.mark.parametrize("held_out", [JUDGING, RANKING, (0,), (3,)])
def test_kinds_in_turn_are_on_both_sides(kinds: int, held_out: tuple[int, ...]) -> None:
    count = 256
    for alone, share in ((True, len(held_out) / 4), (False, 1 - len(held_out) / 4)):
        indices = np.array(indices_of(held_out, count, alone=alone))
        expected = count * share
        assert len(indices) == pytest.approx(expected, abs=0.26 * count)
        shares = np.bincount(indices % kinds, minlength=kinds) / len(indices)
        assert shares.min() > 0.3 / kinds
        assert shares.max() < 2 / kinds


def test_every_position_is_taken_once() -> None:
    positions = [shuffled_position(index, 4) for index in range(400)]
    assert all(sorted(positions[at : at + 4]) == [0, 1, 2, 3] for at in range(0, 400, 4))
    assert len({tuple(positions[at : at + 4]) for at in range(0, 400, 4)}) > 10


def test_none_is_held_out_for_both() -> None:
    ranking, judging = (set(indices_of(split, 500, alone=True)) for split in (RANKING, JUDGING))
    assert len(ranking) == len(judging) == 64
    assert not ranking & judging


@pytest.mark.parametrize("held_out", [JUDGING, RANKING])
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_few_samples_leave_one_to_fit(held_out: tuple[int, ...], count: int) -> None:
    assert 0 in indices_of(held_out, count, alone=False)
