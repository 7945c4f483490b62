"""The time of a model on the NPU, by a build of it, for quantization to choose by."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from onnx import ModelProto

from ...convert.chips.targets import Target
from ...convert.latency.estimate import conversion_ms, estimate, layer_ms
from ...convert.oracle import Oracle
from ...convert.request import ToolkitSettings
from ...convert.toolkit.environment import toolkit_version
from ...convert.toolkit.failures import ToolkitEnded
from ...core.errors import ToolkitError
from ...quantize.mixing.mixed_budget import NpuTime
from .predicted_time import PlannedTime


@contextmanager
def npu_time(target: Target, toolkit: ToolkitSettings) -> Iterator[NpuTime]:
    """Give the times on a chip with a latency fit; the toolkit's process ends with the context."""
    made_by = toolkit_version(toolkit.python)
    with Oracle(toolkit.python, toolkit.limits) as oracle:

        def built(model: ModelProto) -> float | None:
            try:
                latency = estimate(oracle.layers(model, target.name, "float16"), target, made_by)
            except ToolkitEnded:  # that says nothing of the choice
                raise
            except ToolkitError:  # such a choice is none
                return None
            return latency.ms if latency else None

        yield NpuTime(
            built,
            lambda layer, dtype: layer_ms(layer, target, dtype, made_by),
            lambda shape: conversion_ms(shape, target, made_by),
            PlannedTime(target, made_by),
        )
