"""The tables that are predicted before a build beside the compiler's own, of some models kept."""

from __future__ import annotations

from importlib import import_module

import pytest

CHIPS = ("rk3588", "rk3576", "rk3562", "rk3566")
# how far each was off at most, with some room
LIMITS = {
    "mobilenetv2-12": 0.01,
    "yolov5n": 0.01,
    "yolov8n": 0.01,
    "ppocrv4_rec": 0.02,
    "RetinaFace_mobile320": 0.12,
}


@pytest.mark.parametrize("model", LIMITS)
def test_the_predicted_tables_are_nearly_those_of_builds(model: str) -> None:
    pairs = list(import_module("benchmarks.latency.predicted").stored_pairs([model], CHIPS))
    assert len(pairs) >= 3
    for pair in pairs:
        assert abs(pair.error) < LIMITS[model], (pair.model, pair.built_ms, pair.predicted_ms)
        assert pair.matched > 0.9 * pair.rows
