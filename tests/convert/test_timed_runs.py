"""The record of timed runs, and what models that were measured say of other estimates."""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from rockpress.convert.chips.compiler_log import Layer
from rockpress.convert.chips.targets import find_target
from rockpress.convert.latency.estimate import estimate, layer_costs
from rockpress.convert.latency.scaled import (
    costs_scaled,
    estimate_scaled,
    scale_of,
    scale_warnings,
    scaled_band,
)
from rockpress.convert.latency.timed_runs import Clocks, MedianTime, TimedLayer, read_record
from rockpress.core.errors import ReportError
from rockpress.core.results.model_figures import LatencyScale

DOCS = Path(__file__).parents[2] / "docs"
X = ((1, 64, 28, 28),)
TABLE = (
    Layer(1, "ConvRelu", "INT8", "NPU", X, X, 90_000, 400_000, 400_000, "Conv:a"),
    Layer(2, "Add", "INT8", "NPU", (*X, *X), X, 0, 0, 0, "Add:b"),
)
RUN: dict[str, Any] = {"model": {"name": "m"}, "chip": "rk3588", "measured": "npu", "ms": [2.0]}


def record(folder: Path, *runs: object, **top: object) -> Path:
    path = folder / "runs.json"
    path.write_text(json.dumps({"schema": 1, "runs": runs, **top}))
    return path


def test_a_record_is_read_and_what_is_not_known_in_it_left_out(tmp_path: Path) -> None:
    full = {
        **RUN,
        "ms": {"median": 3.5, "n": 100, "p99": 4.0},
        "clocks": {"npu": 1000, "ddr": None, "cpu": 2400},
        "contexts": 3,
        "layers": [{"name": "Conv:a", "op": "ConvRelu", "us": 12.5}],
        "table": [asdict(layer) for layer in TABLE],
        "temperature": [56, 64],
    }
    several = {**RUN, "ms": [3.0, 1.0, 2.0], "runtime": "2.3.2"}
    first, second = read_record(record(tmp_path, full, several, board="x")).runs
    assert (first.ms, first.median_ms) == (MedianTime(3.5, 100), 3.5)
    assert first.clocks == Clocks(1000, None, 2400)
    assert first.layers == (TimedLayer("Conv:a", "ConvRelu", 12.5),)
    assert first.table == TABLE
    assert (second.median_ms, second.runtime, second.driver) == (2.0, "2.3.2", None)
    assert (first.is_npu_alone, second.is_npu_alone) == (False, True)


def test_the_record_of_the_docs_is_one(tmp_path: Path) -> None:
    (block,) = re.findall("```json\n(.*?)```", (DOCS / "measured.md").read_text(), re.S)
    (tmp_path / "a.json").write_text(block)
    (run,) = read_record(tmp_path / "a.json").runs
    assert (run.median_ms, run.clocks.cpu, len(run.layers)) == (31.5, 1200, 1)
    schema = json.loads((DOCS / "rockpress-runs.schema.json").read_text())
    assert set(json.loads(block)["runs"][0]) <= set(schema["$defs"]["TimedRun"]["properties"])


@pytest.mark.parametrize(
    ("run", "text"),
    [
        ({"ms": []}, "runs[0].ms is [], not times in ms, all above 0"),
        ({"ms": [1.0, -2.0]}, "runs[0].ms is [1.0, -2.0], not times in ms, all above 0"),
        ({"ms": {"median": 0, "n": 5}}, "runs[0].ms is [0.0], not times"),
        ({"measured": "gpu"}, "runs[0].measured is \"gpu\", not 'npu' or 'application'"),
        ({"model": {}}, "runs[0].model has no name"),
        ({"contexts": 0}, "runs[0].contexts is 0, not a number from 1 up"),
        ({"clocks": {"npu": "fast"}}, 'runs[0].clocks.npu is "fast", not a number'),
        ({"chip": 3588}, "runs[0].chip is 3588, not text"),
        ({"chip": " "}, 'runs[0].chip is " ", not a name'),
        ({"ms": "fast"}, 'runs[0].ms is "fast", not a list or a table'),
        ({"ms": ["fast"]}, 'runs[0].ms[0] is "fast", not a number'),
        ({"ms": {"median": "fast", "n": 3}}, 'runs[0].ms.median is "fast", not a number'),
        ({"ms": {"median": 3.5}}, "runs[0].ms has no n"),
        ({"ms": {"median": 3.5, "n": 0}}, "runs[0].ms.n is 0, not a number from 1 up"),
        ({"clocks": {"ddr": -1}}, "runs[0].clocks.ddr is -1.0, not MHz above 0"),
        (
            {"layers": [{"name": "a", "op": "b", "us": -0.5}]},
            "runs[0].layers[0].us is -0.5, not microseconds from 0 up",
        ),
        ({"date": "yesterday"}, 'runs[0].date is "yesterday", not a day such as 2026-11-28'),
        ({"date": "2026-02-30"}, 'runs[0].date is "2026-02-30", not a day'),
        ({"date": "2026-11-28x"}, 'runs[0].date is "2026-11-28x", not a day'),
        ({"model": {"name": ""}}, 'runs[0].model.name is "", not a name'),
        ({"model": {"name": "m", "digest": "0f"}}, 'runs[0].model.digest is "0f", not a sha256'),
    ],
)
def test_a_value_that_cannot_be_is_named(tmp_path: Path, run: dict[str, object], text: str) -> None:
    with pytest.raises(ReportError) as caught:
        read_record(record(tmp_path, {**RUN, **run}))
    assert text in caught.value.message
    assert "docs/measured.md" in caught.value.hint


@pytest.mark.parametrize(
    ("odd", "shown"),
    [
        ({"npu_cycles": 10**400}, "1000"),
        ({"npu_cycles": -4}, "-4,"),
        ({"input_shapes": [[1 << 39] * 6]}, "[549755813888, "),
        ({"output_shapes": [[1] * 60]}, "[1, 1, "),
        ({"output_shapes": [[1 << 20] * 4]}, "[1048576, "),
    ],
)
def test_a_layer_that_no_compiler_prints_is_refused(
    tmp_path: Path, odd: dict[str, object], shown: str
) -> None:
    row = {**asdict(TABLE[0]), **odd}
    with pytest.raises(ReportError) as caught:
        read_record(record(tmp_path, {**RUN, "table": [row]}))
    assert f"runs[0].table[0] is {shown}" in caught.value.message


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", "not a record of timed runs: "),
        ("[" * 10_000, "not a record of timed runs"),
        ("[]", "it is [], not a table"),
        ('{"runs": []}', "schema is null, not the number 1"),
        ('{"schema": 2, "runs": []}', "schema is 2, not the number 1"),
        ('{"schema": "1", "runs": []}', 'schema is "1", not the number 1'),
        ('{"schema": true, "runs": []}', "schema is true, not the number 1"),
        ('{"schema": 1}', "it has no runs"),
    ],
)
def test_a_file_that_is_no_record(tmp_path: Path, content: str, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(ReportError) as caught:
        read_record(path)
    assert text in caught.value.message


def test_what_is_no_file_or_too_large_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="cannot be read: "):
        read_record(tmp_path)
    large = tmp_path / "large.json"
    with large.open("wb") as file:
        file.truncate(65 << 20)
    with pytest.raises(ReportError, match="more than the 64 MB"):
        read_record(large)


# The scale


def test_the_scale_is_the_geometric_mean_over_models() -> None:
    scale = scale_of([[1.1], [0.9, 1.6], [1.3]])
    own = [1.1, math.sqrt(0.9 * 1.6), 1.3]
    assert scale.factor == pytest.approx(math.prod(own) ** (1 / 3))
    assert scale.models == 3
    times = [1.1, 0.9, 1.6, 1.3]  # those of one model that contradict each other count too
    assert scale.spread == pytest.approx(
        max(max(f / scale.factor, scale.factor / f) for f in times)
    )


def test_a_scaled_estimate_and_its_layers() -> None:
    chip, scale = find_target("rk3588"), LatencyScale(1.5, 1)
    plain, scaled = estimate(TABLE, chip), estimate_scaled(TABLE, chip, None, scale)
    assert plain is not None and plain.ms is not None and plain.high is not None
    assert scaled is not None and scaled.ms is not None and scaled.high is not None
    assert scaled.ms == pytest.approx(1.5 * plain.ms)
    assert (scaled.cycles, scaled.kind, scaled.scale) == (plain.cycles, "npu-estimate", scale)
    assert scaled.high / scaled.ms > plain.high / plain.ms > 1
    for before, after in zip(
        layer_costs(TABLE, chip), costs_scaled(TABLE, chip, None, scale), strict=True
    ):
        assert after.ms == pytest.approx(1.5 * (before.ms or 0))
        assert after.bound == before.bound


def test_a_scale_that_is_hard_to_believe_is_said() -> None:
    for factor in (0.5, 1.0, 9.0):
        assert scale_warnings(LatencyScale(factor, 1)) == ()
    for factor in (0.05, 1000.0):
        (warning,) = scale_warnings(LatencyScale(factor, 1))
        assert warning.code == "latency-scale"
        assert f"is {factor:g} times the estimate" in warning.rendered().text


def test_a_chip_without_a_fit_has_milliseconds_by_a_scale_alone() -> None:
    chip = find_target("rv1106")
    assert estimate(TABLE, chip).ms is None  # type: ignore[union-attr]
    latency = estimate_scaled(TABLE, chip, None, LatencyScale(2.0, 1))
    assert latency is not None and latency.ms is not None
    costs = costs_scaled(TABLE, chip, None, LatencyScale(2.0, 1))
    assert sum(cost.ms or 0 for cost in costs) == pytest.approx(latency.ms)
    half = estimate_scaled(TABLE, chip, None, LatencyScale(1.0, 1))
    assert half is not None and half.ms == pytest.approx(latency.ms / 2)


def test_the_band_gets_narrower_with_more_models_that_agree() -> None:
    bands = [scaled_band(1.16, LatencyScale(1.0, models)) for models in (1, 2, 5)]
    assert bands == sorted(bands, reverse=True)
    assert min(bands) > 1.16
    assert scaled_band(1.16, LatencyScale(1.0, 2, spread=1.9)) == 1.9
